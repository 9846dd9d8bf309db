"""Definitions are read one by one, and one that is wrong never hides the next."""

import pytest

from gateway.config.models import HoldModel
from gateway.config.reading import PART_NAME, PARTY_NAME, Definition, Reading
from gateway.config.yaml_lines import Place, read


def definition(text: str) -> Definition:
    node, _ = read(text, "f")
    assert node is not None
    return Definition("it", "thing `it`", Place("f", 1), node)


def test_a_definition_that_is_right_leaves_no_mistake():
    reading = Reading({})
    found = reading.validated(HoldModel, definition("wait: 5s"))
    assert found is not None and found.wait == 5 and reading.mistakes == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nwait: 5", ["f:1: thing `it` has no field `a`; known here: wait", "f:2: `wait` must be a duration"]),
        ("[wait]", ["f:1: thing `it` must be a mapping such as {wait: 25s}, not a list"]),
        ("5", ["f:1: thing `it` must be a mapping such as {wait: 25s}, not a number"]),
    ],
)
def test_one_that_is_wrong_leaves_all_its_mistakes_and_no_model(text, expected):
    reading = Reading({})
    assert reading.validated(HoldModel, definition(text)) is None
    assert len(reading.mistakes) == len(expected)
    assert all(str(found).startswith(start) for found, start in zip(sorted(reading.mistakes), expected, strict=True))


def test_names_that_cannot_be_names_are_noted_and_left_out():
    reading = Reading({})
    node, _ = read("good: {}\n'b d': {}\nalso.good: {}\n", "f")
    assert [found.name for found in reading.definitions(node, "person", PARTY_NAME)] == ["good", "also.good"]
    assert [found.name for found in reading.definitions(node, "tool", PART_NAME)] == ["good"]
    assert [found.line for found in reading.mistakes] == [2, 2, 3]


def test_findings_say_whether_there_were_any():
    reading, it = Reading({}), definition("a: 1\nb: 2")
    assert reading.findings(it, iter(()))
    assert not reading.findings(it, iter(((("b",), "is wrong"),)))
    assert [str(found) for found in reading.mistakes] == ["f:2: is wrong"]
