"""Entries of the stream and the leaves they stand for in the log: one way, and back as far as the entry's id.

Nothing here decodes a fact, so sealing costs little and cannot fail at one.
"""

import re

from gateway.core.leaf import NotALeaf, leaves_of, short
from gateway.ledger.tiles import long_path
from gateway.ledger.unsealable import Unsealable

RawEntry = tuple[bytes, dict[bytes, bytes]]
"""An entry of a stream: its id and its fields."""

_ENTRY = re.compile(rb'\{"at":\d+,"by":"[^"]*"(?:,"call":"[^"]*")?(?:,"digest":"[0-9a-f]{64}")?,"entry":"(\d+-\d+)"')
_DIGEST = re.compile(rb'\{"at":\d+,"by":"[^"]*"(?:,"call":"[^"]*")?,"digest":"([0-9a-f]{64})"')
"""Of a leaf that is kept beside (`core.leaf.short`). `fact` comes later in a leaf, so no fact can look like that."""


def standing(partition: str, entry: RawEntry) -> tuple[list[bytes], dict[str, bytes]]:
    """The leaves of an entry as they stand in the log, and by path those that are kept beside. Raises Unsealable.

    `partition` is for the sentence.
    """
    name, fields = entry
    try:
        leaves = leaves_of(name, fields)
        found = [*map(short, leaves)]
    except (NotALeaf, KeyError, ValueError) as error:
        raise Unsealable(
            f"The stream {{{partition}}}:ledger in Redis holds what this version cannot seal (entry "
            f"{name.decode('ascii', 'replace')}: {error}): a newer version of the gateway wrote it, or somebody else "
            "did. Run that version, or find out who and take the entry away (XDEL)."
        ) from error
    pairs = zip(leaves, found, strict=True)
    return found, {path: leaf for leaf, stands in pairs if stands is not leaf and (path := beside(stands))}


def beside(leaf: bytes) -> str:
    """The path of the whole leaf, if this is only its digest; else empty."""
    found = _DIGEST.match(leaf)
    return long_path(found[1].decode()) if found else ""


def entry_of(leaf: bytes) -> str:
    """The entry of the stream that the leaf came in. Raises Unsealable if this is no leaf that we know."""
    found = _ENTRY.match(leaf)
    if found is None:
        raise Unsealable(
            "A leaf of the sealed log cannot be read: a newer version of the gateway wrote it, or it is damaged. Run "
            "that version, or verify the log (gateway audit verify)."
        )
    return found[1].decode()
