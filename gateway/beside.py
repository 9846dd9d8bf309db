"""Two requests for the same, under two keys: two calls beside each other, or the retry of a call whose sender died?

A worker that dies while it sends cannot write down that its requester was left without an answer, and SDKs make a new
key for every attempt. So whoever meets a call that another process is sending waits for a sign of life from there,
younger than its own request; only then is its request a call of its own. It must never take silence for life, nor
compare the clocks of two processes.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.core.lifecycle import recall
from gateway.ports import Journal

SILENCE_SECONDS = 2.0
"""A process that sends, and gives no sign of life for this long after an identical request came, may be dead: four
beats (`gateway.duties`). Until then the request waits."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.25


@dataclass(slots=True)
class SignsOfLife:
    """What one request, since it came, has seen of the processes that send the same."""

    journal: Journal
    worker: str
    """The process that asks."""
    owing: Collection[str]
    """Calls of which this process holds an outcome that it could not write yet: their requesters got no answer."""
    _first: dict[str, int] = field(default_factory=dict)
    """The beat of each process when it was first looked at. Any other is younger than the request."""

    async def go_on_without_us(self, calls: Collection[str]) -> str:
        """Empty if each of these calls is over, or in the hands of a process seen at work after the request came.
        Else the first that is not: the request may be its retry. Raises JournalUnavailable."""
        for call in calls:
            if not await self._goes_on(call):
                return call
        return ""

    async def _goes_on(self, call: str) -> bool:
        deadline, look = time.monotonic() + SILENCE_SECONDS, FIRST_LOOK_SECONDS
        while True:
            facts = await self.journal.facts(call)
            record = recall(facts) if facts else None
            if record is not None and (record.abandoned or record.doubts or call in self.owing):
                return False  # its requester is gone, whoever sends it
            claim = record.claim if record is not None else None
            if claim is None or claim.worker == self.worker or await self._is_at_work(claim.worker):
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(look)
            look = min(look * 1.5, LAST_LOOK_SECONDS)

    async def _is_at_work(self, worker: str) -> bool:
        beat = await self.journal.last_beat(worker)
        return beat not in (0, self._first.setdefault(worker, beat))
