"""uvicorn's fast parser, made strict where it is lenient.

httptools is three times cheaper than h11, but uvicorn's use of it has holes that the application cannot see
(measured, standards section 2.2): trailer fields are merged into the request's headers, so an `Authorization` can be
smuggled behind the body; `GET http://other/x` loses its host and `/x#y` its fragment; a head may grow for ever; a
request with `Upgrade` loses its body; and a parse error is answered at once, even where the client will take that
for the answer to an earlier request. This subclass closes them and changes nothing else. What the application can
see is refused by `gateway.wire.http.framing_error`. It must never parse HTTP itself.
"""

import asyncio
import re
from http import HTTPStatus
from itertools import chain
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.errors import AmbiguousRequest, GatewayError, TooLarge, TooSlow
from gateway.wire.problem import problem

HEAD_LIMIT = 64 * 1024
"""Bytes of one request's line and fields. Twice what nginx allows by default, and far above any SDK."""
FIELD_OVERHEAD = 32
"""Bytes charged per field beside its text, as RFC 9113 section 6.5.2 counts: bounds the number of fields too."""
HIGH_WATER = 64 * 1024
"""Bytes that may wait for a slow reader before whoever writes more has to wait too, until all of them have left. The
system takes in an answer of that size at once."""
ON_LEAVE = "gateway.on_leave"
"""Key of the scope under which an application may put what to call when the requester goes away unanswered."""
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_NOT_IN_NAMES = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9a-z]")
_NOT_IN_VALUES = bytes(byte for byte in range(256) if (byte < 0x20 and byte != 0x09) or byte == 0x7F)


class Joining:
    """A connection as uvicorn writes to it: a head waits for the body that follows it, or for the end of this turn of
    the event loop, so that a whole answer is one system call and one packet. Nothing else waits, and nothing overtakes.
    """

    __slots__ = ("_head", "_loop", "_transport", "get_extra_info", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._head = transport, loop, b""
        self.is_closing, self.get_extra_info = transport.is_closing, transport.get_extra_info

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            # A body may begin like this too; then it waits as well, which does no harm.
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def write_whole(self, answer: bytes) -> None:
        """Head and body in one, so nothing follows that it could wait for."""
        self._flush()
        self._transport.write(answer)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)


class Cycle(RequestResponseCycle):
    """One request and its answer. ASGI hands an answer out in two messages, each of which uvicorn looks at field by
    field; most answers are there whole, and this writes such a one at once, which costs a quarter.
    """

    def whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer; False if it is not the usual one, and then nothing was done: send it in messages.

        Usual is what ends with its Content-Length, leaves the connection as it is, and would be written as it stands.
        """
        if self.response_started or self.disconnected or self.flow.write_paused or not self.keep_alive:
            return False
        fields = dict(headers)
        if (
            len(fields) != len(headers)
            or fields.get(b"content-length") != b"%d" % len(body)
            or b"connection" in fields
            or b"transfer-encoding" in fields
            or self.scope["method"] == "HEAD"
            or self.access_log
            or self.default_headers
        ):
            return False
        values = b"".join(fields.values())
        if _NOT_IN_NAMES.search(b"".join(fields)) or len(values.translate(None, _NOT_IN_VALUES)) != len(values):
            return False
        head = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        self.response_started = self.response_complete = True
        self.transport.write_whole(b"%b%b\r\n%b" % (STATUS_LINE[status], head, body))  # type: ignore[attr-defined]
        self.message_event.set()
        self.on_response()
        return True


class StrictProtocol(HttpToolsProtocol):
    """Pass it as `http=` to uvicorn.Config, with `ws="none"` and `proxy_headers=False`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._since_progress = 0
        """Bytes received since a message began or some of its body came: a head, or trailers, or chunk sizes."""
        self.awaited = self._number = 1
        """Which request of this connection is arriving, or expected as the first; 0 while none is (`doors.stalled`)."""
        self._refusal: GatewayError | None = None
        self._cycles: list[RequestResponseCycle] = []
        """Requests that are not answered yet, oldest first; uvicorn itself remembers only the last."""

    def data_received(self, data: bytes) -> None:
        self._since_progress += len(data)
        super().data_received(data)
        if self._since_progress > HEAD_LIMIT and not self.transport.is_closing() and not self._answering():
            self._refusal = TooLarge("head of the request", HEAD_LIMIT, "HEAD_LIMIT")
            self.send_400_response("")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn declares less than asyncio gives
        self.transport.set_write_buffer_limits(high=HIGH_WATER, low=0)
        self.transport: Any = Joining(self.transport, self.loop)

    def on_message_begin(self) -> None:
        self.awaited = self._number = self._number + 1
        super().on_message_begin()

    def give_up(self, seconds: float) -> None:
        """The request has not arrived within that time. Whoever waits for the rest of it hears that nobody is there.

        Not while an earlier one waits for its answer: then uvicorn has stopped reading, so the delay may be ours.
        """
        if self._answering():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_complete and cycle.more_body:
            self.transport.close()  # it was answered before all of it came; a second answer would be nobody's
            return
        self._refusal = TooSlow(seconds)
        self.send_400_response("")

    def on_headers_complete(self) -> None:
        self._since_progress = 0
        self._refusal = self._fault()
        if self._refusal is not None:
            raise httptools.HttpParserError(self._refusal.slug)  # data_received answers and closes
        super().on_headers_complete()
        self.cycle.__class__ = Cycle  # uvicorn has no other way to give it one; it runs at the next turn of the loop
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)
        # The scope keeps the list that is complete now. What comes later is a trailer, and goes where nobody looks: it
        # must never look like a field of the head.
        self.headers = []
        if self.parser.should_upgrade():
            # The parser ignores all that follows on this connection, so it must not be kept alive.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._since_progress = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since_progress = self.awaited = 0
        super().on_message_complete()

    def _fault(self) -> GatewayError | None:
        """What is wrong with a complete head, beyond what the application can see."""
        if self._head_size() > HEAD_LIMIT:
            return TooLarge("head of the request", HEAD_LIMIT, "HEAD_LIMIT")
        if not self.url.startswith(b"/"):
            return AmbiguousRequest("the request target is not a path", close=True)
        if b"#" in self.url:
            return AmbiguousRequest("the request target has a fragment (#)", close=True)
        if self.parser.should_upgrade() and any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        ):
            return AmbiguousRequest("it asks for an Upgrade and has a body; use plain HTTP/1.1", close=True)
        return None

    def _head_size(self) -> int:
        """What a head costs us, which for many small fields is more than its bytes."""
        fields = self.headers
        return len(self.url) + FIELD_OVERHEAD * len(fields) + sum(map(len, chain.from_iterable(fields)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who still answers on this connection, pipelined requests too, that nobody will hear it."""
        cycles, self._cycles = self._cycles, []
        super().connection_lost(exc)
        for cycle in cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                leave: Any = cycle.scope.get(ON_LEAVE)
                if leave is not None:
                    leave()

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """An ignored Upgrade is normal (Java's client asks for h2c by itself), not worth a warning per request."""

    def _answering(self) -> bool:
        """True while an earlier request still waits for its answer: nothing else may be written now."""
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request, whatever uvicorn declares
        if self.pipeline:
            return True
        return cycle is not None and not cycle.response_complete and (cycle.response_started or not cycle.more_body)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's sentence; ours says what to do
        """Answer what cannot be parsed, and close. Called by data_received."""
        if not self._answering():
            error = self._refusal or AmbiguousRequest("it is not well-formed HTTP/1.1", close=True)
            status, headers, body = problem(error)
            head = b"".join(b"%b: %b\r\n" % pair for pair in headers if pair[0] != b"connection")
            line = b"HTTP/1.1 %d %b\r\n" % (status, REASONS[status])
            self.transport.write(line + head + b"connection: close\r\n\r\n" + body)
        self.transport.close()
