"""The stream of each partition up to where it is sealed: for a reader that publishes nothing else, and counts leaves.

All partitions are asked in one go, and those in which nothing is new are not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.sealed import Sealed, Seam, read_sealed, read_seams

RawEntry = tuple[bytes, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class SealedLedger:
    """Implements `gateway.adapters.otlp.exporter.LedgerReader`."""

    journal: RedisJournal

    async def places(self, partitions: Sequence[str], reader: str) -> dict[str, str]:
        """Where `move` last put it in each partition; empty if never."""
        replies = await self.journal.ask_all(*(("GET", _cursor(name, reader)) for name in partitions))
        return {name: reply.decode() if reply else "" for name, reply in zip(partitions, replies, strict=True)}

    async def sealed(self, partitions: Sequence[str]) -> dict[str, Sealed]:
        """How far each partition is sealed, of those of which anything is."""
        replies = await self.journal.ask_all(*(("GET", f"{{{name}}}:sealed") for name in partitions))
        return {name: read_sealed(reply) for name, reply in zip(partitions, replies, strict=True) if reply}

    async def seams(self, partitions: Sequence[str]) -> dict[str, tuple[Seam, ...]]:
        """Where each stream was restored, the first place first. Ask after `sealed`, or one may be missing."""
        replies = (
            await self.journal.ask_all(*(("GET", f"{{{name}}}:seam") for name in partitions)) if partitions else []
        )
        return {name: read_seams(reply or b"") for name, reply in zip(partitions, replies, strict=True)}

    async def read(self, between: Mapping[str, tuple[str, str]], limit: int) -> dict[str, list[RawEntry]]:
        """Of each partition at most `limit` entries after the first entry (empty: from the beginning), up to and with
        the second."""
        asked = (
            ("XRANGE", _ledger(name), f"({after}" if after else "-", until, "COUNT", str(limit))
            for name, (after, until) in between.items()
        )
        replies = await self.journal.ask_all(*asked) if between else []
        return {name: [_entry(item) for item in reply] for name, reply in zip(between, replies, strict=True)}

    async def unsealed_since(self, partitions: Sequence[str]) -> int | None:
        """When the oldest entry was written that is not sealed, milliseconds; None if all are."""
        sealed = await self.sealed(partitions)
        places = [(name, f"({sealed[name].entry}" if name in sealed else "-") for name in partitions]
        asked = (("XRANGE", _ledger(name), place, "+", "COUNT", "1") for name, place in places)
        replies = await self.journal.ask_all(*asked)
        return min((int(item[0].partition(b"-")[0]) for reply in replies for item in reply), default=None)

    async def has(self, partition: str, entry: str) -> bool:
        """Whether the stream still has that entry."""
        return bool(await self.journal.ask("XRANGE", _ledger(partition), entry, entry))

    async def move(self, reader: str, to: Mapping[str, str]) -> None:
        """Durable when it returns."""
        await self.journal.ask_all(*(("SET", _cursor(name, reader), place) for name, place in to.items()))


def _cursor(partition: str, reader: str) -> str:
    return f"{{{partition}}}:cursor:{reader}"


def _ledger(partition: str) -> str:
    return f"{{{partition}}}:ledger"


def _entry(item: list[Any]) -> RawEntry:
    entry, fields = item
    return entry, dict(zip(fields[::2], fields[1::2], strict=True))
