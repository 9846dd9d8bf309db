"""`input:` and `headers:` of a tool as typed parameters: JSON Schema plus our own words `optional`, `encoded`, `in`.

Every argument has one place and one name: a header and an input that would meet in `context.input` are a mistake.
Path variables that are not declared are text. What a schema may say is the business of input_schemas.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config import header_names
from gateway.config.input_schemas import CEDAR_ESCAPES, OUR_WORDS, TYPES, Finding, closed, nullables, schema_findings
from gateway.config.sentences import kind
from gateway.config.templates import RequestLine
from gateway.core.routes import BodyKind, Parameter, Place

HEADER_TYPES = frozenset({"string", "integer"})
IN_PATH = frozenset({"string", "integer", "number", "boolean"})
WITH_DECLARED_BODY = frozenset({"json", "form"})
NO_NULL = "`nullable` is for arguments in a JSON body: nothing else can carry a null; remove it"


@dataclass(frozen=True, slots=True)
class Inputs:
    parameters: tuple[Parameter, ...]
    encoded: frozenset[str]
    """Path variables that may contain encoded slashes, dots and percent signs."""
    findings: tuple[Finding, ...]


def inputs(given: Mapping[str, Any], headers: Mapping[str, Any], line: RequestLine, body: BodyKind) -> Inputs:
    """Every argument of a tool, or what is wrong with its declaration."""
    parameters: list[Parameter] = []
    findings: list[Finding] = []
    for name, declared in given.items():
        found = list(_input_findings(name, declared, line, body))
        findings += found
        if not found:
            parameters.append(_parameter(name, _place(name, declared, line, body), declared))
    undeclared = (name for name in line.variables if name not in given)
    parameters += (Parameter(name=name, place="path", schema={"type": "string"}) for name in undeclared)
    names: dict[str, str] = {name.lower(): name for name in {*given, *line.variables}}
    for name, declared in headers.items():
        found = list(_header_findings(name, declared, names))
        findings += found
        names[name.lower()] = name
        if not found:
            parameters.append(_parameter(name.lower(), "header", declared))
    encoded = (name for name, declared in given.items() if isinstance(declared, dict) and "encoded" in declared)
    return Inputs(tuple(parameters), frozenset(encoded), tuple(findings))


def _parameter(name: str, place: Place, declared: Mapping[str, Any]) -> Parameter:
    schema = {word: value for word, value in declared.items() if word not in OUR_WORDS}
    return Parameter(name=name, place=place, schema=closed(schema), optional=bool(declared.get("optional")))


def _place(name: str, declared: Mapping[str, Any], line: RequestLine, body: BodyKind) -> Place:
    if name in line.variables:
        return "path"
    place: Place = declared.get("in") or ("body" if body in WITH_DECLARED_BODY else "query")
    return place


def _input_findings(name: str, declared: Any, line: RequestLine, body: BodyKind) -> Iterator[Finding]:
    path = ("input", name)
    if not isinstance(declared, dict):
        yield path, f"`{name}` must be a mapping such as {{type: string}}, not {kind(declared)}"
        return
    if not name or not name.isprintable() or name in CEDAR_ESCAPES or set(name) & set("[]"):
        yield path, f"an input cannot be called `{name}`; rename it (brackets are written as an object or array)"
    yield from _own_words(name, declared, line, body)
    schema = {word: value for word, value in declared.items() if word not in OUR_WORDS}
    yield from schema_findings(schema, path)
    if _place(name, declared, line, body) != "body" or body != "json":
        yield from ((where, NO_NULL) for where in nullables(schema, path))
    if name in line.variables and schema.get("type") in set(TYPES) - IN_PATH:
        yield path, f"`{name}` stands in the path, so its type must be string, integer, number or boolean"


def _own_words(name: str, declared: Mapping[str, Any], line: RequestLine, body: BodyKind) -> Iterator[Finding]:
    in_path = name in line.variables
    if "optional" in declared:
        if not isinstance(declared["optional"], bool):
            yield ("input", name, "optional"), f"`optional` must be true or false, not {kind(declared['optional'])}"
        elif in_path and declared["optional"]:
            yield ("input", name, "optional"), f"`{name}` stands in the path, so it cannot be optional"
    if "encoded" in declared:
        if declared["encoded"] != "allow":
            yield ("input", name, "encoded"), "`encoded` must be allow; left out, encoded characters are refused"
        elif not in_path:
            yield ("input", name, "encoded"), f"`encoded` is for path variables, and {{{name}}} is not in the path"
    if "in" in declared:
        yield from _where(name, declared["in"], in_path=in_path, body=body)


def _where(name: str, where: object, *, in_path: bool, body: BodyKind) -> Iterator[Finding]:
    path = ("input", name, "in")
    if where not in ("query", "body", "path"):
        yield path, "`in` must be query, body or path (headers are declared under `headers`)"
    elif in_path != (where == "path"):
        stands = "stands" if in_path else "does not stand"
        yield path, f"`{name}` {stands} in the path template, so it cannot be `in: {where}`"
    elif where == "body" and body not in WITH_DECLARED_BODY:
        yield path, f"`in: body` needs a body that can be read, and this tool has `body: {body}`; make it json or form"


def _header_findings(name: str, declared: Any, taken: Mapping[str, str]) -> Iterator[Finding]:
    path = ("headers", name)
    try:
        lower = header_names.declared(name)
    except ValueError as error:
        yield path, f"a header {error}" if str(error).startswith("must") else str(error)
        return
    if lower in taken:
        yield path, f"`{name}` and `{taken[lower]}` would be the same argument; rename or remove one"
    if not isinstance(declared, dict):
        yield path, f"`{name}` must be a mapping such as {{type: string}}, not {kind(declared)}"
        return
    for word in sorted(OUR_WORDS & set(declared) - {"optional"}):
        yield (*path, word), f"`{word}` is not for headers; remove it"
    if not isinstance(declared.get("optional", False), bool):
        yield (*path, "optional"), f"`optional` must be true or false, not {kind(declared['optional'])}"
    schema = {word: value for word, value in declared.items() if word not in OUR_WORDS}
    yield from schema_findings(schema, path)
    yield from ((where, NO_NULL) for where in nullables(schema, path))
    if schema.get("type") in set(TYPES) - HEADER_TYPES:
        yield (*path, "type"), "a header must be of type string or integer"
