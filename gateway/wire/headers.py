"""Which fields of a request mean what: passed on, dropped, an argument, or a reason to refuse the request.

Headers choose whose money moves (`Stripe-Account`), so a field passes undeclared only if it is known to be inert;
what is neither known noise nor declared is left in the request, and the tool's reader refuses it by name. This file
must never let through what an agent authenticates with, what says who it is, or what makes a system perform another
request than the one that was judged.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from gateway.core.routes import System
from gateway.errors import AmbiguousRequest

HOP_BY_HOP = frozenset({
    b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"proxy-authenticate", b"proxy-authorization", b"http2-settings",
})  # fmt: skip
"""RFC 9110 section 7.6.1, and what practice adds: they speak about one connection."""
KEY_PLACES = frozenset({b"authorization", b"x-api-key", b"gateway-key"})
"""Where any agent may put its gateway key. A system's own credential header comes on top."""
GATEWAYS_OWN = frozenset({b"gateway-run", b"gateway-reason", b"idempotency-key", b"traceparent", b"prefer"})
"""Read by the gateway and written anew, if at all."""
REWRITTEN = frozenset({b"host", b"content-length", b"content-encoding", b"expect", b"max-forwards", b"via", b"cookie"})
"""Made anew for the system from what was judged, or (Cookie) never passed."""
NEVER_PASS = HOP_BY_HOP | KEY_PLACES | GATEWAYS_OWN | REWRITTEN

OVERRIDES = frozenset({
    b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url",
    b"x-original-uri", b"x-override-url", b"x-original-method",
})  # fmt: skip
"""With these a system performs another request than the one that was judged."""
_CLAIMS = re.compile(
    rb"forwarded|x-forwarded-.*|x-real-ip|x-client-ip|x-cluster-client-ip|true-client-ip|.*-connecting-ip|fly-client-ip"
    rb"|x-client-cert.*|x-ssl-.*|ssl-client-.*|x-user(?:-.*)?|x-agent(?:-.*)?|x-remote-.*|remote-.*|x-authenticated-.*"
    rb"|x-auth-request-.*|x-goog-authenticated-.*|x-goog-iap-.*|x-amzn-oidc-.*|x-ms-client-principal.*|x-envoy-.*|dpop"
)
"""Who the sender is or where it comes from, in its own words. Systems behind a proxy believe them; dropped."""
_INERT = re.compile(
    rb"accept(?:-.*)?|content-type|content-md5|content-digest|repr-digest|digest|range|if-.*|user-agent|cache-control"
    rb"|pragma|prefer|.*-version|tracestate|baggage|b3|x-b3-.*|x-request-id|x-correlation-id|x-client-request-id"
    rb"|x-amzn-trace-id|x-cloud-trace-context|uber-trace-id|sentry-trace|x-datadog-.*"
)
"""Content negotiation, conditions, API versions and traces: no argument of the call."""
_NOISE = re.compile(
    rb"x-stainless-.*|x-stripe-client-.*|stripe-client-.*|sec-.*|dnt|origin|referer|from|priority|date"
    rb"|upgrade-insecure-requests|x-requested-with|x-goog-api-client|amz-sdk-.*|x-amz-user-agent|x-ms-useragent"
    rb"|x-sdk-.*|x-client-data|postman-token|save-data|x-fern-.*|x-speakeasy-.*|x-github-client-.*|x-twilio-client-.*"
)
"""What SDKs and browsers say about themselves. Dropped."""

MAY_REPEAT = re.compile(
    rb"accept(?:-(?!ranges).*)?|cache-control|pragma|connection|te|trailer|via|prefer|if-(?:none-)?match|tracestate"
    rb"|baggage|forwarded|x-forwarded-.*|cookie|upgrade|keep-alive"
)
"""Lists by definition: several lines are one line with commas (RFC 9110 section 5.3). Any other field is given once."""
_HARMLESS_OPTIONS = frozenset({
    b"close", b"keep-alive", b"te", b"trailer", b"upgrade", b"http2-settings", b"proxy-connection", b"",
})  # fmt: skip

Keeping = Callable[[bytes], str]
"""The name under which a field stays in the request as text, or "" if it does not."""


def merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Fields by name, list fields joined. Raises AmbiguousRequest where a single one is repeated."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif MAY_REPEAT.fullmatch(name):
            fields[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            raise AmbiguousRequest(f"the header {_shown(name)} is given twice", close=True)
    return fields


def check_connection(fields: Mapping[bytes, bytes]) -> None:
    """Raises AmbiguousRequest if Connection names a field that is not about the connection.

    Obeying it (RFC 9110: remove those fields) would let an agent, or a proxy before us, take away an argument.
    """
    for option in fields[b"connection"].lower().split(b","):
        name = option.strip(b" \t")
        if name not in _HARMLESS_OPTIONS and (name in fields or name in NEVER_PASS or name.startswith(b"mcp-")):
            raise AmbiguousRequest(f"Connection names the header {_shown(name)}", close=True)


def _shown(name: bytes) -> str:
    return name[:60].decode("ascii", "replace")


@lru_cache(maxsize=1024)  # names repeat; the bound is against names that a stranger invents
def inert(name: str) -> bool:
    """Whether a field may pass to a system undeclared."""
    return _INERT.fullmatch(name.encode("latin-1", "replace")) is not None


def keeping(system: System) -> Keeping:
    """Compile what stays in a request to this system.

    In this order: never what the gateway reads or writes itself, nor where the credential goes; what some tool
    declares; not what the operator drops; what is inert; not claims and noise. The rest stays, to be refused by name.
    """
    places = key_places(system)
    parameters = (item for tool in system.tools for item in tool.parameters)
    declared = {item.name.lower().encode() for item in parameters if item.place == "header"}
    stems = tuple(name[:-1].encode() for name in system.drop_headers if name.endswith("*"))
    dropped = {name.encode() for name in system.drop_headers}

    @lru_cache(maxsize=1024)
    def keep(name: bytes) -> str:
        if name in NEVER_PASS or name in places:
            return ""
        if name in OVERRIDES:
            raise AmbiguousRequest(f"the header {_shown(name)} names another request than the one that is judged")
        text = name.decode("latin-1")
        if name in declared:
            return text
        if name in dropped or (stems and name.startswith(stems)):
            return ""
        if _INERT.fullmatch(name):
            return text
        return "" if _CLAIMS.fullmatch(name) or _NOISE.fullmatch(name) else text

    return keep


def key_places(system: System) -> frozenset[bytes]:
    """Header names where an agent of this system may put its gateway key; all of them are emptied."""
    credential = system.credential
    if credential is not None and credential.kind == "header":
        return KEY_PLACES | {credential.name.lower().encode()}
    return KEY_PLACES
