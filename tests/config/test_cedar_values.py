"""Values become Cedar exactly, or not at all."""

from decimal import Decimal

import pytest
from cedarpy import Schema

from gateway.config.cedar_values import NotCedar, cedar_type, cedar_value, member, quoted

ADDRESS = {
    "type": "object", "additionalProperties": False, "required": ["city"],
    "properties": {"city": {"type": "string"}, "zip": {"type": "string"}, "any": {"type": "object"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "date"}, "String"),
        ({"type": "integer"}, "Long"),
        ({"type": "boolean"}, "Bool"),
        ({"type": "number"}, "decimal"),
        ({"enum": ["a", "b"]}, "String"),
        ({"const": 5}, "Long"),
        ({"type": ["integer", "null"]}, "Long"),
        ({"type": "array", "items": {"type": "integer"}}, "Set<Long>"),
        ({"type": "array", "items": ADDRESS}, "Set<{ city: String, zip?: String }>"),
        (ADDRESS, "{ city: String, zip?: String }"),
        ({"type": "object"}, None),
        ({"type": "object", "additionalProperties": True}, None),
        ({"type": "array"}, None),
        ({"type": "array", "items": {"type": ["string", "null"]}}, None),
        ({"type": ["string", "integer"]}, None),
        ({"enum": ["a", 1]}, None),
        ({"anyOf": [{"type": "string"}]}, None),
        ({"type": "object", "properties": {"__entity": {"type": "string"}}}, None),
        (True, None),
    ],
)
def test_a_json_schema_has_one_cedar_type_or_none(schema, expected):
    assert cedar_type(schema) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "dü\u0000", "dü\u0000"),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", Decimal("5.0"), 5),
        ("integer", Decimal("1E+3"), 1000),
        ("boolean", True, True),
        ("number", 5, "5.0000"),
        ("number", Decimal("-0.1"), "-0.1000"),
        ("number", Decimal("1E+3"), "1000.0000"),
        ("number", Decimal("1.50000"), "1.5000"),
        ("number", Decimal("922337203685477.5807"), "922337203685477.5807"),
    ],
)
def test_a_value_is_converted_exactly(kind, value, expected):
    assert cedar_value({"type": kind}, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 5),
        ("string", {"__entity": {"type": "Agent", "id": "admin"}}),
        ("string", {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}),
        ("integer", "5"),
        ("integer", True),
        ("integer", 5.0),
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", Decimal("1.5")),
        ("integer", Decimal("1E+999999")),
        ("integer", Decimal("NaN")),
        ("boolean", 1),
        ("boolean", "yes"),
        ("number", 0.1),
        ("number", True),
        ("number", Decimal("0.00001")),
        ("number", Decimal("1E-999999")),
        ("number", Decimal("1E+999999")),
        ("number", Decimal("922337203685477.5808")),
        ("number", Decimal("Infinity")),
    ],
)
def test_a_value_without_an_exact_form_is_refused_and_not_repeated(kind, value):
    with pytest.raises(NotCedar) as refused:
        cedar_value({"type": kind}, value)
    assert str(value) not in str(refused.value)


def test_objects_are_rebuilt_from_their_declared_members_only():
    assert cedar_value(ADDRESS, {"city": "Bern", "zip": None, "any": {"x": 1}}) == {"city": "Bern"}
    strangers: list[object] = [
        {"zip": "3000"},
        {"city": "Bern", "more": 1},
        {"__entity": {"type": "A", "id": "x"}},
        [],
        "",
    ]
    for wrong in strangers:
        with pytest.raises(NotCedar):
            cedar_value(ADDRESS, wrong)
    open_address = {**ADDRESS, "additionalProperties": True}
    assert cedar_value(open_address, {"city": "Bern", "__extn": {"fn": "ip", "arg": "::1"}}) == {"city": "Bern"}


def test_arrays_are_converted_item_by_item():
    cents = {"type": "array", "items": {"type": "integer"}}
    assert cedar_value(cents, [1, Decimal(2)]) == [1, 2]
    for wrong in ([1, "2"], "12", {"__entity": 1}):
        with pytest.raises(NotCedar):
            cedar_value(cents, wrong)


def test_a_schema_without_a_type_converts_nothing():
    with pytest.raises(NotCedar):
        cedar_value({"type": "object"}, {})


@pytest.mark.parametrize(
    "name", ["amount", "if", "in", "stripe-account", 'say "hi"', "a\\b", "tab\there", "", "é", "1st"]
)
def test_any_name_can_be_a_member_of_a_record(name):
    applies = f"{{ principal: [A], resource: [A], context: {{ {member(name)}: Long }} }}"
    Schema.from_str(f"entity A; action {quoted(name)} appliesTo {applies};")
