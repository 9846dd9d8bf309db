"""The log of one partition as it lies in a directory, for whoever reads it. Never writes, never trusts.

What is missing, too short, too long, or a link, a pipe or a directory where a file should be, raises `Damaged`, which
names the place. Nothing is verified here but that: `verifying` and proofs do.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.leaf import MOST_BYTES
from gateway.ledger.merkle import Tree, node_hash, tree_of
from gateway.ledger.note import LONGEST_NOTE, BadNote, Checkpoint, read_checkpoint
from gateway.ledger.tiles import (
    CHECKPOINT,
    HASH,
    HEIGHT,
    WIDTH,
    NotABundle,
    bundle_path,
    hashes,
    long_path,
    places,
    tile_path,
    width_of,
)

MISSING = "it is missing"
FORMAT = "format"
"""The file that names the version of the files, made with the directory."""
LONGEST_BUNDLE = WIDTH * (2 + MOST_BYTES)
LONGEST_LEAF = 64 * 1024 * 1024
"""Bytes of a leaf that is kept beside; far above what a fact can have."""


class Damaged(Exception):
    """A file of the log is not what it must be."""

    def __init__(self, place: Path, offset: int, why: str) -> None:
        super().__init__(f"{place}, byte {offset}: {why}")
        self.place = place
        self.offset = offset
        """The first byte that is wrong."""
        self.why = why
        """A clause."""

    @property
    def missing(self) -> bool:
        """There is nothing at the place."""
        return self.why == MISSING


def is_ledger(path: Path) -> bool:
    """Whether a gateway keeps, or kept, its sealed logs there: any other directory would verify as an empty record."""
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return False
    return FORMAT in names or any(re.fullmatch(r"[0-6][0-9]", name) for name in names)


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a plain file. Raises Damaged; FileNotFoundError if nothing is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(path, 0, f"it cannot be read ({(error.strerror or str(error)).lower()})") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise Damaged(path, 0, "it is not a file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > most:
            raise Damaged(path, most, f"it has {found.st_size} bytes, and may have {most}")
        return file.read(most + 1)


@dataclass(slots=True)
class LogFiles:
    """Read-only. `size` is what the reader goes by: the checkpoint's, or what he knows from elsewhere."""

    directory: Path
    """Of this one partition's log."""
    size: int = 0
    _tiles: dict[tuple[int, int], tuple[Path, bytes]] = field(default_factory=dict)

    @classmethod
    def open(cls, ledger: Path, partition: str) -> "LogFiles":
        """The log of `partition` ("07") below `ledger`, at the size that its checkpoint says. Raises Damaged."""
        found = cls(ledger / partition)
        checkpoint = found.checkpoint()
        found.size = checkpoint.size if checkpoint is not None else 0
        return found

    def note(self) -> bytes | None:
        """The signed checkpoint as it is; None if there is none. Raises Damaged."""
        try:
            return read_file(self.directory / CHECKPOINT, LONGEST_NOTE)
        except FileNotFoundError:
            return None

    def checkpoint(self) -> Checkpoint | None:
        """What it says, whoever signed it. Raises Damaged."""
        note = self.note()
        try:
            return read_checkpoint(note) if note is not None else None
        except BadNote as error:
            raise Damaged(self.directory / CHECKPOINT, 0, str(error)) from error

    def bundle(self, number: int) -> tuple[Path, bytes, list[tuple[int, int]]]:
        """One bundle: its file, its bytes, and where each leaf is in them. Raises Damaged."""
        width = width_of(number, self.size)
        path, data = self._read(bundle_path(number, width), bundle_path(number), LONGEST_BUNDLE)
        if path != self.directory / bundle_path(number, width):
            data = _beginning(data, width)
        try:
            return path, data, places(data, width)
        except NotABundle as error:
            raise Damaged(path, error.offset, str(error)) from error

    def leaves(self, first: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The leaves [first, end) as they stand in the log. Raises Damaged."""
        end = self.size if end is None else min(end, self.size)
        for number in range(first // WIDTH, -(-end // WIDTH)):
            _, data, found = self.bundle(number)
            for index, (start, stop) in enumerate(found, number * WIDTH):
                if first <= index < end:
                    yield data[start:stop]

    def long(self, digest: str) -> bytes:
        """A leaf that is too long for a bundle. Raises Damaged."""
        path = self.directory / long_path(digest)
        try:
            return read_file(path, LONGEST_LEAF)
        except FileNotFoundError as error:
            raise Damaged(path, 0, MISSING) from error

    def tile(self, level: int, number: int) -> tuple[Path, bytes]:
        """One tile of hashes: its file, and the hashes that belong to a tree of our size. Raises Damaged."""
        if (level, number) not in self._tiles:
            width = width_of(number, self.size >> HEIGHT * level)
            path, data = self._read(tile_path(level, number, width), tile_path(level, number), WIDTH * HASH)
            exact = path == self.directory / tile_path(level, number, width)
            if len(data) < width * HASH or (exact and len(data) != width * HASH):
                raise Damaged(path, min(len(data), width * HASH), f"it has {len(data)} bytes, not {width * HASH}")
            if len(self._tiles) >= 1024:
                self._tiles.clear()
            self._tiles[level, number] = path, data[: width * HASH]
        return self._tiles[level, number]

    def hash_of(self, level: int, number: int) -> bytes:
        """Root of a full subtree, as `merkle.HashOf`. Raises Damaged."""
        tile_level, rest = divmod(level, HEIGHT)
        first, count = number << rest, 1 << rest
        _, data = self.tile(tile_level, first // WIDTH)
        found = hashes(data)[first % WIDTH :][:count]
        if len(found) != count:
            raise IndexError(f"there is no full subtree {number} of level {level} in a tree of {self.size}")
        while len(found) > 1:
            found = [node_hash(left, right) for left, right in zip(found[::2], found[1::2], strict=True)]
        return found[0]

    def tree(self) -> Tree:
        """The tree of our size, from its tiles. Raises Damaged."""
        return tree_of(self.size, self.hash_of)

    def _read(self, name: str, full: str, most: int) -> tuple[Path, bytes]:
        """A tile or bundle. One that is wider serves as well: a partial one is removed once the log has grown."""
        for candidate in (name, full, *self._wider(name)):
            try:
                return self.directory / candidate, read_file(self.directory / candidate, most)
            except FileNotFoundError:
                continue
        raise Damaged(self.directory / name, 0, MISSING)

    def _wider(self, name: str) -> Iterator[str]:
        """Partial ones at the same place with more in them, looked for only when the others are not there."""
        folder, _, width = name.rpartition("/")
        if not folder.endswith(".p"):
            return
        try:
            names = [entry.name for entry in (self.directory / folder).iterdir()]
        except OSError:
            return
        found = sorted(int(found) for found in names if re.fullmatch(r"[1-9][0-9]{0,2}", found))
        yield from (f"{folder}/{more}" for more in found if more > int(width))


def _beginning(data: bytes, count: int) -> bytes:
    """The first `count` leaves of a bundle that has more."""
    place = 0
    for _ in range(count):
        if place + 2 > len(data):
            return data
        place += 2 + int.from_bytes(data[place : place + 2], "big")
    return data[:place]
