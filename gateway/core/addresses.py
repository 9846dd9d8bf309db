"""Addresses that nothing may be sent to, however an IPv6 address dresses them up.

Loopback and private networks are fine: systems of record live there, and an address is the operator's word. Link-local
and cloud-metadata addresses hand out credentials to whoever asks; multicast and unspecified ones are nobody's. One list
for upstreams, for webhooks and for what routes.yaml says, so that no door is left out.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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


def refused(address: str, allowed: tuple[str, ...] = ()) -> bool:
    """True if nothing may be sent to this IP address. `allowed`: CIDR networks that are fine all the same."""
    meant = tuple(forms(ipaddress.ip_address(address.partition("%")[0])))
    if any(_in(form, network) for form in meant for network in networks(allowed)):
        return False
    return any(_in(form, network) for form in meant for network in REFUSED)


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def forms(address: Address) -> Iterable[Address]:
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
