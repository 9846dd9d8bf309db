"""Publishes the ledger as traces: late if need be, repeated if need be, never lost in silence.

There is no queue. What waits, waits in the ledger, behind a durable cursor that moves only after the collector said
yes to everything up to it (peer failure 29: the SDK's batch processor drops the oldest spans when a collector is
slow). A crash between the yes and the move sends the same spans again, under the same ids.

There are two kinds of no. *Unavailable* (no connection, 429, 5xx, wrong credentials, not a collector at all):
everything waits and is tried again, with growing pauses. *Rejected* (these spans, whenever they come): the batch is
halved until the culprit is alone; its partition waits for a person, loudly, while the others go on.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.adapters.otlp.answers import Said
from gateway.adapters.otlp.collector import Collector
from gateway.adapters.otlp.entries import NumberedEntry
from gateway.adapters.otlp.reading import READER, LedgerReader, Unpublished
from gateway.core.call import PARTITION_NAMES
from gateway.core.facts import Fact
from gateway.core.segments import Life, begin
from gateway.core.spans import Origin, SpanValue, spans_after, unknown_origin

log = logging.getLogger("gateway.traces")

ENTRIES_PER_READ = 64
"""Of one partition in one step: with all partitions full, a few thousand entries in memory."""
LIVES_REMEMBERED = 10_000
"""Calls of which it is remembered where they stood; of others it is found from their facts."""
ENTRIES_PER_REQUEST = 64
"""Some 250 spans, 250 KB: far below what collectors take (4 MB is the smallest common limit)."""
LONGEST_PAUSE = 60.0
"""Seconds between attempts while the collector is away; a minute of lag after a night's outage is nothing."""
LONGEST_RETRY_AFTER = 3600.0
"""Seconds of Retry-After that we obey."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    partition: str
    entry: NumberedEntry


class TraceExporter:
    """What a steward calls again and again. One at a time: two at once would only send everything twice."""

    def __init__(
        self,
        ledger: LedgerReader,
        facts: Callable[[str], Awaitable[Sequence[Fact]]],
        *,
        origin: Origin = unknown_origin,
        skip_rejected: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`facts`: all facts of a call, empty if they are gone (`Journal.facts`).

        `skip_rejected`: a person has decided that spans which the collector will not take are given up, with an
        error in the log for each; otherwise they hold up their partition. Raises ValueError if the OTEL_* variables
        ask for what the gateway does not do.
        """
        self._ledger = ledger
        self._unpublished = Unpublished(ledger)
        self._lives: dict[tuple[str, int], Life] = {}
        """Where a call stood before so many facts: it follows from the facts, so it may be forgotten at any time."""
        self._facts = facts
        self._origin = origin
        self._skip_rejected = skip_rejected
        self._clock = clock
        self._collector = Collector()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="traces")  # for what takes long enough to be felt
        self._resume_at = 0.0
        self._failures = 0
        self._waiting: dict[str, list[NumberedEntry]] = {}
        self._stuck: dict[str, tuple[str, float]] = {}
        """Partitions whose next entry the collector rejects: that entry, and when to try it again."""
        self.problem = ""
        """Why nothing goes out, in a sentence; empty while it does."""
        self.skipped = 0
        """Entries given up because a person said so."""

    @property
    def lag_entries(self) -> int:
        """Entries that were seen in the ledger and are not published; at least, since a read is limited."""
        return sum(map(len, self._waiting.values()))

    @property
    def lag_leaves(self) -> int:
        """Facts that are sealed and not published, when it was last looked."""
        return self._unpublished.lag

    @property
    def oldest_waiting_ms(self) -> int | None:
        """The journal's time of the oldest entry that was seen and is not published; None if there is none."""
        oldest = (fact.at for entries in self._waiting.values() for entry in entries[:1] for fact in entry.facts)
        return min(oldest, default=None)

    @property
    def stuck(self) -> dict[str, str]:
        """Partitions that wait for a person: for what to do with this entry, or for a newer gateway, and why."""
        return self._unpublished.unreadable | {partition: entry for partition, (entry, _) in self._stuck.items()}

    async def step(self) -> int:
        """Publish what waits, and say how many entries that were; 0 also while it pauses after a failure.

        Raises what the ledger raises. Then, and after any crash, some spans may go out again under the same ids.
        """
        if self._clock() < self._resume_at:
            return 0
        names = [name for name in PARTITION_NAMES if not self._is_blocked(name)]
        # One more than is published now: while there is a backlog, it shows in `lag_entries` and `oldest_waiting_ms`.
        found = await self._unpublished.read(names, ENTRIES_PER_READ + 1)
        self._waiting.update({name: found.get(name, []) for name in names})
        waiting = [_Waiting(name, entry) for name in names for entry in self._waiting[name][:ENTRIES_PER_READ]]
        seen = self.lag_entries
        for batch in _batches(waiting):
            if not await self._publish(batch):
                break
        return seen - self.lag_entries

    async def close(self) -> None:
        """Give up what is being sent; it is sent again by whoever comes next."""
        await self._collector.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _publish(self, batch: list[_Waiting]) -> bool:
        """False if the collector is unavailable, so that there is no point in going on."""
        batch = [item for item in batch if not self._is_blocked(item.partition)]
        if not batch:
            return True
        said = await self._send(batch)
        if said.verdict == "accepted":
            await self._accepted(batch, said)
        elif said.verdict == "unavailable":
            self._pause(said)
            return False
        elif len(batch) == 1:
            await self._rejected(batch[0], said)
        else:
            half = len(batch) // 2
            return await self._publish(batch[:half]) and await self._publish(batch[half:])
        return True

    def _is_blocked(self, partition: str) -> bool:
        """Its next entry was rejected a short while ago, and the cursor cannot pass that one."""
        return partition in self._stuck and self._clock() < self._stuck[partition][1]

    async def _send(self, batch: list[_Waiting]) -> Said:
        await self._learn(batch)

        def encode() -> bytes | None:
            spans = [span for item in batch for span in self._spans(item.entry)]
            return self._collector.encode(spans) if spans else b""

        body = await asyncio.get_running_loop().run_in_executor(self._thread, encode)
        return await self._collector.send(body) if body != b"" else Said("accepted")  # entries about grants have none

    async def _learn(self, batch: list[_Waiting]) -> None:
        """Where each call of the batch stood that is not remembered, from its facts."""
        if len(self._lives) > LIVES_REMEMBERED:
            self._lives.clear()
        known = set(self._lives)
        lacking: dict[str, int] = {}
        for entry in (item.entry for item in batch):
            if entry.position > 0 and (entry.call, entry.position) not in known:
                lacking.setdefault(entry.call, entry.position)
            known.add((entry.call, entry.position + len(entry.facts)))  # so it is known once this one is through
        found = await asyncio.gather(*map(self._facts, lacking))
        for (call, position), facts in zip(lacking.items(), found, strict=True):
            life = begin(facts[:position]) if len(facts) >= position else None
            if life is not None:
                self._lives[call, position] = life

    def _spans(self, entry: NumberedEntry) -> tuple[SpanValue, ...]:
        spans, life = spans_after(entry, self._lives.get((entry.call, entry.position)), self._origin)
        if life is not None:
            self._lives[entry.call, entry.position + len(entry.facts)] = life
        return spans

    async def _accepted(self, batch: list[_Waiting], said: Said) -> None:
        if said.sentence:
            log.warning("the trace collector has a warning: %s", said.sentence)
        if self.problem and not self._stuck:
            log.info("traces are being exported again")
        self.problem, self._failures = "", 0
        done = {name: list(items) for name, items in itertools.groupby(batch, lambda item: item.partition)}
        await self._ledger.move(READER, {name: items[-1].entry.place.text for name, items in done.items()})
        for partition, items in done.items():
            del self._waiting[partition][: len(items)]
            self._stuck.pop(partition, None)

    async def _rejected(self, item: _Waiting, said: Said) -> None:
        stuck = self._stuck.get(item.partition, ("", 0.0))[0]
        where = f"ledger entry {item.entry.id} of partition {item.partition} (call {item.entry.call})"
        if self._skip_rejected:
            log.error("gave up the spans of %s: %s. The ledger still has its facts", where, said.sentence)
            self.skipped += 1
            await self._accepted([item], Said("accepted"))
            return
        if stuck != item.entry.id:
            log.error("%s: %s. What follows it in that partition waits, and a person must decide", where, said.sentence)
        self._stuck[item.partition] = (item.entry.id, self._clock() + LONGEST_PAUSE)

    def _pause(self, said: Said) -> None:
        pause = min(2.0**self._failures, LONGEST_PAUSE)
        self._resume_at = self._clock() + max(pause, min(said.retry_after, LONGEST_RETRY_AFTER))
        self._failures += 1
        if said.sentence != self.problem:
            log.warning("traces wait (%d entries, nothing is lost): %s", self.lag_entries, said.sentence)
        self.problem = said.sentence


def _batches(waiting: list[_Waiting]) -> Iterator[list[_Waiting]]:
    for start in range(0, len(waiting), ENTRIES_PER_REQUEST):
        yield waiting[start : start + ENTRIES_PER_REQUEST]
