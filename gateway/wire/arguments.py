"""A request's arguments: what policies judge, approvers see and digests cover, read once by a reader per tool.

A reader is compiled from routes.yaml once per generation. It is a function of the stored request alone, so a call
that waited for hours is read again under today's routes by the same code. Closed by default: an argument that is not
declared is refused, because ignoring it could act otherwise than was judged. It must never change a byte of what is
sent, and never put an argument's value into an error.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache

from gateway.core.call import Request
from gateway.core.routes import Tool, Variable
from gateway.core.value import keyword_value
from gateway.errors import AmbiguousRequest, InvalidArguments, UnsupportedMediaType
from gateway.wire import form, multipart
from gateway.wire.headers import inert
from gateway.wire.strict_json import loads
from gateway.wire.typed import Reading, reading, untyped
from gateway.wire.validation import Validator

MEDIA_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
LONGEST_TYPE = 256
"""Of a Content-Type; what is cut off was no type that any tool takes."""
METHOD_FIELD = "_method"
"""Rails, Laravel and Symfony perform the method that this field names, not the one that was judged."""


@keyword_value
class Arguments:
    input: Mapping[str, object]
    """Declared arguments by name, declared headers by lower-case name: what policies and approvers see."""
    declared_headers: tuple[tuple[str, str], ...] = ()
    comparable_body: bytes = b""
    """JSON per RFC 8785, multipart as its parts without the boundary, anything else as bytes."""
    resource_id: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Undeclared arguments of a tool with `open: true`: for approvers, never for policies."""


class Reader:
    """Reads the arguments of one tool."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._inputs = [item for item in tool.parameters if item.place != "header"]
        self._headers = {item.name.lower(): item for item in tool.parameters if item.place == "header"}
        readings = {item.name: reading(item.schema) for item in tool.parameters}
        self._path = {
            part.name: readings.get(part.name, untyped) for part in tool.template if isinstance(part, Variable)
        }
        self._query = {item.name: readings[item.name] for item in self._inputs if item.place == "query"}
        self._body = {item.name: readings[item.name] for item in self._inputs if item.place == "body"}
        self._header_readings = {name: readings[item.name] for name, item in self._headers.items()}
        self._body_names = frozenset(self._body)
        self._names = frozenset(name.lower() for name in (*self._path, *readings))
        """Of all declared arguments: nothing undeclared may go by one of them, wherever it stands."""
        self._validator = Validator(tool, self._path)
        self._resource = _resource(tool.resource_id)

    def read(self, request: Request, variables: Mapping[str, str]) -> Arguments:
        """Raises InvalidArguments, AmbiguousRequest or UnsupportedMediaType."""
        declared = self.headers(request.headers)
        values: dict[str, object] = {name: self._path[name](name, raw) for name, raw in variables.items()}
        extra: dict[str, object] = {}
        query = request.target.partition("?")[2]
        if query:
            self._take(form.parse(query, self._query), self._query, "query", values, extra)
        comparable = self._read_body(request, values, extra)
        for name, value in declared:
            values[name] = self._header_readings[name](name, value)
        problems = self._validator.problems(values)
        if problems:
            raise InvalidArguments(self.tool.name, problems)
        return Arguments(
            input=values,
            declared_headers=declared,
            comparable_body=comparable,
            resource_id=self._resource(values),
            extra=extra,
        )

    def headers(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The declared ones. Needs no body, so it can be asked before one is read. Raises InvalidArguments."""
        declared: list[tuple[str, str]] = []
        wanted = self._headers
        for pair in headers:
            name = pair[0]
            if name in wanted:
                if not pair[1].isascii():
                    raise AmbiguousRequest(f"the header {name} has characters outside of ASCII")
                declared.append(pair)
            elif not inert(name):
                raise InvalidArguments(self.tool.name, [(f"header.{name[:60]}", UNDECLARED_HEADER)])
        return tuple(declared)

    def _read_body(self, request: Request, values: dict[str, object], extra: dict[str, object]) -> bytes:
        """Add the body's arguments, and return it in comparable form."""
        body, kind = request.body, self.tool.body
        if kind == "opaque":
            content_type = request.header("content-type")
            values["body"] = {"size": len(body), "type": content_type, "digest": hashlib.sha256(body).hexdigest()}
            return multipart.comparable(body, content_type)
        if not body:
            return b""
        if kind == "none":
            raise InvalidArguments(self.tool.name, [("body", "no body, since the tool takes none")])
        check_media_type(request.header("content-type")[:LONGEST_TYPE], kind, self.tool.name)
        if kind == "form":
            tree = form.parse(form.body_text(body), self._body_names)
            self._take(tree, self._body, "body", values, extra)
            return body
        return self._read_json(body, values, extra)

    def _read_json(self, body: bytes, values: dict[str, object], extra: dict[str, object]) -> bytes:
        value, canonical = loads(body)
        if not isinstance(value, dict):
            raise InvalidArguments(self.tool.name, [("body", "a JSON object")])
        if value.keys() <= self._body_names:
            values.update(value)
            return canonical
        for name, item in value.items():
            if name in self._body_names:
                values[name] = item
            else:
                extra[self._undeclared(name, "body", self._body, extra)] = item
        return canonical

    def _take(
        self,
        tree: Mapping[str, form.Tree],
        readings: Mapping[str, Reading],
        place: str,
        values: dict[str, object],
        extra: dict[str, object],
    ) -> None:
        """Add the fields of a query or form."""
        for name, item in tree.items():
            read = readings.get(name)
            if read is not None:
                values[name] = read(name, item)
            else:
                extra[self._undeclared(name, place, readings, extra)] = untyped(name, item)

    def _undeclared(self, name: str, place: str, readings: Mapping[str, Reading], extra: Mapping[str, object]) -> str:
        """Under which name an undeclared argument may be shown. Raises unless the tool is open."""
        if name == METHOD_FIELD:
            raise AmbiguousRequest(f"the field {METHOD_FIELD} names another method than the request")
        if not self.tool.open:
            close = get_close_matches(name[:100], readings, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            known = f"declared are {', '.join(readings)}" if readings else f"the tool takes no {place} arguments"
            raise InvalidArguments(self.tool.name, [(f"{place}.{name[:60]}", f"it is not declared; {known}{hint}")])
        if name.lower() in self._names:
            raise AmbiguousRequest(
                f"{name[:60]!r} is declared elsewhere than in the {place}; some systems would mix the two up"
            )
        return name if name not in extra else f"{place}.{name}"


UNDECLARED_HEADER = (
    "this header may choose what the call acts on, so it is neither passed on nor silently dropped; have the operator "
    "declare it under `headers:` of the tool, or list it in `drop_headers:` of the system"
)


@lru_cache(maxsize=512)  # content types repeat; 512 bounds what strangers can make us keep
def check_media_type(content_type: str, kind: str, tool: str) -> None:
    """Raises UnsupportedMediaType unless a body of this type is what the gateway would parse it as."""
    essence, _, parameters = content_type.lower().partition(";")
    essence = essence.strip()
    fits = essence == MEDIA_TYPES[kind] or (kind == "json" and re.fullmatch(r"application/[\w.+-]+\+json", essence))
    for parameter in filter(None, (part.strip() for part in parameters.split(";"))):
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in {"utf-8", "utf8"}:
            fits = False
    if not fits:
        raise UnsupportedMediaType(content_type, f"{MEDIA_TYPES[kind]} in UTF-8", tool)


def _resource(template: str) -> Callable[[Mapping[str, object]], str]:
    """Compile `{owner}/{name}`. With several variables, `/` and `%` in values are escaped, so that no two differ
    only in where one value ends.
    """
    pieces = re.split(r"\{([^{}]+)\}", template)
    names = pieces[1::2]
    if not names:
        return lambda _values: template
    if len(names) == 1:
        before, name, after = pieces
        return lambda values: f"{before}{_text(values.get(name))}{after}"

    def build(values: Mapping[str, object]) -> str:
        texts = [
            _text(values.get(piece)).replace("%", "%25").replace("/", "%2F") if index % 2 else piece
            for index, piece in enumerate(pieces)
        ]
        return "".join(texts)

    return build


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)
