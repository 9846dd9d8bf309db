"""A request that the gateway itself makes of a declared read, from its arguments as text.

It is made so that it can only be read back as the same arguments, and whoever makes one reads it back: the door's own
checks, the index and the reader then judge it as if an agent had sent it.
"""

from collections.abc import Sequence
from urllib.parse import quote

from gateway.core.call import Request
from gateway.core.routes import Tool, Variable
from gateway.errors import AmbiguousRequest, InvalidArguments
from gateway.wire.target import checked_path, checked_query

ACCEPT = (("accept", "application/json"), ("accept-encoding", "identity"))


def made(tool: Tool, given: Sequence[tuple[str, str]]) -> Request:
    """Raises InvalidArguments or AmbiguousRequest. A name in brackets is sent as it is: `expand[]`."""
    places = {item.name: item.place for item in tool.parameters}
    variables = {part.name for part in tool.template if isinstance(part, Variable)}
    values = {name: value for name, value in given if name in variables}
    path = "".join("/" + _part(part, values, tool) for part in tool.template)
    query = "&".join(
        f"{quote(name, safe='[]')}={_encoded(value)}"
        for name, value in given
        if name not in variables and places.get(name.lower()) != "header"
    )
    headers = tuple((name.lower(), value) for name, value in given if places.get(name.lower()) == "header")
    if any(not value.isascii() or not value.isprintable() or value != value.strip() for _, value in headers):
        raise AmbiguousRequest("a header has characters outside of printable ASCII, or spaces around it")
    target = checked_path(path.encode()) + (f"?{checked_query(query.encode())}" if query else "")
    return Request(system=tool.system, method=tool.method, target=target, headers=(*ACCEPT, *headers))


def _part(part: str | Variable, values: dict[str, str], tool: Tool) -> str:
    if isinstance(part, str):
        return part
    if not values.get(part.name):
        raise InvalidArguments(tool.name, [(f"path.{part.name}", "a value, and the call has none")])
    texts = values[part.name].split("/") if part.rest else [values[part.name]]
    return "/".join(_encoded(text) for text in texts)


def _encoded(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise AmbiguousRequest("an argument has half a character (a lone surrogate)") from None
