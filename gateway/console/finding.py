"""Finding calls: those of the sealed log by its index, and those that are not sealed yet by the end of the journal.

What a person just saw an agent do must be found, also in the second before it is sealed; and on a host that has no
sealed log, what the journal still holds. It looks at a bounded number of calls, and says when there are more.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.console.feed import Facts, Touched
from gateway.console.rows import Row, row
from gateway.console.searching import Wanted, matches

ON_A_PAGE = 50
LOOKED_AT = 400
"""Calls of the journal that one search reads."""
OF_A_PARTITION = 200
"""Entries of the journal, of each partition, in which they are looked for."""


class Lately(Protocol):
    """`gateway.adapters.redis.lately.RedisLately`. Raises JournalUnavailable."""

    async def latest(self, after: Mapping[str, str], limit: int) -> Sequence[Touched]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """One page of results, the newest first."""

    rows: tuple[Row, ...]
    next: str
    """What `before` has to be for the page behind this one; empty: there is none."""
    elsewhere: str = ""
    """Why older calls cannot be searched here, as a sentence; empty if they can."""


@dataclass(frozen=True, slots=True)
class Finding:
    lately: Lately
    journal: Facts

    async def find(self, wanted: Wanted, before: str = "") -> Found:
        """Raises JournalUnavailable."""
        rows = sorted(await self._journalled(wanted, {}), key=lambda row: (row.begun, row.call), reverse=True)
        rows = [row for row in rows if not before or _place(row) < before]
        shown = rows[:ON_A_PAGE]
        return Found(tuple(shown), _place(shown[-1]) if len(rows) > len(shown) else "")

    async def _journalled(self, wanted: Wanted, after: Mapping[str, str]) -> list[Row]:
        """Calls that something happened to behind these places."""
        touched = await self.lately.latest(after, OF_A_PARTITION)
        lately = (item.call for item in touched if item.call.startswith(wanted.call))
        named = [wanted.call] if wanted.call else []  # by its whole id it is found however long ago it was
        calls = list(dict.fromkeys((*named, *lately)))[:LOOKED_AT]
        told = await asyncio.gather(*map(self.journal.facts, calls))
        return [row(facts) for facts in told if facts and matches(wanted, facts)]


def _place(row: Row) -> str:
    """By which rows are ordered; sorts as text."""
    return f"{row.begun:015d}-{row.call}"
