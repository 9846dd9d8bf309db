"""The request fields that speak to the gateway itself, read strictly: a value that is half understood is refused.

Preferences are the exception, as RFC 7240 asks: what is not understood is ignored.
"""

import re
from collections.abc import Mapping

from gateway.core.value import positional_value
from gateway.errors import AmbiguousRequest
from gateway.wire.headers import GATEWAYS_OWN

LONGEST_KEY = 255
"""Characters of an idempotency key, which is what Stripe allows."""
LONGEST_RUN = 255
LONGEST_REASON = 500
_QUOTED = re.compile(rb'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # sf-string, RFC 8941 section 3.3.3
_BARE = re.compile(rb"[\x21\x23-\x7e][\x21-\x7e]*")
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?")
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?')


@positional_value
class Said:
    """What a request tells the gateway itself."""

    prefer: str = ""
    """What is left of Prefer for the system."""
    prefer_wait: float | None = None
    prefer_async: bool = False
    key: str | None = None
    run: str | None = None
    reason: str = ""
    traceparent: str = ""


NOTHING = Said()


def said(fields: Mapping[bytes, bytes]) -> Said:
    """Read them all. Raises AmbiguousRequest."""
    if GATEWAYS_OWN.isdisjoint(fields):
        return NOTHING
    left, wait, asynchronous = prefer(fields.get(b"prefer"))
    return Said(
        left, wait, asynchronous,
        idempotency_key(fields.get(b"idempotency-key")),
        run(fields.get(b"gateway-run")),
        reason(fields.get(b"gateway-reason")),
        traceparent(fields.get(b"traceparent")),
    )  # fmt: skip


def idempotency_key(value: bytes | None) -> str | None:
    """The key, quoted as the IETF draft has it or bare as everybody sends it. Raises AmbiguousRequest."""
    if value is None:
        return None
    value = value.strip(b" \t")
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        key = re.sub(rb"\\(.)", rb"\1", quoted[1])
    elif _BARE.fullmatch(value):
        key = value
    else:
        raise AmbiguousRequest('Idempotency-Key is neither one quoted string nor visible ASCII (`"key"` or `key`)')
    if not 0 < len(key) <= LONGEST_KEY:
        raise AmbiguousRequest(f"Idempotency-Key does not have 1 to {LONGEST_KEY} characters")
    return key.decode("ascii")


def run(value: bytes | None) -> str | None:
    """The agent's id for its piece of work (`Gateway-Run`). Raises AmbiguousRequest."""
    if value is None:
        return None
    value = value.strip(b" \t")
    if len(value) > LONGEST_RUN or not _BARE.fullmatch(value):
        raise AmbiguousRequest(f"Gateway-Run is not 1 to {LONGEST_RUN} characters of visible ASCII")
    return value.decode("ascii")


def reason(value: bytes | None) -> str:
    """The agent's own why (`Gateway-Reason`), UTF-8. Raises AmbiguousRequest."""
    if value is None:
        return ""
    try:
        text = value.strip(b" \t").decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise AmbiguousRequest("Gateway-Reason is not UTF-8") from None
    if len(text) > LONGEST_REASON:
        raise AmbiguousRequest(f"Gateway-Reason has more than {LONGEST_REASON} characters; shorten it")
    return text


def traceparent(value: bytes | None) -> str:
    """The W3C trace parent if it is valid, else empty: a wrong trace id must not stop a call."""
    found = _TRACEPARENT.fullmatch(value.strip(b" \t")) if value else None
    if found is None or (found[1] == b"00" and found[3]):
        return ""
    return f"00-{found[2].decode('ascii')}"


def prefer(value: bytes | None) -> tuple[str, float | None, bool]:
    """What is left of Prefer for the system, seconds to wait, and whether an answer 202 is wanted."""
    if value is None:
        return "", None, False
    left: list[str] = []
    wait: float | None = None
    asynchronous = False
    for preference in value.decode("latin-1").split(","):
        text = preference.strip()
        lower = text.lower()
        found = _WAIT.fullmatch(lower)
        if found:
            wait = float(found[1]) if wait is None else wait  # the first one counts, RFC 7240 section 2
        elif lower == "respond-async":
            asynchronous = True
        elif text:
            left.append(text)
    return ", ".join(left), wait, asynchronous
