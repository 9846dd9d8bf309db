"""Raw bytes at a real uvicorn with StrictProtocol: every row of standards section 2.2, and what we found beside it.

The application behind it refuses what `framing_error` names, as the real door does, and records what reached it.
"""

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import suppress

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.doors.exchange import respond
from gateway.doors.protocol import HEAD_LIMIT, Cycle, Joining, StrictProtocol
from gateway.errors import AmbiguousRequest
from gateway.wire.http import framing_error
from gateway.wire.problem import problem
from tests.processes import PATIENCE_SECONDS

HOST = b"Host: gateway\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SECOND = b"GET /second HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"


class Behind:
    """A real server in a thread, and what its application saw."""

    def __init__(self):
        self.seen = []
        self.release = threading.Event()
        self.release.set()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.address = listener.getsockname()
        config = uvicorn.Config(
            self.application,
            http=StrictProtocol,
            ws="none",
            lifespan="off",
            log_level="critical",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve(sockets=[listener])))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    async def application(self, scope, receive, send):
        wrong = framing_error(scope)
        if wrong:
            status, headers, body = problem(AmbiguousRequest(wrong, close=True))
        else:
            body = b""
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
                more = message["more_body"]
            self.seen.append((scope["method"], scope["raw_path"], scope["headers"], bytes(body)))
            while not self.release.is_set():  # noqa: ASYNC110 - it is set from another thread
                await asyncio.sleep(0.01)
            status, headers, body = 200, [(b"content-length", b"2")], b"ok"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def exchange(self, *parts):
        """Send the parts, and read until the server closes."""
        closed = suppress(BrokenPipeError, ConnectionResetError)  # while we were still sending
        with socket.create_connection(self.address, timeout=PATIENCE_SECONDS) as connection:
            received = b""
            with closed:
                for part in parts:
                    connection.sendall(part)
            with closed:
                while chunk := connection.recv(65536):
                    received += chunk
            return received

    def close(self):
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture(scope="module")
def server():
    behind = Behind()
    yield behind
    behind.close()


@pytest.fixture
def behind(server):
    server.seen.clear()
    server.release.set()
    return server


def statuses(received):
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def post(fields, body=b"", version=b"1.1"):
    return b"POST /first HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
REFUSED = {
    "content-length and transfer-encoding": post(b"Content-Length: 5\r\n" + CHUNKED, CHUNKS),
    "content-length twice, the same": post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    "content-length twice, different": post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
    "content-length as a list": post(b"Content-Length: 5, 5\r\n", b"hello"),
    "content-length with a sign": post(b"Content-Length: +4\r\n", b"hell"),
    "content-length negative": post(b"Content-Length: -1\r\n"),
    "transfer-encoding gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS),
    "transfer-encoding identity": post(b"Transfer-Encoding: identity\r\n", b"hello"),
    "transfer-encoding in capitals": post(b"Transfer-Encoding: Chunked\r\n", CHUNKS),
    "transfer-encoding xchunked": post(b"Transfer-Encoding: xchunked\r\n", CHUNKS),
    "transfer-encoding twice": post(CHUNKED + CHUNKED, CHUNKS),
    "transfer-encoding in HTTP/1.0": post(CHUNKED, CHUNKS, b"1.0"),
    "space before the colon": post(b"X-One : 1\r\n"),
    "NUL in a value": post(b"X-One: a\x00b\r\n"),
    "control character in a value": post(b"X-One: a\x01b\r\n"),
    "DEL in a value": post(b"X-One: a\x7fb\r\n"),
    "folded line": post(b"X-One: a\r\n b\r\n"),
    "bare LF after a field": b"GET /first HTTP/1.1\nHost: gateway\n\n",
    "content-length in a trailer": post(CHUNKED, b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n"),
    "bare LF in chunks": post(CHUNKED, b"5\nhello\r\n0\r\n\r\n"),
    "no Host": b"GET /first HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /first HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n",
    "empty Host": b"GET /first HTTP/1.1\r\nHost:\r\n\r\n",
    "Host with a path": b"GET /first HTTP/1.1\r\nHost: gateway/x\r\n\r\n",
    "Host with a user": b"GET /first HTTP/1.1\r\nHost: a@gateway\r\n\r\n",
    "method in lower case": b"get /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown method": b"BREW /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT other:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form": b"GET http://other.example/first HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /first#part HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes beyond ASCII in the path": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "underscore in a name": post(b"Content_Length: 5\r\n"),
    "HTTP/2.0": b"GET /first HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /first\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "authorization twice": post(b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    "idempotency-key twice": post(b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
    "content-type twice": post(b"Content-Type: a/b\r\nContent-Type: a/c\r\n"),
    "an undeclared argument twice": post(b"Stripe-Account: a\r\nStripe-Account: b\r\n"),
    "Connection names Authorization": post(b"Authorization: Bearer a\r\nConnection: Authorization\r\n"),
    "Connection names an argument": post(b"Stripe-Account: a\r\nConnection: close, stripe-account\r\n"),
    "Connection names Host": post(b"Connection: host\r\n"),
    "Upgrade with a body": post(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", b"hello"),
    "Upgrade with a chunked body": post(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED, CHUNKS),
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
def test_what_two_servers_could_read_differently_is_refused_and_the_connection_closed(behind, request_bytes):
    received = behind.exchange(request_bytes, SECOND)
    assert statuses(received) == [400]
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    document = json.loads(body)
    assert document["type"] == "urn:gateway:ambiguous-request"
    assert "Nothing was executed" in document["detail"]
    assert behind.seen == []


ACCEPTED = {
    "plain": (b"GET /first HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", b""),
    "with a length": (post(CLOSE + b"Content-Length: 5\r\n", b"hello"), b"hello"),
    "in chunks": (post(CLOSE + CHUNKED, CHUNKS), b"hello"),
    "chunk extension": (post(CLOSE + CHUNKED, b"5;a=b\r\nhello\r\n0\r\n\r\n"), b"hello"),
    "spaces after a value (peer failure 22)": (post(CLOSE + b"X-One: value  \r\n"), b""),
    "bytes beyond ASCII in a value": (post(CLOSE + b"X-One: caf\xc3\xa9\r\n"), b""),
    "HTTP/1.0": (b"GET /first HTTP/1.0\r\n" + HOST + b"\r\n", b""),
    "a list field in two lines": (post(CLOSE + b"Accept: a/b\r\nAccept: a/c\r\n"), b""),
    "Upgrade to h2c without a body": (
        b"GET /first HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABk\r\n\r\n",
        b"",
    ),
    "WebSocket": (
        b"GET /first HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        b"",
    ),
    "Expect: 100-continue": (post(CLOSE + b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"), b"hello"),
}


@pytest.mark.parametrize(("request_bytes", "body"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_everybody_reads_alike_arrives(behind, request_bytes, body):
    received = behind.exchange(request_bytes)
    assert [status for status in statuses(received) if status != 100] == [200]
    assert [(path, found) for _, path, _, found in behind.seen] == [(b"/first", body)]


def test_a_trailer_never_becomes_a_header(behind):
    """Peer failure 20: an Authorization, a second Host and an expectation smuggled behind the body."""
    trailers = b"Authorization: Bearer evil\r\nHost: evil\r\nStripe-Account: acct_evil\r\nExpect: 100-continue\r\n"
    first = post(CHUNKED, b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n")
    for parts in ([first + SECOND], [first[:-30], first[-30:], SECOND], [bytes([byte]) for byte in first + SECOND]):
        behind.seen.clear()
        assert statuses(behind.exchange(*parts)) == [200, 200]
        assert [(path, fields) for _, path, fields, _ in behind.seen] == [
            (b"/first", [(b"host", b"gateway"), (b"transfer-encoding", b"chunked")]),
            (b"/second", [(b"host", b"gateway"), (b"connection", b"close")]),
        ]


def test_nothing_after_connection_close_is_served(behind):
    assert statuses(behind.exchange(b"GET /first HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n" + SECOND)) == [200]
    assert len(behind.seen) == 1


HUGE = {
    "one endless value": b"GET /first HTTP/1.1\r\n" + HOST + b"X-One: " + b"a" * (3 * HEAD_LIMIT),
    "many fields": b"GET /first HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(4000)) + b"\r\n",
    "a complete head just above": b"GET /first HTTP/1.1\r\n" + HOST + b"X-One: " + b"a" * HEAD_LIMIT + b"\r\n\r\n",
    "an endless target": b"GET /" + b"a" * (3 * HEAD_LIMIT),
}


@pytest.mark.parametrize("request_bytes", HUGE.values(), ids=HUGE.keys())
def test_a_head_cannot_grow_for_ever(behind, request_bytes):
    assert behind.exchange(request_bytes).startswith(b"HTTP/1.1 413 ") or behind.seen == []
    assert behind.seen == []


def test_trailers_cannot_grow_for_ever(behind):
    endless = post(CHUNKED, b"5\r\nhello\r\n0\r\nX-One: ") + b"a" * (8 * HEAD_LIMIT)
    behind.exchange(endless)  # returns: the connection was closed
    assert behind.seen == []


def test_a_large_body_in_small_chunks_is_no_large_head(behind):
    body = b"1\r\nx\r\n" * (2 * HEAD_LIMIT)
    assert statuses(behind.exchange(post(CLOSE + CHUNKED, body + b"0\r\n\r\n"))) == [200]
    assert len(behind.seen[0][3]) == 2 * HEAD_LIMIT


def test_a_malformed_second_request_is_not_answered_in_the_place_of_the_first(behind):
    """Else the client would read "nothing was executed" as the answer to the request that is being executed."""
    behind.release.clear()
    try:
        received = behind.exchange(b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n", b"get /second HTTP/1.1\r\n\r\n")
    finally:
        behind.release.set()
    assert received == b""


def test_after_an_ignored_upgrade_the_connection_is_closed(behind):
    """The parser takes everything after it for the other protocol, so a second request would never be answered."""
    upgrade = b"GET /first HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert b"connection: close\r\n" in behind.exchange(upgrade)


def test_a_body_that_breaks_off_never_looks_complete(behind):
    assert statuses(behind.exchange(post(CHUNKED, b"5\r\nhello\r\nzz\r\n"))) == [400]
    assert behind.seen == []


class Wire(asyncio.Transport):
    """What Joining writes to: every write as it came."""

    def __init__(self):
        super().__init__()
        self.written = []

    def write(self, data):
        assert "closed" not in self.written
        self.written.append(data)

    def is_closing(self):
        return "closed" in self.written

    def close(self):
        self.written.append("closed")


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


def joined(*steps):
    """The writes that come of these; None is the end of a turn of the event loop."""

    async def run():
        wire = Wire()
        joining = Joining(wire, asyncio.get_running_loop())
        for step in steps:
            if step is None:
                await asyncio.sleep(0)
            elif step == "close":
                joining.close()
            else:
                joining.write(step)
        return list(wire.written)  # as it is now: what waits for the next turn is not in it

    return asyncio.run(run())


def test_a_head_leaves_with_the_body_that_follows_it_at_once():
    assert joined(HEAD, b"ok", None, HEAD, b"ok") == [HEAD + b"ok", HEAD + b"ok"]


def test_a_head_whose_body_comes_later_does_not_wait_for_it():
    """An event stream's head must be there before its first event."""
    assert joined(HEAD, None, b"data: 1", b"data: 2") == [HEAD, b"data: 1", b"data: 2"]


def test_a_head_without_a_body_is_written_before_the_connection_closes():
    assert joined(HEAD, "close") == [HEAD, "closed"]


def test_the_permission_to_send_a_body_does_not_wait():
    assert joined(b"HTTP/1.1 100 Continue\r\n\r\n") == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_whatever_a_body_looks_like_the_order_of_bytes_stays():
    parts = (HEAD, b"HTTP/1.1 200 OK", b"HTTP/1.1 2", None, b"x", b"HTTP/1.1 ", "close")
    assert b"".join(part for part in joined(*parts) if part != "closed") == b"".join(
        part for part in parts if isinstance(part, bytes)
    )


LENGTH = (b"content-length", b"2")


def answered(kind, *, method="GET", keep_alive=True, status=200, headers=(LENGTH,), left=False, earlier=b""):
    """What is written for one answer by a cycle of that kind, and how the connection stands then."""

    async def run():
        wire, loop = Wire(), asyncio.get_running_loop()
        joining, over = Joining(wire, loop), []
        if earlier:
            joining.write(earlier)
        cycle = kind(
            scope={"method": method},
            transport=joining,
            flow=FlowControl(wire),
            logger=None,
            access_logger=None,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: over.append(True),
        )
        cycle.disconnected = left
        problem = None
        try:
            await respond(cycle.send, status, list(headers), b"ok")
        except RuntimeError as error:
            problem = str(error)
        at_once = list(wire.written)
        await asyncio.sleep(0)
        states = (cycle.response_started, cycle.response_complete, cycle.message_event.is_set(), cycle.keep_alive, over)
        return at_once, (
            b"".join(part for part in wire.written if part != "closed"),
            "closed" in wire.written,
            *states,
            problem,
        )

    return asyncio.run(run())


UNUSUAL = {
    "HEAD": {"method": "HEAD"},
    "not kept alive": {"keep_alive": False},
    "closing": {"headers": (LENGTH, (b"connection", b"close"))},
    "chunked": {"headers": ((b"transfer-encoding", b"chunked"),)},
    "both framings": {"headers": (LENGTH, (b"transfer-encoding", b"chunked"))},
    "without a length": {"headers": ((b"a", b"b"),)},
    "a length that is not the body's": {"headers": ((b"content-length", b"1"),)},
    "a length spelt otherwise": {"headers": ((b"content-length", b"02"),)},
    "a length twice": {"headers": (LENGTH, LENGTH)},
    "a field twice": {"headers": (LENGTH, (b"link", b"<a>"), (b"link", b"<b>"))},
    "a name in capitals": {"headers": (LENGTH, (b"Connection", b"close"))},
    "a line break in a value": {"headers": (LENGTH, (b"a", b"b\r\nset-cookie: c"))},
    "a line feed in a value": {"headers": (LENGTH, (b"a", b"b\nc"))},
    "a line feed in the first of two values": {"headers": (LENGTH, (b"a", b"b\nc"), (b"a", b"d"))},
    "a zero byte in a value": {"headers": (LENGTH, (b"a", b"b\0"))},
    "a colon in a name": {"headers": (LENGTH, (b"a: b\r\nc", b"d"))},
    "no content": {"status": 204},
    "not modified": {"status": 304},
    "the requester left": {"left": True},
}


@pytest.mark.parametrize("how", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_not_a_usual_answer_is_written_as_uvicorn_writes_it(how):
    assert answered(Cycle, **how)[1] == answered(RequestResponseCycle, **how)[1]


@pytest.mark.parametrize("headers", [(LENGTH,), (LENGTH, (b"a", b"b\tc \xff"), (b"gateway-call", b"12ab"))])
@pytest.mark.parametrize("status", [200, 201, 404, 599])
def test_a_usual_answer_is_written_at_once_and_as_uvicorn_writes_it(status, headers):
    how = {"status": status, "headers": headers}
    at_once, whole = answered(Cycle, **how)
    assert len(at_once) == 1
    assert whole == answered(RequestResponseCycle, **how)[1]
    assert whole[0].endswith(b"\r\n\r\nok")


def test_a_whole_answer_does_not_overtake_a_head_that_waits():
    assert answered(Cycle, earlier=HEAD)[0][0] == HEAD


def test_every_request_gets_the_cycle_that_can_answer_at_once(behind):
    kinds = []

    async def application(scope, receive, send):
        kinds.append(type(send.__self__))
        await respond(send, 200, [LENGTH], b"ok")

    behind.server.config.loaded_app = application
    first = b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n"
    assert statuses(behind.exchange(first + SECOND)) == [200, 200]
    assert kinds == [Cycle, Cycle]
