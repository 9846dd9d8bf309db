"""How the calls stand that are not over: held, executing, in doubt. For lists and figures, never for a decision.

A state is a function of a call's facts, and facts are only ever added. So a call is read again only if it has more
facts than when it was read last, and counting 100,000 held calls costs one LLEN each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.facts import Fact
from gateway.core.lifecycle import recall
from gateway.core.timeline import state

STATES = ("held", "executing", "in doubt", "judging")
"""Of a call that is not over. `judging` lasts milliseconds."""


class Reading(Protocol):
    """`gateway.adapters.redis.ledger.RedisLedger`."""

    async def unsettled(self) -> list[str]: ...

    async def lengths(self, calls: Sequence[str]) -> list[int]:
        """How many facts each call has."""
        ...


class Facts(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...


@dataclass(frozen=True, slots=True)
class Standing:
    length: int
    state: str
    begun: int


@dataclass(slots=True)
class OpenCalls:
    ledger: Reading
    journal: Facts
    _known: dict[str, Standing] = field(default_factory=dict)

    async def standing(self) -> dict[str, Standing]:
        """Every call that is not over. Raises JournalUnavailable."""
        calls = await self.ledger.unsettled()
        found: dict[str, Standing] = {}
        for call, length in zip(calls, await self.ledger.lengths(calls), strict=True):
            known = self._known.get(call)
            if known is None or known.length != length:
                facts = await self.journal.facts(call)
                if not facts:
                    continue
                known = Standing(len(facts), state(recall(facts)), facts[0].at)
            if known.state in STATES:
                found[call] = known
        self._known = found
        return found

    async def named(self, wanted: str) -> list[str]:
        """Ids of the calls in that state, newest first."""
        found = [(item.begun, call) for call, item in (await self.standing()).items() if item.state == wanted]
        return [call for _, call in sorted(found, reverse=True)]

    async def counted(self) -> dict[str, int]:
        """How many are in each of STATES."""
        states = [item.state for item in (await self.standing()).values()]
        return {name: states.count(name) for name in STATES}
