"""One HTTP exchange over plain ASGI: taking a body in, handing an answer out. It knows nothing of calls."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from itertools import pairwise
from typing import Any

import orjson

from gateway import errors
from gateway.doors.protocol import HIGH_WATER, Cycle

STALLED_SECONDS = 60.0
"""How long an agent may leave a part of an answer unread, and with it a place among the requests under way taken.
Whoever reads slowly, but reads, gets all of it: design section 8 promises every agent the system's own answer."""

BODILY = frozenset({b"content-length", b"transfer-encoding"})

log = logging.getLogger("gateway.agents")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def body_of(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge, or RequesterGone: also of one that takes too long (`doors.stalled`)."""
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


def has_body(scope: Scope) -> bool:
    """False if there is none to wait for. A method that may have one has it, as far as can be told before the end."""
    if scope["method"] not in ("GET", "HEAD"):
        return True
    return not BODILY.isdisjoint(dict(scope["headers"]))


class BrokenOff(Exception):
    """An answer could not be passed on to its end; the connection to the agent must break off too."""


async def respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Hand out an answer. Of a large one nothing is left here when this returns. Raises BrokenOff."""
    cycle = getattr(send, "__self__", None)
    if type(cycle) is Cycle and len(body) <= HIGH_WATER and cycle.whole(status, headers, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if len(body) <= HIGH_WATER:
        await send({"type": "http.response.body", "body": body})
        return
    for part in _parts(body):
        await _in_time(send, {"type": "http.response.body", "body": part, "more_body": True})
    await _in_time(send, {"type": "http.response.body", "body": b""})


def _parts(body: bytes) -> Iterator[bytes]:
    """Each larger than what may be left unsent, so that what follows one waits until it has left."""
    count = len(body) // (HIGH_WATER + 1)
    ends = [len(body) * number // count for number in range(count + 1)]
    return (body[start:end] for start, end in pairwise(ends))


async def _in_time(send: Send, message: MutableMapping[str, Any]) -> None:
    """Send it, once what was sent before has left. Raises BrokenOff."""
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await send(message)
    except TimeoutError as error:
        log.warning("an answer broke off: nothing of it was read for %g seconds", STALLED_SECONDS)
        raise BrokenOff from error


async def respond_json(send: Send, status: int, document: dict[str, object], call: str) -> None:
    body = orjson.dumps(document, default=str, option=orjson.OPT_APPEND_NEWLINE)
    headers = [
        (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"), (b"gateway-call", call.encode()),
    ]  # fmt: skip
    await respond(send, status, headers, body)
