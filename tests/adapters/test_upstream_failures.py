"""A failure says no more than it proves, and no request arrives twice."""

import asyncio
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from gateway.adapters.upstream import PyreqwestUpstream
from gateway.core.call import Request
from gateway.ports import BodyBroken, NeverSent, SendLost
from tests.adapters import hostile
from tests.adapters.hostile import HostileServer, answers, response, says
from tests.adapters.sending import (
    LONG,
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
from tests.processes import refused_port


@dataclass
class Case:
    script: hostile.Script
    raises: type[Exception]
    arrives: int = 1
    what: Request = field(default_factory=request)
    timeout: float = LONG


LOST = {
    "reset after reading": Case(hostile.resets_after_reading(), SendLost),
    "closed after reading": Case(hostile.closes_after_reading(), SendLost),
    "silent": Case(hostile.stalls_at_head(), SendLost, timeout=SHORT),
    "half a head": Case(says(b"HTTP/1.1 200 OK\r\nx-a: ", then="close"), SendLost),
    "half a head and silence": Case(says(b"HTTP/1.1 200 OK\r\nx-a: ", then="hold"), SendLost, timeout=SHORT),
    "not HTTP": Case(hostile.speaks_garbage(), SendLost),
    "status that is none": Case(says(b"HTTP/1.1 0 OK\r\n\r\n", then="close"), SendLost),
    "a megabyte of headers": Case(hostile.has_huge_headers(1 << 20), SendLost),
    "150 header fields": Case(answers(headers=[(f"x-{number}", "v") for number in range(150)]), SendLost),
    "two lengths": Case(says(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd"), SendLost),
    "folded header": Case(says(b"HTTP/1.1 200 OK\r\nx-a: a\r\n  b\r\ncontent-length: 0\r\n\r\n"), SendLost),
    "only interim responses": Case(says(b"HTTP/1.1 100 Continue\r\n\r\n", then="close"), SendLost),
    "an upgrade nobody asked for": Case(
        says(b"HTTP/1.1 101 Go on\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello", then="hold"), SendLost
    ),
    "reset while a large body is being sent": Case(
        hostile.resets_in_the_body, SendLost, 0, request(body=b"x" * 8_000_000)
    ),
    "never reads a large body": Case(
        lambda connection: connection.hold(), SendLost, 0, request(body=b"x" * 8_000_000), SHORT
    ),
}  # fmt: skip
BROKEN = {
    "body that never starts": Case(hostile.stalls_at_body(), BodyBroken, timeout=SHORT),
    "body that stalls": Case(hostile.stalls_at_body(b"abc"), BodyBroken, timeout=SHORT),
    "body that is cut off": Case(hostile.truncates(b"abc", 10), BodyBroken),
    "body that is cut off at once": Case(hostile.truncates(b"", 10), BodyBroken),
    "reset in the body": Case(says(response(b"abc", length=10), then="reset"), BodyBroken),
    "last chunk missing": Case(hostile.chunked([b"abc"], whole=False), BodyBroken),
    "chunk size that is none": Case(
        says(response(headers=[("transfer-encoding", "chunked")], length=-1), b"zz\r\nabc\r\n"), BodyBroken
    ),
}


@pytest.mark.parametrize("name", [*LOST, *BROKEN])
def test_after_the_first_byte_a_failure_of_an_effect_is_never_called_unsent(name: str) -> None:
    """Peer failure 28 and its relatives. Where a status line came, that is known too: only the body is broken."""
    case = (LOST | BROKEN)[name]
    with HostileServer(case.script) as server, pytest.raises(case.raises) as caught:
        once(system(server.origin, timeout=case.timeout), case.what)
    assert type(caught.value) is case.raises
    assert len(server.requests) == case.arrives
    assert server.connections == 1


@pytest.mark.parametrize("name", [*LOST, *BROKEN])
def test_the_same_failures_of_a_read_raise_what_the_engine_expects(name: str) -> None:
    """Of a read the head may be lost with the body's first byte; still never called unsent."""
    case = (LOST | BROKEN)[name]
    with HostileServer(case.script) as server, pytest.raises((SendLost, BodyBroken)):
        once(system(server.origin, timeout=case.timeout), replace(case.what, method="PROPFIND"), READ)
    assert len(server.requests) == case.arrives


@pytest.mark.parametrize("script", [hostile.resets_at_once, hostile.closes_at_once])
@pytest.mark.parametrize("effect", [READ, WRITE])
def test_a_connection_that_ends_before_a_byte_was_read_is_lost_or_unsent(script: hostile.Script, effect: str) -> None:
    """Which of them depends on whether the reset comes while still connecting; both are true."""
    with HostileServer(script) as server, pytest.raises((SendLost, NeverSent)) as caught:
        once(system(server.origin), request(), effect)
    assert server.requests == []
    if caught.type is NeverSent:
        assert server.received.get(0, b"") == b""


def test_the_status_of_an_effect_is_known_although_its_body_never_comes() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        reply = await upstream.send(system(server.origin, timeout=SHORT), tool(), request(), ())
        assert reply.status == 200
        with pytest.raises(BodyBroken):
            await reply.read(1000)
        await reply.close()

    with HostileServer(hostile.stalls_at_body()) as server:
        with_sender(act)


def test_a_refused_connection_is_unsent() -> None:
    with pytest.raises(NeverSent, match="refused"):
        once(system(f"http://127.0.0.1:{refused_port()}"), request())


def test_a_name_that_does_not_resolve_is_unsent() -> None:
    with pytest.raises(NeverSent, match="does not resolve"):
        once(system("http://no-such-host.invalid"), request())


def test_a_connection_that_is_never_accepted_is_unsent_also_under_a_short_total_timeout() -> None:
    """pyreqwest calls this and a total timeout after sending by the same class."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # fill the queue, so that the next one is never answered
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        with pytest.raises(NeverSent):
            once(system(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=SHORT), request())


@pytest.mark.parametrize("script", [hostile.resets_at_once, hostile.closes_at_once, lambda peer: peer.hold()])
def test_a_tls_handshake_that_fails_is_unsent(script: hostile.Script) -> None:
    with HostileServer(script) as server, pytest.raises(NeverSent):
        once(system(server.origin.replace("http:", "https:"), timeout=SHORT), request(body=b"the-body"))
    assert all(b"the-body" not in received for received in server.received.values())


def test_waiting_too_long_for_a_free_connection_is_unsent_and_really_is() -> None:
    """The request that got no connection must not leave later, when one becomes free."""

    async def act(upstream: PyreqwestUpstream) -> None:
        slow = system(server.origin)
        first = asyncio.ensure_future(exchange(upstream, slow, request("/first")))
        await arrival(server)
        with pytest.raises(NeverSent, match="in use"):
            await exchange(upstream, system(server.origin, timeout=SHORT), request("/second"))
        server.over.set()
        with pytest.raises(SendLost):
            await first

    with HostileServer(hostile.stalls_at_head()) as server:
        with_sender(act, connections=1)
    assert [sent.target for sent in server.requests] == [b"/first"]


def test_connections_are_given_back_however_a_call_ends() -> None:
    """One connection, many ends: answered, broken, lost, unsent, closed unread, streamed."""
    ends: list[str] = []

    async def act(upstream: PyreqwestUpstream) -> None:
        for origin in (good.origin, broken.origin, lost.origin, f"http://127.0.0.1:{refused_port()}") * 3:
            where = system(origin)
            for effect in (READ, WRITE):
                try:
                    await exchange(upstream, where, request(), effect)
                except (NeverSent, SendLost, BodyBroken) as error:
                    ends.append(str(error))
        where = system(good.origin)
        for effect in (READ, WRITE):
            reply = await upstream.send(where, tool(effect), request(), ())
            await reply.close()
            await reply.close()
            assert (await streamed(upstream, where, request(), effect))[0] == [b"x" * 10_000]
        assert (await exchange(upstream, where, request(method="HEAD", body=b"")))[2] == b""
        assert (await exchange(upstream, where, request()))[0] == 200

    with (
        HostileServer(answers(b"x" * 10_000)) as good,
        HostileServer(hostile.truncates(b"a", 5)) as broken,
        HostileServer(hostile.resets_after_reading()) as lost,
    ):
        with_sender(act, connections=1)
    assert len(ends) == 18
    assert not any("in use" in end for end in ends)


@pytest.mark.parametrize("then", ["read", "reset"])
def test_an_answer_that_comes_before_the_body_was_sent_is_an_answer_or_lost(then: str) -> None:
    with HostileServer(hostile.answers_early(b"no", then=then)) as server:
        try:
            assert once(system(server.origin), request(body=b"x" * 5_000_000))[0] == 413
        except (SendLost, BodyBroken):
            assert then == "reset"
    assert len(server.requests) == 1


@pytest.mark.parametrize("after", [0.0, 0.001, 0.003])
@pytest.mark.parametrize("concurrent", [1, 10])
def test_a_server_that_closes_idle_connections_never_gets_a_request_twice(after: float, concurrent: int) -> None:
    """The keep-alive race surfaces as lost or unsent. hyper sends again only what it had not begun to write."""

    async def act(upstream: PyreqwestUpstream) -> dict[str, str]:
        ended: dict[str, str] = {}

        async def one(number: int) -> None:
            try:
                await exchange(upstream, system(server.origin), request(f"/{number}", body=b"x" * 100))
                ended[f"/{number}"] = "answered"
            except (SendLost, NeverSent, BodyBroken) as error:
                ended[f"/{number}"] = type(error).__name__

        for first in range(0, 50, concurrent):
            await asyncio.gather(*(one(number) for number in range(first, first + concurrent)))
        return ended

    with HostileServer(hostile.closes_idle(b"ok", after)) as server:
        ended = with_sender(act)
    arrived = [sent.target.decode() for sent in server.requests]
    assert len(ended) == 50
    assert len(arrived) == len(set(arrived)), "a request arrived twice"
    for target, end in ended.items():
        assert target in arrived or end in {"SendLost", "NeverSent"}
        assert target not in arrived or end != "NeverSent"


def test_a_connection_with_leftover_bytes_is_not_used_again() -> None:
    """Else the next caller would get an answer that the system made up in advance."""

    async def act(upstream: PyreqwestUpstream) -> list[bytes]:
        return [(await exchange(upstream, system(server.origin), get(f"/{number}"), READ))[2] for number in range(5)]

    extra = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL"
    with HostileServer(hostile.says_too_much(b"good", extra)) as server:
        assert with_sender(act) == [b"good"] * 5
    assert len(server.requests) == 5
