"""From which address a request came, if proxies stand before us: a header that anybody can write, so only of our own.

Each proxy adds at the end of `X-Forwarded-For` whom it heard. So it is read from its end, as long as those who wrote
are ours; whoever the last of ours heard is the client, and what stands before that is the client's own invention.
"""

import ipaddress
import re
from collections.abc import Sequence

from gateway.core.addresses import Address, Network

PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([^:]+):\d+")
"""Some proxies add the port: `[2001:db8::1]:4711`, `192.0.2.1:4711`."""
HOME = 64
"""Bits of an IPv6 address that are one subscriber's: any of the others are theirs to choose."""


def client(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Whose address it is, an IPv6 one as its network. `peer` is who is connected, `forwarded` the headers' values.

    Something unreadable stands for nobody: then it is the proxy that wrote it.
    """
    known = _read(peer)
    if known is None:
        return peer
    for text in reversed(",".join(forwarded).split(",")):
        if not any(known in network for network in trusted if network.version == known.version):
            break
        before = _read(text.strip())
        if before is None:
            break
        known = before
    return str(ipaddress.ip_network((known, HOME), strict=False)) if known.version == 6 else str(known)


def _read(text: str) -> Address | None:
    found = PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
