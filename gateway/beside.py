"""Two requests for the same, under two keys: two calls beside each other, or one whose answer got lost on its way?

A worker that dies while it sends, or with the answer in its hands, cannot write down that its requester was left
without one, and SDKs make a new key for every attempt. So every call that was sent is met by identical requests until
its answer was handed over, and whoever meets one waits until the process that has it in hand was seen at work after
the request came; only then is the request a call of its own.

Two beats prove that. The second was written after the first had arrived, so what had reached that process before the
request came, a connection that closed above all, it knew before the second; and it does not beat while it knows of a
requester who left without that being in the journal. What is read after the second beat is therefore the truth.

It must never take silence for life, nor compare the clocks of two processes.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.core.pointers import attracts, in_hands_of
from gateway.core.record import recall
from gateway.ports import Journal

SILENCE_SECONDS = 2.0
"""A process that gives no two signs of life within this time after an identical request came may be dead: that is
four beats (`gateway.duties`). Until then the request waits."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.25
YOUNG_BEATS = 2


@dataclass(slots=True)
class SignsOfLife:
    """What one request, since it came, has seen of the processes that have the same in hand."""

    journal: Journal
    worker: str
    """The process that asks."""
    owing: Collection[str]
    """Calls whose requesters got no answer, as this process knows and the journal does not yet."""
    match: str
    """Match digest of the request."""
    _first: dict[str, int] = field(default_factory=dict)
    """The beat of each process when it was first looked at. Any other is younger than the request."""
    _young: dict[str, set[int]] = field(default_factory=dict)
    """Those others."""

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
            if call in self.owing:
                return False
            facts = await self.journal.facts(call)
            record = recall(facts) if facts else None
            if record is not None and attracts(record, since=facts[-1].at, now=self.journal.now()):
                return False
            hands = in_hands_of(record) if record is not None else None
            if hands is None:
                self.journal.leave(call, self.match)
                return True
            if hands == self.worker or self._at_work(hands):
                return True
            if await self._beats_again(hands):
                continue  # at work: now, and not before, the facts tell whether the requester left
            if not await self.journal.met(call, self.match):
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(look)
            look = min(look * 1.5, LAST_LOOK_SECONDS)

    def _at_work(self, worker: str) -> bool:
        return len(self._young.get(worker, ())) >= YOUNG_BEATS

    async def _beats_again(self, worker: str) -> bool:
        """Look once more. True if that was the last sign of life it took."""
        beat = await self.journal.last_beat(worker)
        if beat not in (0, self._first.setdefault(worker, beat)):
            self._young.setdefault(worker, set()).add(beat)
        return self._at_work(worker)
