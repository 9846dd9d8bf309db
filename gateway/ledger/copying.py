"""A log from the store to the directory, and the other way: for a host that takes over, and for a store that is new."""

from collections.abc import Iterator
from hashlib import sha256

from gateway.ledger.files import LogFiles
from gateway.ledger.growing import Tip, grow, load
from gateway.ledger.standing import beside
from gateway.ledger.store import Store
from gateway.ledger.tiles import HEIGHT, WIDTH, NotABundle, bundle_path, long_path, tile_path, unbundle, width_of
from gateway.ledger.unsealable import Unsealable
from gateway.ledger.writing import LedgerDirectory

BUNDLES_AT_ONCE = 32
"""Between two writes: at most half a gigabyte, mostly four megabytes."""


def fetch(directory: LedgerDirectory, partition: str, store: Store, *, have: int, size: int, root: bytes) -> Tip:
    """Copy what the directory lacks of that tree, bundle by bundle, and make its tiles anew. `have`: leaves that are
    here for sure, which is where the directory's own checkpoint ends.

    The store is not trusted, only the root is. What is written lies behind those leaves, so it harms nobody if the root
    turns out to be another. Raises Unsealable, Damaged, StoreUnavailable, OSError.
    """
    first, end = have // WIDTH, -(-size // WIDTH)
    tip = load(LogFiles(directory.path / partition, first * WIDTH))
    for start in range(first, end, BUNDLES_AT_ONCE):
        numbers = range(start, min(start + BUNDLES_AT_ONCE, end))
        leaves = _leaves(directory, partition, store, {number: width_of(number, size) for number in numbers})
        paths = [path for leaf in leaves if (path := beside(leaf))]
        long = directory.in_parallel(lambda path: _get(directory, partition, store, path), paths)
        if any(long_path(sha256(data).hexdigest()) != path for path, data in zip(paths, long, strict=True)):
            raise Unsealable(f"The ledger's store holds a damaged leaf of partition {partition}.")
        grown = grow(tip, leaves)
        files = grown.files | dict(zip(paths, long, strict=True))
        directory.put({f"{partition}/{path}": data for path, data in files.items()})
        tip = grown.tip
    if tip.root != root:
        raise Unsealable(
            f"The ledger's store does not hold the log of partition {partition} that was sealed: its {size} leaves "
            f"have another root. Restore the store, or the directory {str(directory.path)!r}, from a copy."
        )
    return tip


def _leaves(directory: LedgerDirectory, partition: str, store: Store, widths: dict[int, int]) -> list[bytes]:
    names = [bundle_path(number, width) for number, width in widths.items()]
    bundles = directory.in_parallel(lambda path: _get(directory, partition, store, path), names)
    try:
        return [leaf for data, width in zip(bundles, widths.values(), strict=True) for leaf in unbundle(data, width)]
    except NotABundle as error:
        raise Unsealable(f"The ledger's store holds a damaged bundle of partition {partition}: {error}.") from error


def _get(directory: LedgerDirectory, partition: str, store: Store, path: str) -> bytes:
    data = store.get(f"{partition}/{path}")
    if data is None:
        raise Unsealable(
            f"The sealed log is not here: neither the directory {str(directory.path)!r} nor the ledger's store has "
            f"{partition}/{path}. Start the gateway on the host that has it, or copy its directory here.",
            hard=False,
        )
    return data


def files_between(directory: LedgerDirectory, partition: str, old: int, new: int) -> Iterator[tuple[str, bytes]]:
    """Every file that the log of `new` leaves needs and that of `old` leaves does not have. Raises Damaged."""
    files = LogFiles(directory.path / partition, new)
    for number in range(old // WIDTH, -(-new // WIDTH)):
        _, data, places = files.bundle(number)
        yield bundle_path(number, width_of(number, new)), data
        for path in (beside(data[start:end]) for start, end in places):
            if path:
                yield path, files.long(path.removeprefix("long/"))
    level = 0
    while count := new >> HEIGHT * level:
        for number in range((old >> HEIGHT * level) // WIDTH, -(-count // WIDTH)):
            yield tile_path(level, number, width_of(number, count)), files.tile(level, number)[1]
        level += 1
