"""What contract tests of the journal share: one bench per adapter, and appends in few words."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from gateway.adapters.memory_journal import MemoryJournal
from gateway.adapters.redis.command import pointer_key
from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import call_id, partition_of
from gateway.core.facts import Admitted, Fact
from gateway.core.pointers import Pointer, Upkeep
from gateway.ports import Append, Appended, Conflict, Revoked, Suspended, Taken, TooManyQuestions
from tests.playbook import CALL

AGENT = "billing-bot"
FIRST = Admitted(call=CALL)


def new_call(agent: str = AGENT) -> str:
    return call_id(agent, secrets.token_hex(10))


def write(call: str, expected: int, *facts: Fact, agent: str = AGENT, **how: Any) -> Append:
    """An append. `pointers`, `due_in` and `expire_in` go into its upkeep."""
    upkeep = Upkeep(tuple(how.pop("pointers", ())), how.pop("due_in", None), how.pop("expire_in", None))
    token = how.pop("token", None) or secrets.token_hex(8)
    return Append(call=call, agent=agent, expected=expected, token=token, facts=facts, upkeep=upkeep, **how)


def key(name: str, mode: Any, ttl: int | None = None) -> Pointer:
    return Pointer(name, "key", mode, ttl)


def opened(name: str, mode: Any, ttl: int | None = None) -> Pointer:
    return Pointer(name, "open", mode, ttl)


def executing(name: str, mode: Any, ttl: int | None = None) -> Pointer:
    return Pointer(name, "executing", mode, ttl)


def counted(most: int, window: int, agent: str = AGENT) -> Pointer:
    return Pointer(agent, "questions", "count", window, most)


def needed(grant: str) -> Pointer:
    return Pointer(grant, "grant", "need")


class MemoryBench:
    def __init__(self) -> None:
        self.journal = MemoryJournal(lambda: time.time_ns() // 1_000_000)

    async def suspend(self, agent: str) -> None:
        self.journal.suspended.add(agent)

    async def readmit(self, agent: str) -> None:
        self.journal.suspended.discard(agent)

    async def pointer(self, kind: str, name: str) -> tuple[str, int | None] | None:
        """Whom the pointer leads to and how many milliseconds it lasts."""
        call, end = self.journal.pointers.get(f"{kind}:{name}", (None, None))
        if call is None or (end is not None and end <= self.journal.clock()):
            return None
        return call, None if end is None else end - self.journal.clock()

    async def is_held(self, call: str) -> bool:
        return call in self.journal.held

    async def sent(self, match: str) -> tuple[set[str], int | None]:
        """Which calls a request for the same meets, and for how many milliseconds."""
        found, end = self.journal.executing.get(match, (set(), None))
        return found, None if end is None else end - self.journal.clock()

    async def lifetime(self, call: str) -> int | None:
        end = self.journal.ends.get(call)
        return None if end is None else end - self.journal.clock()

    async def close(self) -> None:
        pass


class RedisBench:
    def __init__(self, url: str, **how: Any) -> None:
        self.journal = RedisJournal.open(url, **how)

    async def suspend(self, agent: str) -> None:
        await self.journal.suspend(agent, "olga")

    async def readmit(self, agent: str) -> None:
        await self.journal.readmit(agent)

    async def pointer(self, kind: str, name: str, agent: str = AGENT) -> tuple[str, int | None] | None:
        place = pointer_key(f"{partition_of(agent):02d}", kind, name)
        call, ttl = await self.journal.ask("GET", place), await self.journal.ask("PTTL", place)
        return (call.decode(), None if ttl == -1 else ttl) if call is not None else None

    async def is_held(self, call: str) -> bool:
        return await self.journal.ask("ZSCORE", pointer_key(call[:2], "held", "all"), call) is not None

    async def sent(self, match: str, agent: str = AGENT) -> tuple[set[str], int | None]:
        place = pointer_key(f"{partition_of(agent):02d}", "executing", match)
        found, ttl = await self.journal.ask("SMEMBERS", place), await self.journal.ask("PTTL", place)
        return {call.decode() for call in found}, None if ttl < 0 else ttl

    async def lifetime(self, call: str) -> int | None:
        ttl = await self.journal.ask("PTTL", "{" + call[:2] + "}:call:" + call)
        return None if ttl < 0 else ttl

    async def close(self) -> None:
        await self.journal.close()


Bench = MemoryBench | RedisBench


def on(bench: Callable[[], Bench], story: Callable[[Any], Awaitable[None]]) -> None:
    """Run one story on a bench, and close it whatever happens."""

    async def run() -> None:
        made = bench()
        try:
            await story(made)
        finally:
            await made.close()

    asyncio.run(run())


async def attempt(append: Awaitable[Appended]) -> tuple[Any, ...]:
    """What came of an append, comparable between adapters: times and ledger places are left out."""
    try:
        await append
    except Conflict:
        return ("conflict",)
    except Taken as taken:
        return ("taken", taken.calls, taken.kind)
    except Suspended:
        return ("suspended",)
    except Revoked:
        return ("revoked",)
    except TooManyQuestions:
        return ("full",)
    return ("ok",)


def timeless(facts: Iterable[Fact]) -> list[Fact]:
    from dataclasses import replace

    return [replace(fact, at=0) for fact in facts]
