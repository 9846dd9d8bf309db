"""Requests that are refused as they are: nothing was done, and another request may be right."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from gateway.errors.base import NOTHING_DONE, RequestRefused, listed, shortened


class AmbiguousRequest(RequestRefused):
    """Two parsers could read the request differently, so what is judged might not be what is done."""

    slug, title = "ambiguous-request", "The request is ambiguous"

    def __init__(self, what: str, *, close: bool = False) -> None:
        """`what`: a clause such as `the path has an empty segment`. `close`: the connection cannot be trusted."""
        self.what = what
        super().__init__(
            f"The request cannot be read in exactly one way: {what}. {NOTHING_DONE} Correct that and send it again.",
            headers={"connection": "close"} if close else {},
        )


class MethodNotAllowed(RequestRefused):
    slug, status, title = "method-not-allowed", 405, "The method is not allowed"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        methods = sorted(allowed)
        super().__init__(
            f"The method {shortened(method, 40)!r} is not served here. {NOTHING_DONE} Use {listed(methods, 'or')}.",
            headers={"allow": ", ".join(methods)},
        )


class TooLarge(RequestRefused):
    slug, status, title = "too-large", 413, "The request is too large"

    def __init__(self, what: str, limit: int, setting: str) -> None:
        """`what`: such as `request body`. `limit` in bytes. `setting`: the name an operator would raise."""
        super().__init__(
            f"The {what} is larger than {limit} bytes. {NOTHING_DONE} Send less, or ask the operator of the gateway "
            f"to raise {setting}.",
            members={"limit": limit, "setting": setting},
        )

    @classmethod
    def held_body(cls, limit: int) -> Self:
        """The call has to wait for approval, and a body that waits may have at most `limit` bytes."""
        return cls("body of a request that has to wait for approval", limit, "GATEWAY_HELD_BODY_LIMIT")


class TooSlow(RequestRefused):
    slug, status, title, retryable = "too-slow", 408, "The request did not arrive in time", True

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This request was not complete after {seconds:g} seconds. {NOTHING_DONE} Send the request "
            "again, without pausing.",
            headers={"connection": "close"},
        )


class UnsupportedEncoding(RequestRefused):
    slug, status, title = "unsupported-encoding", 415, "The body is compressed"

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"The request body has Content-Encoding {shortened(encoding, 40)!r}, so policies cannot read it. "
            f"{NOTHING_DONE} Send the body uncompressed, without Content-Encoding.",
            headers={"accept-encoding": "identity"},
        )


class UnsupportedMediaType(RequestRefused):
    slug, status, title = "unsupported-media-type", 415, "The body is of another kind"

    def __init__(self, found: str, expected: str, tool: str) -> None:
        super().__init__(
            f"{tool} takes a body of type {expected}, but the request has "
            f"{f'Content-Type {shortened(found, 80)!r}' if found else 'no Content-Type'}. {NOTHING_DONE} "
            f"Send the arguments as {expected}."
        )


class Misdirected(RequestRefused):
    slug, status, title = "misdirected", 421, "The gateway does not serve this host"

    def __init__(self, host: str, system: str) -> None:
        super().__init__(
            f"The host {shortened(host)!r} reached the gateway, but it is not among the `hosts:` of the system "
            f"{system!r}. {NOTHING_DONE} Use the gateway's URL with the path prefix /{system}, or have the operator "
            "list that host in routes.yaml."
        )


class InvalidArguments(RequestRefused):
    """The arguments do not fit what the tool takes."""

    slug, status, title = "invalid-arguments", 422, "The arguments do not fit the tool"
    SHOWN: ClassVar[int] = 5
    """How many problems the sentence names; the list has all of them."""

    def __init__(self, tool: str, problems: Sequence[tuple[str, str]]) -> None:
        """`problems`: pairs of where (`body.amount`) and what was expected. Never the values."""
        told = "; ".join(f"{where}: {expected}" for where, expected in problems[: self.SHOWN])
        more = f" (and {len(problems) - self.SHOWN} more)" if len(problems) > self.SHOWN else ""
        self.clause = f"the arguments do not fit {tool}: {told}{more}"
        """The same for whoever did not send the request."""
        super().__init__(
            f"T{self.clause[1:]}. {NOTHING_DONE} Correct them and send the request again.",
            members={"errors": [{"where": where, "expected": expected} for where, expected in problems]},
        )


class IdempotencyKeyReused(RequestRefused):
    slug, status, title = "idempotency-key-reused", 422, "The idempotency key belongs to another request"

    def __init__(self, call: str) -> None:
        super().__init__(
            f"This idempotency key was already used for call {call} with a different request. This request was not "
            "executed. Repeat the first request unchanged to get its answer, or use a new key if you mean another "
            "action.",
            call=call,
        )


class UnknownCall(RequestRefused):
    slug, status, title = "unknown-call", 404, "There is no such call"

    def __init__(self, call: str) -> None:
        super().__init__(
            f"You have no call with the id {shortened(call, 60)!r}; it may have been made by another agent, or be "
            "older than what the gateway keeps. Use the id from the Gateway-Call header of an answer to you."
        )


class NotHeld(RequestRefused):
    slug, status, title = "not-held", 409, "There is nothing to withdraw"

    def __init__(self, call: str) -> None:
        super().__init__(
            f"Only a call that waits for approval can be withdrawn, and {call} does not: GET /calls/{call} tells how "
            "it stands. Nothing was changed.",
            call=call,
        )


class RequesterGone(RequestRefused):
    """Nobody will read this. It is raised so that what was not begun stays so."""

    slug, status, title = "requester-gone", 499, "The requester went away"

    def __init__(self) -> None:
        super().__init__(f"The connection was closed before the call was made. {NOTHING_DONE}")
