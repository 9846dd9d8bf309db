"""The duty of trimming: when the sealed log has it and everybody is done with it, the stream in Redis lets it go.

One steward at a time, in small steps, so that nobody waits for Redis meanwhile. It decides nothing: see `trim.lua`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.adapters.redis.trimming import RedisTrimming
from gateway.generations import Generations
from gateway.ports import JournalUnavailable

LOOK_SECONDS = 60.0
"""Between two times that there was nothing to let go."""
STEP_SECONDS = 0.1
"""Between two steps while there is more: at most some hundred thousand entries a second."""
PAUSE_SECONDS = 5.0
"""After a failure that nobody foresaw."""
LEASE_MS = 90_000

log = logging.getLogger("gateway.trimming")


async def trim(
    trimming: RedisTrimming,
    generations: Generations,
    counted: Callable[[], Awaitable[dict[str, str]]],
    lease: Callable[[str, int], Awaitable[bool]],
) -> None:
    """With the limits of today's routes. `counted`: how far the numbers about decisions go, as they are kept."""
    while True:
        gone = 0
        try:
            if await lease("trim", LEASE_MS):
                gone = await trimming.step(generations.current.routes.ledger.trim, await counted())
        except JournalUnavailable:
            pass  # `duties.beat` says so
        except Exception:
            log.exception("trimming failed in an unknown way; it is tried again")
            await asyncio.sleep(PAUSE_SECONDS)
        if gone:
            log.debug("the streams let go of %d entries", gone)
        await asyncio.sleep(STEP_SECONDS if gone else LOOK_SECONDS)
