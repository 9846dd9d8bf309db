"""Whether somebody has looked since this start that the record is whole: until then nothing of this host has an effect.

What was restored from an older state looks healthy to whoever serves calls; only the steward, which holds log, Redis
and anchors against each other, can see that claims may be forgotten. Agents that were waiting ask again in the first
second, so nobody begins before its first look, which says itself what stops effects. A file says that it is over:
`forget` is called before anything starts. Where the look takes too long, calls are served all the same.
"""

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path

FILE = "looked"
"""In the data directory."""
PATIENCE_SECONDS = 15.0
"""More than the lease of whoever sealed here before lasts."""

log = logging.getLogger("gateway.first_look")


def forget(data: Path) -> None:
    """Nobody has looked yet. Raises OSError."""
    (data / FILE).unlink(missing_ok=True)


def say(data: Path) -> None:
    """Somebody has. Where that cannot be said, the others wait in vain, and go on."""
    with suppress(OSError):
        if not (data / FILE).exists():
            (data / FILE).touch(mode=0o600)


async def first_look(data: Path) -> None:
    """Return when it is over."""
    began = time.monotonic()
    while not (data / FILE).exists():
        if time.monotonic() - began > PATIENCE_SECONDS:
            log.warning(
                "the record was not looked at within %g seconds: calls are served all the same", PATIENCE_SECONDS
            )
            return
        await asyncio.sleep(0.02)
