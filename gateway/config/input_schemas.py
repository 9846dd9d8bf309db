"""JSON Schema as routes.yaml allows it: draft 2020-12, checked more strictly than the draft asks.

A keyword that is unknown, or does nothing for its type, is a mistake, because a limit that is silently ignored is
worse than none. References are refused, so no schema can make the gateway fetch anything. Objects are closed unless
they say otherwise, and values in `enum` must fit the type they narrow. Whoever checks arguments against these schemas
must switch format checking on (`validate_formats=True`): this file accepts `format` as a promise.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from gateway.config.sentences import kind, nearest
from gateway.config.yaml_lines import Path

Finding = tuple[Path, str]
"""Where, below the tool, and what to do."""

TYPES = ("string", "integer", "number", "boolean", "array", "object")
ALSO_CALLED = {"str": "string", "text": "string", "int": "integer", "float": "number", "decimal": "number",
               "bool": "boolean", "list": "array", "dict": "object", "map": "object"}  # fmt: skip
"""Words of other languages for these types."""
COMMON = frozenset({"type", "title", "description", "examples", "enum", "const", "nullable"})
NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
KEYWORDS: Mapping[str, frozenset[str]] = {
    "string": COMMON | {"minLength", "maxLength", "pattern", "format"},
    "integer": COMMON | NUMBERS,
    "number": COMMON | NUMBERS,
    "boolean": COMMON,
    "array": COMMON | {"items", "minItems", "maxItems", "uniqueItems"},
    "object": COMMON | {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
}
EVERY_KEYWORD = frozenset().union(*KEYWORDS.values())
OUR_WORDS = frozenset({"optional", "encoded", "in"})
CEDAR_ESCAPES = frozenset({"__entity", "__extn", "__expr"})
"""Keys by which Cedar's JSON form means something else than a record."""


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """In JSON Schema's own words: `additionalProperties: false` on every object that does not say otherwise, and
    null as a type beside the other one where the schema says `nullable: true`.
    """
    result = {word: value for word, value in schema.items() if word != "nullable"}
    if result["type"] == "object":
        result.setdefault("additionalProperties", False)
        if "properties" in result:
            result["properties"] = {name: closed(inner) for name, inner in result["properties"].items()}
    if result["type"] == "array":
        result["items"] = closed(result["items"])
    return _or_null(result) if schema.get("nullable") else result


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null: a value that `enum` or `const` names counts as one more choice beside it."""
    result = schema | {"type": [schema["type"], "null"]}
    if "const" in result:
        only = result.pop("const")
        result["enum"] = [choice for choice in result.get("enum", [only]) if choice == only]
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    return result


def nullables(schema: Any, path: Path) -> Iterator[Path]:
    """Where a schema says `nullable: true`, itself or further inside."""
    if not isinstance(schema, dict):
        return
    if schema.get("nullable") is True:
        yield (*path, "nullable")
    yield from nullables(schema.get("items"), (*path, "items"))
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield from nullables(inner, (*path, "properties", name))


def schema_findings(schema: Any, path: Path) -> Iterator[Finding]:
    """What is wrong with one JSON Schema: our rules first, and the draft's own where those found nothing."""
    found = list(_rules(schema, path))
    yield from found
    if found:
        return
    try:
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True, ignore_unknown_formats=False)
    except jsonschema_rs.ValidationError as error:
        where = tuple(error.instance_path)
        name = where[-1] if where else "format" if "format" in error.message else path[-1]
        yield (*path, *where), f"`{name}` is not valid JSON Schema: {error.message}"


def _rules(schema: Any, path: Path) -> Iterator[Finding]:
    name = path[-1]
    if not isinstance(schema, dict):
        yield path, f"`{name}` must be a mapping such as {{type: string}}, not {kind(schema)}"
        return
    wanted = schema.get("type")
    if not isinstance(wanted, str) or wanted not in TYPES:
        yield (*path, "type"), f"`{name}` {_not_a_type(wanted)}"
        return
    if not isinstance(schema.get("nullable", False), bool):
        yield (*path, "nullable"), f"`nullable` must be true or false, not {kind(schema['nullable'])}"
    for word in schema:
        if word not in KEYWORDS[wanted]:
            yield (*path, word), _unknown_word(word, wanted)
    for word in ("enum", "const"):
        if word in schema:
            yield from _fitting(word, schema, path)
    if wanted == "array":
        yield from _array(schema, path)
    if wanted == "object":
        yield from _object(schema, path)


def _not_a_type(given: object) -> str:
    """What is wrong with a `type` that is none, and the nearest one."""
    match given:
        case None:
            return f"needs a `type`: one of {', '.join(TYPES)}"
        case str():
            meant = ALSO_CALLED.get(given) or next(iter(difflib.get_close_matches(given, TYPES, n=1)), "")
            one = f"did you mean `{meant}`?" if meant else f"one of {', '.join(TYPES)}"
            return f"cannot be of type `{given}`: {one}"
        case list():
            return "has a list of types, and `type` is one word; if it may be null, say nullable: true beside it"
        case _:
            return f"has {kind(given)} as its `type`: one of {', '.join(TYPES)}"


def _unknown_word(word: str, wanted: str) -> str:
    if word in OUR_WORDS:
        return f"`{word}` is for arguments themselves; inside an object, list what is needed under `required`"
    if word == "required":
        return "arguments are required unless they say `optional: true`; remove `required`"
    if word in EVERY_KEYWORD:
        return f"`{word}` does nothing for type {wanted}; remove it"
    if word == "default":
        return "`default` would never apply: what the agent sent is what is sent; say it in `description`"
    if word.startswith("$"):
        return f"`{word}` is not used here: schemas refer to nothing outside themselves; write it out"
    return f"`{word}` is not used in input schemas; {nearest(word, KEYWORDS[wanted])}"


def _fitting(word: str, schema: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    values = schema[word] if word == "enum" else [schema[word]]
    if not isinstance(values, list) or not values:
        yield (*path, word), f"`{word}` must be a list of at least one value"
        return
    fits = jsonschema_rs.Draft202012Validator({"type": schema["type"]})
    for value in values:
        if not fits.is_valid(value):
            yield (
                (*path, word),
                f"`{word}` has {kind(value)}, which never fits `type: {schema['type']}`; quotes make text",
            )


def _array(schema: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    if "items" not in schema:
        yield path, f"`{path[-1]}` needs `items`, such as items: {{type: string}}"
    else:
        yield from _rules(schema["items"], (*path, "items"))


def _object(schema: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    properties = schema.get("properties", {})
    if not isinstance(schema.get("additionalProperties", False), bool):
        yield (*path, "additionalProperties"), "`additionalProperties` must be true or false"
    if not isinstance(properties, dict):
        yield (*path, "properties"), "`properties` must be a mapping of names to schemas"
        return
    if not properties and schema.get("additionalProperties") is not True:
        yield path, f"`{path[-1]}` needs `properties` (or `additionalProperties: true` to take any)"
    for name, inner in properties.items():
        if name in CEDAR_ESCAPES:
            yield (*path, "properties", name), f"a property cannot be called `{name}`"
        yield from _rules(inner, (*path, "properties", name))
    required = schema.get("required", [])
    for name in required if isinstance(required, list) else ():
        if name not in properties:
            near = nearest(str(name), properties)
            yield (*path, "required"), f"`required` names `{name}`, which is not among the properties; {near}"
