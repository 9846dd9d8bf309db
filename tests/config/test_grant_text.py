"""The text of a standing grant: it says exactly what a person was told, and no argument can make it say more."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cedarpy import policies_to_json_str
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.grant_text import LONGEST_TEXT, grant_text
from gateway.core.grants import NotGrantable, Terms
from gateway.core.routes import Parameter, Tool
from gateway.core.verdict import Question
from tests.config.cedar_routes import REFUND, TEXT, UPLOAD

NOON = 1_795_255_200_000
UNSEEN = frozenset({"metadata"})


def terms(*free: str, until: int = NOON, **bounds: int) -> Terms:
    return Terms(bounds=bounds, free=frozenset(free) | UNSEEN, until=until)


NOTHING = Terms(bounds={}, free=frozenset(), until=NOON)


def question(tool: Tool = REFUND, call: dict[str, object] | None = None, /, **arguments: object) -> Question:
    return Question(
        agent="billing-bot", action=tool.name, resource_type=tool.resource_type, resource_id="ch_1", system=tool.system,
        input=arguments, call=call or {},
    )  # fmt: skip


def written(
    tool: Tool = REFUND, told: Terms | None = None, call: dict[str, object] | None = None, /, **arguments: object
) -> str:
    return grant_text(question(tool, call, **arguments), tool, told or terms(), policy="over-50", grant="grant-07ab")


def of(*parameters: Parameter, **changes: Any) -> Tool:
    """A tool with just these arguments."""
    return replace(REFUND, parameters=parameters, **changes)


def typed(schema: dict[str, Any], **how: Any) -> Parameter:
    return Parameter(name="x", place="body", schema=schema, **how)


def conditions(text: str) -> list[str]:
    inside = text[text.index("{\n") + 2 : text.rindex("\n}")]
    return [line.strip() for line in inside.split("&&\n")]


WHOLE = """\
@id("grant-07ab")
@grants("over-50")
permit (principal == Agent::"billing-bot", action == Action::"stripe.create_refund", resource)
when {
  context.input.charge == "ch_1" &&
  context.input.amount >= 0 &&
  context.input.amount <= 10000 &&
  context.input has reason &&
  context.input.reason == "duplicate" &&
  !(context.input has "stripe-account") &&
  context.input has rate &&
  context.input.rate == decimal("1.5000") &&
  !(context.call has user) &&
  context.call.now < datetime("2026-11-21T10:00:00.000Z")
};
"""


def test_a_whole_grant():
    given = {"charge": "ch_1", "amount": 9000, "reason": "duplicate", "rate": Decimal("1.5")}
    assert written(REFUND, terms(amount=10_000), **given) == WHOLE


def test_an_argument_that_is_not_named_must_be_what_it_is_in_this_call():
    assert conditions(written(charge="ch_1", amount=9000))[:2] == [
        'context.input.charge == "ch_1"',
        "context.input.amount == 9000",
    ]


def test_an_argument_that_is_absent_must_stay_absent():
    assert "!(context.input has reason)" in conditions(written(charge="ch_1", amount=1))


def test_only_what_is_named_is_free():
    text = written(REFUND, terms("charge"), charge="ch_1", amount=1)
    assert "charge" not in text and "context.input.amount == 1" in text


def test_a_bound_begins_at_zero_and_its_argument_has_to_be_there():
    tool = of(typed({"type": "integer"}, optional=True))
    expected = ["context.input has x", "context.input.x >= 0", "context.input.x <= 5"]
    assert conditions(written(tool, Terms(bounds={"x": 5}, free=frozenset(), until=NOON), x=3))[:3] == expected
    assert conditions(written(tool, Terms(bounds={"x": 5}, free=frozenset(), until=NOON)))[:3] == expected


def test_it_is_for_the_same_user():
    told = conditions(written(REFUND, terms(), {"user": 'ann" || true'}, charge="c", amount=1))
    assert told[-3:-1] == ["context.call has user", r'context.call.user == "ann\" || true"']


def test_the_parts_of_an_object_are_compared_one_by_one():
    address: dict[str, Any] = {
        "type": "object", "additionalProperties": False, "required": ["city"],
        "properties": {"city": TEXT, "floor": {"type": "integer"}, "lift": {"type": "boolean"}, "odd name": TEXT},
    }  # fmt: skip
    told = conditions(
        written(
            of(typed(address)),
            NOTHING,
            x={"city": "Wien", "lift": False, "odd name": ""},
        )
    )
    assert told[:-2] == [
        'context.input.x.city == "Wien"',
        "!(context.input.x has floor)",
        "context.input.x has lift",
        "context.input.x.lift == false",
        'context.input.x has "odd name"',
        'context.input.x["odd name"] == ""',
    ]


def test_an_untyped_body_is_compared_by_its_digest():
    tool = replace(UPLOAD, open=False)
    body = {"size": 3, "type": "text/plain", "digest": "ab" * 32}
    told = conditions(written(tool, NOTHING, body=body))
    assert f'context.input.body.digest == "{"ab" * 32}"' in told


MANY = [f"x{number}" for number in range(300)]
LIST: dict[str, Any] = {"type": "array", "items": TEXT}
LOOSE: dict[str, Any] = {"type": "object", "properties": {"a": TEXT}}
PARTLY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"a": TEXT, "b": {"type": ["string", "integer"]}},
}
NESTED: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {"a": LIST}}


@pytest.mark.parametrize(
    ("tool", "given", "why"),
    [
        (of(typed(LIST)), {"x": ["a"]}, "`x` is a list, which policies compare without order and repetition"),
        (of(typed(LIST)), {"x": []}, "`x` is a list"),
        (of(typed(NESTED)), {"x": {"a": ["b"]}}, "`a` is a list"),
        (of(typed(LOOSE)), {"x": {"a": "b"}}, "policies do not see all of `x`"),
        (of(typed(PARTLY)), {"x": {"a": "b"}}, "policies do not see all of `x`"),
        (of(typed({"type": "object"}, optional=True)), {}, "policies do not see `x`"),
        (of(typed({"type": ["string", "null"]}, optional=True)), {}, "`x` that is null from one that is absent"),
        (of(typed({"type": ["string", "null"]}, optional=True)), {"x": None}, "do not tell a `x` that is null"),
        (of(typed(TEXT), open=True), {"x": "a"}, "also takes arguments that are not declared"),
        (of(typed({"type": "number"})), {"x": Decimal("0.00001")}, "has no exact form in Cedar"),
        (of(typed(TEXT)), {"x": "\ud800"}, "cannot be written in Cedar"),
        (of(typed(TEXT)), {"x": "a" * LONGEST_TEXT}, "too long to be read"),
        (of(*(Parameter(name=name, place="body", schema=TEXT) for name in MANY)), dict.fromkeys(MANY, ""), "too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_to_its_value_is_never_silently_free(tool, given, why):
    with pytest.raises(NotGrantable, match=why):
        written(tool, NOTHING, **given)


@pytest.mark.parametrize("schema", [LIST, LOOSE, PARTLY, NESTED, {"type": "object"}, {"type": ["string", "null"]}])
def test_a_person_may_say_that_it_is_free(schema):
    text = written(of(typed(schema, optional=True)), Terms(bounds={}, free=frozenset({"x"}), until=NOON))
    assert "input" not in text


def test_null_is_told_from_absence_where_absence_cannot_be():
    tool = of(typed({"type": ["string", "null"]}))
    nothing = NOTHING
    assert conditions(written(tool, nothing, x=None))[0] == "!(context.input has x)"
    assert conditions(written(tool, nothing, x="a"))[:2] == ["context.input has x", 'context.input.x == "a"']


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (terms(amuont=5), "the tool has no argument `amuont`"),
        (terms("chrage"), "the tool has no argument `chrage`"),
        (terms("amount", amount=5), "`amount` is both bounded and free"),
        (terms(charge=5), "`charge` is no whole number"),
        (terms(rate=5), "`rate` is no whole number"),
        (terms(amount=-1), "`amount` is negative"),
        (terms(amount=2**63), "does not fit into 64 bits"),
    ],
)
def test_terms_that_make_no_sense_are_refused(given, why):
    with pytest.raises(NotGrantable, match=why):
        written(REFUND, given, charge="ch_1", amount=9000)


def test_a_negative_amount_is_never_bounded_from_above_only():
    with pytest.raises(NotGrantable, match="`x` is negative"):
        written(of(typed({"type": "integer"})), Terms(bounds={"x": 5}, free=frozenset(), until=NOON), x=-3)


def test_a_refusal_never_repeats_a_value():
    with pytest.raises(NotGrantable) as refused:
        written(of(typed({"type": "number"})), NOTHING, x=Decimal("0.123456789"))
    assert "123456789" not in str(refused.value)


# --- Nothing that an agent writes is ever Cedar -----------------------------------------------------------------------

SLY = [
    'ch_1" || true || "',
    '"; permit (principal, action, resource); //',
    "\\",
    '\\"',
    '\\\\" }; permit (principal, action, resource) when { "',
    "\n}; permit (principal, action, resource);\n",
    "\u202e\u2066\u2028\u0000\u001f\u007f\u200b",
    "${context.input.amount}",
    "\\u{22} || true || \\u{22}",
    "?principal",
    '@id("other")',
    "*",
]


def meant(text: str) -> Any:
    """What Cedar reads: exactly one policy."""
    read = json.loads(policies_to_json_str(text))
    assert read["templates"] == {} and len(read["staticPolicies"]) == 1
    return read["staticPolicies"]["policy0"]


def values(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        found = [tree["Value"]] if "Value" in tree else []
        return found + [each for item in tree.values() for each in values(item)]
    return [each for item in tree for each in values(item)] if isinstance(tree, list) else []


@given(
    charge=st.sampled_from(SLY) | st.text(st.characters(exclude_categories=["Cs"])),
    user=st.sampled_from(SLY) | st.text(st.characters(exclude_categories=["Cs"])),
    account=st.none() | st.sampled_from(SLY),
    amount=st.integers(-(2**63), 2**63 - 1),
)
def test_an_argument_is_a_value_and_nothing_else(charge, user, account, amount):
    given = {"charge": charge, "amount": amount} | ({} if account is None else {"stripe-account": account})
    tree = meant(written(REFUND, terms(), {"user": user}, **given))
    assert (tree["effect"], tree["annotations"]) == ("permit", {"id": "grant-07ab", "grants": "over-50"})
    assert tree["principal"] == {"op": "==", "entity": {"type": "Agent", "id": "billing-bot"}}
    assert tree["action"] == {"op": "==", "entity": {"type": "Action", "id": "stripe.create_refund"}}
    assert [part["kind"] for part in tree["conditions"]] == ["when"]
    expected = [charge, amount, *([] if account is None else [account]), user, "2026-11-21T10:00:00.000Z"]
    assert sorted(map(str, values(tree["conditions"]))) == sorted(map(str, expected))


@pytest.mark.parametrize("name", ['x" || true', "if", "a b", "a.b", "ü", "__cedar", "x\\"])
def test_a_name_is_a_name_and_nothing_else(name):
    tool = of(Parameter(name=name, place="body", schema=TEXT, optional=True))
    for arguments in ({}, {name: "v"}):
        tree = meant(written(tool, NOTHING, **arguments))
        assert json.dumps(tree).count(json.dumps(name)) == 1 + len(arguments)


def test_names_of_the_forbid_and_the_agent_are_names_and_nothing_else():
    asked = replace(question(REFUND, charge="c", amount=1), agent='bot", resource); //')
    text = grant_text(asked, REFUND, terms(), policy='a"\nb', grant="g")
    assert meant(text)["annotations"]["grants"] == 'a"\nb'
    assert meant(text)["principal"]["entity"]["id"] == 'bot", resource); //'


def test_what_cedar_reads_otherwise_than_it_was_meant_is_no_grant(monkeypatch):
    """If the escaping ever failed, the tree would still tell."""
    from gateway.config import grant_text as module

    monkeypatch.setattr(module, "quoted", lambda text: f'"{text}"')
    with pytest.raises(NotGrantable, match="cannot be written in Cedar"):
        written(charge='ch_1" || context.input.charge != "', amount=1)
    monkeypatch.setattr(module, "quoted", lambda text: f'"{text}"')
    with pytest.raises(NotGrantable, match="cannot be written in Cedar"):
        written(charge='ch_1" }; permit (principal, action, resource) when { "" == "', amount=1)
