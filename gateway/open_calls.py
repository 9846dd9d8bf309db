"""How the calls stand that are not over: held, executing, in doubt. For lists and figures, never for a decision.

Held ones may be 100,000, so they are counted and found by the list that the journal keeps of them. The others are few,
and a state is a function of a call's facts, which are only ever added: a call is read again only if it has more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.facts import Fact
from gateway.core.record import recall
from gateway.core.timeline import state

STATES = ("held", "executing", "in doubt", "judging")
"""Of a call that is not over. `judging` lasts milliseconds."""


class Held(Protocol):
    """`gateway.adapters.redis.held.HeldCalls`."""

    async def last(self, limit: int) -> Sequence[Any]: ...
    async def count(self) -> int: ...
    async def others(self) -> list[str]: ...
    async def lengths(self, calls: list[str]) -> list[int]: ...
    async def insert(self, call: str, until: int) -> None: ...
    async def drop_ended(self) -> None: ...


class Facts(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...


@dataclass(frozen=True, slots=True)
class Standing:
    length: int
    state: str
    begun: int
    until: int | None
    """When the time to decide is over; None if nobody was asked."""


@dataclass(slots=True)
class OpenCalls:
    held: Held
    journal: Facts
    _known: dict[str, Standing] = field(default_factory=dict)

    async def others(self) -> dict[str, Standing]:
        """Every call that is not over and not on the list of the held ones. Raises JournalUnavailable."""
        calls = await self.held.others()
        found: dict[str, Standing] = {}
        for call, length in zip(calls, await self.held.lengths(calls) if calls else (), strict=True):
            known = self._known.get(call)
            if known is None or known.length != length:
                facts = await self.journal.facts(call)
                if not facts:
                    continue
                record = recall(facts)
                known = Standing(len(facts), state(record), facts[0].at, record.expires_at)
            if known.state in STATES:
                found[call] = known
        self._known = found
        return found

    async def named(self, wanted: str, limit: int) -> list[str]:
        """Ids of at most `limit` calls in that state, newest first; of held ones the last to expire first."""
        listed = [place.call for place in await self.held.last(limit)] if wanted == "held" else []
        found = [(item.begun, call) for call, item in (await self.others()).items() if item.state == wanted]
        return [*(call for _, call in sorted(found, reverse=True)), *listed][:limit]

    async def counted(self) -> dict[str, int]:
        """How many are in each of STATES."""
        states = [item.state for item in (await self.others()).values()]
        return {name: states.count(name) for name in STATES} | {"held": await self.held.count() + states.count("held")}

    async def mend(self) -> None:
        """Correct what a gateway too old to keep the list of held calls did meanwhile. Raises JournalUnavailable."""
        await self.held.drop_ended()  # first: `others` relies on all that are listed being open
        for call, item in (await self.others()).items():
            if item.state == "held" and item.until is not None:
                await self.held.insert(call, item.until)
