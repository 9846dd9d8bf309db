"""How the tests of the sender send: a system, a request, one exchange."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.adapters.addresses import Addresses
from gateway.adapters.secrets import Secrets
from gateway.adapters.upstream import PyreqwestUpstream
from gateway.core.call import Request
from gateway.core.routes import Credential, SecretReference, System, Tool
from gateway.ports import BodyBroken, CredentialEchoed, Upstream
from tests.adapters.hostile import HostileServer

SECRET = "sk_live_51Hx/Yz+secret=="
REFERENCE = SecretReference("env", "SYSTEM_KEY")
WRITE, READ = "write", "read"
SHORT, LONG = 1.0, 30.0
"""Seconds; timeouts for servers that never answer, and for those that do. Nothing is asserted about time."""

T = TypeVar("T")
Answer = tuple[int, tuple[tuple[bytes, bytes], ...], bytes]


def system(origin: str, credential: Credential | None = None, timeout: float = LONG, **more) -> System:
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


def book(addresses: dict[str, list[str]]) -> Addresses:
    async def look_up(host: str, port: int) -> list[str]:
        if host not in addresses:
            raise OSError(0, "no such name")
        return addresses[host]

    return Addresses(look_up)
