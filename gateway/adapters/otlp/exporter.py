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
from typing import Protocol

from gateway.adapters.otlp.answers import Said
from gateway.adapters.otlp.collector import Collector
from gateway.core.call import PARTITIONS
from gateway.core.facts import Fact
from gateway.core.spans import Entry, Origin, SpanValue, spans_of, unknown_origin

log = logging.getLogger("gateway.traces")

READER = "traces"
"""Name of our cursor in the ledger."""
PARTITION_NAMES = tuple(f"{number:02d}" for number in range(PARTITIONS))
ENTRIES_PER_READ = 64
"""Of one partition in one step: with all partitions full, a few thousand entries in memory."""
ENTRIES_PER_REQUEST = 64
"""Some 250 spans, 250 KB: far below what collectors take (4 MB is the smallest common limit)."""
LONGEST_PAUSE = 60.0
"""Seconds between attempts while the collector is away; a minute of lag after a night's outage is nothing."""
LONGEST_RETRY_AFTER = 3600.0
"""Seconds of Retry-After that we obey."""


class LedgerReader(Protocol):
    """All facts of a partition in one order, and how far each reader came."""

    async def read(self, partition: str, after: str, limit: int) -> Sequence[Entry]:
        """At most `limit` entries after the entry `after` (empty: from the beginning), in order."""
        ...

    async def cursor(self, partition: str, reader: str) -> str:
        """Where `move` last put it; empty if never."""
        ...

    async def move(self, partition: str, reader: str, to: str) -> None:
        """Durable when it returns."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    partition: str
    entry: Entry


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
        self._facts = facts
        self._origin = origin
        self._skip_rejected = skip_rejected
        self._clock = clock
        self._collector = Collector()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="traces")  # `export` blocks, and is not thread-safe
        self._resume_at = 0.0
        self._failures = 0
        self._waiting: dict[str, list[Entry]] = {}
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
    def oldest_waiting_ms(self) -> int | None:
        """The journal's time of the oldest entry that was seen and is not published; None if there is none."""
        oldest = (fact.at for entries in self._waiting.values() for entry in entries[:1] for fact in entry.facts)
        return min(oldest, default=None)

    @property
    def stuck(self) -> dict[str, str]:
        """The entry at which each partition waits for a person, by partition."""
        return {partition: entry for partition, (entry, _) in self._stuck.items()}

    async def step(self) -> int:
        """Publish what waits, and say how many entries that were; 0 also while it pauses after a failure.

        Raises what the ledger raises. Then, and after any crash, some spans may go out again under the same ids.
        """
        if self._clock() < self._resume_at:
            return 0
        names = [name for name in PARTITION_NAMES if not self._is_blocked(name)]
        found = await asyncio.gather(*map(self._read, names))
        self._waiting.update(zip(names, found, strict=True))
        waiting = [_Waiting(name, entry) for name in names for entry in self._waiting[name][:ENTRIES_PER_READ]]
        seen = self.lag_entries
        for batch in _batches(waiting):
            if not await self._publish(batch):
                break
        return seen - self.lag_entries

    async def close(self) -> None:
        """Give up what is being sent; it is sent again by whoever comes next."""
        self._collector.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _read(self, partition: str) -> list[Entry]:
        after = await self._ledger.cursor(partition, READER)
        # One more than is published now: while there is a backlog, it shows in `lag_entries` and `oldest_waiting_ms`.
        return list(await self._ledger.read(partition, after, ENTRIES_PER_READ + 1))

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
        calls = list({item.entry.call for item in batch if item.entry.position > 0})
        found = await asyncio.gather(*(self._facts(call) for call in calls))
        facts = dict(zip(calls, found, strict=True))

        def export() -> Said:
            spans = [span for item in batch for span in self._spans(item.entry, facts)]
            return self._collector.export(spans) if spans else Said("accepted")  # entries about grants have none

        return await asyncio.get_running_loop().run_in_executor(self._thread, export)

    def _spans(self, entry: Entry, facts: dict[str, Sequence[Fact]]) -> tuple[SpanValue, ...]:
        known = facts.get(entry.call, ())
        return spans_of(entry, known[: entry.position] if len(known) >= entry.position else None, self._origin)

    async def _accepted(self, batch: list[_Waiting], said: Said) -> None:
        if said.sentence:
            log.warning("the trace collector has a warning: %s", said.sentence)
        if self.problem and not self._stuck:
            log.info("traces are being exported again")
        self.problem, self._failures = "", 0
        for partition, items in itertools.groupby(batch, lambda item: item.partition):
            entries = [item.entry for item in items]
            await self._ledger.move(partition, READER, entries[-1].id)
            del self._waiting[partition][: len(entries)]
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
