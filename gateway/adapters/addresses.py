"""Which addresses a system's name may lead to, and which one is connected to.

The name is the operator's word, so loopback and private networks are fine: systems of record live there. Link-local
and cloud-metadata addresses hand out credentials to whoever asks, and multicast and unspecified ones are nobody's:
refused, however an IPv6 address dresses them up, unless the system lists their network under `allow_addresses`.

Names are resolved here and nowhere else. Every address of an answer is checked, and the sender pins its connections
to a checked one, so a name cannot change its meaning between the check and the connection (DNS rebinding).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gateway.core.addresses import refused
from gateway.ports import NeverSent

FRESH_SECONDS = 30.0
"""How long an answer is used without asking again. A system that moves is followed within this time."""

Lookup = Callable[[str, int], Awaitable[Iterable[str]]]
"""Host and port -> all its addresses, in the order of preference. Raises OSError if there are none."""


async def look_up(host: str, port: int) -> Iterable[str]:
    """What the operating system says: hosts file, DNS, and its order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[str, ...]
    until: float


class Addresses:
    """Resolves and checks names, once per name and FRESH_SECONDS however many ask. For one event loop."""

    def __init__(self, lookup: Lookup = look_up) -> None:
        self._lookup = lookup
        self._answers: dict[tuple[str, tuple[str, ...]], _Answer] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    def known(self, host: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """What `resolve` gives without asking anybody; nothing if it would have to ask."""
        answer = self._answers.get((host, allowed))
        fresh = answer is not None and answer.until > asyncio.get_running_loop().time()
        return answer.addresses if answer is not None and fresh else ()

    async def resolve(self, host: str, port: int, allowed: tuple[str, ...], within: float) -> tuple[str, ...]:
        """Addresses of the host (a name, or an IP address without brackets), the preferred one first.

        `within`: seconds. Raises NeverSent if there are none, if that takes too long, or if one of them is refused.
        """
        return self.known(host, allowed) or await self._ask(host, port, allowed, within)

    def avoid(self, host: str, address: str) -> None:
        """That address did not answer: ask again next time, and prefer another one until then."""
        for key, answer in self._answers.items():
            if key[0] == host and address in answer.addresses:
                others = tuple(other for other in answer.addresses if other != address)
                self._answers[key] = _Answer((*others, address), 0.0 if not others else answer.until)

    async def _ask(self, host: str, port: int, allowed: tuple[str, ...], within: float) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        lock = self._asking.setdefault(host, asyncio.Lock())
        try:
            async with asyncio.timeout(within), lock:
                answer = self._answers.get((host, allowed))  # somebody may have asked while we waited
                if answer is None or answer.until <= loop.time():
                    answer = _Answer(await self._checked(host, port, allowed), loop.time() + FRESH_SECONDS)
                    self._answers[(host, allowed)] = answer
                return answer.addresses
        except TimeoutError:
            problem = f"looking up {host!r} took longer than {within:g} seconds"
        except (OSError, UnicodeError) as error:  # the latter: not a name
            problem = f"{host!r} does not resolve: {getattr(error, 'strerror', None) or 'not a host name'}"
        raise NeverSent(problem)

    async def _checked(self, host: str, port: int, allowed: tuple[str, ...]) -> tuple[str, ...]:
        try:
            found: tuple[str, ...] = (str(ipaddress.ip_address(host)),)
        except ValueError:
            found = tuple(dict.fromkeys(await self._lookup(host, port)))
        if not found:
            raise OSError(0, "no address")
        for address in found:
            if refused(address, allowed):
                raise NeverSent(
                    f"{host!r} leads to {address}, a link-local, cloud-metadata or multicast address: list its network "
                    "under allow_addresses if that is really meant"
                )
        return found
