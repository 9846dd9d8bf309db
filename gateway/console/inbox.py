"""Everything that waits for one person's decision, the one that expires first on top.

A call is read again only if it has more facts than when it was read last, so a look at the inbox costs one LLEN per
held call. It is a list to choose from: what a card says, and what a decision does, is read anew from the journal.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from gateway.console.questions import waits_for
from gateway.core.admit import Inadmissible
from gateway.core.alike import one_card_each, same_question
from gateway.core.facts import Fact
from gateway.core.notices import discreet, summary
from gateway.core.record import Record, recall
from gateway.core.routes import Routes
from gateway.core.timeline import state
from gateway.engine import Engine
from gateway.judging import admission_of

T = TypeVar("T")
R = TypeVar("R")

MOST_HELD = 10_000
"""Held calls that one process keeps in mind for its inboxes, some 5 KB each."""
MOST_SHOWN = 200
"""Questions on one page."""
READ_AT_ONCE = 200
"""Calls read side by side: their commands share a round trip."""


class Place(Protocol):
    """Where a call stands among the held ones."""

    @property
    def call(self) -> str: ...


class Held(Protocol):
    """`gateway.adapters.redis.held.HeldCalls`."""

    async def page(self, limit: int) -> Sequence[Place]:
        """At most so many held calls, the soonest to expire first."""
        ...

    async def count(self) -> int: ...
    async def lengths(self, calls: list[str]) -> list[int]: ...


class Facts(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the inbox: one question, however many calls ask it."""

    call: str
    """The one that expires first."""
    agent: str
    tool: str
    effect: str
    summary: str
    why: str
    groups: tuple[str, ...]
    expires_at: int
    same: tuple[str, ...]
    """All calls that ask exactly this, this one first."""


@dataclass(frozen=True, slots=True)
class Listed:
    items: tuple[Item, ...]
    waiting: int
    """Calls that wait for this person."""
    held: int
    """Calls that wait for anybody."""
    complete: bool
    """False if more calls are held than were looked at, or more wait than are shown."""


@dataclass(slots=True)
class Inbox:
    held: Held
    journal: Facts
    engine: Engine
    _known: dict[str, tuple[int, Record]] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, person: str, routes: Routes) -> Listed:
        """What waits for this person now. Raises JournalUnavailable."""
        held, count = await self._held(), await self.held.count()
        now = self.engine.journal.now()
        mine = [record for record in held if waits_for(record, person, routes, now=now)]
        listed = mine[:MOST_SHOWN]
        cards = one_card_each(await _side_by_side(listed, self._item)).values()
        items = tuple(replace(same[0], same=tuple(item.call for item in same)) for same in cards)
        return Listed(items, len(mine), count, count <= MOST_HELD and len(mine) == len(listed))

    async def _held(self) -> list[Record]:
        """The held calls, the soonest to expire first, at most MOST_HELD."""
        async with self._looking:
            calls = [place.call for place in await self.held.page(MOST_HELD)]
            lengths = zip(calls, await self.held.lengths(calls) if calls else (), strict=True)
            known = {call: self._known[call] for call, size in lengths if self._known.get(call, (-1,))[0] == size}
            unread = [call for call in calls if call not in known]
            for call, facts in zip(unread, await _side_by_side(unread, self.journal.facts), strict=True):
                if facts:
                    known[call] = len(facts), recall(facts)
            self._known = known
        return [known[call][1] for call in calls if call in known and state(known[call][1]) == "held"]

    async def _item(self, record: Record) -> tuple[str, Item]:
        """The line of one call, and what it has in common with others that ask the same."""
        call, judged = record.call, record.judged
        life = await self.engine.load(call.id)
        try:
            if life is None:
                raise Inadmissible("unknown-call", "it is no longer kept")
            admission = await admission_of(life, self.engine.journal)
            line, key = summary(discreet(admission)), same_question(record, admission)
        except Inadmissible as no:
            line, key = f"{call.agent} wants to call {call.tool}, which cannot be shown: {no.reason}", call.id
        asked = dict.fromkeys(item.group for item in judged.verdict.requirements) if judged else {}
        item = Item(
            call=call.id, agent=call.agent, tool=call.tool, effect=call.effect, summary=line, why=call.reason,
            groups=tuple(asked), expires_at=record.expires_at or 0, same=(call.id,),
        )  # fmt: skip
        return key, item


async def _side_by_side(items: Sequence[T], read: Callable[[T], Awaitable[R]]) -> list[R]:
    found: list[R] = []
    for start in range(0, len(items), READ_AT_ONCE):
        found += await asyncio.gather(*map(read, items[start : start + READ_AT_ONCE]))
    return found
