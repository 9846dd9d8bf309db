"""What is sent is what was judged, once; and every failure proves exactly as much as it proves."""

import asyncio
import base64
import datetime as dt
import gzip
import ipaddress
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.adapters.addresses import Addresses
from gateway.adapters.secrets import Secrets
from gateway.adapters.upstream import PyreqwestUpstream
from gateway.core.call import Request
from gateway.core.routes import Credential, SecretReference, System, Tool
from gateway.ports import BodyBroken, CredentialEchoed, NeverSent, SecretMissing, SendLost, Upstream
from tests.adapters import hostile
from tests.adapters.hostile import HostileServer, answers, response, says

SECRET = "sk_live_51Hx/Yz+secret=="
REFERENCE = SecretReference("env", "SYSTEM_KEY")
WRITE, READ = "write", "read"
SHORT = 0.4
"""Seconds; a timeout for servers that never answer. Nothing is asserted about time."""

T = TypeVar("T")
Answer = tuple[int, tuple[tuple[bytes, bytes], ...], bytes]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_KEY", SECRET)


def system(origin: str, credential: Credential | None = None, timeout: float = 5.0, **more) -> System:
    return System(
        name="stripe", origin=origin, owner="finance-lead", credential=credential, timeout_seconds=timeout, **more
    )


def tool(effect: str = WRITE) -> Tool:
    return Tool(name="stripe.any", system="stripe", method="POST", template=("v1",), effect=effect)  # type: ignore[arg-type]


def request(target: str = "/v1/refunds", method: str = "POST", headers=(), body: bytes = b"a=1") -> Request:
    return Request(system="stripe", method=method, target=target, headers=tuple(headers), body=body)


def get(target: str = "/v1/charges", headers=()) -> Request:
    return request(target, "GET", headers, b"")


def sender(**more) -> PyreqwestUpstream:
    return PyreqwestUpstream(read_secret=Secrets().read, addresses=more.pop("addresses", None) or Addresses(), **more)


async def exchange(
    upstream: Upstream, where: System, what: Request, effect: str = WRITE, extra: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """Send, read everything, close."""
    reply = await upstream.send(where, tool(effect), what, extra)
    try:
        body = await reply.read(10_000_000)
        assert body is not None
        return reply.status, reply.headers, body
    finally:
        await reply.close()


def once(where: System, what: Request, effect: str = WRITE, extra=(), **more) -> Answer:
    return with_sender(lambda upstream: exchange(upstream, where, what, effect, tuple(extra)), **more)


def with_sender(act: Callable[[PyreqwestUpstream], Awaitable[T]], **more) -> T:
    async def run() -> T:
        upstream = sender(**more)
        try:
            return await act(upstream)
        finally:
            await upstream.close()

    return asyncio.run(run())


async def streamed(upstream: Upstream, where: System, what: Request, effect: str = READ, limit: int | None = None):
    """All chunks, and what ended them."""
    reply = await upstream.send(where, tool(effect), what, ())
    chunks: list[bytes] = []
    try:
        if limit is not None:
            assert await reply.read(limit) is None
        async for chunk in reply.chunks():
            chunks.append(chunk)  # noqa: PERF401 - what came before an error counts
    except (BodyBroken, CredentialEchoed) as error:
        return chunks, error
    finally:
        await reply.close()
    return chunks, None


async def arrival(server: HostileServer) -> None:
    """Wait until a request has arrived at the server, which is a thread and knows no asyncio.Event."""
    while not server.requests:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


# --- The bytes on the wire --------------------------------------------------------------------------------------


def test_the_request_on_the_wire_is_the_judged_one_and_nothing_else() -> None:
    """Every byte is accounted for: agent's fields, extra fields, Host, Content-Length."""
    headers = [("accept", "application/json"), ("accept-encoding", "gzip, br"), ("user-agent", "Stripe/v1")]
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin), request(headers=headers, body=b"\x00\xffraw"), extra=[("via", "1.1 gateway")])
    assert server.received[0] == (
        b"POST /v1/refunds HTTP/1.1\r\nAccept: application/json\r\nAccept-Encoding: gzip, br\r\n"
        b"User-Agent: Stripe/v1\r\nVia: 1.1 gateway\r\nHost: 127.0.0.1:%d\r\nContent-Length: 5\r\n\r\n\x00\xffraw"
        % server.port
    )


def test_what_the_library_adds_when_the_agent_says_nothing_is_known() -> None:
    """`Accept: */*` means the same as no Accept; the user agent is ours. Nothing else appears, no Accept-Encoding."""
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin), get(), READ)
    assert server.received[0] == (
        b"GET /v1/charges HTTP/1.1\r\nAccept: */*\r\nUser-Agent: policy-gateway\r\nHost: 127.0.0.1:%d\r\n\r\n"
        % server.port
    )


@pytest.mark.parametrize(
    "target",
    [
        "/", "//double//slash", "/a/%2F%2e%2E%5c/b", "/a%zz%", "/a;v=1/b,c", "/a/...", "/a/..;/b", "/a?", "/a??b?c",
        "/a?x=%20+&y[]=1&z={}|^`\\", "/~user/$metadata(1)!*'@:", "/C:/x", "/a?next=/../b/./c&u=http://x@y:1/",
        "/%E2%82%AC?%ff", "/a|b^c[d]",
    ],
)  # fmt: skip
def test_targets_arrive_byte_for_byte(target: str) -> None:
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin, base_path="/base"), get(target), READ)
    assert server.requests[0].target == b"/base" + target.encode()


@pytest.mark.parametrize(
    "target",
    [
        "/a/../b", "/a/./b", "/..", "/a/%2e%2e/b", "/a/%2E./b", "/a/.%2e", "/a/%2e", "/a\\b", "/a b", "/a\tb", "/a\nb",
        '/a"b', "/a<b", "/a>b", "/a`b", "/a{b}", "/a\x7fb", "/caf\xe9", "/a?it's", '/a?"', "/a?<", "/a?\xe9", "/a?x y",
        "/a#fragment", "/a?#", "", "v1", "?x=1", "@evil.example/", ".evil.example/", ":80/x", "/a\x00b", "/a?x\ny",
    ],
)  # fmt: skip
def test_targets_that_would_arrive_changed_are_never_sent(target: str) -> None:
    with HostileServer(answers(b"ok")) as server, pytest.raises(NeverSent):
        once(system(server.origin), get(target), READ)
    assert server.received == {}


def test_no_target_of_any_bytes_arrives_changed() -> None:
    """Random targets from the characters that URL parsers quarrel about: sent exactly, or not at all."""
    chance = random.Random(7)
    alphabet = "/.\\%2eEfF?#&=;:@'\"<>[]{}|^` ~\t\x7f\xe9a"

    async def act(upstream: PyreqwestUpstream) -> int:
        arrived = 0
        for _ in range(1500):
            target = "/" + "".join(chance.choices(alphabet, k=chance.randint(0, 9)))
            before = len(server.requests)
            try:
                await exchange(upstream, system(server.origin), get(target), READ)
            except NeverSent:
                assert len(server.requests) == before, target
            else:
                assert server.requests[-1].target == target.encode()
                arrived += 1
        return arrived

    with HostileServer(answers(b"ok")) as server:
        assert with_sender(act) > 100


def test_header_bytes_survive() -> None:
    """Values are latin-1 text; bytes from 0x80 that form UTF-8 arrive as they were, repeated fields stay repeated."""
    value = "café €".encode().decode("latin-1")
    headers = [("x-name", value), ("x-two", "1"), ("x-two", "2"), ("x-tab", "a\tb"), ("x-empty", "")]
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin), request(headers=headers))
    sent = server.requests[0]
    assert sent.all("x-name") == ["café €".encode()]
    assert sent.all("x-two") == [b"1", b"2"]
    assert sent.all("x-tab") == [b"a\tb"]
    assert sent.all("x-empty") == [b""]


@pytest.mark.parametrize(
    "header",
    [
        ("x-name", "caf\xe9"), ("x-name", "a\r\nx: y"), ("x-name", "a\nb"), ("x-name", "a\x00"), ("x-name", "\u20ac"),
        ("x name", "v"), ("x:y", "v"), ("", "v"), ("x-n\xe9", "v"),
    ],
)  # fmt: skip
def test_header_bytes_that_cannot_be_sent_unchanged_are_not_sent(header: tuple[str, str]) -> None:
    with HostileServer(answers(b"ok")) as server, pytest.raises(NeverSent) as caught:
        once(system(server.origin), request(headers=[header]))
    assert server.received == {}
    assert header[1] not in str(caught.value) or header[1] == "v"


@pytest.mark.parametrize(
    "name", ["transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive", "Transfer-Encoding"]
)
def test_connection_headers_are_never_sent(name: str) -> None:
    with HostileServer(answers(b"ok")) as server, pytest.raises(NeverSent, match="connection header"):
        once(system(server.origin), request(headers=[(name, "chunked")]))
    assert server.received == {}


@pytest.mark.parametrize("lies", [["1"], ["99"], ["0"], ["1", "99"], ["+5"]])
def test_host_and_length_come_from_the_origin_and_the_body(lies: list[str]) -> None:
    """An agent's Content-Length that lies would let it smuggle a second request."""
    headers = [("host", "evil.example"), *(("content-length", lie) for lie in lies)]
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin), request(headers=headers, body=b"hello"))
    assert server.requests[0].all("host") == [b"127.0.0.1:%d" % server.port]
    assert server.requests[0].all("content-length") == [b"5"]
    assert server.requests[0].body == b"hello"


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("POST", b"", [b"0"]), ("PUT", b"", [b"0"]), ("PATCH", b"", [b"0"]), ("GET", b"", []), ("DELETE", b"", []),
        ("HEAD", b"", []), ("GET", b"q", [b"1"]), ("DELETE", b"q", [b"1"]), ("PROPFIND", b"q", [b"1"]),
        ("PUT", b"x" * 300_000, [b"300000"]),
    ],
)  # fmt: skip
def test_bodies_have_an_explicit_length_and_no_body_has_none(method: str, body: bytes, length: list[bytes]) -> None:
    with HostileServer(answers(b"")) as server:
        once(system(server.origin), request(method=method, body=body))
    assert server.requests[0].all("content-length") == length
    assert server.requests[0].all("transfer-encoding") == []
    assert (server.requests[0].method, server.requests[0].body) == (method.encode(), body)


# --- The credential ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credential", "header", "value"),
    [
        (Credential("bearer", REFERENCE), "authorization", f"Bearer {SECRET}"),
        (
            Credential("basic", REFERENCE, "user"),
            "authorization",
            "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode(),
        ),
        (Credential("header", REFERENCE, "PRIVATE-TOKEN"), "private-token", SECRET),
        (Credential("header", REFERENCE, "Authorization", "token "), "authorization", f"token {SECRET}"),
    ],
)
def test_a_credential_in_a_header_replaces_what_the_agent_put_there(
    credential: Credential, header: str, value: str
) -> None:
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin, credential), request(headers=[(header, "the agent's"), ("x-other", "1")]))
    assert server.requests[0].all(header) == [value.encode()]
    assert server.requests[0].all("x-other") == [b"1"]
    assert b"the agent's" not in server.received[0]


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/a", "/a?api%20key=sk_live_51Hx%2FYz%2Bsecret%3D%3D"),
        ("/a?", "/a?api%20key=sk_live_51Hx%2FYz%2Bsecret%3D%3D"),
        ("/a?x=1", "/a?x=1&api%20key=sk_live_51Hx%2FYz%2Bsecret%3D%3D"),
    ],
)
def test_a_credential_in_the_query_is_appended(target: str, sent: str) -> None:
    with HostileServer(answers(b"ok")) as server:
        once(system(server.origin, Credential("query", REFERENCE, "api key")), get(target), READ)
    assert server.requests[0].target == sent.encode()


@pytest.mark.parametrize("query", ["key=mine", "x=1&key=mine", "k%65y=mine", "key", "x=1&key=&y"])
def test_an_agent_cannot_put_its_own_value_before_the_credential(query: str) -> None:
    """A system that reads the first of two values would read the agent's."""
    with HostileServer(answers(b"ok")) as server, pytest.raises(NeverSent, match="already has the parameter"):
        once(system(server.origin, Credential("query", REFERENCE, "key")), get(f"/a?{query}"), READ)
    assert server.received == {}


def test_the_credential_is_read_at_every_send(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        where = system(server.origin, Credential("bearer", REFERENCE))
        await exchange(upstream, where, get(), READ)
        monkeypatch.setenv("SYSTEM_KEY", "rotated-secret")
        await exchange(upstream, where, get(), READ)
        monkeypatch.delenv("SYSTEM_KEY")
        with pytest.raises(SecretMissing, match="SYSTEM_KEY"):
            await exchange(upstream, where, get(), READ)

    with HostileServer(answers(b"ok")) as server:
        with_sender(act)
    assert [sent.all("authorization") for sent in server.requests] == [
        [f"Bearer {SECRET}".encode()],
        [b"Bearer rotated-secret"],
    ]


def test_no_failure_shows_the_credential() -> None:
    """Not in a message, a cause, a context or a repr: reqwest's own errors quote the URL, with the key in it."""
    credential = Credential("query", REFERENCE, "key")

    async def act(upstream: PyreqwestUpstream) -> list[BaseException]:
        caught: list[BaseException] = []
        for where in (dead, *(server.origin for server in servers)):
            try:
                await exchange(upstream, system(where, credential, SHORT), get(), WRITE)
            except (NeverSent, SendLost, BodyBroken) as error:
                caught.append(error)
        return caught

    dead = f"http://127.0.0.1:{hostile.refused_port()}"
    scripts = (
        hostile.resets_after_reading(),
        hostile.speaks_garbage(),
        hostile.truncates(b"a", 9),
        hostile.stalls_at_head(),
    )
    with ExitStack() as stack:
        servers = [stack.enter_context(HostileServer(script)) for script in scripts]
        caught = with_sender(act)
    assert len(caught) == 5
    for error in caught:
        seen: BaseException | None = error
        while seen is not None:
            for text in (str(seen), repr(seen), repr(seen.args), repr(vars(seen))):
                assert "sk_live" not in text
            seen = seen.__cause__ or seen.__context__


# --- What a failure proves --------------------------------------------------------------------------------------


@dataclass
class Case:
    script: hostile.Script
    raises: type[Exception]
    arrives: int = 1
    what: Request = field(default_factory=request)
    timeout: float = 5.0


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
        once(system(f"http://127.0.0.1:{hostile.refused_port()}"), request())


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
        slow = system(server.origin, timeout=5.0)
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
        for origin in (good.origin, broken.origin, lost.origin, f"http://127.0.0.1:{hostile.refused_port()}") * 3:
            where = system(origin, timeout=2.0)
            for effect in (READ, WRITE):
                try:
                    await exchange(upstream, where, request(), effect)
                except (NeverSent, SendLost, BodyBroken) as error:
                    ends.append(str(error))
        where = system(good.origin, timeout=2.0)
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


# --- The answer -------------------------------------------------------------------------------------------------


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
    """Six events of 0.15 s under a timeout of 0.4 s; the head comes before the first of them."""
    events = [b"data: %d\n\n" % number for number in range(6)]

    async def act(upstream: PyreqwestUpstream) -> None:
        where = system(server.origin, timeout=SHORT)
        reply = await upstream.send(where, tool(READ), get(headers=[("accept", accept)]), ())
        assert [chunk async for chunk in reply.chunks()] == events
        await reply.close()

    with HostileServer(hostile.chunked(events, pause=0.15)) as server:
        with_sender(act)


def test_the_head_of_an_event_stream_does_not_wait_for_the_first_event() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        what = get(headers=[("accept", "text/event-stream")])
        reply = await upstream.send(system(server.origin, timeout=SHORT), tool(READ), what, ())
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


# --- The credential in the answer -------------------------------------------------------------------------------

BEARER = Credential("bearer", REFERENCE)
BASIC = Credential("basic", REFERENCE, "user")
QUERY = Credential("query", REFERENCE, "key")
ENCODED = "sk_live_51Hx%2FYz%2Bsecret%3D%3D"
ECHOES = [
    (BEARER, f'{{"auth": "Bearer {SECRET}"}}'.encode()),
    (BEARER, json.dumps({"auth": SECRET}).replace("/", "\\/").encode()),
    (BASIC, b"Authorization: Basic " + base64.b64encode(f"user:{SECRET}".encode())),
    (BASIC, b"password=" + SECRET.encode()),
    (QUERY, f"next: https://api.example/v1?page=2&key={ENCODED}".encode()),
    (QUERY, f"key={ENCODED.replace('%2F', '%2f').replace('%2B', '%2b').replace('%3D', '%3d')}".encode()),
]


@pytest.mark.parametrize("effect", [READ, WRITE])
@pytest.mark.parametrize(("credential", "echo"), ECHOES)
def test_an_answer_that_contains_the_credential_is_withheld(effect: str, credential: Credential, echo: bytes) -> None:
    """In the body, plain and compressed, read and streamed, and in a header; no byte of the secret gets through."""
    scripts = [
        answers(b"a" * 5000 + echo + b"b" * 5000),
        answers(gzip.compress(b"a" * 5000 + echo), headers=[("content-encoding", "gzip")]),
        answers(zlib.compress(b"a" * 5000 + echo), headers=[("content-encoding", "deflate")]),
        answers(zlib.compress(b"a" * 5000 + echo)[2:-4], headers=[("content-encoding", "Deflate")]),
        answers(b"short", headers=[("x-debug", echo)]),
    ]
    for script in scripts:
        with HostileServer(script) as server:
            where = system(server.origin, credential)
            with pytest.raises(CredentialEchoed) as caught:
                once(where, request(), effect)
            assert "sk_live" not in str(caught.value)
            chunks, error = with_sender(partial(streamed, where=where, what=request(), effect=effect))
            assert isinstance(error, CredentialEchoed)
            assert echo[-12:] not in b"".join(chunks)


def test_after_a_rotation_the_new_secret_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        where = system(server.origin, BEARER)
        assert (await exchange(upstream, where, get(), READ))[2] == b"rotated-secret"
        monkeypatch.setenv("SYSTEM_KEY", "rotated-secret")
        with pytest.raises(CredentialEchoed):
            await exchange(upstream, where, get(), READ)

    with HostileServer(answers(b"rotated-secret")) as server:
        with_sender(act)


def test_an_answer_whose_headers_contain_the_credential_has_no_headers() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        reply = await upstream.send(system(server.origin, QUERY), tool(READ), get(), ())
        assert (reply.status, reply.headers) == (200, ())
        await reply.close()

    with HostileServer(answers(b"ok", headers=[("link", f"<https://x.example/?key={ENCODED}>")])) as server:
        with_sender(act)


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_credential_cut_in_two_by_the_network_does_not_pass(cut: int) -> None:
    parts = [b'{"k": "' + SECRET[:cut].encode(), SECRET[cut:].encode() + b'"}']
    with HostileServer(hostile.chunked(parts, pause=0.03)) as server:
        chunks, error = with_sender(lambda up: streamed(up, system(server.origin, BEARER), get()))
    assert isinstance(error, CredentialEchoed)
    assert SECRET[:4].encode() not in b"".join(chunks)


def test_without_a_credential_or_with_a_short_one_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_KEY", "short12")
    with HostileServer(answers(b"short12 and brotli", headers=[("content-encoding", "br")])) as server:
        assert once(system(server.origin), get(), READ)[2] == b"short12 and brotli"
        assert once(system(server.origin, BEARER), get(), READ)[2] == b"short12 and brotli"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "gzip, gzip"])
def test_an_answer_that_cannot_be_searched_is_withheld(coding: str) -> None:
    """An agent that could choose brotli could read the credential back from any endpoint that echoes."""
    with HostileServer(answers(b"\x0b\x02\x80opaque", headers=[("content-encoding", coding)])) as server:
        with pytest.raises(BodyBroken, match="cannot be searched"):
            once(system(server.origin, BEARER), get(), READ)
        _, error = with_sender(lambda up: streamed_or_broken(up, system(server.origin, BEARER)))
    assert isinstance(error, BodyBroken)


async def streamed_or_broken(upstream: Upstream, where: System):
    return await streamed(upstream, where, get())


def test_only_codings_that_can_be_searched_are_asked_for() -> None:
    with HostileServer(answers(b"ok")) as server:
        for accept in ("gzip, deflate, br, zstd", "br", "*", "br;q=1.0, gzip;q=0.8, *;q=0.1", "identity"):
            once(system(server.origin, BEARER), get(headers=[("accept-encoding", accept)]), READ)
    assert [sent.all("accept-encoding") for sent in server.requests] == [
        [b"gzip, deflate"], [b"identity"], [b"identity"], [b"gzip;q=0.8"], [b"identity"],
    ]  # fmt: skip


# --- Addresses and TLS ------------------------------------------------------------------------------------------


def book(addresses: dict[str, list[str]]) -> Addresses:
    async def look_up(host: str, port: int) -> list[str]:
        if host not in addresses:
            raise OSError(0, "no such name")
        return addresses[host]

    return Addresses(look_up)


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name exists nowhere but in our address book: the client does not ask anybody else."""
    with HostileServer(answers(b"ok")) as server:
        where = system(f"http://pinned.invalid:{server.port}")
        assert once(where, get(), READ, addresses=book({"pinned.invalid": ["127.0.0.1"]}))[2] == b"ok"
    assert server.requests[0].all("host") == [b"pinned.invalid:%d" % server.port]


def test_a_name_that_moves_is_followed_and_never_to_a_refused_address() -> None:
    """DNS rebinding: the second answer for the name is metadata."""
    known = {"moves.invalid": ["127.0.0.1"]}

    async def act(upstream: PyreqwestUpstream) -> None:
        where = system(f"http://moves.invalid:{server.port}")
        await exchange(upstream, where, get("/1"), READ)
        known["moves.invalid"] = ["127.0.0.1", "169.254.169.254"]
        addresses._answers.clear()
        with pytest.raises(NeverSent, match=r"169\.254\.169\.254"):
            await exchange(upstream, where, get("/2"), READ)
        known["moves.invalid"] = ["127.0.0.2"]
        await exchange(upstream, where, get("/3"), READ)

    addresses = book(known)
    with HostileServer(answers(b"ok"), host="0.0.0.0") as server:
        with_sender(act, addresses=addresses)
    assert [sent.target for sent in server.requests] == [b"/1", b"/3"]


@pytest.mark.parametrize("origin", ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://[::ffff:a9fe:a9fe]"])
def test_a_metadata_address_in_the_origin_is_refused(origin: str) -> None:
    with pytest.raises(NeverSent, match="allow_addresses"):
        once(system(origin), get(), READ)


def test_another_address_is_tried_when_the_first_provably_got_nothing() -> None:
    """A host with an IPv6 address on a network without IPv6 is the usual case."""
    with HostileServer(answers(b"ok")) as server:
        where = system(f"http://two.invalid:{server.port}")
        known = book({"two.invalid": ["127.0.0.9", "127.0.0.1"]})
        assert once(where, request(), addresses=known)[2] == b"ok"
    assert len(server.requests) == 1


def test_no_other_address_is_tried_when_the_first_may_have_got_something() -> None:
    known = book({"two.invalid": ["127.0.0.1", "127.0.0.2"]})
    with HostileServer(hostile.resets_after_reading(), host="0.0.0.0") as server, pytest.raises(SendLost):
        once(system(f"http://two.invalid:{server.port}"), request(), addresses=known)
    assert len(server.requests) == 1


@dataclass(frozen=True)
class Authority:
    """A private CA and a certificate for `pinned.invalid` and `127.0.0.1`, as files."""

    ca: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("tls")
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, issuer: str, key, signer, extensions) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Acme CA", "Acme CA", ca_key, ca_key, [x509.BasicConstraints(ca=True, path_length=None)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("pinned.invalid"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    )
    leaf = certificate("leaf", "Acme CA", key, ca_key, [names])
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(b"# Acme\n" + ca.public_bytes(pem) + b"\n" + ca.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(
        leaf.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    return Authority(folder / "ca.pem", context)


@pytest.mark.parametrize("host", ["127.0.0.1", "pinned.invalid"])
def test_a_private_authority_is_trusted_when_it_is_given(authority: Authority, host: str) -> None:
    with HostileServer(answers(b"ok"), tls=authority.server) as server:
        where = system(f"https://{host}:{server.port}")
        known = book({"pinned.invalid": ["127.0.0.1"]})
        assert once(where, request(), ca_file=authority.ca, addresses=known)[2] == b"ok"
        with pytest.raises(NeverSent, match="certificate"):
            once(where, request(), addresses=known)
    assert len(server.requests) == 1


def test_the_certificate_must_be_for_the_host_although_the_address_is_pinned(authority: Authority) -> None:
    known = book({"other.invalid": ["127.0.0.1"]})
    with HostileServer(answers(b"ok"), tls=authority.server) as server, pytest.raises(NeverSent, match="certificate"):
        once(system(f"https://other.invalid:{server.port}"), request(), ca_file=authority.ca, addresses=known)
    assert server.requests == []


def test_ssl_cert_file_is_respected(authority: Authority) -> None:
    """In a process of its own: the variable must be there before the first client."""
    code = (
        "import asyncio, sys\nfrom tests.adapters.test_upstream import once, system, request\n"
        "print(once(system(sys.argv[1]), request())[2].decode())"
    )
    with HostileServer(answers(b"trusted"), tls=authority.server) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.origin], check=True, capture_output=True, text=True,
            env={**os.environ, "SSL_CERT_FILE": str(authority.ca)},
        )  # fmt: skip
    assert done.stdout.strip() == "trusted"


def test_an_authority_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(ValueError, match="no certificate"):
        sender(ca_file=tmp_path / "ca.pem")


def test_many_systems_share_a_bounded_number_of_clients() -> None:
    async def act(upstream: PyreqwestUpstream) -> None:
        for number in range(70):
            where = system(server.origin, timeout=5.0 + number)
            assert (await exchange(upstream, where, get(), READ))[2] == b"ok"
        assert len(upstream._clients) <= 64

    with HostileServer(answers(b"ok")) as server:
        with_sender(act)
