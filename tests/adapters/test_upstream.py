"""What is sent is what was judged, byte for byte, with the credential in its place."""

import base64
import random
from contextlib import ExitStack

import pytest

from gateway.adapters.upstream import PyreqwestUpstream
from gateway.core.routes import Credential
from gateway.ports import BodyBroken, NeverSent, SecretMissing, SendLost
from tests.adapters import hostile
from tests.adapters.hostile import HostileServer, answers
from tests.adapters.sending import (
    READ,
    REFERENCE,
    SECRET,
    SHORT,
    WRITE,
    exchange,
    get,
    once,
    request,
    system,
    with_sender,
)
from tests.processes import refused_port


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_KEY", SECRET)


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

    dead = f"http://127.0.0.1:{refused_port()}"
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
