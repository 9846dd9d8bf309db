"""One HTTP exchange over plain ASGI: taking a body in, handing an answer out. It knows nothing of calls."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from gateway import errors

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def body_of(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge, or RequesterGone: also of one that takes too long (`doors.stalled`)."""
    if scope["method"] in ("GET", "HEAD") and not _announces_body(scope):
        return b""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise errors.RequesterGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise errors.TooLarge("request body", limit, "GATEWAY_BODY_LIMIT")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _announces_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


async def respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_json(send: Send, status: int, document: dict[str, object], call: str) -> None:
    body = orjson.dumps(document, default=str, option=orjson.OPT_APPEND_NEWLINE)
    headers = [
        (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"), (b"gateway-call", call.encode()),
    ]  # fmt: skip
    await respond(send, status, headers, body)
