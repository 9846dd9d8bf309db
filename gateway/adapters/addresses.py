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
from functools import lru_cache

from gateway.ports import NeverSent

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FRESH_SECONDS = 30.0
"""How long an answer is used without asking again. A system that moves is followed within this time."""

REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local; 169.254.169.254 is metadata of AWS, Azure, Google, OpenStack and others
        "fe80::/10",  # link-local
        "fd00:ec2::254/128",  # AWS metadata over IPv6
        "fd20:ce::254/128",  # Google metadata over IPv6
        "100.100.100.200/32",  # Alibaba metadata
        "192.0.0.192/32",  # Oracle metadata
        "168.63.129.16/32",  # Azure's host
        "0.0.0.0/8",  # this host by another name
        "::/128",
        "224.0.0.0/4",  # multicast
        "ff00::/8",
        "255.255.255.255/32",  # broadcast
    )
)

CARRIERS: tuple[tuple[ipaddress.IPv6Network, int], ...] = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # translated (SIIT)
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of a site, with a /96 of its own
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4
    (ipaddress.IPv6Network("::/96"), 0),  # compatible
)
"""IPv6 networks whose addresses carry an IPv4 address, and how many bits follow it."""

Lookup = Callable[[str, int], Awaitable[Iterable[str]]]
"""Host and port -> all its addresses, in the order of preference. Raises OSError if there are none."""


def refused(address: str, allowed: tuple[str, ...] = ()) -> bool:
    """True if nothing may be sent to this IP address. `allowed`: CIDR networks that are fine all the same."""
    forms = tuple(_forms(ipaddress.ip_address(address.partition("%")[0])))
    if any(_in(form, network) for form in forms for network in networks(allowed)):
        return False
    return any(_in(form, network) for form in forms for network in REFUSED)


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _forms(address: Address) -> Iterable[Address]:
    """The address, and the IPv4 addresses that an IPv6 one may be carrying."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        bits = int(address)
        for network, behind in CARRIERS:
            if address in network and bits > 1:  # ::1 carries nothing
                yield ipaddress.IPv4Address((bits >> behind) & 0xFFFFFFFF)
        if address.teredo is not None:
            yield from address.teredo
        if (bits >> 32) & 0xFDFFFFFF == 0x00005EFE:  # ISATAP, of a global or a private address
            yield ipaddress.IPv4Address(bits & 0xFFFFFFFF)


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

    async def resolve(self, host: str, port: int, allowed: tuple[str, ...], within: float) -> tuple[str, ...]:
        """Addresses of the host (a name, or an IP address without brackets), the preferred one first.

        `within`: seconds. Raises NeverSent if there are none, if that takes too long, or if one of them is refused.
        """
        answer = self._answers.get((host, allowed))
        if answer is not None and answer.until > asyncio.get_running_loop().time():
            return answer.addresses
        return await self._ask(host, port, allowed, within)

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
