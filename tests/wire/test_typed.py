"""Strings get types from the schema, in one spelling only."""

from decimal import Decimal

import pytest

from gateway.errors import AmbiguousRequest
from gateway.wire.form import parse
from gateway.wire.typed import reading

INTEGER, NUMBER, BOOLEAN, STRING = ({"type": name} for name in ("integer", "number", "boolean", "string"))


def read(schema, text):
    tree = parse(text)
    return reading(schema)("a", tree["a"])


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (INTEGER, "5000", 5000),
        (INTEGER, "-5", -5),
        (INTEGER, "0", 0),
        (INTEGER, "9007199254740991", 2**53 - 1),
        (NUMBER, "5", 5),
        (NUMBER, "5.5", Decimal("5.5")),
        (NUMBER, "1e3", 1000),
        (NUMBER, "-0.25", Decimal("-0.25")),
        (BOOLEAN, "true", True),
        (BOOLEAN, "false", False),
        (STRING, "5", "5"),
        (STRING, "true", "true"),
        ({"enum": [1, 2]}, "1", 1),
        ({"const": True}, "true", True),
        ({"type": ["integer", "string"]}, "x", "x"),
        ({"type": ["integer", "string"]}, "7", 7),
        ({"anyOf": [INTEGER, STRING]}, "7", 7),
        ({}, "7", "7"),
    ],
)
def test_one_spelling_is_read_as_its_type(schema, text, value):
    found = read(schema, f"a={text}")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (INTEGER, "05"),
        (INTEGER, "%2B5"),
        (INTEGER, "+5"),
        (INTEGER, "5+"),
        (INTEGER, "5.0"),
        (INTEGER, "5e3"),
        (INTEGER, ""),
        (INTEGER, "-0"),
        (INTEGER, "0x5"),
        (INTEGER, "5_000"),
        (INTEGER, "9007199254740992"),
        (INTEGER, "1" * 17),
        (INTEGER, "%D9%A5"),  # an Arabic five, which int() would take
        (NUMBER, "NaN"),
        (NUMBER, "Infinity"),
        (NUMBER, ".5"),
        (NUMBER, "5."),
        (NUMBER, "01.5"),
        (NUMBER, "1,5"),
        (BOOLEAN, "True"),
        (BOOLEAN, "1"),
        (BOOLEAN, "yes"),
        (BOOLEAN, ""),
    ],
)
def test_any_other_spelling_stays_a_string_for_the_validator_to_refuse(schema, text):
    assert isinstance(read(schema, f"a={text}"), str)


def test_a_number_that_doubles_do_not_hold_is_refused():
    for text in ("1e400", "0.10000000000000000001", "1e20"):
        with pytest.raises(AmbiguousRequest):
            read(NUMBER, f"a={text}")


@pytest.mark.parametrize("text", ["a=1&a=2", "a[]=1&a[]=2", "a[0]=1&a[1]=2"])
def test_three_spellings_of_a_list(text):
    assert read({"type": "array", "items": INTEGER}, text) == [1, 2]


def test_one_value_of_a_list_is_a_list():
    assert read({"type": "array", "items": STRING}, "a=x") == ["x"]


@pytest.mark.parametrize("text", ["a[1]=1", "a[1]=1&a[0]=2", "a[0]=1&a[2]=2", "a[00]=1", "a[x]=1", "a[-1]=1"])
def test_items_that_are_not_numbered_in_order_are_refused(text):
    with pytest.raises(AmbiguousRequest):
        read({"type": "array", "items": STRING}, text)


@pytest.mark.parametrize("schema", [STRING, INTEGER, {}, {"type": "object"}])
def test_a_single_value_given_twice_is_refused(schema):
    with pytest.raises(AmbiguousRequest):
        read(schema, "a=1&a=2")


def test_objects_and_lists_nest():
    item = {"type": "object", "properties": {"price": STRING, "quantity": INTEGER}}
    schema = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": item}},
        "additionalProperties": INTEGER,
    }
    assert read(schema, "a[items][0][price]=p&a[items][0][quantity]=2&a[n]=3") == {
        "items": [{"price": "p", "quantity": 2}],
        "n": 3,
    }


def test_a_shape_that_the_schema_does_not_have_reaches_the_validator():
    assert read(STRING, "a[b]=1") == {"b": "1"}
    assert read(STRING, "a[]=1") == ["1"]
