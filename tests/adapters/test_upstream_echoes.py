"""A system's credential does not reach the agent through the system's answers."""

import base64
import gzip
import json
import zlib
from functools import partial

import pytest

from gateway.adapters.upstream import PyreqwestUpstream
from gateway.core.routes import Credential, System
from gateway.ports import BodyBroken, CredentialEchoed, Upstream
from tests.adapters import hostile
from tests.adapters.hostile import HostileServer, answers
from tests.adapters.sending import (
    READ,
    REFERENCE,
    SECRET,
    WRITE,
    exchange,
    get,
    once,
    request,
    streamed,
    system,
    tool,
    with_sender,
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_KEY", SECRET)


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
