"""Which header names a file may declare, drop, or put a credential or key in. Names only; values are wire's."""

import re

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110 field names."""

FRAMING = frozenset({
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "http2-settings",
    "keep-alive", "max-forwards", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "via",
})  # fmt: skip
"""Written by the gateway from what was judged: another value could make the system read another request."""
OVERRIDES = frozenset({
    "x-http-method", "x-http-method-override", "x-method-override", "x-original-method", "x-original-uri",
    "x-original-url", "x-override-url", "x-rewrite-url",
})  # fmt: skip
"""With these a system performs another request than the one that was judged."""
IDENTITY = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", "forwarded", "x-real-ip"})
"""Where agents put their gateway key, sessions, and who they claim to be: emptied before sending."""
KEYS = frozenset({"idempotency-key"})
PREFERENCES = frozenset({"prefer"})
"""Read by the gateway (`wait=`, `respond-async`), so it never reaches a system as it came."""
TRACING = frozenset({"traceparent", "tracestate", "baggage"})


def _gateways_own(name: str) -> bool:
    return name.startswith(("gateway-", "x-forwarded-"))


def checked(name: str) -> str:
    """The name in lower case. ValueError if no header can be called so."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"must be a header name, and `{name}` is none")
    return name.lower()


def declared(name: str) -> str:
    """A header that may be an argument of a tool."""
    lower = checked(name)
    protected = FRAMING | OVERRIDES | IDENTITY | KEYS | PREFERENCES | TRACING
    if lower in protected or _gateways_own(lower):
        raise ValueError(f"`{name}` cannot be an argument: the gateway writes, reads or removes this header itself")
    return lower


def carrying_secret(name: str) -> str:
    """A header that may carry a system's credential."""
    lower = checked(name)
    if lower in FRAMING | OVERRIDES | KEYS | TRACING or _gateways_own(lower):
        raise ValueError("must be a header that carries a credential, such as Authorization or X-API-Key")
    return name


def carrying_key(name: str) -> str:
    """A header in which a system may take an idempotency key."""
    lower = checked(name)
    if lower in FRAMING | OVERRIDES | IDENTITY | TRACING or _gateways_own(lower):
        raise ValueError("must be the header in which the system takes a key, such as Idempotency-Key")
    return name


def dropped(pattern: str) -> str:
    """An entry of `drop_headers`: a name, or the beginning of names with a final `*`."""
    stem = pattern.removesuffix("*")
    if not stem or not TOKEN.fullmatch(stem) or "*" in stem:
        raise ValueError(f"must list header names, with at most a final *, and `{pattern}` is none")
    if stem.lower() in FRAMING:
        raise ValueError(f"must not list `{pattern}`: the gateway writes this header itself")
    return pattern.lower()


def covers(pattern: str, name: str) -> bool:
    """Whether an entry of `drop_headers` drops the header `name` (both lower case)."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
