"""The leaves of one log, each held against what its checkpoint was signed for: the only way from files to facts.

From the bottom up: leaves are hashed and compared with the tile above them, full tiles with the tile above those, and
at last the root with the checkpoint's. Where two disagree, the one that the signed root speaks for is right, so the
other is named. A log may grow while it is read: it is read as it was when its checkpoint was, and a partial tile that
was replaced by a wider one meanwhile is looked for again. Memory does not grow with the log.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway.ledger.files import LONGEST_BUNDLE, Damaged, LogFiles, read_file
from gateway.ledger.merkle import Tree, inclusion, leaf_hash, node_hash, verify_inclusion
from gateway.ledger.note import Checkpoint
from gateway.ledger.tiles import CHECKPOINT, HASH, HEIGHT, WIDTH, bundle_path, hashes, tile_path

RETRIES, RETRY_SECONDS = 20, 0.05
"""While somebody writes: longer than replacing a partial tile takes."""
T = TypeVar("T")


class DamagedLeaf(Damaged):
    """A leaf, or the length before it, is not as it was sealed."""

    def __init__(self, place: Path, offset: int, index: int, leaf: bytes) -> None:
        super().__init__(place, offset, "the leaf that begins here, or its length, is not as it was sealed")
        self.index = index
        self.leaf = leaf
        """As it is now."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Leaves that follow each other, as they are on disk."""

    first: int
    """Index of the first one."""
    path: Path
    data: bytes
    places: Sequence[tuple[int, int]]
    """Where each begins and ends in `data`, behind two bytes of length."""
    hashes: Sequence[bytes]


@dataclass(slots=True)
class SealedLog:
    files: LogFiles
    checkpoint: Checkpoint
    note: bytes
    """The checkpoint as it was when reading began."""
    tree: Tree = field(default_factory=Tree)
    """Of all bundles before the one that was given last."""
    _above: list[list[bytes]] = field(default_factory=list)
    """By level from 1 up: hashes whose tile is not full yet."""
    _full: list[int] = field(default_factory=list)
    """The same: how many tiles were."""

    def bundles(self) -> Iterator[Bundle]:
        """All leaves in order. Raises Damaged at the first that is not what was sealed, or once all are through."""
        for number in range(-(-self.checkpoint.size // WIDTH)):
            bundle = self._bundle(number)
            self._compare(0, number, bundle.hashes, bundle)
            yield bundle
            self.tree = self.tree.append(bundle.hashes)
            if len(bundle.hashes) == WIDTH:
                self._climb(1, _root(bundle.hashes))
        for level, waiting in enumerate(self._above, 1):
            if waiting:
                self._compare(level, self._full[level - 1], waiting)
        if self.tree.root != self.checkpoint.root:
            why = "its root is not that of the leaves and tiles, which agree: it is of another history of this log"
            raise Damaged(self.files.directory / CHECKPOINT, _offset_of_root(self.checkpoint), why)

    def _bundle(self, number: int) -> Bundle:
        try:
            path, data, places = self._patiently(lambda: self.files.bundle(number))
        except Damaged as damage:
            raise (damage if damage.missing else self._nearer(number, damage)) from None
        return Bundle(number * WIDTH, path, data, places, [leaf_hash(data[start:end]) for start, end in places])

    def _nearer(self, number: int, damage: Damaged) -> Damaged:
        """A wrong length makes nonsense of all that follows: the first leaf that is not the tile's is where it is."""
        try:
            data, stored = read_file(damage.place, LONGEST_BUNDLE), hashes(self.files.tile(0, number)[1])
        except (Damaged, FileNotFoundError):
            return damage
        place = 0
        for index, found in enumerate(stored, number * WIDTH):
            end = place + 2 + int.from_bytes(data[place : place + 2], "big")
            if end > len(data) or leaf_hash(data[place + 2 : end]) != found:
                return DamagedLeaf(damage.place, place, index, data[place + 2 : end])
            place = end
        return damage

    def _climb(self, level: int, found: bytes) -> None:
        """The root of a full tile stands in the tile above it."""
        if len(self._above) < level:
            self._above.append([])
            self._full.append(0)
        waiting = self._above[level - 1]
        waiting.append(found)
        if len(waiting) == WIDTH:
            self._compare(level, self._full[level - 1], waiting)
            self._above[level - 1] = []
            self._full[level - 1] += 1
            self._climb(level + 1, _root(waiting))

    def _compare(self, level: int, number: int, computed: Sequence[bytes], bundle: Bundle | None = None) -> None:
        path, data = self._patiently(lambda: self.files.tile(level, number))
        if data == b"".join(computed):
            return
        stored = hashes(data)
        wrong = next(place for place, found in enumerate(computed) if found != stored[place])
        place = number * WIDTH + wrong
        if self._was_sealed(level, place, stored[wrong]):
            raise self._changed_below(level, place, wrong, bundle)
        what = f"leaf {place}" if level == 0 else f"the leaves from {place << HEIGHT * level} on"
        raise Damaged(path, wrong * HASH, f"the hash of {what} in this tile is not theirs")

    def _was_sealed(self, level: int, place: int, found: bytes) -> bool:
        """Whether the signed root speaks for this hash: that of the subtree `place` at that level of tiles."""
        low, size = HEIGHT * level, self.checkpoint.size
        try:
            above = inclusion(place << low, size, self.files.hash_of)[low:]
        except (Damaged, IndexError):
            return False
        return verify_inclusion(found, place, (size - 1 >> low) + 1, above, self.checkpoint.root)

    def _changed_below(self, level: int, place: int, wrong: int, bundle: Bundle | None) -> Damaged:
        """The tile is right, so what it is the hash of is not."""
        if bundle is not None:
            start, end = bundle.places[wrong]
            return DamagedLeaf(bundle.path, start - 2, place, bundle.data[start:end])
        if level == 1:
            why = "a leaf in this bundle was changed, and the tile with its hash made anew"
            return Damaged(self.files.directory / bundle_path(place), 0, why)
        why = "a hash in this tile was changed, and all tiles and leaves below it made anew"
        return Damaged(self.files.directory / tile_path(level - 1, place), 0, why)

    def _patiently(self, read: Callable[[], T]) -> T:
        """What is missing in a log that grew meanwhile is there under another name."""
        for _ in range(RETRIES):
            try:
                return read()
            except Damaged as damage:
                if not damage.missing or self.files.note() == self.note:
                    raise
                time.sleep(RETRY_SECONDS)
        return read()


def _root(full: Sequence[bytes]) -> bytes:
    found = full
    while len(found) > 1:
        found = [node_hash(left, right) for left, right in zip(found[::2], found[1::2], strict=True)]
    return found[0]


def _offset_of_root(checkpoint: Checkpoint) -> int:
    return len(f"{checkpoint.origin}\n{checkpoint.size}\n".encode())
