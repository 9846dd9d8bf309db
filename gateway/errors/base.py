"""What every error has in common, and the families of the tree. See `gateway.errors`."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

URN = "urn:gateway:"
"""Before the slug it makes the `type` member of RFC 9457. Slugs are promises: never rename one."""
NOTHING_DONE = "Nothing was executed."


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = tuple(words) or ("",)
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def shortened(text: str, limit: int = 200) -> str:
    """Text that came from outside, short enough for a sentence (200: one long line of a terminal)."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


class GatewayError(Exception):
    """An answer of the gateway's own. `str()` of it is the sentence that the agent reads."""

    slug: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "The gateway failed"
    retryable: ClassVar[bool] = False
    """Exactly the same request may succeed later."""
    at_once: ClassVar[bool] = False
    """An SDK's automatic retry, within seconds, makes sense. A hold waits for people, so it does not."""

    def __init__(
        self,
        detail: str,
        *,
        call: str | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.call = call
        self.headers = dict(headers or {})
        """Further response fields, lower-case names."""
        self.members: dict[str, Any] = dict(members or {})
        """Further members of the JSON object; they cannot replace the standard ones."""

    @property
    def type(self) -> str:
        return URN + self.slug


class RequestRefused(GatewayError):
    status, title = 400, "The request was refused"


class AccessDenied(GatewayError):
    status, title = 403, "Access was denied"


class NotYet(GatewayError):
    status, title, retryable = 409, "The call is not finished", True


class Unavailable(GatewayError):
    status, title, retryable, at_once = 503, "The gateway cannot do this now", True, True


class Performed(GatewayError):
    status, title = 502, "The call was sent"
