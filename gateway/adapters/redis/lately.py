"""What happened last, over all partitions: which calls, and how much of it is not in the sealed log yet.

For people to look at. It looks back a bounded number of entries, so it costs the same however much there is, and
however much of the stream was trimmed; whoever needs all of it reads the stream from its beginning (`ledger`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import PARTITION_NAMES


@dataclass(frozen=True, slots=True)
class Touched:
    """One append to one call."""

    entry: str
    call: str


@dataclass(frozen=True, slots=True)
class SealedUpTo:
    size: int
    """Facts in the log of the partition."""
    entry: str
    """The last entry that is in it."""


@dataclass(frozen=True, slots=True)
class RedisLately:
    """`gateway.console.feed.Lately`. Raises JournalUnavailable."""

    journal: RedisJournal

    async def latest(self, after: Mapping[str, str], limit: int) -> list[Touched]:
        """The last entries about calls behind `after`, at most `limit` of each partition; newest first."""
        asked = (
            ("XREVRANGE", f"{{{name}}}:ledger", "+", f"({after[name]}" if name in after else "-", "COUNT", str(limit))
            for name in PARTITION_NAMES
        )
        replies = await self.journal.ask_all(*asked)
        # As append.lua writes them; other entries are about standing grants.
        found = [
            Touched(entry.decode(), fields[1].decode())
            for reply in replies for entry, fields in reply if fields[0] == b"call"
        ]  # fmt: skip
        return sorted(found, key=lambda touched: order(touched.entry), reverse=True)

    async def sealed(self) -> dict[str, SealedUpTo]:
        """How far each partition is sealed, by whichever host; partitions of which nothing is are left out."""
        replies = await self.journal.ask_all(*(("GET", f"{{{name}}}:sealed") for name in PARTITION_NAMES))
        return {name: _up_to(reply) for name, reply in zip(PARTITION_NAMES, replies, strict=True) if reply}

    async def sealer(self) -> str:
        """Which host seals, or sealed last, for people; empty if none did."""
        found = await self.journal.ask("GET", "gateway:sealer")
        return found.decode() if found else ""


def _up_to(text: bytes) -> SealedUpTo:
    """`<lease> <size> <root> <entry>`, as whoever seals writes it."""
    _, size, _, entry = text.decode().split()
    return SealedUpTo(int(size), entry)


def order(entry: str) -> tuple[int, int]:
    """By which entries come after each other, those of different partitions by the journal's clock."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or 0)
