"""From an ASGI scope and a body to a cleaned request: who asks, which system, and exactly what would be sent.

In two parts, because a denial that needs no body must come before one is read: `head` (framing, system, path, key,
fields), then `whole`. Everything that two parsers could read differently is refused; nothing is repaired. What comes
out holds no credential, no hop-by-hop field, no claim about who the agent is. This file must never decide whether a
call is allowed, and never raise anything but a GatewayError, whatever a stranger sends.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any

from gateway.core.call import Request
from gateway.core.routes import Agent, System
from gateway.core.value import keyword_value, positional_value
from gateway.errors import AmbiguousRequest, MethodNotAllowed, Misdirected, UnknownTool, UnsupportedEncoding
from gateway.wire import fields as read
from gateway.wire.base import Base
from gateway.wire.headers import check_connection, merged
from gateway.wire.index import Entrance, Index
from gateway.wire.keys import KEY_PREFIX, presented
from gateway.wire.target import checked_path, checked_query, decoded_field, without_parameter

Scope = Mapping[str, Any]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
VERSIONS = frozenset({"1.0", "1.1"})
LONGEST_HOST = 300
"""A name has at most 253 characters (RFC 1035), then a port. What is longer must not occupy the caches."""
LONGEST_NAME, LONGEST_NAMES = 128, 512
"""Of one header name; and of all together before anybody looks. The longest in use has some 50 characters."""
_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_CONTROLS = bytes(byte for byte in range(256) if (byte < 0x20 and byte != 0x09) or byte == 0x7F)


@keyword_value
class Visit:
    """What any request says beside what it asks for."""

    agent: Agent
    method: str
    accept: str
    prefer_wait: float | None
    """Seconds that the agent is willing to wait (RFC 7240), if it says so."""
    prefer_async: bool
    client_ip: str
    base: Base
    """The gateway's own address, as this agent used it."""


@keyword_value
class Head(Visit):
    """Everything about a request for a system that needs no body."""

    system: System
    path: str
    """Raw path below the system's root, checked; what `Index.match` takes."""
    target: str
    headers: tuple[tuple[str, str], ...]
    key: str | None
    """The idempotency key, if one is given."""
    run: str | None
    reason: str
    traceparent: str
    credential_key: bytes = field(repr=False)
    """The gateway key that was presented, to look for it in the body. Never goes further."""


@positional_value
class Received:
    """A whole request. `request` is what would be sent; `head` is what else it says."""

    head: Head
    request: Request

    @property
    def agent(self) -> Agent:
        return self.head.agent

    @property
    def system(self) -> System:
        return self.head.system


def receive(scope: Scope, body: bytes, index: Index) -> Received:
    """`head` and `whole` in one."""
    return whole(head(scope, index), body, index)


def whole(head: Head, body: bytes, index: Index) -> Received:
    """Join the body to its head. Raises AmbiguousRequest if a gateway key stands in it."""
    key = head.credential_key
    if body and (index.agents.contains_key(body) or (not key.startswith(KEY_PREFIX) and key in body)):
        raise AmbiguousRequest("the gateway key stands in the body")
    request = Request(
        system=head.system.name, method=head.method, target=head.target, headers=head.headers, body=body
    )  # fmt: skip
    return Received(head, request)


def head(scope: Scope, index: Index) -> Head:
    """Read everything but the body of a request for a system. Raises GatewayError."""
    fields = _framed(scope)
    method = _method(scope)
    raw: bytes = scope["raw_path"]
    entrance, raw_path = _locate(fields[b"host"], raw, index)
    path, query = checked_path(raw_path), checked_query(scope["query_string"])
    if entrance is None:
        raise _nowhere(scope["scheme"], fields, method, path, index)
    system = entrance.system
    agent, key, query = _authenticated(fields, entrance, path, query, index)
    encoding = fields.get(b"content-encoding", b"identity").lower()
    if encoding not in {b"identity", b""}:
        raise UnsupportedEncoding(encoding.decode("latin-1"))
    keep = entrance.keep
    kept = [(text, value.strip(b" \t").decode("latin-1")) for name, value in fields.items() if (text := keep(name))]
    said = read.said(fields)
    if said.prefer:
        kept.append(("prefer", said.prefer))
    if not said.traceparent and b"tracestate" in fields:
        kept = [pair for pair in kept if pair[0] != "tracestate"]
    return Head(
        agent=agent,
        method=method,
        accept=fields.get(b"accept", b"").decode("latin-1"),
        prefer_wait=said.prefer_wait,
        prefer_async=said.prefer_async,
        client_ip=_client_ip(scope),
        base=_base(scope["scheme"], fields[b"host"], system.name if raw_path is raw else ""),
        system=system,
        path=path,
        target=f"{path}?{query}" if query else path,
        headers=tuple(kept),
        key=said.key,
        run=said.run,
        reason=said.reason,
        traceparent=said.traceparent,
        credential_key=key,
    )


def visit(scope: Scope, index: Index) -> Visit:
    """Read a request for one of the gateway's own paths (`/calls/{id}`). Raises GatewayError.

    The key may stand wherever an SDK of any system would put it.
    """
    fields = _framed(scope)
    method = _method(scope)
    agent, _ = _authenticated_anywhere(fields, index)
    _, wait, asynchronous = read.prefer(fields.get(b"prefer"))
    return Visit(
        agent=agent,
        method=method,
        accept=fields.get(b"accept", b"").decode("latin-1"),
        prefer_wait=wait,
        prefer_async=asynchronous,
        client_ip=_client_ip(scope),
        base=_base(scope["scheme"], fields[b"host"], ""),
    )


def accept_of(scope: Scope) -> str:
    """The Accept field of a request that may be refused for anything else."""
    return ", ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")


def framing_error(scope: Scope) -> str | None:
    """What is wrong with how a request is framed, as a clause, or None. The connection must then be closed."""
    try:
        _framed(scope)
    except AmbiguousRequest as error:
        return error.what
    return None


def _framed(scope: Scope) -> dict[bytes, bytes]:
    """The fields of a request whose framing no two servers read differently (standards S7). Raises AmbiguousRequest."""
    headers = scope["headers"]
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = merged(headers)
    if fields.get(b"host", b"").endswith((b" ", b"\t")):
        fields[b"host"] = fields[b"host"].rstrip(b" \t")  # what follows a value is not part of it (peer failure 22)
    wrong = _wrong(scope, fields)
    if wrong:
        raise AmbiguousRequest(wrong, close=True)
    if b"connection" in fields and fields[b"connection"] != b"keep-alive":
        check_connection(fields)
    return fields


def _wrong(scope: Scope, fields: Mapping[bytes, bytes]) -> str:  # noqa: PLR0911 - one sentence per fault
    if scope["http_version"] not in VERSIONS:
        return "the HTTP version is neither 1.0 nor 1.1"
    if b"host" not in fields:
        return "there is no Host header"
    if len(fields[b"host"]) > LONGEST_HOST or _host(fields[b"host"]) is None:
        return "the Host header is not a host name with an optional port"
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            return "there are both Content-Length and Transfer-Encoding"
        if coding != b"chunked" or scope["http_version"] == "1.0":
            return "Transfer-Encoding is not exactly `chunked`, in HTTP/1.1"
    if length is not None and not length.isdigit():
        return "Content-Length is not a number"
    names = b"".join(fields)
    if b"_" in names:
        return "a header name has an underscore, which many servers read as a hyphen"
    if len(names) > LONGEST_NAMES and max(map(len, fields)) > LONGEST_NAME:
        return f"a header name has more than {LONGEST_NAME} characters"
    values = b"".join(fields.values())
    if len(values.translate(None, _CONTROLS)) != len(values):
        return "a header has a control character"
    if fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        return "Expect asks for something else than 100-continue"
    return ""


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    if method not in METHODS:
        raise MethodNotAllowed(method, METHODS)
    return method


@lru_cache(maxsize=1024)  # hosts repeat; the bound is against hosts that a stranger invents
def _host(value: bytes) -> bytes | None:
    """The host name in lower case without port and final dot; None if it is none."""
    found = _HOST.fullmatch(value)
    if found is None or (found[2] and int(found[2]) > 65535):
        return None
    return found[1].lower().removesuffix(b".") or None


@lru_cache(maxsize=1024)  # as above
def _base(scheme: str, host: bytes, own: str) -> Base:
    return Base(f"{scheme}://{host.decode('ascii')}", own)


def _locate(host: bytes, raw_path: bytes, index: Index) -> tuple[Entrance | None, bytes]:
    """The system that a request is for, and its path there: by a host of its own, else by the first segment."""
    own = index.by_host.get(_host(host) or b"")
    if own is not None:
        return own, raw_path
    end = raw_path.find(b"/", 1)
    name, path = (raw_path[1:end], raw_path[end:]) if end > 0 else (raw_path[1:], b"/")
    entrance = index.by_name.get(name)
    return entrance, path if entrance is not None else raw_path


def _nowhere(scheme: str, fields: Mapping[bytes, bytes], method: str, path: str, index: Index) -> Exception:
    """Which error it is to ask for no known system. To strangers, nothing is said about which there are."""
    _authenticated_anywhere(fields, index)
    host = (_host(fields[b"host"]) or b"").decode("ascii")
    if host in index.upstreams:
        return Misdirected(host, index.upstreams[host][0].name)
    names = ", ".join(sorted(index.entrances)[:20])
    name = path.split("/")[1][:60]
    base = f"{scheme}://{fields[b'host'].decode('ascii')}"
    lost = f"no system is named {name!r}" if name else f"the path has no system: {base}/<system>/..."
    return UnknownTool(method, path, (), f"{lost} (there are: {names})")


def _authenticated(
    fields: Mapping[bytes, bytes], entrance: Entrance, path: str, query: str, index: Index
) -> tuple[Agent, bytes, str]:
    """The agent, its key, and the query without the parameter in which the system takes a credential."""
    candidates = presented(fields, entrance.key_places, entrance.credential)
    if entrance.key_parameter:
        query, values = without_parameter(query, entrance.key_parameter)
        candidates += [value.encode() for value in values if value]
    agent, key = index.agents.authenticate(candidates)
    _refuse_stray_key(fields, entrance.key_places, path, query, key, index)
    return agent, key, query


def _authenticated_anywhere(fields: Mapping[bytes, bytes], index: Index) -> tuple[Agent, bytes]:
    return index.agents.authenticate(presented(fields, index.everywhere, None))


def _refuse_stray_key(
    fields: Mapping[bytes, bytes], places: frozenset[bytes], path: str, query: str, key: bytes, index: Index
) -> None:
    """A gateway key outside of its places would end up in the system, or in its logs."""
    target = f"{path}?{query}"
    if "%" in target:
        target += "\n" + decoded_field(target)
    data = b"\n".join([*[value for name, value in fields.items() if name not in places], target.encode()])
    if index.agents.contains_key(data) or (not key.startswith(KEY_PREFIX) and key in data):
        raise AmbiguousRequest("a gateway key stands where no credential belongs (a header, the path or the query)")


def _client_ip(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
