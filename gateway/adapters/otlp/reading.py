"""What of the ledger is sealed and not yet published, of all partitions, with the number of each leaf.

It only reads. Where a stream was restored (`core.sealed.Seam`) it stops, and counts on behind that from what the log
had then. Nobody's count is believed without cause: the first time that a process meets a partition, and whenever it has
read up to the seal, the count must agree with the size of the log; if it does not, the seal is right.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.adapters.otlp.entries import NumberedEntry, Place, RawEntry, Unreadable, numbered, read_place, size_of
from gateway.core.leaf import entry_order
from gateway.core.sealed import BEGINNING, Sealed, Seam

READER = "traces"
"""Name of our cursor in the ledger. Nothing behind it is trimmed from the stream."""
ENTRIES_PER_COUNT = 1_000
"""Read at once where only leaves are counted."""

log = logging.getLogger("gateway.traces")


class LedgerReader(Protocol):
    """The streams as far as they are sealed, and how far each reader came. All raise JournalUnavailable."""

    async def places(self, partitions: Sequence[str], reader: str) -> Mapping[str, str]:
        """Where `move` last put it in each partition; empty if never."""
        ...

    async def sealed(self, partitions: Sequence[str]) -> Mapping[str, Sealed]:
        """How far each partition is sealed, of those of which anything is."""
        ...

    async def seams(self, partitions: Sequence[str]) -> Mapping[str, tuple[Seam, ...]]:
        """Where each stream was restored, the first place first."""
        ...

    async def read(self, between: Mapping[str, tuple[str, str]], limit: int) -> Mapping[str, Sequence[RawEntry]]:
        """Of each partition at most `limit` entries after the first entry (empty: from the beginning), up to and with
        the second."""
        ...

    async def has(self, partition: str, entry: str) -> bool:
        """Whether the stream still has that entry."""
        ...

    async def move(self, reader: str, to: Mapping[str, str]) -> None:
        """Durable when it returns."""
        ...


@dataclass(slots=True)
class Unpublished:
    ledger: LedgerReader
    unreadable: dict[str, str] = field(default_factory=dict)
    """Partitions in which the next entry can be read by a newer gateway only, and why."""
    lag: int = 0
    """Leaves that are sealed and lie behind the cursor, of all partitions, when it was last read."""
    _met: set[str] = field(default_factory=set)
    """Partitions of which the count was found right, or found anew."""

    async def read(self, partitions: Sequence[str], limit: int) -> dict[str, list[NumberedEntry]]:
        """At most `limit` entries of each of these partitions, of those that have any. Raises JournalUnavailable."""
        texts, sealed = await self.ledger.places(partitions, READER), await self.ledger.sealed(partitions)
        places = {name: read_place(texts[name]) for name in partitions}
        behind = {name: places[name] for name in sealed if _is_behind(places[name], sealed[name])}
        ends, self.lag = {name: sealed[name] for name in behind}, 0
        for name, seams in (await self.ledger.seams([*behind])).items():
            place, ahead = await self._beyond(name, behind[name], [it for it in seams if it.after <= ends[name].size])
            if ahead:
                ends[name] = replace(ends[name], size=ahead[0].before, entry=ahead[0].entry)
            behind[name] = place = await self._counted(name, place, ends[name])
            self.lag += sealed[name].size - (place.leaves or 0) - sum(seam.after - seam.before for seam in ahead)
        raw = await self.ledger.read({name: (it.entry, ends[name].entry) for name, it in behind.items()}, limit)
        return {name: self._numbered(name, entries, behind[name], ends[name], limit) for name, entries in raw.items()}

    async def _beyond(self, name: str, place: Place, seams: Sequence[Seam]) -> tuple[Place, Sequence[Seam]]:
        """The place beyond the seams before which nothing is to be read, and those that are ahead of it."""
        here = entry_order(place.entry or BEGINNING)
        for number, seam in enumerate(seams):
            at = entry_order(seam.entry)
            if at > here and (await self.ledger.read({name: (place.entry, seam.entry)}, 1))[name]:
                return place, seams[number:]
            if at >= here:
                place = Place(place.entry, seam.after)
                self._met.add(name)
        return place, ()

    async def _counted(self, name: str, place: Place, sealed: Sealed) -> Place:
        """The place with a count that can be relied on."""
        if place.leaves is not None and name in self._met:
            return place
        # What follows an entry that is still in the stream was not trimmed, so counting went on from it.
        if place.leaves is None or not await self.ledger.has(name, place.entry):
            place = Place(place.entry, sealed.size - await self._leaves(name, place.entry, sealed.entry))
        self._met.add(name)
        return place

    async def _leaves(self, name: str, after: str, until: str) -> int:
        count = 0
        while entries := (await self.ledger.read({name: (after, until)}, ENTRIES_PER_COUNT))[name]:
            count += sum(size_of(fields) for _, fields in entries)
            after = entries[-1][0].decode()
        return count

    def _numbered(
        self, name: str, raw: Sequence[RawEntry], place: Place, sealed: Sealed, limit: int
    ) -> list[NumberedEntry]:
        assert place.leaves is not None
        first = place.leaves
        if len(raw) < limit:  # up to the seal
            counted = sealed.size - sum(size_of(fields) for _, fields in raw)
            if counted != first:
                log.error("leaves of partition %s were miscounted (%d, not %d): counted anew", name, first, counted)
                first = counted
        try:
            found = numbered(raw, first)
        except Unreadable as no:
            if name not in self.unreadable:
                log.warning("traces of partition %s wait for a newer gateway: %s", name, no)
            self.unreadable[name] = str(no)
            return list(no.entries)
        self.unreadable.pop(name, None)
        return found


def _is_behind(place: Place, sealed: Sealed) -> bool:
    return sealed.size > 0 if not place.entry else entry_order(place.entry) < entry_order(sealed.entry)
