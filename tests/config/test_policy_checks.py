"""A policy that would do something else than its author believes stops the load, with its line and the cure."""

from pathlib import Path

import pytest

from gateway.config.policy_checks import PROBED_AT_ONCE, Vocabulary
from gateway.core.routes import Parameter, Tool
from tests.config.cedar_routes import TEXT, load, mistakes_in, routes

REFUND = 'principal, action == Action::"stripe.create_refund", resource'


def forbid(scope: str, condition: str = "true") -> str:
    return f'@id("a")\nforbid ({scope})\nwhen {{ {condition} }};'


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ('principal in Team::"finance-opps", action, resource', "did you mean finance-ops?"),
        ('principal == Agent::"billing-bit", action, resource', "did you mean billing-bot?"),
        ('principal, action, resource in System::"strype"', "did you mean stripe?"),
        ('principal, action == Action::"stripe.create_refnd", resource', "did you mean stripe.create_refund?"),
        ('principal, action in Action::"wrte", resource', "did you mean write?"),
        ('principal, action in [Action::"read", Action::"stripe.nothing"], resource', 'called "stripe.nothing"'),
    ],
)
def test_a_name_that_routes_do_not_have_is_a_mistake(tmp_path: Path, scope, expected):
    """To Cedar an unknown team is a team without members: the forbid would quietly never match."""
    (found,) = mistakes_in(tmp_path, forbid(scope))
    assert found.startswith("2: ") and expected in found


def test_a_name_in_a_condition_is_checked_too(tmp_path: Path):
    (found,) = mistakes_in(tmp_path, forbid("principal, action, resource", 'principal in Team::"interrns"'))
    assert found.startswith("3: ") and "did you mean interns?" in found


def test_a_group_of_tools_cannot_be_compared_with_equals(tmp_path: Path):
    (found,) = mistakes_in(tmp_path, forbid('principal, action == Action::"write", resource'))
    assert 'write `action in Action::"write"`' in found


@pytest.mark.parametrize("condition", ['context.input.amount == "5"', "context.input.reason == 5"])
def test_a_mistake_is_told_of_the_policy_that_makes_it_and_of_no_other(tmp_path: Path, condition):
    """Cedar's sentence for these does not say whose it is."""
    guard = "context.input has reason && " if "reason" in condition else ""
    sound = forbid(REFUND).replace('"a"', '"{}"')
    text = "\n".join([sound.replace("{}", "x"), sound.replace("{}", "y"), forbid(REFUND, guard + condition)])
    (found,) = mistakes_in(tmp_path, text)
    assert 'policy "a": the types' in found and "are not compatible" in found


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("context.input.amonut > 5", "`input.amonut` not found (for stripe.create_refund); did you mean amount?"),
        ('context.input.reason == "x"', "ask first: context.input has reason &&"),
        ('context.input["stripe-account"] == "x"', 'ask first: context.input has "stripe-account" &&'),
        ("context.input.metadata.x == 5", "no policy can see it"),
        ('context.input.amount > "5"', "expected Long but saw String"),
        ("context.input has rate && context.input.rate > 5", 'decimals compare so: .greaterThan(decimal("5.0"))'),
        ("context.call.approval", "`call.approval` not found (for stripe.create_refund); there is attempt, key"),
        ('principal.role == "admin"', "attribute `role` on entity type `Agent` not found"),
        ("context.input.amount", "expected Bool but saw Long"),
        ('context.call.now > datetime("soon")', "failed to parse as a datetime"),
    ],
)  # fmt: skip
def test_types_are_checked_strictly(tmp_path: Path, condition, expected):
    (found,) = mistakes_in(tmp_path, forbid(REFUND, condition))
    assert expected in found


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('context.input has "Stripe-Account"', "did you mean stripe-account?"),
        ("context.input has amonut && context.input.amonut > 5", "did you mean amount?"),
        ("context.input.amount > 5 || (context.input has curency)", "context.input never has `curency`"),
        ("context.call has rnu", "did you mean run?"),
        ("context.input has metadata", "no policy can see it"),
    ],
)
def test_has_with_a_name_that_is_never_there_is_a_mistake(tmp_path: Path, condition, expected):
    """Cedar's strict validation accepts each of these, and the forbid never matches."""
    (found,) = mistakes_in(tmp_path, forbid(REFUND, condition))
    assert found.startswith("3: ") and expected in found


@pytest.mark.parametrize(
    ("scope", "condition", "expected"),
    [
        ("principal, action, resource", "false", "it can never match"),
        ("principal, action, resource", "resource is Agent", "it can never match"),
        (REFUND, "context.call has run && !(context.call has run)", "it can never match"),
        (REFUND, "context.call.attempt < 1 && context.call.attempt > 2", None),  # types cannot tell
        (REFUND, 'action == Action::"stripe.balance"', "it can never match"),
        ('principal, action == Action::"stripe.balance", resource is Charge', "true", "no tool fits"),
        ('principal is Team, action, resource', "true", "no tool fits"),
    ],
)  # fmt: skip
def test_a_policy_that_can_never_match_is_a_mistake(tmp_path: Path, scope, condition, expected):
    found = mistakes_in(tmp_path, forbid(scope, condition))
    assert len(found) == (expected is not None)
    assert all(str(expected) in sentence for sentence in found)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_of_several_conditions_the_wrong_one_is_named(tmp_path: Path, wrong):
    words = ["when {\n  true\n}", "unless { false }", 'when { context.input has "reason" }']
    words[wrong] = "when {\n  context.input.amount == context.input.charge\n}"
    text = f'@id("a")\nforbid ({REFUND})\n' + "\n".join(words) + ";"
    (found,) = mistakes_in(tmp_path, text)
    line = text[: text.index("when {\n  context.input.amount")].count("\n") + 1
    assert found == f'{line}: policy "a": the types Long and String are not compatible'


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('context.input.charge.contains("x")', "expected Set but saw String"),
        ("context.input.amount in context.input.charge", "expected an entity but saw Long"),
        ("context.input.charge has x", "expected an entity, or a record but saw String"),
    ],
)
def test_no_sentence_has_a_name_that_is_cedars_own(tmp_path: Path, condition, expected):
    found = mistakes_in(tmp_path, forbid(REFUND, condition))
    assert any(expected in sentence for sentence in found) and "__cedar" not in "".join(found)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('principal.team == "x"', 'write principal in Team::"..."'),
        ('resource.name == "x"', "what is known of the call is in context.input"),
    ],
)
def test_who_asks_an_entity_for_an_attribute_is_told_what_to_write(tmp_path: Path, condition, expected):
    (found,) = mistakes_in(tmp_path, forbid(REFUND, condition))
    assert found.startswith("3: ") and expected in found


@pytest.mark.parametrize(
    "asked", ["context.input has reason", 'context.input has "stripe-account"', "context.call has run"]
)
def test_a_negated_record_is_one_mistake_with_its_cure(tmp_path: Path, asked):
    (found,) = mistakes_in(tmp_path, forbid(REFUND, f"true &&\n  !{asked}"))
    assert found == f'4: policy "a": `!` binds closer than `has`; write !({asked})'


def test_a_wrong_name_is_said_once_and_not_what_follows_from_it(tmp_path: Path):
    (found,) = mistakes_in(tmp_path, forbid(REFUND, 'resource == System::"strpe"'))
    assert "did you mean stripe?" in found


def test_an_attribute_that_only_some_tools_have_needs_has(tmp_path: Path):
    scope = 'principal, action in Action::"stripe", resource'
    (found,) = mistakes_in(tmp_path, forbid(scope, "context.input.amount > 5"))
    assert "other tools in its scope have it, so ask first: context.input has amount" in found
    load(tmp_path, forbid(scope, "context.input has amount && context.input.amount > 5"))


def test_one_complaint_for_all_tools_and_all_complaints_of_one_policy(tmp_path: Path):
    found = mistakes_in(tmp_path, forbid("principal, action, resource", "context.input.nope && principal.name == 1"))
    assert len(found) == 2
    assert "and 3 more" in found[0] + found[1]


def test_a_policy_for_a_group_that_is_still_empty_is_fine(tmp_path: Path):
    """`forbid everything destructive` must not wait for the first destructive tool."""
    (policy,) = load(tmp_path, forbid('principal, action in Action::"destructive", resource')).policies
    assert policy.actions == frozenset()


def test_an_action_named_in_a_condition_is_known_although_it_is_outside_the_scope(tmp_path: Path):
    load(tmp_path, forbid('principal, action in Action::"stripe", resource', 'action != Action::"files.upload"'))


def test_every_policy_of_many_is_probed(tmp_path: Path):
    """More than one probe takes: the last policy is looked at like the first."""
    tools = [
        Tool(name=f"stripe.t{i}", system="stripe", method="GET", template=(f"t{i}",), effect="read",
             parameters=(Parameter(name="q", place="query", schema=TEXT),))
        for i in range(200)
    ]  # fmt: skip
    known = routes(*tools)
    count = PROBED_AT_ONCE // len(Vocabulary(known).tools) + 2
    text = [
        f'@id("p{i}") forbid (principal, action, resource) when {{ context.call.attempt > {i} }};' for i in range(count)
    ]
    text[-1] = '@id("last") forbid (principal, action, resource) when { false };'
    (found,) = mistakes_in(tmp_path, "\n".join(text), known)
    assert found.startswith(f"{count}: ")
