"""What leaves for a system: one request plus what the gateway adds to it. Pure; no I/O, no library.

The last place where a difference between what was judged and what is sent can be noticed, so it refuses instead of
repairing: connection headers, bytes that the client could not send as they are, a second place for the credential.
The agent's own value for the credential's place never goes out.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import field
from urllib.parse import quote, unquote_plus

from gateway.core.call import Request
from gateway.core.echo import readable_codings
from gateway.core.routes import Credential, System
from gateway.core.value import positional_value

REPLACED = frozenset({"host", "content-length"})
"""Said by the client library itself, from the system's origin and from the body."""
CONNECTION = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect",
        "http2-settings",
    }
)  # fmt: skip
"""Fields about one connection, which an agent could use to break the framing of ours. The door removes them."""
NEVER_SENT = REPLACED | CONNECTION
CODINGS = "accept-encoding"
WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""Methods of which servers expect a Content-Length even if there is no body (else 411)."""


class Unsendable(Exception):
    """This request cannot leave exactly as it was judged. The text says why, without any value."""


@positional_value
class Outgoing:
    """Ready for the wire. The URL or the last header may hold the credential: never print one."""

    url: str = field(repr=False)
    headers: list[tuple[str, str]] = field(repr=False)
    """Values are text of which the UTF-8 form is what must be on the wire."""
    credential: tuple[str, str] | None = field(repr=False)
    """The header that carries the credential, if a header does."""
    body: bytes = field(repr=False)


def outgoing(
    system: System, request: Request, extra: tuple[tuple[str, str], ...], secret: str, *, searched: bool
) -> Outgoing:
    """`secret` is empty if the system has no credential. `searched`: its answers will be searched for the secret.

    Raises Unsendable.
    """
    credential = system.credential
    if not request.target.startswith("/") or "#" in request.target:
        raise Unsendable("the target must be a path that begins with a slash, and have no fragment")
    url = system.origin + system.base_path + request.target
    header: tuple[str, str] | None = None
    if credential is not None:
        if credential.kind == "query":
            url = _with_parameter(url, credential.name, secret)
        else:
            header = credential_header(credential, secret)
    headers = _fields(request.headers + extra, header[0] if header else None, searched=searched)
    if not request.body and request.method in WITH_CONTENT:
        headers.append(("content-length", "0"))
    return Outgoing(url, headers, header, request.body)


def _fields(given: tuple[tuple[str, str], ...], place: str | None, *, searched: bool) -> list[tuple[str, str]]:
    """What is sent of these fields. `place`: where the credential goes. Raises Unsendable."""
    fields = dict(given)
    if (
        len(fields) == len(given)
        and place not in fields
        and NEVER_SENT.isdisjoint(fields)
        and "".join(fields).islower()
        and "".join(fields.values()).isascii()
    ):  # as nearly always: then they leave as they are
        if searched and CODINGS in fields:
            fields[CODINGS] = readable_codings(fields[CODINGS])
        return list(fields.items())
    return list(_looked_at([pair for pair in given if pair[0].lower() != place], searched=searched))


def _looked_at(given: Iterable[tuple[str, str]], *, searched: bool) -> Iterator[tuple[str, str]]:
    """Field by field. Raises Unsendable."""
    for spelt, value in given:
        name = spelt.lower()
        if name in CONNECTION:
            raise Unsendable(f"the request carries the connection header field {name!r}")
        if name == CODINGS:
            yield name, readable_codings(value) if searched else value
        elif name not in REPLACED:
            yield name, value if value.isascii() else _as_sent(name, value)


def credential_header(credential: Credential, secret: str) -> tuple[str, str]:
    """Lower-case name, and the value."""
    match credential.kind:
        case "bearer":
            return "authorization", f"Bearer {secret}"
        case "basic":
            pair = base64.b64encode(f"{credential.name}:{secret}".encode()).decode()
            return "authorization", f"Basic {pair}"
        case "header":
            return credential.name.lower(), credential.prefix + secret
        case "query":
            raise ValueError("a credential in the query has no header")


def _with_parameter(url: str, name: str, secret: str) -> str:
    before, mark, query = url.partition("?")
    if any(unquote_plus(part.partition("=")[0]) == name for part in query.split("&")):
        raise Unsendable(f"the query already has the parameter {name!r}, which is the credential's place")
    parameter = f"{quote(name, safe='')}={quote(secret, safe='')}"
    return f"{before}?{query}&{parameter}" if mark and query else f"{before}?{parameter}"


def _as_sent(name: str, value: str) -> str:
    """Latin-1 text, as it came, as the text of which the UTF-8 form has the same bytes; the client takes only those."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Unsendable(
            f"the header field {name!r} has bytes that are not UTF-8, which we cannot send unchanged"
        ) from None
