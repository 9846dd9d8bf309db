"""Calls as they happen, for a person who watches agents at work: each call once, as it stands now, the newest on top.

A call keeps its place while it changes, so nothing jumps under the eyes; what happens to a call that has left the list
brings it back on top. One list per process serves every open page and is brought up to date when one of them asks, at
most twice a second; while nobody watches it costs nothing. It reads the ends of the ledger and never all of it: when
more happens than people can follow it shows the last of it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.console.rows import Row, row
from gateway.core.facts import Fact

MOST_SHOWN = 60
"""Calls."""
MOST_ENTRIES = 100
"""Of one partition, at each look."""
LOOK_SECONDS = 0.4
"""Between two looks, however many pages ask."""


class Touched(Protocol):
    """`gateway.adapters.redis.lately.Touched`."""

    @property
    def entry(self) -> str: ...
    @property
    def call(self) -> str: ...


class Lately(Protocol):
    """`gateway.adapters.redis.lately.RedisLately`. Raises JournalUnavailable."""

    async def latest(self, after: Mapping[str, str], limit: int) -> Sequence[Touched]: ...


class Facts(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...


@dataclass(slots=True)
class Feed:
    lately: Lately
    journal: Facts
    clock: Callable[[], float] = time.monotonic
    _places: dict[str, str] = field(default_factory=dict)
    """By partition, the last entry that was looked at."""
    _rows: dict[str, Row] = field(default_factory=dict)
    """By call, the newest last."""
    _looked: float = float("-inf")
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def rows(self) -> list[Row]:
        """The newest first. Raises JournalUnavailable."""
        async with self._one:
            if self.clock() - self._looked >= LOOK_SECONDS:
                await self._look()
                self._looked = self.clock()
            return list(self._rows.values())[::-1]

    async def _look(self) -> None:
        touched = await self.lately.latest(self._places, MOST_ENTRIES)
        calls = list(dict.fromkeys(item.call for item in touched))[:MOST_SHOWN]
        told = await asyncio.gather(*map(self.journal.facts, calls))
        for item in reversed(touched):
            self._places[item.call[:2]] = item.entry
        for call, facts in reversed(list(zip(calls, told, strict=True))):
            if facts:
                self._rows[call] = row(facts)
        for call in list(self._rows)[:-MOST_SHOWN]:
            del self._rows[call]
