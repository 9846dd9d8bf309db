"""Where the figures come from: the ledger, the lists beside it, and what the processes of all hosts measured.

Whoever asks gets what is true at that moment for the whole deployment, so any steward may be asked; the figures of the
exporter and of the anchors are those of the steward that is asked.
"""

import asyncio
from dataclasses import dataclass

from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.redis.latencies import RedisLatencies
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.anchors import Anchors
from gateway.core.deployment import LOGS
from gateway.core.figures import (
    ANCHOR_LAG,
    APPENDING,
    CALLS,
    DECIDING,
    DUE,
    DUE_OLDEST,
    EXPORT_LAG,
    EXPORT_OLDEST,
    EXPORT_STUCK,
    FINISHED,
    HELD_BY_AGE,
    HELD_OLDEST,
    MISTAKES,
    SEAL_LAG,
    UNDELIVERED,
    Metric,
    Value,
)
from gateway.core.latency import Spread
from gateway.generations import Generations
from gateway.insights import Counting
from gateway.open_calls import OpenCalls

QUEUES = {"calls": "due", "notices": "outbox"}
"""By the label's value, the name in Redis of what is sorted by when it is due."""


@dataclass(frozen=True, slots=True)
class Measures:
    generations: Generations
    ledger: RedisLedger
    open_calls: OpenCalls
    counting: Counting
    latencies: RedisLatencies
    exporter: TraceExporter | None
    anchors: Anchors | None = None

    async def __call__(self) -> dict[Metric, Value]:
        """All figures of this moment. Raises JournalUnavailable."""
        counts, undelivered, sums, _ = await asyncio.gather(
            self.open_calls.counted(), self.ledger.undelivered(), self.latencies.sums(), self.counting.catch_up()
        )
        return {
            CALLS: {(name.replace(" ", "_"),): count for name, count in counts.items()},
            FINISHED: {(tool, outcome): count for (tool, outcome), count in self.counting.finished.counts.items()},
            DECIDING: Spread.read("decision", sums),
            APPENDING: Spread.read("journal", sums),
            UNDELIVERED: undelivered,
            MISTAKES: len(self.generations.mistakes),
            SEAL_LAG: await self._unsealed(),
            ANCHOR_LAG: self.anchors.lag if self.anchors is not None else 0.0,
            **self._held(),
            **await self._due(),
            **self._export(),
        }

    async def _unsealed(self) -> float:
        since = await SealedLedger(self.ledger.journal).unsealed_since(LOGS)
        return 0.0 if since is None else max(0, self.counting.now() - since) / 1000

    def _held(self) -> dict[Metric, Value]:
        ages = self.counting.counted.ages(self.counting.now())
        return {
            HELD_BY_AGE: {(name,): count for name, count in ages.counts.items()},
            HELD_OLDEST: ages.oldest_ms / 1000,
        }

    async def _due(self) -> dict[Metric, Value]:
        now = self.counting.now()
        found = {label: await self.ledger.overdue(name, now) for label, name in QUEUES.items()}
        return {
            DUE: {(label,): count for label, (count, _) in found.items()},
            DUE_OLDEST: {(label,): (now - oldest) / 1000 for label, (_, oldest) in found.items()},
        }

    def _export(self) -> dict[Metric, Value]:
        if self.exporter is None:
            return {}
        return {
            EXPORT_LAG: self.exporter.lag_entries,
            EXPORT_OLDEST: self.exporter.oldest_waiting_ms or 0,
            EXPORT_STUCK: len(self.exporter.stuck),
        }
