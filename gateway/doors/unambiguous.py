"""What the control plane refuses before anybody reads it: a request that two servers would read differently.

The agents' port looks at every field (`gateway.wire.http`). Here people and their systems are known, and what stands in
between may add fields of its own; so only those count by which somebody is recognised or a body is read. It must never
refuse a health check for being old.
"""

from collections.abc import Awaitable, Callable

from gateway.doors.exchange import Receive, Scope, Send, respond
from gateway.errors import AmbiguousRequest
from gateway.wire.problem import problem

ONCE = frozenset({
    b"host", b"authorization", b"origin", b"content-type", b"content-encoding", b"transfer-encoding", b"webhook-id",
    b"webhook-timestamp", b"webhook-signature", b"x-slack-signature", b"x-slack-request-timestamp",
})  # fmt: skip
"""Fields of which a server may take the first and a proxy the last."""
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Unambiguous:
    """As ASGI middleware."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (wrong := _wrong(scope)):
            await respond(send, *problem(AmbiguousRequest(wrong, close=True)))
        else:
            await self.app(scope, receive, send)


def _wrong(scope: Scope) -> str:
    """A clause, or nothing."""
    names = [name for name, _ in scope["headers"] if name in ONCE]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"the header {twice.decode()} is given twice"
    if b"host" not in names and scope["http_version"] != "1.0":  # which health checks still speak, without it
        return "there is no Host header"
    if dict(scope["headers"]).get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        return "Transfer-Encoding is not exactly `chunked`"
    return ""
