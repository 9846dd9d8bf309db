"""How one argument is written in Cedar: JSON Schema to a Cedar type, and a Python value to a value of that type.

Cedar decides on what stands here, so a conversion either is exact or raises `NotCedar`; it must never guess, round,
or hand an agent's dictionary to Cedar as it is (a member named `__entity` would be read as an entity). What has no
Cedar type (an open object, a union of types) has no representation at all: policies do not see it.

    string -> String     integer -> Long     boolean -> Bool     number -> decimal (four digits after the point)
    array -> Set         object with properties -> record         null -> the attribute is absent
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

LONG = range(-(2**63), 2**63)
"""Cedar's Long is a signed 64-bit integer."""
DECIMAL_DIGITS = 4
DECIMAL_LIMIT = Decimal("922337203685477.5807")
"""Cedar keeps a decimal as a 64-bit count of ten-thousandths."""
ESCAPES = frozenset({"__entity", "__extn", "__expr"})
"""Member names that Cedar's JSON reader takes for something else than a member."""
RESERVED = frozenset({"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"})
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Convert = Callable[[object], object]


class NotCedar(ValueError):
    """The value has no exact form in Cedar. The text says what was expected and never repeats the value."""


@dataclass(frozen=True, slots=True)
class Representation:
    """What a JSON Schema is in Cedar."""

    type: str
    convert: Convert
    """From the Python value to what Cedar's JSON reader, knowing the type, reads as exactly that value."""
    nullable: bool = False
    """The value may be null, which Cedar does not have: then the attribute is absent."""


def quoted(text: str) -> str:
    """A Cedar string literal."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in plain) + '"'


def member(name: str) -> str:
    """A name as it stands in a record type: quoted unless it is a plain word."""
    return name if IDENTIFIER.fullmatch(name) and name not in RESERVED else quoted(name)


def cedar_type(schema: object) -> str | None:
    """The Cedar type of a JSON Schema, or None if it has none."""
    found = representation(schema)
    return found.type if found else None


def cedar_value(schema: object, value: object) -> object:
    """The value as Cedar's JSON reader takes it. Raises NotCedar; None (JSON null) is for the caller to leave out."""
    found = representation(schema)
    if found is None:
        raise NotCedar("this schema has no Cedar type, so policies do not see its values")
    return found.convert(value)


def representation(schema: object) -> Representation | None:
    """How values of this JSON Schema are written in Cedar, or None if policies cannot see them."""
    if not isinstance(schema, Mapping):
        return None
    kind, nullable = _kind(schema)
    match kind:
        case "string":
            return Representation("String", text, nullable)
        case "integer":
            return Representation("Long", long, nullable)
        case "boolean":
            return Representation("Bool", boolean, nullable)
        case "number":
            return Representation("decimal", decimal, nullable)
        case "array":
            item = representation(schema.get("items"))
            if item is None or item.nullable:
                return None
            return Representation(f"Set<{item.type}>", _set(item.convert), nullable)
        case "object":
            return _record(schema, nullable=nullable)
        case _:
            return None


def _kind(schema: Mapping[object, object]) -> tuple[str, bool]:
    """The one JSON type that values have, empty if there is not exactly one, and whether null is allowed beside it."""
    declared = schema.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared) if isinstance(declared, list | tuple) else []
    others = [kind for kind in kinds if kind != "null"]
    if len(others) == 1:
        return str(others[0]), len(kinds) > 1
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    names = {_JSON_NAMES.get(type(value), "") for value in values} if isinstance(values, list | tuple) else set()
    return (names.pop(), False) if not kinds and len(names) == 1 else ("", False)


_JSON_NAMES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean"}


def _record(schema: Mapping[object, object], *, nullable: bool) -> Representation | None:
    properties, required = schema.get("properties"), schema.get("required", ())
    if not isinstance(properties, Mapping) or not isinstance(required, list | tuple):
        return None
    closed = schema.get("additionalProperties") is False
    seen: dict[str, tuple[Representation, bool]] = {}
    for name, sub in properties.items():
        found = representation(sub)
        if found and name not in ESCAPES:
            seen[str(name)] = (found, name not in required or found.nullable)
    if not seen:
        return None
    parts = (f"{member(name)}{'?' if optional else ''}: {found.type}" for name, (found, optional) in seen.items())
    declared = frozenset(map(str, properties)) if closed else None
    return Representation(f"{{ {', '.join(parts)} }}", _members(seen, declared), nullable)


def _members(seen: Mapping[str, tuple[Representation, bool]], declared: frozenset[str] | None) -> Convert:
    """`declared`: all members there may be, if the object is closed. Members that Cedar cannot see are left out."""

    def convert(value: object) -> object:
        if not isinstance(value, Mapping):
            raise NotCedar(f"expected an object, found {kind(value)}")
        if declared is not None and not value.keys() <= declared:
            raise NotCedar("the object has a member that is not declared")
        result = {}
        for name, (found, optional) in seen.items():
            if (part := value.get(name)) is not None:
                result[name] = found.convert(part)
            elif not optional:
                raise NotCedar(f"the object lacks {quoted(name)}")
        return result

    return convert


def _set(convert: Convert) -> Convert:
    def convert_all(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise NotCedar(f"expected an array, found {kind(value)}")
        return [convert(item) for item in value]

    return convert_all


def kind(value: object) -> str:
    """What a value is, without repeating it."""
    return next((name for known, name in _KINDS if isinstance(value, known)), type(value).__name__)


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"), (str, "a string"), (int, "an integer"), (Decimal, "a number"), (Mapping, "an object"),
    (list, "an array"), (type(None), "null"),
)  # fmt: skip


def text(value: object) -> object:
    if not isinstance(value, str):
        raise NotCedar(f"expected a string, found {kind(value)}")
    return value


def boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise NotCedar(f"expected true or false, found {kind(value)}")
    return value


def long(value: object) -> object:
    """JSON Schema counts 5.0 as an integer, so a Decimal without a fraction is one too."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value) < LONG.stop and value % 1 == 0:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotCedar(f"expected an integer, found {kind(value)}")
    if value not in LONG:
        raise NotCedar("the integer does not fit into 64 bits")
    return value


def decimal(value: object) -> object:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise NotCedar(f"expected a number, found {kind(value)}")
    number = Decimal(value)
    if not number.is_finite() or abs(number) > DECIMAL_LIMIT:
        raise NotCedar("the number does not fit into a Cedar decimal")
    exact = number.quantize(Decimal(1).scaleb(-DECIMAL_DIGITS))
    if exact != number:
        raise NotCedar(f"the number has more than {DECIMAL_DIGITS} digits after the point")
    return f"{exact:f}"
