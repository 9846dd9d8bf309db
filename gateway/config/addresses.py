"""Addresses an operator writes: upstreams, webhooks, listeners, networks. Each is checked and put in one spelling.

Loopback and private networks are fine (systems of record live there). Link-local and cloud-metadata addresses hand
out credentials to whoever asks, so they are refused unless listed. Names are resolved later, by the code that
connects, which checks every address it gets; this file never asks the network. Sentences never quote an address: a
password may stand in it.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from gateway.core.addresses import forms, refused

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443}
VISIBLE = re.compile(r"[!-~]+")
HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
NUMERIC_END = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
"""Resolvers read such a host as an IPv4 address in one of many spellings, so only the usual one is accepted."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """`https://api.example.com/base` in two parts."""

    origin: str
    base_path: str
    host: str


def _split(text: str, what: str) -> tuple[SplitResult, str]:
    """An http(s) address and its host in lower case (IPv6 without brackets)."""
    if not VISIBLE.fullmatch(text) or "\\" in text:
        raise ValueError(f"must be {what}, without spaces, backslashes and letters outside ASCII (write xn-- names)")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError(f"must be {what} with a host and at most one port") from None
    if parts.scheme not in PORTS or not host:
        raise ValueError(f"must be {what}")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password; a secret has its own field")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("must have a port from 1 to 65535, or none")
    if "#" in text:
        raise ValueError("must not contain #: a fragment is never sent")
    return parts, checked_host(host)


def checked_host(host: str) -> str:
    """A host in its one spelling. ValueError if it is none."""
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host)) if "%" not in host else _refuse_zone()
        except ipaddress.AddressValueError:
            raise ValueError("must have a valid IPv6 address in brackets") from None
    if NUMERIC_END.fullmatch(host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ipaddress.AddressValueError:
            raise ValueError("must have an IPv4 address as four decimal numbers, such as 127.0.0.1") from None
    if not HOST_NAME.fullmatch(host):
        raise ValueError("must have a valid host name")
    return host


def _refuse_zone() -> str:
    raise ValueError("must not have an IPv6 zone (%...)")


def _origin(parts: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"


def upstream(text: str) -> Upstream:
    """Where a system is. Whether the address itself is allowed is asked with `refused_address`."""
    parts, host = _split(text, "an http or https address, such as https://api.example.com")
    if "?" in text:
        raise ValueError("must not contain ?: query arguments belong to tools, and a key in the query to `credential`")
    path = parts.path.rstrip("/")
    if any(segment in {"", ".", ".."} for segment in path.split("/")[1:]) or set(path) & set("%;{}"):
        raise ValueError("must have a plain base path: no empty or dot segments, no % ; { }")
    return Upstream(_origin(parts, host), path, host)


def webhook(text: str) -> str:
    """Where notices are sent."""
    parts, host = _split(text, "an http or https address, such as https://approvals.example.com/hook")
    if refused_address(host, ()):
        raise ValueError("must not be a link-local or cloud-metadata address")
    query = f"?{parts.query}" if parts.query else ""
    return f"{_origin(parts, host)}{parts.path or '/'}{query}"


def listener(text: str) -> str:
    """`host:port` to listen on."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (":" in bare) != (bare != host):
        raise ValueError("must have an IPv6 address, and nothing else, in brackets: [::1]:8080")
    known = checked_host(bare.lower())
    return f"[{known}]:{port}" if ":" in known else f"{known}:{port}"


def network(text: str) -> str:
    """A network in CIDR form; a single address is a network of one."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        cure = "; its host bits must be zero" if "host bits" in str(error) else ""
        raise ValueError(f"must be a network such as 10.0.0.0/8 or an address{cure}") from None


def refused_address(host: str, allowed: Sequence[str]) -> bool:
    """Whether `host` is a literal link-local or metadata address that no network in `allowed` covers."""
    try:
        return refused(host, tuple(allowed))
    except ValueError:  # a name: the code that connects checks what it leads to
        return False


def only_here(host: str) -> bool:
    """Whether `host` means this machine alone: loopback, or the wildcard that nobody can call."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        meant = list(forms(ipaddress.ip_address(host)))
    except ValueError:
        return False
    return any(one.is_loopback or one.is_unspecified for one in meant)


def host_of(url: str) -> str:
    """The host of an http(s) address. ValueError if it has none."""
    return _split(url, "an http or https address")[1]


def same_socket(one: str, other: str) -> bool:
    """Whether two `host:port` listeners would want the same socket."""
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    wildcard = {"0.0.0.0", "[::]"}  # noqa: S104 - compared with, not bound to
    return port == other_port and (host == other_host or bool({host, other_host} & wildcard))
