"""Where a stream that was restored from an older state goes on behind a log that has more than it.

The stream is a part of what the log has from some entry on, and then goes on with others; which those are, ids do not
tell, since clocks may be wrong. So both are read side by side, once, when a person knows of the loss and the log is
taken up again. It must never take an entry for one of the log's that differs from it in a byte.
"""

import asyncio
from collections.abc import Iterable, Iterator

from gateway.core.sealed import BEGINNING, Seam
from gateway.ledger.files import LogFiles
from gateway.ledger.seals import Seals
from gateway.ledger.standing import RawEntry, entry_of, standing

AT_ONCE = 8192
"""Entries."""


async def seam_of(seals: Seals, partition: str, files: LogFiles) -> Seam:
    """Raises Unsealable, Damaged, OSError and what Redis raises."""
    compared, more = Comparison(partition, files.leaves()), True
    while more:
        entries, _ = await seals.waiting({partition: compared.place}, AT_ONCE)
        more = partition in entries and await asyncio.to_thread(compared.go_on, entries[partition])
    return Seam(compared.place, compared.size, files.size)


def last_of(files: LogFiles) -> str:
    """The entry that its last leaf came in. Raises as above."""
    [leaf] = files.leaves(files.size - 1)
    return entry_of(leaf)


class Comparison:
    """How far the stream goes along with the log."""

    def __init__(self, partition: str, leaves: Iterable[bytes]) -> None:
        self._partition = partition
        self.place = BEGINNING
        """The last entry of the stream that is in the log."""
        self.size = 0
        """How many leaves the log has up to and with that entry."""
        self._log, self._read = _by_entry(leaves), 0

    def go_on(self, entries: Iterable[RawEntry]) -> bool:
        """Whether all of these, the stream's next ones, are in the log, in their order."""
        for entry in entries:
            wanted = entry[0].decode(), standing(self._partition, entry)[0]
            if not self._find(wanted):
                return False
            self.place, self.size = wanted[0], self._read
        return True

    def _find(self, wanted: tuple[str, list[bytes]]) -> bool:
        """Read the log on, up to and with that entry."""
        for found in self._log:
            self._read += len(found[1])
            if found == wanted:
                return True
        return False


def _by_entry(leaves: Iterable[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    at, some = "", list[bytes]()
    for leaf in leaves:
        entry = entry_of(leaf)
        if entry != at and some:
            yield at, some
            some = []
        at = entry
        some.append(leaf)
    if some:
        yield at, some
