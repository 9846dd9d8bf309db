"""A system's answer as the agent gets it: unchanged, except for what would lead the agent around the gateway.

Hop-by-hop fields end here; a cookie is a session and stays here (peer failure 21); addresses of known upstreams in
Location, Content-Location, Link and Refresh become the gateway's, because an SDK follows them and would carry the
gateway key straight to the vendor (measured with octokit's page 2). Bodies are never touched, but for `rewrite_urls`.
It must never make an address out of anything but a known origin: rewriting by guess would be a redirect by strangers.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from gateway.core.routes import System
from gateway.wire.base import Base
from gateway.wire.headers import HOP_BY_HOP
from gateway.wire.index import Index, authorities

Header = tuple[bytes, bytes]
Rewriting = Callable[[str, System, Index, Base], str]

DROPPED = HOP_BY_HOP | {
    b"set-cookie", b"set-cookie2", b"gateway-call", b"gateway-edited",
    b"alt-svc", b"strict-transport-security",  # they speak about the system's host, and would be applied to ours
}  # fmt: skip
OF_THE_BODY = frozenset({b"content-md5", b"digest", b"content-digest", b"repr-digest"})
"""Wrong once a body was rewritten."""
_LINK_TARGET = re.compile(r"<([^<>]*)>")
_REFRESH = re.compile(r"(\s*[0-9.]+\s*[;,]\s*url\s*=\s*[\"']?)([^\"']*)(.*)", re.IGNORECASE | re.DOTALL)
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json")


def answer_headers(
    reply_headers: Iterable[Header], system: System, index: Index, base: Base, call: str, *, length: int | None = None
) -> list[Header]:
    """The fields of the answer to the agent, in the system's order. Names are lower-case, as `ports.Reply` has them.

    `length`: of the body in bytes, if it was rewritten; else the system's own Content-Length stands.
    """
    found = list(reply_headers)
    fields, dropped = dict(found), DROPPED
    if fields.get(b"connection", b"keep-alive") != b"keep-alive" or len(fields) != len(found):
        dropped = dropped | _named_by_connection(found)
    if length is not None:
        dropped = dropped | OF_THE_BODY | {b"content-length"}
    if (
        len(fields) == len(found)
        and _REWRITTEN.keys().isdisjoint(fields)
        and not _UNSENDABLE.search(b"".join(fields.values()))
    ):  # as nearly always
        kept = [(name, value.strip(b" \t")) for name, value in found if name not in dropped]
    else:
        kept = [pair for pair in _looked_at(found, system, index, base) if pair[0] not in dropped]
    if length is not None:
        kept.append((b"content-length", b"%d" % length))
    kept.append((b"gateway-call", call.encode("ascii")))
    return kept


def _looked_at(headers: Iterable[Header], system: System, index: Index, base: Base) -> Iterator[Header]:
    """Field by field: those that can be sent, with addresses that lead back here."""
    for name, untrimmed in headers:
        value = untrimmed.strip(b" \t")
        if name in _REWRITTEN:
            value = _rewritten(value, _REWRITTEN[name], system, index, base)
        if not _UNSENDABLE.search(value):
            yield name, value


def _named_by_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    return frozenset(
        option.strip(b" \t") for name, value in headers if name == b"connection" for option in value.lower().split(b",")
    )


def _rewritten(value: bytes, how: Rewriting, system: System, index: Index, base: Base) -> bytes:
    return how(value.decode("latin-1"), system, index, base).encode("latin-1", "replace")


def _links(value: str, system: System, index: Index, base: Base) -> str:
    return _LINK_TARGET.sub(lambda found: f"<{_address(found[1], system, index, base)}>", value)


def _refresh(value: str, system: System, index: Index, base: Base) -> str:
    found = _REFRESH.fullmatch(value)
    return f"{found[1]}{_address(found[2], system, index, base)}{found[3]}" if found else value


def _address(reference: str, system: System, index: Index, base: Base) -> str:
    """One address as the agent should follow it. References relative to the request stay as they are."""
    text = reference.strip()
    if text.startswith("/") and not text.startswith("//"):
        below = _below(text, system.base_path)
        # Outside of what the gateway serves, the reference must go on meaning the system, not a path of ours.
        return f"{system.origin}{text}" if below is None else f"{base.prefix(system.name)}{below}"
    if "\t" in text:
        return reference  # the one character in a field that urlsplit would silently remove
    try:
        parts = urlsplit(text)
    except ValueError:
        return reference
    if parts.scheme.lower() not in {"http", "https", ""} or not parts.netloc:
        return reference
    authority = parts.netloc.rpartition("@")[2].lower()
    rest = text[text.index(parts.netloc) + len(parts.netloc) :]
    candidates = index.upstreams.get(authority, ())
    for candidate in sorted(candidates, key=lambda item: item.name != system.name):
        below = _below(rest, candidate.base_path)
        if below is not None and base.reaches(candidate.name):
            return f"{base.root}{base.prefix(candidate.name)}{below}"
    return reference


def _below(path: str, base_path: str) -> str | None:
    """What remains of a path (with query and fragment) below the base path; None if it lies elsewhere."""
    if not path.startswith(base_path):
        return None
    rest = path[len(base_path) :]
    return rest if not rest or rest[0] in "/?#" else None


_REWRITTEN: Mapping[bytes, Rewriting] = {
    b"location": _address, b"content-location": _address, b"link": _links, b"refresh": _refresh,
}  # fmt: skip


def rewrite_body(body: bytes, reply_headers: Iterable[Header], system: System, base: Base) -> bytes:
    """The body with this system's own addresses inside JSON strings made the gateway's (`rewrite_urls: true`).

    Anything but plain JSON comes back as it is: a body with a Content-Encoding cannot be read here.
    """
    fields = {name: value.strip(b" \t").lower() for name, value in reply_headers}
    content_type = fields.get(b"content-type", b"").partition(b";")[0].strip().decode("latin-1")
    encoded = fields.get(b"content-encoding", b"identity") not in {b"identity", b""}
    if encoded or not _JSON.fullmatch(content_type):
        return body
    plain = (base.root + base.prefix(system.name)).encode()

    def replaced(found: re.Match[bytes]) -> bytes:
        return plain.replace(b"/", rb"\/") if found[1] == rb"\/\/" else plain

    return _own_addresses(system.origin, system.base_path).sub(replaced, body)


@lru_cache(maxsize=256)  # one per system and generation
def _own_addresses(origin: str, base_path: str) -> re.Pattern[bytes]:
    """The system's addresses as they stand in JSON text, with slashes plain or escaped, ending where a host ends."""
    hosts = b"|".join(re.escape(name.encode()) for name in sorted(authorities(origin), key=len, reverse=True))
    path = re.escape(base_path.encode()).replace(b"/", rb"\\?/")
    return re.compile(rb"https?:(//|\\/\\/)(?:%b)%b(?![A-Za-z0-9._~:@%%-])" % (hosts, path), re.IGNORECASE)
