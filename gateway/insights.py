"""Keeps the numbers about decisions and about outcomes up to date, by reading the ledger as it grows.

What was counted is kept in Redis together with how far the ledger was read, in one value, so the two cannot disagree:
a new process goes on where the value ends and reads again what came after. Every steward counts for itself, whoever
wrote the value last, so there is nothing to lease and nothing to lose; without the value, or with one of another
version, counting begins anew, KEPT_DAYS back. It must never hold up the steward: it reads in small steps.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from gateway.core.call import PARTITION_NAMES
from gateway.core.codec import UnreadableFact, decode
from gateway.core.finished import Finished, Kind, Told, told
from gateway.core.insights import DAY_MS, KEPT_DAYS, Insights
from gateway.ports import JournalUnavailable

FORMAT = 1
PER_STEP = 64
"""Entries of one partition in one step, if all are read: with all of them full, some 10 MB for some 20 ms."""
MOST_PER_STEP = 512
"""The same if few are read: asking the others again costs as much as counting what one of them has."""
LOOK_SECONDS = 5.0
"""How often the ledger is looked at while nobody asks for the numbers."""
STEP_PAUSE_SECONDS = 0.02
"""Between two steps while there is more, for whatever else the steward does."""
CATCH_UP_SECONDS = 2.0
"""How long somebody who asks waits for the newest numbers; then the numbers say that they are behind."""
KEEP_ENTRIES = 20_000
"""Entries after which the count is kept: what a new process reads again at most, but for those of KEEP_SECONDS."""
KEEP_SECONDS = 600.0
PAUSE_SECONDS = 5.0
"""After a failure that nobody foresaw."""

log = logging.getLogger("gateway.insights")


class Stretch(Protocol):
    """Entries of a partition that follow each other."""

    @property
    def first(self) -> str: ...
    @property
    def last(self) -> str: ...
    @property
    def entries(self) -> Sequence[tuple[str, bytes]]: ...


class Ledger(Protocol):
    """`gateway.adapters.redis.ledger.RedisLedger`."""

    async def stretches(self, after: Mapping[str, str], limit: int) -> Mapping[str, Stretch]: ...
    async def kinds(self, calls: Sequence[str]) -> Sequence[Kind]: ...
    async def note(self, name: str) -> bytes | None: ...
    async def keep(self, name: str, value: bytes) -> None: ...


@dataclass(slots=True)
class Counting:
    ledger: Ledger
    now: Callable[[], int]
    """The journal's time, milliseconds."""
    counted: Insights = field(default_factory=Insights)
    finished: Finished = field(default_factory=Finished)
    cursors: dict[str, str] = field(default_factory=dict)
    """Per partition the last entry that is counted; empty before the first step."""
    _full: tuple[str, ...] = ()
    """Partitions that had more than the last step read; if none, any may have."""
    _unkept: int = 0
    _kept_at: float = field(default_factory=time.monotonic)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)  # a start has more urgent things to do
        while True:
            try:
                more = await self.step()
                await self._keep()
            except JournalUnavailable:
                more = False  # `duties.beat` says so
            except Exception:
                log.exception("counting decisions failed in an unknown way; it is tried again")
                await asyncio.sleep(PAUSE_SECONDS)
                more = False
            await asyncio.sleep(STEP_PAUSE_SECONDS if more else LOOK_SECONDS)

    async def report(self, days: int = KEPT_DAYS) -> dict[str, Any]:
        """The numbers of this moment, as plain values. `behind`: not all of the ledger is counted yet, so they will
        still change. Raises JournalUnavailable."""
        behind = await self.catch_up()
        return self.counted.report(self.now(), days) | {"days": days, "behind": behind}

    async def catch_up(self) -> bool:
        """Count what is new, for a moment; true if that was not enough. Raises JournalUnavailable."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while (behind := await self.step()) and time.monotonic() < deadline:
            pass
        return behind

    async def kept(self) -> dict[str, str]:
        """Per partition the last entry that what is kept counts: from there a new steward reads on. Empty if nothing
        is kept. Raises JournalUnavailable."""
        value = await self.ledger.note("insights")
        try:
            return (await asyncio.to_thread(_unpacked, value or b"{}"))[2]
        except (AttributeError, KeyError, TypeError, ValueError):
            return {}

    async def step(self) -> bool:
        """Count a few more entries of every partition; true if there are more. Raises JournalUnavailable."""
        async with self._reading:
            if not self.cursors:
                await self._begin()
            asked = self._full or PARTITION_NAMES
            limit = min(PER_STEP * len(PARTITION_NAMES) // len(asked), MOST_PER_STEP)
            found = await self.ledger.stretches({name: self.cursors[name] for name in asked}, limit)
            read = {name: [(call, told(stored)) for call, stored in it.entries] for name, it in found.items()}
            await self._learn(read)
            for name, stretch in found.items():  # from here on nothing waits, so count and cursors go together
                for (call, stored), (_, entry) in zip(stretch.entries, read[name], strict=True):
                    self._count(call, stored)
                    self.finished.count(call, entry)
                self.counted.read_from(int(stretch.first.partition("-")[0]))
                self.cursors[name] = stretch.last
                self._unkept += len(stretch.entries)
            self._full = tuple(name for name, stretch in found.items() if len(stretch.entries) == limit)
            return bool(self._full) or asked is not PARTITION_NAMES  # the others have news by now

    async def _learn(self, read: Mapping[str, Sequence[tuple[str, Told]]]) -> None:
        """The tools of calls that began too long ago to be remembered."""
        self.finished.forget()
        entries = [item for some in read.values() for item in some]
        begun = {call for call, entry in entries if entry.kind is not None}
        lacking = {call for call, entry in entries if self.finished.lacks(call, entry)}
        calls = sorted(lacking - begun)
        for call, kind in zip(calls, await self.ledger.kinds(calls) if calls else (), strict=True):
            self.finished.learn(call, kind)

    def _count(self, call: str, stored: bytes) -> None:
        """One entry, decoded only if it matters. One that only a newer gateway can read counts for nothing."""
        if self.counted.concerned_by(call, stored):
            with suppress(UnreadableFact):
                self.counted.fold(call, [decode(fact) for fact in stored.split(b"\n")])

    async def _begin(self) -> None:
        """Go on where whoever kept the count stopped, or begin KEPT_DAYS back."""
        kept = await self.ledger.note("insights")
        try:
            self.counted, self.finished, self.cursors = await asyncio.to_thread(_unpacked, kept or b"{}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("the numbers about decisions are counted anew: what was kept cannot be read (%r)", error)
        if not self.cursors:
            self.counted, self.finished = Insights(), Finished()
            self.cursors = dict.fromkeys(PARTITION_NAMES, f"{self.now() - KEPT_DAYS * DAY_MS}-0")

    async def _keep(self) -> None:
        due = self._unkept >= KEEP_ENTRIES or time.monotonic() - self._kept_at >= KEEP_SECONDS
        if not (due and self._unkept):
            return
        async with self._reading:  # nothing is counted while a thread of its own packs what may be megabytes
            self._unkept, self._kept_at = 0, time.monotonic()
            value = await asyncio.to_thread(self._packed)
        await self.ledger.keep("insights", value)

    def _packed(self) -> bytes:
        value = {
            "format": FORMAT, "cursors": self.cursors, "counted": self.counted.packed(),
            "finished": self.finished.packed(),
        }  # fmt: skip
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def _unpacked(kept: bytes) -> tuple[Insights, Finished, dict[str, str]]:
    """Counts and cursors; no cursors if it is of another version. Raises what reading a strange value raises."""
    value = orjson.loads(kept)
    if value.get("format") != FORMAT:
        return Insights(), Finished(), {}
    finished = Finished.unpacked(value.get("finished", []))  # not kept by a gateway that did not count it
    cursors = {name: str(value["cursors"][name]) for name in PARTITION_NAMES}
    return Insights.unpacked(value["counted"]), finished, cursors
