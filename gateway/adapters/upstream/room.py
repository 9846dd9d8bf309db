"""How many connections there may be at one time.

asyncio.Semaphore does the same, but even a place that is free takes a coroutine there and two looks at who waits.
"""

import asyncio
from collections import deque


class Room:
    """Places, taken in the order in which they were asked for. For one event loop."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    def enter(self) -> bool:
        """Take a place, if one is free: then nobody waits, since whoever leaves gives his to who waits longest."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self, seconds: float) -> bool:
        """Take a place once there is one; False if there was none within that time."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
            return True
        except TimeoutError:
            self._give_up(place)
            return False
        except BaseException:
            self._give_up(place)
            raise

    def leave(self) -> None:
        """Give a place back. Once for each that was taken."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _give_up(self, place: asyncio.Future[None]) -> None:
        """Whoever is told to stop at the very moment at which it got a place must not keep that."""
        if not place.cancelled():
            self.leave()
