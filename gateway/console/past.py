"""What an agent did before: with the same tool, and in the same run. It helps to decide; it decides nothing."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.core.call import Call
from gateway.core.facts import Fact
from gateway.core.outcomes import Became, became
from gateway.core.record import recall
from gateway.core.routes import Routes

LAST = 10
"""Calls with the same tool that a card tells of."""
OF_A_RUN = 100


class History(Protocol):
    """`gateway.adapters.redis.history.RedisHistory`."""

    async def begun(self, agent: str) -> list[Call]:
        """The calls that this agent began lately, newest first."""
        ...


class Facts(Protocol):
    async def facts(self, call: str) -> list[Fact]: ...


@dataclass(frozen=True, slots=True)
class Before:
    call: str
    tool: str
    resource: str
    at: int
    became: Became
    effect: str


@dataclass(frozen=True, slots=True)
class Past:
    history: History
    journal: Facts

    async def with_tool(self, call: Call, routes: Routes, now: int) -> list[Before]:
        """The last calls of that agent with that tool, newest first, without this one."""
        begun = await self.history.begun(call.agent)
        same = [other.id for other in begun if other.tool == call.tool and other.id != call.id]
        return await self._told(same[:LAST], routes, now)

    async def of_run(self, call: Call, routes: Routes, now: int) -> list[Before]:
        """The calls of the run of this one, oldest first, this one among them."""
        begun = await self.history.begun(call.agent)
        same = [other.id for other in begun if other.run == call.run and other.user == call.user]
        return (await self._told(same[:OF_A_RUN], routes, now))[::-1]

    async def _told(self, calls: Iterable[str], routes: Routes, now: int) -> list[Before]:
        found = []
        for facts in await asyncio.gather(*map(self.journal.facts, calls)):
            if facts:
                record = recall(facts)
                call = record.call
                came = became(record, {}, routes, now=now)
                found.append(Before(call.id, call.tool, call.resource, facts[0].at, came, call.effect))
        return found
