"""Finding calls: those of the sealed log by its index, and those that are not sealed yet by the end of the journal.

What a person just saw an agent do must be found, also in the second before it is sealed; and on a host that does not
have the sealed log, what the journal still holds. It looks at a bounded number of calls, and says what it leaves out.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.console.feed import Facts, Touched
from gateway.console.rows import Row, row
from gateway.console.sealed import Results, SealedLog
from gateway.console.searching import Wanted, matches
from gateway.core.leaf import NotALeaf
from gateway.ledger.files import Damaged

ON_A_PAGE = 50
LOOKED_AT = 400
"""Calls of the journal that one search reads."""
OF_A_PARTITION = 200
"""Entries of the journal, of each partition, in which they are looked for."""
SINCE_MS = 5_000
"""Of what is sealed in the journal's word, so much is looked for in the journal too: a log is written a moment before
its checkpoint is, and read a moment after."""
FAR_MS = 30_000
"""A log that ends so long before the last fact that is sealed somewhere is another host's."""


class UpTo(Protocol):
    """`gateway.adapters.redis.lately.SealedUpTo`."""

    @property
    def size(self) -> int: ...
    @property
    def entry(self) -> str: ...


class Lately(Protocol):
    """`gateway.adapters.redis.lately.RedisLately`. Raises JournalUnavailable."""

    async def latest(self, after: Mapping[str, str], limit: int) -> Sequence[Touched]: ...
    async def sealed(self) -> Mapping[str, UpTo]: ...
    async def sealer(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One page of results, the newest first."""

    rows: tuple[Row, ...]
    next: str
    """What `before` has to be for the page behind this one; empty: there is none."""
    left_out: tuple[str, ...] = ()
    """What could not be looked at here, in sentences."""


@dataclass(frozen=True, slots=True)
class Finding:
    lately: Lately
    journal: Facts
    log: SealedLog | None = None
    """None: this host has none."""

    async def find(self, wanted: Wanted, before: str = "") -> Found:
        """Raises JournalUnavailable."""
        up_to = await self.lately.sealed()
        left_out: list[str] = []
        try:
            elsewhere = await self.elsewhere(up_to)
            results = await self.log.find(wanted, ON_A_PAGE + 1, before) if self.log else Results((), 0)
        except (Damaged, NotALeaf) as error:
            elsewhere, results = dict.fromkeys(up_to, ""), Results((), 0)
            left_out.append(f"The sealed log cannot be read here: {error}. Only what the journal still holds is found.")
        after = {name: _before(told.entry) for name, told in up_to.items() if self.log} | elsewhere
        fresh = await self._journalled(wanted, after, up_to)
        rows = {one.call: one for one in results.rows} | {one.call: one for one in fresh}
        ordered = sorted(rows.values(), key=_place, reverse=True)
        ordered = [one for one in ordered if not before or _place(one) < _read(before)]
        shown = ordered[:ON_A_PAGE]
        if not left_out and (elsewhere or (up_to and not self.log)):
            left_out.append(await self._where())
        left_out += _behind(results.behind)
        return Found(tuple(shown), _mark(shown[-1]) if len(ordered) > len(shown) else "", tuple(left_out))

    async def elsewhere(self, up_to: Mapping[str, UpTo]) -> dict[str, str]:
        """Partitions that another host seals: the last entry of each that is in the log here."""
        if self.log is None:
            return {}
        ends = await self.log.ends({name: told.size for name, told in up_to.items()})
        return {name: end for name, end in ends.items() if _time(up_to[name].entry) - _time(end) > FAR_MS}

    async def where(self, call: str) -> str:
        """Which host has what is sealed of that call, as a sentence; empty if it is sealed here, or not at all yet."""
        up_to = {name: told for name, told in (await self.lately.sealed()).items() if name == call[:2]}
        if not up_to or (self.log and not await self.elsewhere(up_to)):
            return ""
        host = await self.lately.sealer()
        return f"What is sealed of it is on {host or 'another host'}: open this page there for the proof."

    async def _where(self) -> str:
        host = await self.lately.sealer()
        named = f"on {host}" if host else "on another host"
        return f"The sealed log is {named}; here only what the journal still holds is found. Search there for the rest."

    async def _journalled(self, wanted: Wanted, after: Mapping[str, str], up_to: Mapping[str, UpTo]) -> list[Row]:
        """Calls that something happened to behind these places."""
        touched = await self.lately.latest({name: entry for name, entry in after.items() if entry}, OF_A_PARTITION)
        last: dict[str, str] = {wanted.call: ""} if wanted.call else {}  # found by its whole id however old it is
        for item in touched:
            if item.call.startswith(wanted.call):
                last[item.call] = last.get(item.call) or item.entry
        calls = list(last)[:LOOKED_AT]
        told = zip(calls, await asyncio.gather(*map(self.journal.facts, calls)), strict=True)
        return [
            row(facts, unsealed=_unsealed(call, last[call], up_to))
            for call, facts in told if facts and matches(wanted, facts)
        ]  # fmt: skip


def _unsealed(call: str, entry: str, up_to: Mapping[str, UpTo]) -> bool:
    """True if that entry about the call is not in the sealed log, here or elsewhere."""
    sealed = up_to.get(call[:2])
    return sealed is None or order(entry) > order(sealed.entry)


def order(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds or 0), int(sequence or 0)


def _behind(count: int) -> list[str]:
    said = "The index of the sealed log is still being read: at least {:,} facts to go. Search again in a moment."
    return [said.format(count)] if count else []


def _before(entry: str) -> str:
    return f"{max(0, _time(entry) - SINCE_MS)}-0"


def _time(entry: str) -> int:
    """The journal's time of an entry, milliseconds; 0 of none."""
    return order(entry)[0]


def _place(row: Row) -> tuple[int, str]:
    return row.begun, row.call


def _mark(row: Row) -> str:
    """As the index marks the place of a row (`gateway.ledger.index.mark`)."""
    return f"{row.begun}.{row.call}"


def _read(mark: str) -> tuple[int, str]:
    begun, _, call = mark.partition(".")
    return (int(begun) if begun.isdecimal() else 0), call
