"""What appending to a log changes, as values: its right edge before, its right edge after, and the files between them.

A log is only ever changed at its right edge: the last bundle and, of each level, the last tile. `grow` says which files
the longer tree needs; none of them is one that the shorter tree refers to, so writing them harms nobody. Pure: bytes
in, names and bytes out. It must never look into a leaf.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.merkle import Tree, leaf_hash
from gateway.ledger.tiles import HASH, HEIGHT, WIDTH, bundle, bundle_path, tile_path


@dataclass(frozen=True, slots=True)
class Edge:
    """The last tile of one level, while it is not full."""

    hashes: bytes
    tree: Tree
    """Over those."""


EMPTY = Edge(b"", Tree())


@dataclass(frozen=True, slots=True)
class Tip:
    """A log as far as appending to it needs to know it."""

    size: int = 0
    edges: tuple[Edge, ...] = ()
    """Lowest level first."""
    bundle: bytes = b""
    """The last bundle, while it is not full."""

    @property
    def root(self) -> bytes:
        peaks = [peak for edge in reversed(self.edges) for peak in edge.tree.peaks]
        return Tree(self.size, tuple(peaks)).root

    @property
    def partial(self) -> frozenset[str]:
        """Paths of the bundle and the tiles that are not full."""
        return frozenset(self.partials())

    def partials(self) -> dict[str, bytes]:
        found = {}
        if self.bundle:
            found[bundle_path(self.size // WIDTH, self.size % WIDTH)] = self.bundle
        for level, edge in enumerate(self.edges):
            if edge.hashes:
                there = self.size >> HEIGHT * level
                found[tile_path(level, there // WIDTH, there % WIDTH)] = edge.hashes
        return found


@dataclass(frozen=True, slots=True)
class Grown:
    tip: Tip
    files: dict[str, bytes]
    """What has to be there before anybody may rely on the longer log, by path."""


def grow(tip: Tip, leaves: Sequence[bytes]) -> Grown:
    """The log with these leaves behind its own; each as it stands in a bundle (`core.leaf.short`)."""
    files: dict[str, bytes] = {}
    edges, size, last, place = [*tip.edges], tip.size, tip.bundle, 0
    while place < len(leaves):
        some = leaves[place : place + WIDTH - size % WIDTH]
        place += len(some)
        size += len(some)
        last += bundle(some)
        if size % WIDTH == 0:
            files[bundle_path(size // WIDTH - 1)] = last
            last = b""
        _append(edges, [sha256(b"\x00" + leaf).digest() for leaf in some], size, files)
    grown = Tip(size, tuple(edges), last)
    before = tip.partials()
    return Grown(grown, files | {path: data for path, data in grown.partials().items() if path not in before})


def _append(edges: list[Edge], hashes: list[bytes], size: int, files: dict[str, bytes]) -> None:
    """Put hashes, which do not overflow its last tile, behind level 0; a tile that is full is a hash of the next."""
    for level in count():
        if level == len(edges):
            edges.append(EMPTY)
        edge = edges[level]
        edge = Edge(edge.hashes + b"".join(hashes), edge.tree.append(hashes))
        if edge.tree.size < WIDTH:
            edges[level] = edge
            return
        files[tile_path(level, (size >> HEIGHT * level) // WIDTH - 1)] = edge.hashes
        hashes = [edge.tree.root]
        edges[level] = EMPTY


def load(files: LogFiles) -> Tip:
    """The right edge of a log of the size that `files` goes by. Raises Damaged if its last files disagree.

    The root is the caller's to compare with what he trusts; whoever does that knows all hashes that this took.
    """
    edges, size = [], files.size
    for level in range(_levels(size)):
        there = size >> HEIGHT * level
        hashes = files.tile(level, there // WIDTH)[1] if there % WIDTH else b""
        edges.append(Edge(hashes, _over(hashes)))
    if not size:
        return Tip()
    number = (size - 1) // WIDTH
    path, data, places = files.bundle(number)
    _, hashes = files.tile(0, number)
    for index, (start, end) in enumerate(places):
        if leaf_hash(data[start:end]) != hashes[index * HASH : index * HASH + HASH]:
            raise Damaged(path, start, "the leaf there has another hash than its tile says")
    if size % WIDTH == 0:
        if _over(hashes).root != files.hash_of(HEIGHT, number):
            raise Damaged(path, 0, "the tile of its leaves has another root than the tile above says")
        data = b""
    return Tip(size, tuple(edges), data)


def _levels(size: int) -> int:
    """How many levels of tiles a tree of that size has."""
    return -(-size.bit_length() // HEIGHT)


def _over(hashes: bytes) -> Tree:
    return Tree().append(hashes[place : place + HASH] for place in range(0, len(hashes), HASH))
