"""The client side of a send: which client, which address, which bytes, and what a failure proves."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from gateway.adapters.upstream.causes import proven
from gateway.adapters.upstream.reply import PyreqwestReply
from gateway.adapters.upstream.room import Room
from gateway.clock import uptime
from gateway.core.call import Request
from gateway.core.echo import forms
from gateway.core.outgoing import Outgoing, Unsendable, outgoing
from gateway.core.routes import SecretReference, System, Tool
from gateway.ports import NeverSent, SendLost

CONNECT_SECONDS = 5.0
"""For looking a name up, for waiting for a free connection, and for connecting with TLS, each; or CONNECT_SHARE of a
short timeout, so that a connection that cannot be made is noticed as such and not as a loss."""
CONNECT_SHARE = 0.8
IDLE_SECONDS = 4.0
"""Unused connections are closed before the systems' own timeouts (5 s and more) do it: that race loses requests."""
PROMPT_SECONDS = 0.5
"""What begins this soon after the start (handing the request over, reading the first part of the body) needs no timer
of ours beside the client's own, which ends each of them after the system's timeout: the whole ends at most this much
later, and claims outlive it by seconds. A timer of ours costs more than everything else in a send."""
CONNECTIONS = 256
"""At one time, per system and worker, so that one stalled system cannot take every file descriptor."""
CLIENTS = 64
"""Kept at one time. Beyond it the oldest goes; calls that use it are not disturbed."""
SETTLE_SECONDS = 0.02
"""After the last answer pyreqwest's thread still has to leave the interpreter. If Python exits in that moment the
process aborts (one exit in eight, measured), so `close` gives it time."""
USER_AGENT = "policy-gateway"
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class AddressBook(Protocol):
    """`gateway.adapters.addresses.Addresses`."""

    def known(self, host: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """What `resolve` would give at once; nothing if it would have to ask."""
        ...

    async def resolve(self, host: str, port: int, allowed: tuple[str, ...], within: float) -> tuple[str, ...]:
        """Checked addresses, the preferred one first. Raises NeverSent."""
        ...

    def avoid(self, host: str, address: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Place:
    """An origin as the client reads it."""

    host: str
    """In lower case; an IPv6 address without brackets."""
    name: str
    """The host if it is a name that has to be pinned to an address; empty if it is an address."""
    port: int


class PyreqwestUpstream:
    """`gateway.ports.Upstream`."""

    def __init__(
        self,
        *,
        read_secret: Callable[[SecretReference], str],
        addresses: AddressBook,
        ca_file: Path | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        """`read_secret` raises SecretMissing. `ca_file`: PEM, trusted beside the system's certificates (which
        SSL_CERT_FILE and SSL_CERT_DIR replace). Raises ValueError if there is no certificate in it."""
        self._read_secret, self._addresses, self._connections = read_secret, addresses, connections
        self._certificates = CERTIFICATE.findall(ca_file.read_bytes()) if ca_file else []
        if ca_file and not self._certificates:
            raise ValueError(f"{str(ca_file)!r} holds no certificate: it must be a PEM file of certificate authorities")
        self._clients: dict[tuple[str, str, float], Client] = {}
        self._places: dict[str, _Place] = {}
        self._rooms: dict[tuple[str, bool], Room] = {}
        self._forms: dict[str, tuple[object, str, tuple[bytes, ...]]] = {}

    async def send(
        self, system: System, tool: Tool, request: Request, extra: tuple[tuple[str, str], ...]
    ) -> "PyreqwestReply":
        """See ports.Upstream. If an answer's headers hold the credential, it has none, and reading its body raises."""
        started = uptime()
        deadline = started + system.timeout_seconds
        secret, searched = self._secret(system)
        ready, url = _prepared(system, request, extra, secret, searched)
        place = self._place(system.origin)
        connecting = min(CONNECT_SECONDS, CONNECT_SHARE * system.timeout_seconds)
        addresses = self._addresses.known(place.host, system.allow_addresses) or await self._addresses.resolve(
            place.host, place.port, system.allow_addresses, connecting
        )
        free = self._room(system, tool)
        if not free.enter():
            await self._wait_in(free, system, connecting)
        at_once = _at_once(tool, request)
        failure: NeverSent | SendLost | None = None
        answer: tuple[StreamRequest, Response] | None = None
        try:
            for address in addresses:
                client = self._client(place, address, system.timeout_seconds, connecting)
                now = uptime()
                if now >= deadline:  # the last look before bytes leave: a claim outlives the deadline, by seconds only
                    raise NeverSent("the system's timeout was over, or the machine slept, before anything was sent")
                within = deadline - now if now - started > PROMPT_SECONDS else None
                failure, answer = await _exchange(client, ready, url, request.method, at_once=at_once, within=within)
                if answer is not None:
                    now = uptime()
                    untimed = at_once or now - started <= PROMPT_SECONDS
                    return PyreqwestReply(request.method, *answer, searched, deadline, free, untimed=untimed)
                if not isinstance(failure, NeverSent):
                    break
                self._addresses.avoid(place.host, address)
                if uptime() > deadline - connecting:
                    break  # no time to try another address
            raise failure or NeverSent("there was no address to send to")
        finally:
            if answer is None:
                free.leave()

    async def close(self) -> None:
        """Calls that are still running end as lost. Call it before the process exits."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
        await asyncio.sleep(SETTLE_SECONDS)

    def _secret(self, system: System) -> tuple[str, tuple[bytes, ...]]:
        """The credential, and what its answers are searched for."""
        credential = system.credential
        if credential is None:
            return "", ()
        secret = self._read_secret(credential.secret)
        known = self._forms.get(system.name)
        if known is None or known[0] is not credential or known[1] != secret:
            known = self._forms[system.name] = (credential, secret, forms(credential, secret))
        return secret, known[2]

    def _place(self, origin: str) -> _Place:
        place = self._places.get(origin)
        if place is None:
            url = Url(origin)
            host = (url.host_str or "").strip("[]")
            place = self._places[origin] = _Place(host, url.domain or "", url.port_or_known_default or 0)
        return place

    def _room(self, system: System, tool: Tool) -> Room:
        """Where a place for one connection is taken, which the reply gives back."""
        pool = (system.name, tool.acts)  # reads may stream for ever, and must never keep an effect out
        room = self._rooms.get(pool)
        if room is None:
            room = self._rooms[pool] = Room(self._connections)
        return room

    async def _wait_in(self, room: Room, system: System, within: float) -> None:
        if not await room.wait(within):
            some = f"all {self._connections} connections to {system.name!r}"
            raise NeverSent(f"{some} were in use for {within:g} seconds")

    def _client(self, place: _Place, address: str, timeout: float, connecting: float) -> Client:
        key = (place.name, address if place.name else "", timeout)
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= CLIENTS:
                del self._clients[next(iter(self._clients))]
            client = self._clients[key] = self._new_client(place, address, timeout, connecting)
        return client

    def _new_client(self, place: _Place, address: str, timeout: float, connecting: float) -> Client:
        builder = (
            ClientBuilder()
            .http1_only()
            .follow_redirects(False)
            .referer(False)
            .no_proxy()
            .default_cookie_store(False)
            .gzip(False)
            .deflate(False)
            .brotli(False)
            .zstd(False)
            .user_agent(USER_AGENT)
            .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
            .connect_timeout(timedelta(seconds=connecting))
            .read_timeout(timedelta(seconds=timeout))
        )
        for certificate in self._certificates:
            builder = builder.add_root_certificate_pem(certificate)
        if place.name:
            builder = builder.resolve(place.name, address, place.port)
        return builder.build()


def _at_once(tool: Tool, request: Request) -> bool:
    """A read has no doubt to settle, so its head may wait for the body's first byte: that saves a thread hop (a quarter
    of a send). Of an effect the head must be known even if its body never comes."""
    return tool.effect == "read" and "event-stream" not in request.header("accept")


def _prepared(
    system: System, request: Request, extra: tuple[tuple[str, str], ...], secret: str, searched: tuple[bytes, ...]
) -> tuple[Outgoing, Url]:
    """What to send, and where; the URL says exactly what was judged. Raises NeverSent."""
    try:
        ready = outgoing(system, request, extra, secret, searched=bool(searched))
    except Unsendable as problem:
        raise NeverSent(str(problem)) from None
    try:
        url = Url(ready.url)
    except ValueError:
        url = None
    if url is None or str(url) != ready.url:
        raise NeverSent(
            "the target has characters that the HTTP client would rewrite (a backslash, dot segments, or one of "
            "\"<>`{} or a space, or in the query '): percent-encode them"
        )
    return ready, url


async def _exchange(
    client: Client, ready: Outgoing, url: Url, method: str, *, at_once: bool, within: float | None
) -> tuple[NeverSent | SendLost | None, tuple[StreamRequest, Response] | None]:
    """One request, one answer's head; or what its absence proves. `within` if the client's own timeout is too long."""
    try:
        builder = client.request(method, url).headers(ready.headers)
        if ready.credential is not None:
            builder = builder.header(*ready.credential, is_sensitive=True)
        if ready.body:
            builder = builder.body_bytes(ready.body)
        sending = builder.streamed_read_buffer_limit(1 if at_once else 0).build_streamed()
    except (ValueError, PyreqwestError):  # its text quotes the value
        return NeverSent("a header field or the method has characters that cannot be sent"), None
    try:
        if within is None:
            response = await sending.__aenter__()
        else:
            async with asyncio.timeout(within):
                response = await sending.__aenter__()
    except PyreqwestError as error:
        return proven(error), None
    except TimeoutError:
        return SendLost("the system did not answer within its timeout"), None
    except Exception:  # noqa: BLE001 - a defect of the library, after which nothing is known
        return SendLost("the HTTP client failed while sending"), None
    if not 200 <= response.status < 600:
        await sending.__aexit__(None, None, None)
        return SendLost(f"the system answered with status {response.status}, which is no final status of HTTP"), None
    return None, (sending, response)
