"""The calls that wait for people, in the order in which their time is over: what is asked of `{p}:held:all`.

append.lua keeps it in the same step as the facts, so it costs nothing to find a page among 100,000, after a restart
too. It finds calls and proves nothing: whoever shows one reads its facts, and leaves out what is no longer held.
"""

from dataclasses import dataclass
from typing import Any

from gateway.adapters.redis.command import keys, pointer_key
from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import PARTITION_NAMES
from gateway.core.pointers import ALL

PIPELINED = 1000
"""Questions sent at once, so that appends of the same process come in between."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a call stands among the held ones."""

    until: int
    """When the time to decide is over, milliseconds of the journal's clock."""
    call: str


@dataclass(slots=True)
class HeldCalls:
    journal: RedisJournal

    async def page(self, limit: int, after: Place | None = None) -> list[Place]:
        """At most `limit`, the soonest to expire first, behind the place `after`. Raises JournalUnavailable."""
        start, sizes = "-inf", [limit] * len(PARTITION_NAMES)
        if after is not None:
            start = str(after.until)
            alike = await self._each("ZCOUNT", start, start)  # some of those whose time is the same come before
            sizes = [limit + int(count) for count in alike]
        asked = [
            ("ZRANGEBYSCORE", _held(name), start, "+inf", "WITHSCORES", "LIMIT", "0", str(size))
            for name, size in zip(PARTITION_NAMES, sizes, strict=True)
        ]
        found = sorted(_places(await self.journal.ask_all(*asked)))
        return [place for place in found if after is None or place > after][:limit]

    async def last(self, limit: int) -> list[Place]:
        """At most `limit`, the last to expire first."""
        replies = await self._each("ZRANGE", "0", str(limit - 1), "REV", "WITHSCORES")
        return sorted(_places(replies), reverse=True)[:limit]

    async def count(self) -> int:
        return sum(map(int, await self._each("ZCARD")))

    async def others(self) -> list[str]:
        """Ids of the calls that are not over and do not wait for people: being sent, in doubt, being judged."""
        keys = [key for name in PARTITION_NAMES for key in (_due(name), _held(name))]
        sizes = await self.journal.ask_all(*(("ZCARD", key) for key in keys))
        differ = [name for name, due, held in zip(PARTITION_NAMES, sizes[::2], sizes[1::2], strict=True) if due != held]
        asked = (("ZDIFF", "2", _due(name), _held(name)) for name in differ)  # what is held is due some time
        found = await self.journal.ask_all(*asked) if differ else []
        return [member.decode() for reply in found for member in reply]

    async def insert(self, call: str, until: int) -> None:
        """A call that was held by a gateway too old to keep this list."""
        await self.journal.ask("ZADD", _held(call[:2]), "NX", str(until), call)

    async def drop_ended(self) -> None:
        """Calls that were ended by a gateway too old to keep this list. An ended call is never held again."""
        asked = (("ZDIFF", "2", _held(name), _due(name)) for name in PARTITION_NAMES)
        for name, ended in zip(PARTITION_NAMES, await self.journal.ask_all(*asked), strict=True):
            if ended:
                await self.journal.ask("ZREM", _held(name), *ended)

    async def lengths(self, calls: list[str]) -> list[int]:
        """How many facts each of these calls has."""
        found: list[int] = []
        for start in range(0, len(calls), PIPELINED):
            some = calls[start : start + PIPELINED]
            found += map(int, await self.journal.ask_all(*(("LLEN", keys(call, "")[0]) for call in some)))
        return found

    async def _each(self, command: str, *arguments: str) -> list[Any]:
        return await self.journal.ask_all(*((command, _held(name), *arguments) for name in PARTITION_NAMES))


def _due(partition: str) -> str:
    return f"{{{partition}}}:due"


def _held(partition: str) -> str:
    return pointer_key(partition, "held", ALL)


def _places(replies: list[Any]) -> list[Place]:
    return [Place(int(score), member.decode()) for reply in replies for member, score in reply]
