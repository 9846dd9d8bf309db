"""What the strings of a path, query, form or header mean, from the tool's JSON Schema.

One spelling per value: `5000` is an integer, `05`, `+5`, ` 5` and `5.0` are not, because systems disagree about them.
A string that is no spelling of its type stays a string, and the schema's validator then says what was expected; so
nothing is refused here but shapes that two systems would read differently.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from gateway.errors import AmbiguousRequest
from gateway.wire.form import Items, Repeated, Tree
from gateway.wire.strict_json import LARGEST, number

Reading = Callable[[str, Tree], object]
"""From a field's name (for the error) and tree to its value."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,15}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def reading(schema: Mapping[str, object]) -> Reading:
    """Compile a schema to the function that reads its fields."""
    types = _types(schema)
    item = reading(items) if isinstance(items := schema.get("items"), Mapping) else _untyped
    fields, others = _fields(schema)
    scalar = _scalar(types)

    def read(name: str, tree: Tree) -> object:
        match tree:
            case str():
                return [item(name, tree)] if types == {"array"} else scalar(tree)
            case Repeated() | Items():
                if isinstance(tree, Repeated) and "array" not in types:
                    raise AmbiguousRequest(f"the field {name[:60]!r} is given {len(tree)} times")
                return [item(name, value) for value in tree]
            case _ if types == {"array"}:
                return [item(name, value) for value in _indexed(name, tree)]
            case _:
                return {key: fields.get(key, others)(key, value) for key, value in tree.items()}

    return scalar_only(scalar) if types <= {"string", "integer", "number", "boolean"} and types else read


def scalar_only(scalar: Callable[[str], object]) -> Reading:
    """The fast path: a parameter that can only be one plain value."""

    def read(name: str, tree: Tree) -> object:
        if type(tree) is str:
            return scalar(tree)
        if isinstance(tree, Repeated):
            raise AmbiguousRequest(f"the field {name[:60]!r} is given {len(tree)} times")
        return _untyped(name, tree)

    return read


def _fields(schema: Mapping[str, object]) -> tuple[dict[str, Reading], Reading]:
    properties = schema.get("properties")
    fields = {name: reading(inner) for name, inner in properties.items()} if isinstance(properties, Mapping) else {}
    rest = schema.get("additionalProperties")
    return fields, reading(rest) if isinstance(rest, Mapping) else _untyped


def _types(schema: Mapping[str, object]) -> set[str]:
    """The JSON types that the schema names, also where it does so only by its values or alternatives."""
    named = schema.get("type")
    if isinstance(named, str):
        return {named}
    if isinstance(named, list):
        return {str(name) for name in named}
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    found = {_JSON_TYPES.get(type(value), "null") for value in values} if isinstance(values, list) else set()
    for word in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(word)
        for branch in branches if isinstance(branches, list) else ():
            found |= _types(branch)
    if "items" in schema:
        found.add("array")
    if "properties" in schema:
        found.add("object")
    return found


def _scalar(types: set[str]) -> Callable[[str], object]:
    """Reads one string as the first of these types that it is a spelling of, or leaves it a string."""
    if not types - {"string"}:
        return str

    def read(text: str) -> object:
        if "integer" in types and _INTEGER.fullmatch(text) and abs(value := int(text)) <= LARGEST:
            return value
        if "number" in types and _NUMBER.fullmatch(text):
            return number(Decimal(text))
        if "boolean" in types and text in {"true", "false"}:
            return text == "true"
        return text

    return read


def _untyped(name: str, tree: Tree) -> object:
    """A tree that no schema describes, for approvers to see."""
    match tree:
        case str():
            return tree
        case Repeated() | Items():
            return list(tree)
        case _:
            return {key: _untyped(name, value) for key, value in tree.items()}


untyped: Reading = _untyped


def _indexed(name: str, tree: Mapping[str, Tree]) -> list[Tree]:
    """`a[0]`, `a[1]` ... in order and without gaps, which is the one spelling that all systems read alike."""
    if list(tree) != [str(index) for index in range(len(tree))]:
        raise AmbiguousRequest(f"the items of {name[:60]!r} are not numbered 0, 1, 2 ... in order")
    return list(tree.values())
