"""Answers pass as they are, and nothing is done on their word."""

import asyncio
import gzip

import pytest

from gateway.adapters.upstream import PyreqwestUpstream
from gateway.ports import BodyBroken, SendLost
from tests.adapters import hostile
from tests.adapters.hostile import HostileServer, answers, response, says
from tests.adapters.sending import (
    READ,
    SHORT,
    WRITE,
    arrival,
    exchange,
    get,
    once,
    request,
    streamed,
    system,
    tool,
    with_sender,
)


@pytest.mark.parametrize("effect", [READ, WRITE])
@pytest.mark.parametrize(
    ("script", "status", "body"),
    [
        (answers(b"hello"), 200, b"hello"),
        (answers(b""), 200, b""),
        (answers(b"x" * 3_000_000), 200, b"x" * 3_000_000),
        (answers(b"", "204 No Content"), 204, b""),
        (says(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 44\r\n\r\n"), 304, b""),
        (answers(b"gone", "599 Odd"), 599, b"gone"),
        (hostile.continues_first(b"real"), 200, b"real"),
        (hostile.chunked([b"ab", b"cd"], [("x-trailer", "1")]), 200, b"abcd"),
        (says(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", then="close"), 200, b"until the end"),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nab"), 200, b"ab"),
        (hostile.has_huge_headers(50_000), 200, b"ok"),
    ],
)
def test_answers_come_whole(effect: str, script: hostile.Script, status: int, body: bytes) -> None:
    with HostileServer(script) as server:
        found = once(system(server.origin), request(), effect)
    assert (found[0], found[2]) == (status, body)
    assert all(name != b"x-trailer" for name, _ in found[1])


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with (
        HostileServer(answers(b"secret page")) as elsewhere,
        HostileServer(hostile.redirects(elsewhere.origin)) as server,
    ):
        status, headers, body = once(system(server.origin), get(), READ)
    assert (status, body) == (302, b"moved")
    assert (b"location", elsewhere.origin.encode()) in headers
    assert elsewhere.received == {}


def test_a_cookie_of_one_caller_is_not_sent_for_the_next() -> None:
    """Peer failure 21."""

    async def act(upstream: PyreqwestUpstream) -> None:
        for _ in range(3):
            assert (b"set-cookie", b"session=1") in (await exchange(upstream, system(server.origin), get(), READ))[1]

    with HostileServer(hostile.sets_cookie("session=1")) as server:
        with_sender(act)
    assert all(sent.all("cookie") == [] and sent.all("referer") == [] for sent in server.requests)


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(answers(b"from the proxy")) as proxy, HostileServer(answers(b"ok")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        assert once(system(server.origin), get(), READ)[2] == b"ok"
    assert proxy.received == {}


def test_compressed_answers_pass_as_they_are() -> None:
    packed = gzip.compress(b"hello " * 1000, mtime=0)
    with HostileServer(answers(packed, headers=[("content-encoding", "gzip")])) as server:
        _, headers, body = once(system(server.origin), get(headers=[("accept-encoding", "gzip")]), READ)
    assert body == packed
    assert (b"content-encoding", b"gzip") in headers


def test_headers_come_as_received_and_unreadable_ones_are_named() -> None:
    """pyreqwest cannot give out bytes outside ASCII; the other headers must not suffer for that."""
    sent: list[tuple[str, str | bytes]] = [
        ("X-A", "1"),
        ("x-bad", b"caf\xe9"),
        ("X-A", "2"),
        ("x-bad", "fine"),
        ("x-utf8", "é".encode()),
    ]

    async def act(upstream: PyreqwestUpstream) -> None:
        reply = await upstream.send(system(server.origin), tool(READ), get(), ())
        assert reply.headers == ((b"x-a", b"1"), (b"x-a", b"2"), (b"x-bad", b"fine"), (b"content-length", b"2"))
        assert reply.unreadable == ("x-bad", "x-utf8")
        assert await reply.read(10) == b"ok"
        await reply.close()

    with HostileServer(answers(b"ok", headers=sent)) as server:
        with_sender(act)


@pytest.mark.parametrize("effect", [READ, WRITE])
@pytest.mark.parametrize("script", [answers(b"0123456789"), hostile.chunked([b"0123", b"45", b"6789"], pause=0.02)])
@pytest.mark.parametrize("limit", [0, 3, 5, 9])
def test_a_body_over_the_limit_streams_from_its_first_byte(effect: str, script: hostile.Script, limit: int) -> None:
    with HostileServer(script) as server:
        chunks, error = with_sender(lambda up: streamed(up, system(server.origin), request(), effect, limit))
    assert (b"".join(chunks), error) == (b"0123456789", None)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream;q=0.9"])
def test_events_come_as_they_are_sent_and_outlive_the_total_timeout(accept: str) -> None:
    """Six events of 0.25 s under a timeout of 1 s; the head comes before the first of them."""
    events = [b"data: %d\n\n" % number for number in range(6)]

    async def act(upstream: PyreqwestUpstream) -> None:
        where = system(server.origin, timeout=SHORT)
        reply = await upstream.send(where, tool(READ), get(headers=[("accept", accept)]), ())
        assert [chunk async for chunk in reply.chunks()] == events
        await reply.close()

    with HostileServer(hostile.chunked(events, pause=0.25)) as server:
        with_sender(act)


def test_the_head_of_an_event_stream_does_not_wait_for_the_first_event() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        what = get(headers=[("accept", "text/event-stream")])
        reply = await upstream.send(system(server.origin), tool(READ), what, ())
        assert reply.status == 200
        await reply.close()

    with HostileServer(says(response(length=-1), then="hold")) as server:
        with_sender(act)


def test_a_stream_that_falls_silent_is_broken() -> None:
    with HostileServer(says(response(b"data: 1\n\n", length=-1), then="hold")) as server:
        chunks, error = with_sender(lambda up: streamed(up, system(server.origin, timeout=SHORT), get()))
    assert chunks == [b"data: 1\n\n"]
    assert isinstance(error, BodyBroken)


def test_a_body_that_is_read_whole_must_end_within_the_total_timeout_even_if_it_drips() -> None:
    with HostileServer(hostile.chunked([b"a"] * 30, pause=0.1)) as server, pytest.raises(BodyBroken, match="timeout"):
        once(system(server.origin, timeout=SHORT), request())


def test_closing_the_sender_ends_what_is_running_as_lost() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        running = asyncio.ensure_future(exchange(upstream, system(server.origin), request()))
        await arrival(server)
        await upstream.close()
        with pytest.raises(SendLost):
            await running

    with HostileServer(hostile.stalls_at_head()) as server:
        with_sender(act)
