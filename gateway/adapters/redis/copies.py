"""Copies for the record while they are in the journal: which calls have some, taking them, and erasing them.

append.lua puts a copy there in the step that writes its fact, and notes the call, so none can be forgotten however long
nobody comes for them. They leave Redis only once they are durable elsewhere, or erased.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import PARTITION_NAMES
from gateway.core.kept import Kept
from gateway.core.recording import KEPT

ERASED_MS = 24 * 3_600_000
"""How long whoever is just moving a copy is told that its call's were erased: longer than any move takes."""
MOVED = """
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
if redis.call('HLEN', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
end
"""
"""Never forgets a call that got another copy meanwhile."""
ERASE = """
redis.call('SET', KEYS[3], '1', 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] == '1' then
  redis.call('DEL', KEYS[4])
end
"""


@dataclass(frozen=True, slots=True)
class RedisCopies:
    """All raise JournalUnavailable."""

    journal: RedisJournal

    async def calls(self, limit: int) -> list[str]:
        """Calls that have copies here, at most `limit` of each partition, those that had them first before others."""
        asked = (("ZRANGE", f"{{{p}}}:copies", "0", str(limit - 1)) for p in PARTITION_NAMES)
        return [call.decode() for found in await self.journal.ask_all(*asked) for call in found]

    async def waiting(self) -> int:
        """How many calls have copies here."""
        asked = (("ZCARD", f"{{{p}}}:copies") for p in PARTITION_NAMES)
        return sum(map(int, await self.journal.ask_all(*asked)))

    async def of(self, call: str) -> list[Kept]:
        found = await self.journal.ask("HGETALL", _key("kept", call))
        items = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return [_kept(call, name.decode(), sealed) for name, sealed in items]

    async def moved(self, call: str, copies: Sequence[Kept]) -> None:
        """These are durable elsewhere."""
        names = [f"{copy.field}@{copy.at}" for copy in copies]
        await self.journal.ask("EVAL", MOVED, "2", _key("kept", call), f"{{{call[:2]}}}:copies", call, *names)

    async def has(self, call: str, *, payload: bool) -> bool:
        """Whether there is anything here that `erase` would destroy."""
        keys = [_key("kept", call), *([_key("payload", call)] if payload else [])]
        return bool(await self.journal.ask("EXISTS", *keys))

    async def erase(self, call: str, *, payload: bool) -> None:
        """Destroy the copies of this call, and with `payload` what else is beside its facts."""
        keys = (_key("kept", call), f"{{{call[:2]}}}:copies", _key("erased", call), _key("payload", call))
        await self.journal.ask("EVAL", ERASE, "4", *keys, call, str(ERASED_MS), "1" if payload else "0")

    async def erased(self, calls: Iterable[str]) -> set[str]:
        """Those of these calls whose copies were erased lately."""
        listed = list(calls)
        asked = [("EXISTS", _key("erased", call)) for call in listed]
        replies = await self.journal.ask_all(*asked) if asked else []
        return {call for call, found in zip(listed, replies, strict=True) if found}


def _key(kind: str, call: str) -> str:
    return f"{{{call[:2]}}}:{kind}:{call}"


def _kept(call: str, name: str, sealed: bytes) -> Kept:
    """From `kept.input.34560000000@1795168800000`."""
    field, _, at = name.partition("@")
    part, _, keep = field.removeprefix(KEPT).partition(".")
    return Kept(call, part, int(at), int(keep), sealed)
