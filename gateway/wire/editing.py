"""A request with other arguments, as an approver wants it: the bytes that would be sent instead.

Everything that was not named stays as the agent wrote it: other fields of a form keep their bytes and order, other
members of a JSON object their order, other headers their place. The result is only a proposal: it is read again by the
same reader as any request, and `differences` refuses it unless exactly the named arguments differ. No door has seen it,
so what the door refuses in a target or a header is refused here. It must never touch what is not a declared argument.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, quote_plus

from gateway.core.admit import Admission
from gateway.core.approval import CannotEdit
from gateway.core.call import Request
from gateway.core.routes import Tool, Variable
from gateway.errors import AmbiguousRequest
from gateway.wire import strict_json
from gateway.wire.target import checked_path, checked_query, decoded_field

Changes = Mapping[str, object]
"""New values by argument; None takes an optional one away."""


def edited(admission: Admission, changes: Changes) -> Request:
    """The request with these arguments. Raises CannotEdit."""
    try:
        return _edited(admission.tool, admission.request, changes)
    except AmbiguousRequest as error:
        raise CannotEdit(error.detail) from error
    except (UnicodeEncodeError, TypeError) as error:  # half a character, or a number that JSON here cannot hold
        raise CannotEdit("a new value cannot be written into the request") from error


def _edited(tool: Tool, request: Request, changes: Changes) -> Request:
    if not changes:
        raise CannotEdit("an edit names at least one argument; to approve the call as it is, leave `edit` out")
    places = _places(tool)
    for name in changes:
        if name not in places:
            known = ", ".join(sorted(places)) or "none"
            raise CannotEdit(f"{name[:60]!r} is not an argument of {tool.name} that can be changed; these are: {known}")
    by_place: dict[str, dict[str, object]] = {}
    for name, value in changes.items():
        by_place.setdefault(places[name], {})[name] = value
    path, mark, query = request.target.partition("?")
    if changed := by_place.get("path"):
        path = checked_path(_path(tool, path, changed).encode())
    if changed := by_place.get("query"):
        query = checked_query(_fields(query, changed).encode())
        mark = "?" if query else ""
    if changed := by_place.get("header"):
        request = replace(request, headers=_headers(request.headers, changed))
    if changed := by_place.get("body"):
        request = replace(request, body=_body(tool, request, changed))
    return replace(request, target=f"{path}{mark}{query}")


def differences(before: Admission, after: Admission, changes: Changes) -> tuple[str, ...]:
    """Names of the arguments that differ. Raises CannotEdit unless they are the named ones, with the named values."""
    wanted = {name: value for name, value in {**before.question.input, **changes}.items() if value is not None}
    if dict(after.question.input) != wanted or dict(after.extra) != dict(before.extra):
        raise CannotEdit("the edited request would not be read as it was meant; reject the call and say what to send")
    found = tuple(sorted(name for name in changes if before.question.input.get(name) != after.question.input.get(name)))
    if not found:
        raise CannotEdit("the edit changes nothing; to approve the call as it is, leave `edit` out")
    return found


def _places(tool: Tool) -> dict[str, str]:
    """Where each argument stands, by the name under which policies and approvers see it."""
    found = {part.name: "path" for part in tool.template if isinstance(part, Variable)}
    for item in tool.parameters:
        if item.place == "header":
            found[item.name.lower()] = "header"
        elif item.place != "body" or tool.body in ("json", "form"):
            found.setdefault(item.name, item.place)
    return found


def _path(tool: Tool, path: str, changed: Changes) -> str:
    segments = path.split("/")[1:]
    parts = []
    for position, part in enumerate(tool.template):
        if isinstance(part, Variable) and part.name in changed:
            value = changed[part.name]
            if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
                raise CannotEdit(f"{part.name!r} stands in the path, so it must be text and cannot be taken away")
            parts.append(quote(str(value), safe="/" if part.rest else ""))
        elif isinstance(part, Variable) and part.rest:
            parts.append("/".join(segments[position:]))
        else:
            parts.append(segments[position])
    return "/" + "/".join(parts)


def _fields(text: str, changed: Changes) -> str:
    """A query or form: fields of these names are taken out, and the new ones put at the end."""
    kept = [piece for piece in text.split("&") if piece and _root(piece) not in changed]
    return "&".join([*kept, *(piece for name, value in changed.items() for piece in _encoded(name, value))])


def _root(piece: str) -> str:
    return decoded_field(piece.partition("=")[0]).partition("[")[0]


def _encoded(name: str, value: object) -> list[str]:
    match value:
        case None:
            return []
        case dict():
            return [piece for key, item in value.items() for piece in _encoded(f"{name}[{key}]", item)]
        case list() if any(isinstance(item, dict | list) for item in value):
            return [piece for number, item in enumerate(value) for piece in _encoded(f"{name}[{number}]", item)]
        case list():
            return [piece for item in value for piece in _encoded(f"{name}[]", item)]
        case bool():
            return [f"{quote_plus(name)}={'true' if value else 'false'}"]
        case _:
            return [f"{quote_plus(name)}={quote_plus(str(value))}"]


def _headers(headers: tuple[tuple[str, str], ...], changed: Changes) -> tuple[tuple[str, str], ...]:
    for name, value in changed.items():
        text = str(value)
        if not (text.isascii() and text.isprintable()) or text != text.strip():
            raise CannotEdit(f"{name!r} is a header: printable ASCII, without a space at its beginning or end")
    kept = tuple((name, value) for name, value in headers if name not in changed)
    return (*kept, *((name, str(value)) for name, value in changed.items() if value is not None))


def _body(tool: Tool, request: Request, changed: Changes) -> bytes:
    if tool.body == "form":
        return _fields(request.body.decode(), changed).encode("ascii")
    told, _ = strict_json.loads(request.body or b"{}")
    whole = {**told, **changed} if isinstance(told, dict) else dict(changed)
    return strict_json.dumps({name: value for name, value in whole.items() if value is not None or name not in changed})
