"""Entries of the stream as they are published: with the number and the hash of each of their leaves in the log.

A leaf's number is its place in the log of its partition. Whoever reads the stream counts leaves as it goes, and keeps
how many there were together with the entry it came to. A reader that lost count, or never had one, finds it from the
seal: the log has so many leaves up to the last sealed entry, so what lies between needs only be counted back. That
holds too when the stream was trimmed, since nothing is trimmed that is still to be read.

Only what is sealed is published, so a span never names a leaf that a crash could still move.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.core.codec import UnreadableFact, decode
from gateway.core.facts import Fact
from gateway.core.leaf import NotALeaf, leaves_of, short
from gateway.ledger.merkle import leaf_hash

RawEntry = tuple[bytes, Mapping[bytes, bytes]]
"""An entry of a stream: its id and its fields."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader came in one partition."""

    entry: str = ""
    """The last entry that it is done with; empty before the first."""
    leaves: int | None = None
    """How many leaves the log has up to and with that entry; None if nobody counted."""

    @property
    def text(self) -> str:
        return self.entry if self.leaves is None else f"{self.entry} {self.leaves}"


def read_place(text: str) -> Place:
    """What `Place.text` was. Before there were leaves, it was an entry alone."""
    entry, _, leaves = text.partition(" ")
    return Place(entry, int(leaves) if leaves else None)


@dataclass(frozen=True)
class NumberedEntry:
    """One append: what `core.spans` makes spans of."""

    id: str
    call: str
    """Empty if the entry is about a standing grant, which no trace shows."""
    position: int
    facts: tuple[Fact, ...]
    index: int
    """Number of its first leaf."""
    size: int
    """How many leaves it has."""
    fields: Mapping[bytes, bytes]

    @property
    def place(self) -> Place:
        return Place(self.id, self.index + self.size)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The hash of each leaf, in hex."""
        return tuple(leaf_hash(short(leaf)).hex() for leaf in leaves_of(self.id.encode(), self.fields))


class Unreadable(Exception):
    """An entry that this version cannot read: a newer gateway wrote it. What precedes it is in `entries`."""

    def __init__(self, entries: Sequence[NumberedEntry], why: str) -> None:
        super().__init__(why)
        self.entries = entries


def size_of(fields: Mapping[bytes, bytes]) -> int:
    """How many leaves an entry has, without reading any."""
    return fields[b"facts"].count(b"\n") + 1


def numbered(raw: Sequence[RawEntry], first: int) -> list[NumberedEntry]:
    """Entries that follow each other, the first leaf of which is number `first`. Raises Unreadable."""
    found: list[NumberedEntry] = []
    for entry, fields in raw:
        try:
            made = _numbered(entry.decode(), fields, first)
        except (UnreadableFact, NotALeaf, KeyError, ValueError) as error:
            raise Unreadable(found, str(error)) from error
        found.append(made)
        first += made.size
    return found


def _numbered(entry: str, fields: Mapping[bytes, bytes], first: int) -> NumberedEntry:
    size = size_of(fields)
    if b"call" not in fields:
        return NumberedEntry(entry, "", 0, (), first, size, fields)
    facts = tuple(map(decode, fields[b"facts"].split(b"\n")))
    return NumberedEntry(entry, fields[b"call"].decode(), int(fields[b"from"]), facts, first, size, fields)
