"""`summary:` of a tool: that it names arguments that exist, and tells each in a way that fits its type.

What is inside an object is checked as far as its schema is declared.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.config.input_schemas import Finding
from gateway.config.sentences import nearest
from gateway.config.yaml_lines import Path
from gateway.core.routes import BodyKind, Parameter
from gateway.core.summaries import FILTERS, Slot, Summary, slots

PATH = ("summary",)
BODY = {
    "type": "object",
    "properties": {"size": {"type": "integer"}, "type": {"type": "string"}, "digest": {"type": "string"}},
}
"""What an opaque body is to policies and approvers."""

Schemas = Mapping[str, Mapping[str, Any]]


def schemas(parameters: Collection[Parameter], body: BodyKind) -> Schemas:
    """What each argument may be, by the name under which people are shown it."""
    found: dict[str, Mapping[str, Any]] = {parameter.name: parameter.schema for parameter in parameters}
    return found | {"body": BODY} if body == "opaque" else found


def resolved(given: Summary, known: Schemas) -> Summary:
    """With the names that arguments have in a question: a declared name may contain dots, and a header's letters may
    be written in any case."""
    return tuple(
        replace(part, path=located(part.path, known), other=located(part.other, known))
        if isinstance(part, Slot)
        else part
        for part in given
    )


def located(path: tuple[str, ...], known: Schemas) -> tuple[str, ...]:
    """The longest declared name that `path` begins with, then the way into it."""
    for length in range(len(path), 0, -1):
        name = ".".join(path[:length])
        if name in known or name.lower() in known:
            return (name if name in known else name.lower(), *path[length:])
    return path


def findings(
    given: Summary,
    known: Schemas,
    named: Collection[str],
    *,
    any_name: bool,
    path: Path = PATH,
    label: str = "`summary`",
) -> Iterator[Finding]:
    """`named`: inputs that are declared, rightly or not; a wrong one is not one mistake more here. `any_name`: the tool
    is open, so an agent may send what nobody declared. `label`: how sentences call what stands at `path`."""
    for slot in slots(resolved(given, known)):
        for way, types, what in ((slot.path, FILTERS.get(slot.filter), slot.name), (slot.other, TEXT, "")):
            if not way or (way[0] not in known and (any_name or way[0] in named)):
                continue
            for why in _wrong(way, known, types, what or ".".join(way), slot.filter):
                yield path, f"{label} {why}"


TEXT = frozenset({"string"})


def _wrong(
    path: tuple[str, ...], known: Schemas, types: frozenset[str] | None, name: str, filtering: str
) -> Iterator[str]:
    if path[0] not in known:
        yield f"names `{path[0]}`, which is not an argument of this tool; {nearest(path[0], known)}"
        return
    schema: Mapping[str, Any] | None = known[path[0]]
    for step in path[1:]:
        schema, why = _inside(schema, step, name)
        if why:
            yield why
            return
    if schema is None or types is None:
        return
    if _kind(schema) not in types:
        wanted = " or ".join(sorted(types))
        yield f"tells `{name}` by `{filtering}`, for which it must be of type {wanted}, not {_kind(schema)}"


def _kind(schema: Mapping[str, Any]) -> str:
    """The one type that it has; null may follow it."""
    declared: str | list[str] = schema["type"]
    return declared if isinstance(declared, str) else declared[0]


def _inside(schema: Mapping[str, Any] | None, step: str, name: str) -> tuple[Mapping[str, Any] | None, str]:
    """The schema one step further in, None if nothing is said about it; and what is wrong."""
    if schema is None:
        return None, ""
    if _kind(schema) == "array":
        if step.isdecimal():
            return schema.get("items"), ""
        return None, f"names `{name}`, and `{step}` is no place in a list; use 0, 1, 2 ..."
    properties = schema.get("properties", {})
    if step in properties:
        return properties[step], ""
    if schema.get("additionalProperties") is True:
        return None, ""
    return None, f"names `{name}`, and there is no `{step}` inside; {nearest(step, properties)}"
