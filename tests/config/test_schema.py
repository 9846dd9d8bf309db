"""The schema that is generated from routes.yaml: complete, closed, the same every time, and read by Cedar."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cedarpy import Decision, Entities, PolicySet, Schema, is_authorized, validate_policies

from gateway.config.schema import (
    CALL,
    NotCedar,
    SchemaImpossible,
    action_groups,
    cedar_schema,
    input_attributes,
    obstacles,
    slice_schema,
    unseen,
)
from gateway.core.routes import Parameter, Routes, Tool
from tests.config.cedar_routes import BALANCE, REFUND, TEXT, UPLOAD, routes

MOMENT = 1795255200123


def valid(policy: str) -> bool:
    return bool(validate_policies(policy, Schema.from_str(cedar_schema(routes()))))


def test_cedar_reads_the_schema_of_any_routes_even_of_none():
    Schema.from_str(cedar_schema(routes()))
    Schema.from_str(cedar_schema(Routes()))


def test_the_schema_is_the_same_whatever_order_the_files_were_read_in():
    known = routes()
    turned = replace(
        known,
        systems={
            name: replace(system, tools=system.tools[::-1]) for name, system in reversed(list(known.systems.items()))
        },
    )
    assert cedar_schema(turned) == cedar_schema(known)


def test_the_schema_shows_what_policies_can_use():
    shown = cedar_schema(routes())
    for expected in (
        "entity Agent in [Team] { owner: String };",
        "entity Charge in [System];",
        'action "stripe";  // every tool of stripe',
        "// POST /v1/refunds",
        'action "stripe.create_refund" in ["stripe", "write"] appliesTo {',
        "      charge: String,",
        "      amount: Long,",
        '      reason?: String,  // one of "duplicate", "fraudulent"',
        '      "stripe-account"?: String,  // header "stripe-account"',
        "      rate?: decimal",
        "// No policy sees metadata: a Cedar type needs one type and declared properties.",
        "      body: { size: Long, type: String, digest: String }  // untyped: bytes, content type, SHA-256 in hex",
        "// It also takes arguments that are not declared; no policy sees those.",
        "// GET /v1/charges/{charge}",
        "    input: {},",
    ):
        assert expected in shown.splitlines() or expected in shown


@pytest.mark.parametrize(
    "policy",
    [
        'permit (principal in Team::"finance-ops", action in Action::"read", resource in System::"stripe");',
        'permit (principal == Agent::"billing-bot", action in Action::"stripe", resource is Charge);',
        'forbid (principal, action == Action::"stripe.balance", resource == System::"stripe");',
        'permit (principal, action, resource) when { principal.owner == "lead" };',
        "permit (principal, action, resource) when { context.call.key_given && context.call.attempt < 3 };",
        'permit (principal, action, resource) when { context.call has user && context.call.user == "ann" };',
        'permit (principal, action, resource) when { context.call.source_ip.isInRange(ip("10.0.0.0/8")) };',
        'permit (principal, action, resource) when { context.call.now < datetime("2027-01-01") };',
        'permit (principal, action == Action::"files.upload", resource) when { context.input.body.size < 1000 };',
    ],
)
def test_policies_can_say_this(policy):
    assert valid(policy)


@pytest.mark.parametrize(
    "policy",
    [
        "permit (principal, action, resource) when { context.call.user == \"ann\" };",
        "permit (principal, action, resource) when { context.approved };",
        'permit (principal, action == Action::"stripe.create_refund", resource) when { context.input.metadata has x };',
        'permit (principal, action == Action::"stripe.create_refund", resource) when { context.input.amount == "5" };',
        'permit (principal, action == Action::"stripe.balance", resource is Charge);',
    ],
)  # fmt: skip
def test_policies_cannot_say_this(policy):
    assert not valid(policy)


def test_header_names_are_lower_case_because_headers_have_no_case():
    tool = replace(REFUND, parameters=(Parameter(name="Stripe-Account", place="header", schema=TEXT),))
    (attribute,) = input_attributes(tool)
    assert (attribute.name, attribute.argument) == ("stripe-account", "Stripe-Account")


def test_what_has_no_type_is_named_as_unseen():
    assert unseen(REFUND) == ("metadata",)
    assert "metadata" not in {attribute.name for attribute in input_attributes(REFUND)}


def test_an_opaque_body_is_seen_by_size_type_and_digest():
    (body,) = input_attributes(UPLOAD)
    whole = {"size": 3, "type": "text/csv", "digest": "ab"}
    assert body.convert(whole) == whole
    with pytest.raises(NotCedar):
        body.convert({"size": 3, "type": "text/csv"})


@pytest.mark.parametrize(
    "change",
    [
        {"resource_type": "Agent"},
        {"resource_type": "System"},
        {"resource_type": "Team"},
        {"resource_type": "Long"},
        {"resource_type": "ipaddr"},
        {"resource_type": "in"},
        {"resource_type": "Pull Request"},
        {"system": "read", "name": "read.it"},
        {"body": "opaque", "parameters": (Parameter(name="body", place="query", schema=TEXT),)},
    ],
)
def test_names_that_mean_something_else_in_cedar_are_refused(change):
    """A resource type Agent, above all: an argument could then make itself a member of any team."""
    tool = replace(BALANCE, **{"name": "stripe.odd", **change})
    known = routes(tool)
    assert len(obstacles(known)) == 1
    with pytest.raises(SchemaImpossible):
        cedar_schema(known)


def test_a_name_cannot_leave_its_comment_or_its_quotes():
    tool = Tool(
        name='stripe.a"b\nc', system="stripe", method="GET", template=("x\naction evil;",), effect="read",
        parameters=(Parameter(name='q"\n', place="query", schema={"enum": ["\naction evil;"]}),),
    )  # fmt: skip
    shown = cedar_schema(routes(tool))
    Schema.from_str(shown)
    assert not any(line.startswith("action evil") for line in shown.splitlines())


def test_a_restricted_schema_has_all_groups_and_types_but_only_some_tools():
    shown = cedar_schema(routes(), {"stripe.balance"})
    assert 'action "stripe.balance"' in shown
    assert 'action "stripe.create_refund"' not in shown
    assert "entity Charge" in shown
    assert 'action "files";' in shown


def test_a_slice_has_exactly_the_attributes_it_was_given():
    amount = [attribute for attribute in input_attributes(REFUND) if attribute.name == "amount"]
    shown = slice_schema(REFUND, amount, [])
    schema = Schema.from_str(shown)
    assert "charge: String" not in shown
    entities = Entities.from_json_str("[]", schema)
    request = {"principal": {"type": "Agent", "id": "a"}, "action": {"type": "Action", "id": REFUND.name},
               "resource": {"type": "Charge", "id": "c"}}  # fmt: skip
    policies = PolicySet.from_str('permit (principal, action in Action::"write", resource);')

    def decide(given):
        context = json.dumps({"input": given, "call": {}})
        return is_authorized({**request, "context": context}, policies, entities, schema).decision

    assert decide({"amount": 5}) is Decision.Allow
    assert decide({"amount": 5, "more": 1}) is Decision.NoDecision
    assert decide({"amount": "5"}) is Decision.NoDecision


def test_an_action_is_in_the_groups_of_its_system_and_its_effect():
    assert action_groups(REFUND) == ("stripe", "write")


def converted(name: str, value: object) -> object:
    return next(attribute for attribute in CALL if attribute.name == name).convert(value)


def test_now_is_written_to_the_millisecond_in_utc():
    expected = "2026-11-21T10:00:00.123Z"
    moment = datetime.fromtimestamp(MOMENT / 1000, UTC)
    assert converted("now", MOMENT) == expected == converted("now", moment.astimezone(timezone(timedelta(hours=9))))
    for wrong in (True, "2026-11-21", None, moment.replace(tzinfo=None)):
        with pytest.raises(NotCedar):
            converted("now", wrong)


def test_an_address_loses_its_zone():
    assert converted("source_ip", "fe80::1%eth0") == "fe80::1"
