"""How a log lies in files: C2SP tlog-tiles. Paths, and what is in a tile and in a bundle of entries.

    checkpoint            the signed size and root
    tile/0/x001/234       256 hashes: of leaves at level 0, of 256**L leaves each at level L
    tile/0/x001/234.p/17  the same while only 17 of them are there
    tile/entries/...      the leaves themselves, 256 to a bundle, each behind its length
    long/<sha256>         a leaf that is too long for a bundle, which has its digest (`core.leaf.short`)

Full tiles never change. Pure: numbers and bytes in, names and bytes out.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence

WIDTH = 256
"""Hashes in a full tile, leaves in a full bundle."""
HASH = 32
"""Bytes of a hash."""
HEIGHT = 8
"""Levels of the tree that one tile spans: WIDTH is two to that power."""
CHECKPOINT = "checkpoint"
_LENGTH = struct.Struct(">H")


class NotABundle(ValueError):
    """These bytes are no bundle of that many leaves."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset
        """The first byte that is wrong."""


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """Of the tile at that level; `width` hashes are in it."""
    return f"tile/{level}/{_numbered(number, width)}"


def bundle_path(number: int, width: int = WIDTH) -> str:
    """Of the bundle of leaves; `width` of them are in it."""
    return f"tile/entries/{_numbered(number, width)}"


def long_path(digest: str) -> str:
    """Of a leaf that is too long for a bundle."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"{digest!r} is not a SHA-256 in hexadecimal")
    return f"long/{digest}"


def _numbered(number: int, width: int) -> str:
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return name if width == WIDTH else f"{name}.p/{width}"


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of the last tile of every level of a tree of `size` leaves, if it has any hashes there."""
    level = 0
    while size:
        yield level, (size - 1) // WIDTH, (size - 1) % WIDTH + 1
        size >>= HEIGHT
        level += 1


def width_of(number: int, size: int) -> int:
    """How many of the `size` hashes, or leaves, of a level are in the tile of that number; 0: it does not exist."""
    return max(0, min(WIDTH, size - number * WIDTH))


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Leaves, each behind its length. Raises struct.error for one that is too long."""
    return b"".join([_LENGTH.pack(len(leaf)) + leaf for leaf in leaves])


def unbundle(data: bytes, count: int) -> list[bytes]:
    """The `count` leaves of a bundle. Raises NotABundle."""
    return [data[start:end] for start, end in places(data, count)]


def places(data: bytes, count: int) -> list[tuple[int, int]]:
    """Where each of the `count` leaves begins and ends in a bundle. Raises NotABundle."""
    found, place = [], 0
    for number in range(count):
        if place + _LENGTH.size > len(data):
            raise NotABundle(len(data), f"the bundle ends after {number} of {count} leaves")
        (length,) = _LENGTH.unpack_from(data, place)
        start = place + _LENGTH.size
        if start + length > len(data):
            raise NotABundle(place, f"leaf {number} of the bundle has {length} bytes, but {len(data) - start} follow")
        found.append((start, start + length))
        place = start + length
    if place != len(data):
        raise NotABundle(place, f"{len(data) - place} bytes follow the last of {count} leaves")
    return found


def hashes(data: bytes) -> Sequence[bytes]:
    """The hashes in a tile."""
    return [data[place : place + HASH] for place in range(0, len(data), HASH)]
