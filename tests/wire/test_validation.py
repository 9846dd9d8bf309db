"""The validator: decimals, formats, references, and sentences without values."""

from decimal import Decimal

import pytest

from gateway.wire.validation import LONGEST, MOST_PROBLEMS, Validator
from tests.wire.wire_cases import parameter, tool


def problems(values, **schema):
    return Validator(tool("s.t", "POST /x", parameter("a", "body", **schema), body="json"), ()).problems(values)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "number", "maximum": 2}, Decimal("1.99"), Decimal("2.01")),
        ({"type": "number", "multipleOf": 0.01}, Decimal("0.07"), Decimal("0.071")),
        ({"type": "integer"}, 5, Decimal("5.5")),
        ({"type": "string", "format": "email"}, "a@b.example", "secret"),
        ({"type": "string", "format": "date"}, "2026-11-20", "20.11.2026"),
        ({"type": "string", "pattern": "^ch_"}, "ch_1", "secret"),
        ({"type": "string", "maxLength": 3}, "abc", "secret"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, 1, "secret"),
        ({"type": "boolean"}, True, 1),
        ({"type": "integer"}, 1, True),
    ],
)
def test_schemas_hold(schema, good, bad):
    assert problems({"a": good}, **schema) == []
    found = problems({"a": bad}, **schema)
    assert [where for where, _ in found] == ["body.a"]
    assert "secret" not in str(found)


def test_a_pattern_that_backtracks_without_end_refuses_the_value():
    assert problems({"a": "a" * 60 + "!"}, type="string", pattern="^(a|aa)+(?=b)$") != []


def test_long_enums_and_many_problems_are_cut():
    ((_, expected),) = problems({"a": "x"}, type="string", enum=[f"value-{n}" for n in range(1000)])
    assert len(expected) <= LONGEST
    assert len(problems({"a": ["x"] * 500}, type="array", items={"type": "integer"})) == MOST_PROBLEMS
