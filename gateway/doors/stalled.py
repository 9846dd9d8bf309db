"""Connections whose request does not arrive: each would hold a file descriptor, and a place of its agent, for ever.

Looked at all together every few seconds, so that a request that arrives at once, as nearly all do, pays for no timer.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

MESSAGE_SECONDS = 60.0
"""For a whole request, or for the first byte of the first: long enough for the largest body over a slow line, too short
to keep connections in reserve. A connection between two requests has the server's keep-alive time instead."""
LOOK_SECONDS = 5.0


class Connection(Protocol):
    """`gateway.doors.protocol.StrictProtocol`."""

    awaited: int
    """Which request of this connection is arriving, or expected as the first; 0 while none is."""

    def give_up(self, seconds: float) -> None:
        """Say that it took too long, and close; but not while an earlier request still waits for its answer."""
        ...


@dataclass(slots=True)
class Stalled:
    _since: dict[tuple[Connection, int], float] = field(default_factory=dict)
    """When a request of a connection was first seen unfinished, or last given up."""

    def look(self, connections: Iterable[Connection], now: float) -> None:
        """Close those that have been unfinished for too long. `now` is monotonic, in seconds."""
        unfinished = {(found, found.awaited) for found in connections if found.awaited}
        self._since = {key: self._since.get(key, now) for key in unfinished}
        for (connection, number), since in self._since.items():
            if now - since >= MESSAGE_SECONDS:
                self._since[connection, number] = now
                connection.give_up(MESSAGE_SECONDS)


async def close_stalled(connections: Callable[[], Iterable[Connection]]) -> None:
    """The duty that looks."""
    stalled = Stalled()
    while True:
        stalled.look(list(connections()), time.monotonic())
        await asyncio.sleep(LOOK_SECONDS)
