"""What this process knows and the journal does not yet: that the requester of a call got no answer.

Until that is written nobody may take the call for one whose answer was handed over. So this process attaches identical
requests to it, and does not say that it is at work (`gateway.beside`, `gateway.duties`). It must never forget such a
call before it is written, whatever goes wrong, nor keep it in mind once it is: it would not be seen at work again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.tasks import spawn

UNFORESEEN_RETRY_SECONDS = 5.0
"""After a failure that nobody foresaw. A journal that is away is waited for by whoever writes."""

log = logging.getLogger("gateway.owing")


def owe(owing: set[str], call: str, write: Callable[[], Awaitable[None]]) -> None:
    """Keep `call` among `owing` until `write` has succeeded, however often that takes."""
    owing.add(call)
    spawn(_own_up(owing, call, write), f"own up to call {call}")


async def _own_up(owing: set[str], call: str, write: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await write()
        except Exception:
            log.exception("what became of call %s could not be written; it is tried again", call)
            await asyncio.sleep(UNFORESEEN_RETRY_SECONDS)
        else:
            owing.discard(call)
            return
