"""Two requests for the same, under two keys: two calls beside each other, or the retry of a call whose sender died?

A worker that dies while it sends cannot write down that its requester was left without an answer, and SDKs make a new
key for every attempt. So whoever meets a call that another process is sending waits for a sign of life from there,
younger than its own request; only then is its request a call of its own. It must never take silence for life.
"""

import asyncio
import time

from gateway.core.lifecycle import recall
from gateway.ports import Journal

SILENCE_SECONDS = 2.0
"""A process that sends, and gives no sign of life for this long after an identical request came, may be dead: four
beats (`gateway.duties`). Until then the request waits."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.25


async def goes_on_without_us(journal: Journal, call: str, worker: str) -> bool:
    """True if the process that sends this call is seen at work after we (`worker`) were asked, or if nobody sends it
    any more. Raises JournalUnavailable."""
    asked, deadline, look = journal.now(), time.monotonic() + SILENCE_SECONDS, FIRST_LOOK_SECONDS
    while True:
        facts = await journal.facts(call)
        claim = recall(facts).claim if facts else None
        if claim is None or claim.worker == worker or await journal.last_beat(claim.worker) > asked:
            return True
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(look)
        look = min(look * 1.5, LAST_LOOK_SECONDS)
