"""What a policy is about. Whatever is not understood counts as everything."""

import json

import pytest
from cedarpy import policies_to_json_str

from gateway.config.policy_tree import Named, about


def of(scope: str = "principal, action, resource", condition: str = "true"):
    parsed = json.loads(policies_to_json_str(f"forbid ({scope}) when {{ {condition} }};"))
    return about(parsed["staticPolicies"]["policy0"])


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("context.input.amount > 5", {("input", "amount")}),
        ('context.input["stripe-account"] == "x"', {("input", "stripe-account")}),
        ('context["input"].amount > 5', {("input", "amount")}),
        ("context.input has reason", {("input", "reason")}),
        ('context.call has run && context.call.run == "x"', {("call", "run")}),
        ('context.input.address.city == "Bern"', {("input", "address")}),
        ("context.input.address has city.name", {("input", "address")}),
        ('[context.call.run].contains("a") && {x: context.input.amount}.x > 5', {("call", "run"), ("input", "amount")}),
        ('"context" == "input"', set()),
        ("true", set()),
        ("context == context", None),
        ("context.input == {amount: 5}", None),
        ("context has input && context.input.amount > 5", None),
        ("{a: context.call}.a.attempt > 5", None),
        ("(if context.input.a then context else context).input.amount > 5", None),
    ],
)
def test_it_is_known_what_a_policy_reads_or_that_it_may_read_anything(condition, reads):
    assert of(condition=condition).reads == (None if reads is None else frozenset(reads))


@pytest.mark.parametrize(
    ("scope", "actions", "exactly"),
    [
        ("principal, action, resource", None, False),
        ('principal, action == Action::"s.t", resource', ("s.t",), True),
        ('principal, action in Action::"write", resource', ("write",), False),
        ('principal, action in [Action::"a", Action::"b"], resource', ("a", "b"), False),
        ("principal, action in [], resource", (), False),
    ],
)
def test_the_actions_of_the_scope(scope, actions, exactly):
    assert (of(scope).actions, of(scope).exactly) == (actions, exactly)


def test_every_entity_that_is_named_is_found():
    found = of(
        'principal is Agent in Team::"t", action == Action::"s.t", resource is Charge in System::"s"',
        'principal == Agent::"a" || resource in [System::"s2", resource] || {type: "Team"}.type == "x"',
    )
    expected = [("Team", "t"), ("Action", "s.t"), ("System", "s"), ("Agent", "a"), ("System", "s2")]
    assert found.names == {Named(kind, name) for kind, name in expected}


@pytest.mark.parametrize(
    ("scope", "condition", "climbs"),
    [
        ("principal, action, resource", "true", False),
        ("principal, action, resource is Charge", "true", False),
        ('principal in Team::"t", action, resource', 'principal in Team::"t"', False),
        ('principal, action, resource in System::"s"', "true", True),
        ('principal, action, resource is Charge in System::"s"', "true", True),
        ("principal, action, resource", 'resource in System::"s"', True),
        ("principal, action, resource", 'Charge::"c" in System::"s"', True),
        ("principal, action, resource", 'resource == Charge::"c"', False),
    ],
)
def test_whether_a_policy_may_ask_which_system_the_resource_is_in(scope, condition, climbs):
    assert of(scope, condition).climbs is climbs


def test_a_condition_about_the_action_is_noticed():
    assert of(condition='action in Action::"write"').weighs_action
    assert not of('principal, action in Action::"write", resource').weighs_action
