"""One renderer for every error, in a shape that shows its sentence in the SDKs people use.

RFC 9457 members, and beside them what SDKs look for: `message` (octokit, PyGithub) and `error.message` (stripe,
openai). Anything else and the model reads "Unknown error" (measured). It must never render an exception that is
not a GatewayError: unknown exceptions may carry arguments or credentials in their text.
"""

from typing import Any

import orjson

from gateway.errors import GatewayError

ERROR_TYPE = "gateway_error"
"""`error.type`: tells the gateway's errors from the system's own. Not a type that any stripe API version maps."""
PROBLEM = "application/problem+json"

Header = tuple[bytes, bytes]


def names_problem_json(accept: str) -> bool:
    """True if Accept lists application/problem+json itself with a weight above zero. `*/*` does not name it."""
    if PROBLEM not in accept.lower():
        return False
    for element in accept.lower().split(","):
        essence, *parameters = (part.strip() for part in element.split(";"))
        refused = any(parameter.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for parameter in parameters)
        if essence == PROBLEM and not refused:
            return True
    return False


def document(error: GatewayError) -> dict[str, Any]:
    """The JSON object of an error."""
    return error.members | {
        "type": error.type,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "call": error.call,
        "retryable": error.retryable,
        "message": error.detail,
        "error": {"type": ERROR_TYPE, "code": error.slug, "message": error.detail},
    }


def problem(error: GatewayError, accept: str = "") -> tuple[int, list[Header], bytes]:
    """Status, response fields and body."""
    body = orjson.dumps(document(error), option=orjson.OPT_APPEND_NEWLINE)  # else a shell's prompt is glued to it
    content_type = PROBLEM if names_problem_json(accept) else "application/json"
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if not error.at_once:
        # Otherwise stripe and openai repeat every 409 and 5xx twice on their own and hide the sentence meanwhile.
        headers += [(b"stripe-should-retry", b"false"), (b"x-should-retry", b"false")]
    if error.call:
        headers.append((b"gateway-call", error.call.encode()))
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in error.headers.items()]
    return error.status, headers, body
