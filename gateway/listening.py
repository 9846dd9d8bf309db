"""From `host:port` to listening sockets, or one sentence about why not.

Nothing is guessed: an empty host would mean every interface, which somebody has to want and therefore to write.
"""

import errno
import os
import re
import socket

from gateway.children import CannotStart

# Connections that may wait while all workers are busy or restart. The kernel lowers it to its own limit (somaxconn).
BACKLOG = 2048

# What a name such as localhost may resolve to on a machine without it; another address of the name still counts.
NOT_ON_THIS_MACHINE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`. Raises CannotStart."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s/]+)):(\d{1,5})", address)
    if not found or int(found[3]) > 65535:
        raise CannotStart(
            f"The address {address!r} is not `host:port`: write for example 127.0.0.1:8080, [::1]:8080, or "
            "0.0.0.0:8080 for every interface."
        )
    return found[1] or found[2], int(found[3])


def bind(address: str) -> list[socket.socket]:
    """Listening sockets on every address the host stands for. Raises CannotStart with one sentence."""
    host, port = parse_address(address)
    try:
        places = list(dict.fromkeys(info[::4] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except OSError as error:
        raise CannotStart(f"The host of {address!r} cannot be resolved: {error.strerror}.") from error
    bound: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, place in places:
            try:
                bound.append(_listen(family, place, bound))
            except OSError as error:
                if error.errno not in NOT_ON_THIS_MACHINE:
                    raise
                absent = error
        if not bound:
            raise absent or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError as error:
        for listener in bound:
            listener.close()
        raise CannotStart(_sentence(address, port, error)) from error
    return bound


def shown(listener: socket.socket) -> str:
    """`host:port` of a bound socket, as it is written in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(family: int, place: tuple[object, ...], bound: list[socket.socket]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still in TIME_WAIT can be bound again; one in use cannot.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if bound and place[1] == 0:  # a free port was asked for: the name's other addresses get the same one
            place = (place[0], bound[0].getsockname()[1], *place[2:])
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _sentence(address: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"The address {address!r} is in use by another process: stop that, or change `listen` in routes.yaml."
            )
        case errno.EACCES:
            return f"Port {port} of {address!r} needs privileges: use a port of 1024 or more."
        case errno.EADDRNOTAVAIL:
            return f"The address {address!r} does not belong to this machine: use 0.0.0.0 for every interface."
        case _:
            return f"The address {address!r} cannot be listened on: {error.strerror}."
