"""Leaves in a partition's log: those at known places, and all of one call or grant.

`about` reads every leaf behind the first, whatever an index says: an index may say where to begin, and can hide
nothing that came later.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from gateway.core.leaf import Leaf, NotALeaf, read_leaf
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.tiles import WIDTH, long_path


def whole(log: LogFiles, leaf: bytes) -> bytes:
    """The leaf itself, or the longer one that it is the digest of. Raises Damaged."""
    if b',"digest":"' not in leaf or b',"fact":{' in leaf:
        return leaf
    digest = orjson.loads(leaf)["digest"]
    found = log.long(digest)
    if hashlib.sha256(found).hexdigest() != digest:
        raise Damaged(log.directory / long_path(digest), 0, "it is not what the log has the digest of")
    return found


def leaves_at(log: LogFiles, indexes: Iterable[int]) -> Iterator[bytes]:
    """The whole leaves at these places. Raises Damaged; IndexError if there is no such leaf."""
    number, data = -1, b""
    places: list[tuple[int, int]] = []
    for index in indexes:
        if not 0 <= index < log.size:
            raise IndexError(f"there is no leaf {index} in a log of {log.size}")
        if index // WIDTH != number:
            number = index // WIDTH
            _, data, places = log.bundle(number)
        start, end = places[index % WIDTH]
        yield whole(log, data[start:end])


def about(log: LogFiles, name: str, first: int = 0) -> Iterator[tuple[int, Leaf]]:
    """Every leaf of this call or grant from leaf `first` on, with its index. Raises Damaged.

    Bytes are compared before anything is parsed, so a million leaves take about a second.
    """
    sought = orjson.dumps(name)
    for number in range(first // WIDTH, -(-log.size // WIDTH)):
        path, data, places = log.bundle(number)
        if sought not in data:
            continue
        for index, (start, end) in enumerate(places, number * WIDTH):
            if index < first or data.find(sought, start, end) < 0:
                continue
            leaf = _read(path, start, data[start:end])
            if leaf.name == name:
                yield index, leaf if leaf.envelope else _long(log, leaf)


def beginnings(log: LogFiles, beginning: str, most: int) -> list[str]:
    """Names of calls and grants that begin so, at most so many. Raises Damaged."""
    found: dict[str, None] = {}
    sought = orjson.dumps(beginning)[:-1]
    for number in range(-(-log.size // WIDTH)):
        path, data, places = log.bundle(number)
        if sought not in data:
            continue
        for start, end in places:
            if data.find(sought, start, end) >= 0 and len(found) < most:
                name = _read(path, start, data[start:end]).name
                if name.startswith(beginning):
                    found[name] = None
    return list(found)


def _read(path: Path, offset: int, data: bytes) -> Leaf:
    try:
        return read_leaf(data)
    except NotALeaf as error:
        raise Damaged(path, offset, str(error)) from error


def _long(log: LogFiles, leaf: Leaf) -> Leaf:
    """What the digest in the log stands for."""
    data = log.long(leaf.digest)
    path = log.directory / long_path(leaf.digest)
    if hashlib.sha256(data).hexdigest() != leaf.digest or len(data) != leaf.size:
        raise Damaged(path, 0, "it is not what the log has the digest of")
    found = _read(path, 0, data)
    if (found.name, found.position, found.entry, found.at) != (leaf.name, leaf.position, leaf.entry, leaf.at):
        raise Damaged(path, 0, "it is another fact than the log says")
    return found
