"""All facts of a partition in one order: reading it, remembering how far a reader came, and who may do so.

The stream is the record until it is sealed. Nothing here trims it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import PARTITION_NAMES
from gateway.core.codec import decode, decode_deployment, decode_grant
from gateway.core.deployment import LOGS, DeploymentFact
from gateway.core.facts import Fact
from gateway.core.finished import Kind, kind_of
from gateway.core.grants import GrantFact

LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    id: str
    call: str
    """Empty if the entry is about a standing grant or the deployment."""
    position: int
    """How many facts the call had before this entry."""
    facts: tuple[Fact, ...]
    of_grant: tuple[GrantFact, ...] = ()
    of_deployment: tuple[DeploymentFact, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of a partition that follow each other, as they are stored: most readers want few of them."""

    first: str
    last: str
    entries: tuple[tuple[str, bytes], ...]
    """The call of each, and its facts, one on a line."""


@dataclass(slots=True)
class RedisLedger:
    journal: RedisJournal

    async def read(self, partition: str, after: str, limit: int) -> list[LedgerEntry]:
        """At most `limit` entries after the entry `after` (empty: from the beginning)."""
        start = f"({after}" if after else "-"
        found = await self.journal.ask("XRANGE", _ledger(partition), start, "+", "COUNT", str(limit))
        return [_entry(item) for item in found]

    async def stretches(self, after: Mapping[str, str], limit: int) -> dict[str, Stretch]:
        """The next entries of each partition, at most `limit` behind `after`; of all partitions that have some."""
        places = [(name, f"({place}" if place else "-") for name, place in after.items()]
        asked = (("XRANGE", _ledger(name), start, "+", "COUNT", str(limit)) for name, start in places)
        found: dict[str, Stretch] = {}
        for name, items in zip(after, await self.journal.ask_all(*asked), strict=True):
            if items:
                # As append.lua writes them; what grant.lua writes is about no call.
                entries = tuple((fields[1].decode(), fields[5]) for _, fields in items if fields[0] == b"call")
                found[name] = Stretch(items[0][0].decode(), items[-1][0].decode(), entries)
        return found

    async def cursor(self, partition: str, reader: str) -> str:
        """The last entry that this reader is done with; empty if it never began."""
        value = await self.journal.ask("GET", f"{{{partition}}}:cursor:{reader}")
        return value.decode().partition(" ")[0] if value else ""  # behind it a reader may count

    async def move(self, partition: str, reader: str, to: str) -> None:
        await self.journal.ask("SET", f"{{{partition}}}:cursor:{reader}", to)

    async def kinds(self, calls: Sequence[str]) -> list[Kind]:
        """Of which tool each of these calls is; of one that is no longer kept, of an unknown one."""
        replies = await self.journal.ask_all(*(("LINDEX", f"{{{call[:2]}}}:call:{call}", "0") for call in calls))
        return [kind_of(reply) if reply else Kind() for reply in replies]

    async def note(self, name: str) -> bytes | None:
        """What a reader kept about all partitions; None if nothing."""
        found: bytes | None = await self.journal.ask("GET", f"gateway:{name}")
        return found

    async def keep(self, name: str, value: bytes) -> None:
        await self.journal.ask("SET", f"gateway:{name}", value)

    async def ends(self) -> dict[str, str]:
        """The last entry of every partition that has one, and of the deployment's."""
        replies = await self.journal.ask_all(*(("XREVRANGE", _ledger(n), "+", "-", "COUNT", "1") for n in LOGS))
        return {name: reply[0][0].decode() for name, reply in zip(LOGS, replies, strict=True) if reply}

    async def recent(self, limit: int) -> list[str]:
        """Ids of the calls that something happened to last, newest first."""
        depth = str(limit * 4)  # a call has a few entries
        asked = (("XREVRANGE", _ledger(name), "+", "-", "COUNT", depth) for name in PARTITION_NAMES)
        replies = await self.journal.ask_all(*asked)
        entries = sorted((_order(item[0]), _entry(item).call) for reply in replies for item in reply)
        return list(dict.fromkeys(call for _, call in reversed(entries) if call))[:limit]

    async def unsettled(self) -> list[str]:
        """Ids of all calls that are not over: held, being sent, or in doubt."""
        replies = await self.journal.ask_all(*(("ZRANGE", f"{{{p}}}:due", "0", "-1") for p in PARTITION_NAMES))
        return [member.decode() for reply in replies for member in reply]

    async def undelivered(self) -> int:
        """How many notices are still to be delivered to approvers."""
        replies = await self.journal.ask_all(*(("ZCARD", f"{{{p}}}:outbox") for p in PARTITION_NAMES))
        return sum(map(int, replies))

    async def overdue(self, queue: str, now: int) -> tuple[int, int]:
        """How much of `due` or `outbox` should have been seen to by `now`, and since when the oldest; `now` if none."""
        asked = [(f"{{{p}}}:{queue}", str(now)) for p in PARTITION_NAMES]
        counts = await self.journal.ask_all(*(("ZCOUNT", key, "-inf", end) for key, end in asked))
        firsts = await self.journal.ask_all(*(("ZRANGE", key, "0", "0", "WITHSCORES") for key, _ in asked))
        return sum(map(int, counts)), min([now, *(int(score) for first in firsts for _, score in first)])

    async def lease(self, duty: str, holder: str, milliseconds: int) -> bool:
        """True if `holder` may do `duty` until that much later: it had the lease already, or nobody had."""
        reply = await self.journal.ask("EVAL", LEASE, "1", f"gateway:lease:{duty}", holder, str(milliseconds))
        return bool(reply)


def _ledger(partition: str) -> str:
    return f"{{{partition}}}:ledger"


def _order(entry: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition(b"-")
    return int(milliseconds), int(sequence)


def _entry(item: list[object]) -> LedgerEntry:
    entry, fields = item
    assert isinstance(entry, bytes)
    assert isinstance(fields, list)
    found = dict(zip(fields[::2], fields[1::2], strict=True))
    if b"grant" in found:
        return LedgerEntry(entry.decode(), "", 0, (), (decode_grant(found[b"facts"]),))
    if b"gateway" in found:
        return LedgerEntry(entry.decode(), "", 0, (), (), (decode_deployment(found[b"facts"]),))
    return LedgerEntry(
        entry.decode(),
        found[b"call"].decode(),
        int(found[b"from"]),
        tuple(decode(envelope) for envelope in found[b"facts"].split(b"\n")),
    )
