"""The fields of the form in which arguments are changed, by type, and what is read from it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.console.editing import PREFIX, changes, fields
from gateway.console.guard import Form, OddForm
from gateway.core.routes import Parameter, Variable
from tests.company import admission, tool

DECLARED: dict[str, dict[str, Any]] = {
    "name": {"type": "string"}, "size": {"type": "integer"}, "rate": {"type": "number"}, "on": {"type": "boolean"},
    "colour": {"type": "string", "enum": ["red", "blue"]}, "lines": {"type": "array"}, "extra": {"type": "string"},
}  # fmt: skip


@pytest.fixture
def known():
    parameters = tuple(
        Parameter(name=name, place="body", schema=schema, optional=name == "extra") for name, schema in DECLARED.items()
    )
    wanted = tool("paint", template=("v1", Variable("item")), parameters=parameters, body="json")
    given = {"item": "a", "name": "x\x1b", "size": 5, "rate": Decimal("1.50"), "on": True, "colour": "red",
             "lines": [{"a": 1}]}  # fmt: skip
    made = admission()
    question = replace(made.question, input=given)
    return fields(replace(made, tool=wanted, question=question))


def test_every_argument_has_a_field_of_its_kind(known):
    assert [(it.name, it.kind, it.text) for it in known] == [
        ("item", "text", "a"), ("name", "text", "x⟨U+001B⟩"), ("size", "number", "5"), ("rate", "number", "1.50"),
        ("on", "choice", "true"), ("colour", "choice", "red"), ("lines", "json", '[{"a":1}]'), ("extra", "text", ""),
    ]  # fmt: skip
    assert [it.name for it in known if it.optional] == ["extra"] and known[5].choices == ("red", "blue")


def posted(known, **values):
    return changes(Form([(PREFIX + name, value) for name, value in values.items()]), known)


def test_what_is_as_it_was_is_no_change(known):
    assert posted(known, **{it.name: it.text for it in known}) == {} == posted(known)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "y", "y"), ("name", "", ""), ("size", "-7", -7), ("rate", "2.5", Decimal("2.5")),
        ("on", "false", False),
        ("colour", "blue", "blue"), ("lines", '[{"a":2}]', [{"a": 2}]), ("extra", "z", "z"), ("item", "5", "5"),
    ],
)  # fmt: skip
def test_a_change_is_read_by_its_type(known, name, text, value):
    (found,) = posted(known, **{name: text}).items()
    assert found == (name, value) and type(found[1]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("size", "1.5"), ("size", "x"), ("size", ""), ("rate", "many"), ("rate", "NaN"), ("lines", "[1"),
     ("lines", '{"a":1,"a":2}')],
)  # fmt: skip
def test_what_cannot_be_read_is_named(known, name, text):
    with pytest.raises(OddForm, match=f"`{name}` must be"):
        posted(known, **{name: text})


def test_an_argument_called_like_a_field_of_ours_is_an_argument(known):
    form = Form([("csrf", "token"), (f"{PREFIX}csrf", "value"), (f"{PREFIX}unknown", "x")])
    assert changes(form, known) == {}
