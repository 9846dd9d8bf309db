"""Sealing as far as Redis has a part in it: the lease, how far each log is sealed, and what waits to be.

The lease has a number that grows with every holder. It saves work and is no proof: what keeps two holders from sealing
twice is `seal.lua`, which compares and sets, and refuses a holder whose number was overtaken.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.adapters.redis.high_water import ACKNOWLEDGED
from gateway.adapters.redis.journal import RedisJournal
from gateway.ledger.seals import Change

SEAL = (Path(__file__).parent / "seal.lua").read_text()
LEASE_KEY = "gateway:sealing"
"""Hash: `holder` ("<place> <chance>"), `number` of its lease, `until` in milliseconds."""
SEALER_KEY = "gateway:sealer"
"""The host that sealed last, and the directory where it has the log."""
ABANDONED_KEY = "gateway:abandoned"
"""Set of anchored checkpoints, `<partition> <size> <root>`."""

STATE = """
local last = '0-0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
return {redis.call('GET', KEYS[1]) or '', last}
"""
TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local held = redis.call('HMGET', KEYS[1], 'holder', 'until', 'number')
local holder, until_, number = held[1] or '', tonumber(held[2] or '0'), tonumber(held[3] or '0')
local place, mine = string.match(holder, '^%S*'), string.match(ARGV[1], '^%S*')
if holder ~= ARGV[1] and place ~= mine and until_ > now then return 0 end
if ARGV[2] == '' then return 1 end
if holder ~= ARGV[1] or number < tonumber(ARGV[3]) then
  number = math.max(number, tonumber(ARGV[3])) + 1
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'number', string.format('%.0f', number),
  'until', string.format('%.0f', now + tonumber(ARGV[2])))
return number
"""
"""Whoever starts anew at a place takes the lease of its predecessor there at once: that one is dead, or is fenced."""
RELEASE = """
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', '0') end
"""

RawEntry = tuple[bytes, dict[bytes, bytes]]
"""An entry of a stream: its id and its fields."""


@dataclass(frozen=True, slots=True)
class RedisSeals:
    """Implements `gateway.ledger.sealing.Seals`."""

    journal: RedisJournal

    async def states(self, partitions: tuple[str, ...]) -> dict[str, tuple[bytes, str]]:
        """Of each partition: how far it is sealed, and the last entry that its stream gave out."""
        asked = (("EVAL", STATE, "2", _sealed(name), _ledger(name)) for name in partitions)
        replies = await self.journal.ask_all(*asked)
        return {name: (text, end.decode()) for name, (text, end) in zip(partitions, replies, strict=True)}

    async def seal(self, changes: Mapping[str, Change], lease: int) -> set[str]:
        """Set what shall stand where what is expected does; which partitions were refused."""
        asked = [
            ("EVAL", SEAL, "3", _sealed(name), _ledger(name), f"{{{name}}}:seam", before, after, str(lease), end, seam)
            for name, (before, after, end, seam) in changes.items()
        ]
        replies = await self.journal.ask_all(*asked) if asked else []
        return {name for name, done in zip(changes, replies, strict=True) if not done}

    async def waiting(self, after: Mapping[str, str], most: int) -> tuple[dict[str, list[RawEntry]], bool]:
        """What follows `after` in each partition that has something: some `most` entries in all, and whether that is
        everything."""
        found: dict[str, list[RawEntry]] = {}
        asked, left = dict(after), most
        while asked and left > 0:
            limit = max(left // len(asked), 1)
            commands = (
                ("XRANGE", _ledger(name), f"({place}", "+", "COUNT", str(limit)) for name, place in asked.items()
            )
            full = {}
            for name, items in zip(asked, await self.journal.ask_all(*commands), strict=True):
                if items:
                    found.setdefault(name, []).extend(map(_entry, items))
                    left -= len(items)
                if len(items) == limit:
                    full[name] = items[-1][0].decode()
            asked = full
        return found, not asked

    async def free(self, holder: str) -> bool:
        """Whether nobody else has the lease."""
        return bool(await self.journal.ask("EVAL", TAKE, "1", LEASE_KEY, holder, "", "0"))

    async def take(self, holder: str, milliseconds: int, above: int) -> int:
        """Number of the lease that `holder` has from now on for so long; 0 if somebody else has it.

        The number stays while the holder does, and is greater than `above` and than that of every holder before.
        """
        return int(await self.journal.ask("EVAL", TAKE, "1", LEASE_KEY, holder, str(milliseconds), str(above)))

    async def release(self, holder: str) -> None:
        """Let somebody else have the lease at once."""
        await self.journal.ask("EVAL", RELEASE, "1", LEASE_KEY, holder)

    async def sealer(self) -> str:
        """Who sealed last, and where; empty if nobody did."""
        found = await self.journal.ask("GET", SEALER_KEY)
        return found.decode() if found else ""

    async def say_sealer(self, who: str) -> None:
        await self.journal.ask("SET", SEALER_KEY, who)

    async def acknowledged(self) -> int:
        """When a person last said that a loss is known, milliseconds since the epoch; 0: never."""
        return int(await self.journal.ask("GET", ACKNOWLEDGED) or 0)

    async def abandoned(self) -> set[str]:
        """What anchors have and the log never will, since a person acknowledged its loss."""
        return {text.decode() for text in await self.journal.ask("SMEMBERS", ABANDONED_KEY)}

    async def abandon(self, texts: Collection[str]) -> None:
        await self.journal.ask("SADD", ABANDONED_KEY, *texts)

    async def report_loss(self, sentence: str, written: int) -> None:
        """Redis has less than was sealed: every process stops until a person says that this is known."""
        self.journal.memory.miss(sentence, written)
        await self.journal.heed()


def _sealed(partition: str) -> str:
    return f"{{{partition}}}:sealed"


def _ledger(partition: str) -> str:
    return f"{{{partition}}}:ledger"


def _entry(item: list[Any]) -> RawEntry:
    entry, fields = item
    each = iter(fields)
    return entry, dict(zip(each, each, strict=True))
