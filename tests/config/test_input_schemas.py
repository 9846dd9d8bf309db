"""JSON Schema, closed and checked so that no limit is silently ignored."""

import pytest

from gateway.config.input_schemas import closed, schema_findings
from tests.config.routes_documents import expect, write


def sentences(schema: object) -> list[str]:
    return [sentence for _, sentence in schema_findings(schema, ("input", "x"))]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a+$", "format": "email", "description": "d"},
        {"type": "string", "enum": ["on", "off", "1"]},
        {"type": "integer", "minimum": 1, "exclusiveMaximum": 5, "multipleOf": 2, "const": 2},
        {"type": "number", "maximum": 1.5, "enum": [1, 1.5]},
        {"type": "boolean"},
        {"type": "string", "nullable": True, "enum": ["a"]},
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}, "minItems": 1, "uniqueItems": True},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": True}}},
    ],
)
def test_what_the_draft_and_we_allow_is_allowed(schema):
    assert sentences(schema) == []


@pytest.mark.parametrize(
    ("schema", "fragment"),
    [
        ({}, "`x` needs a `type`: one of string, integer"),
        ({"type": "str"}, "`x` cannot be of type `str`: did you mean `string`?"),
        ({"type": "strin"}, "did you mean `string`?"),
        ({"type": "dict"}, "did you mean `object`?"),
        ({"type": "uuid"}, "cannot be of type `uuid`: one of string, integer"),
        ({"type": 5}, "`x` has a number as its `type`: one of string"),
        ({"type": "string", "nullable": "yes"}, "`nullable` must be true or false, not text"),
        ({"type": "string", "required": True}, "arguments are required unless they say `optional: true`"),
        ({"type": "null"}, "cannot be of type `null`"),
        ({"type": ["string", "null"]}, "`type` is one word; if it may be null, say nullable: true beside it"),
        ({"type": "string", "minimun": 1}, "`minimun` is not used in input schemas"),
        ({"type": "integer", "minimun": 1}, "did you mean `minimum`?"),
        ({"type": "integer", "minLength": 1}, "`minLength` does nothing for type integer"),
        ({"type": "string", "default": "a"}, "`default` would never apply"),
        ({"type": "string", "$ref": "https://evil.example/s"}, "`$ref` is not used here"),
        ({"type": "string", "$schema": "x"}, "`$schema` is not used here"),
        ({"type": "string", "anyOf": []}, "`anyOf` is not used in input schemas"),
        ({"type": "array"}, "needs `items`"),
        ({"type": "array", "items": {}}, "`items` needs a `type`"),
        ({"type": "array", "items": {"type": "x"}}, "`items` cannot be of type `x`"),
        ({"type": "object"}, "needs `properties`"),
        ({"type": "object", "additionalProperties": False}, "needs `properties`"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {}},
            "`additionalProperties` must be true or false",
        ),
        ({"type": "object", "properties": []}, "`properties` must be a mapping"),
        ({"type": "object", "properties": {"a": {"type": "x"}}}, "`a` cannot be of type `x`"),
        ({"type": "object", "properties": {"__extn": {"type": "string"}}}, "a property cannot be called `__extn`"),
        ({"type": "object", "properties": {"a": {"type": "string", "optional": True}}}, "list what is needed under"),
        ({"type": "object", "properties": {"ab": {"type": "string"}}, "required": ["abc"]}, "did you mean `ab`?"),
        ({"type": "string", "enum": [True]}, "`enum` has true or false, which never fits `type: string`"),
        ({"type": "string", "enum": [1]}, "`enum` has a number, which never fits"),
        ({"type": "integer", "enum": ["1"]}, "`enum` has text, which never fits"),
        ({"type": "string", "enum": []}, "`enum` must be a list of at least one value"),
        ({"type": "string", "enum": "a"}, "`enum` must be a list of at least one value"),
        ({"type": "string", "const": 1}, "`const` has a number"),
        ({"type": "string", "minLength": -1}, "`minLength` is not valid JSON Schema"),
        ({"type": "string", "minLength": "1"}, "`minLength` is not valid JSON Schema"),
        ({"type": "string", "pattern": "(["}, "`pattern` is not valid JSON Schema"),
        ({"type": "string", "format": "emial"}, "`format` is not valid JSON Schema: Unknown format: 'emial'"),
        ({"type": "integer", "multipleOf": 0}, "`multipleOf` is not valid JSON Schema"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, "`pattern` is not valid"),
    ],
)
def test_anything_else_is_one_sentence(schema, fragment):
    found = sentences(schema)
    assert len(found) == 1 and fragment in found[0], found


def test_every_object_is_closed_unless_it_says_otherwise():
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    free = {"type": "object", "additionalProperties": True}
    schema = {"type": "array", "items": {"type": "object", "properties": {"i": inner, "f": free}}}
    assert closed(schema) == {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"i": {**inner, "additionalProperties": False}, "f": free},
        },
    }


def test_nullable_is_json_schemas_null_beside_the_type():
    inner = {"type": "array", "items": {"type": "integer", "const": 1, "enum": [1, 2], "nullable": True}}
    schema = {
        "type": "object",
        "properties": {"a": inner, "b": {"type": "string", "nullable": False}},
        "nullable": True,
    }
    assert closed(schema) == {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "a": {"type": "array", "items": {"type": ["integer", "null"], "enum": [1, None]}},
            "b": {"type": "string"},
        },
    }
    assert closed({"type": "string", "const": "a", "nullable": True}) == {
        "type": ["string", "null"],
        "enum": ["a", None],
    }


def test_a_mistake_deep_in_a_schema_is_on_its_own_line(tmp_path):
    text = write(
        "input:",
        "  x:",
        "    type: object",
        "    properties:",
        "      a:",
        "        type: string",
        "        pattern: '(['  # <-",
        "  y:",
        "    type: array",
        "    items:",
        "      type: strin  # <-",
    )
    expect(text, tmp_path, "`pattern` is not valid", "`items` cannot be of type `strin`")
