"""The tree: hashes of leaves in, one root out, and short proofs about it (RFC 6962 section 2.1, RFC 9162).

A tree of n leaves is described by its *peaks*: the roots of the full subtrees whose sizes are the powers of two in n,
largest first. Appending needs no more than those. Proofs need the hash of any full subtree, which tiles hold: `HashOf`.
Nothing here does I/O or knows what a leaf says.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HashOf = Callable[[int, int], bytes]
"""(level, number) -> root of the full subtree over leaves [number * 2**level, (number + 1) * 2**level)."""

EMPTY = sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree as far as appending to it needs to know it."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    """One per bit of `size` that is set, the largest subtree first."""

    def append(self, hashes: Iterable[bytes]) -> "Tree":
        """The tree with these leaf hashes behind its own."""
        row, peaks, added = list(hashes), list(self.peaks), []
        size, width = self.size + len(row), self.size
        while row:  # level by level, from the leaves up: half as many each time
            if width & 1:
                row.insert(0, peaks.pop())
            if len(row) & 1:
                added.append(row.pop())
            pairs = iter(row)
            row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            width >>= 1
        return Tree(size, (*peaks, *reversed(added)))

    @property
    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def tree_of(size: int, hash_of: HashOf) -> Tree:
    """The tree of that size, from the hashes of its full subtrees."""
    peaks, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(hash_of(level, start >> level))
            start += 1 << level
    return Tree(size, tuple(peaks))


def _range_hash(start: int, end: int, hash_of: HashOf) -> bytes:
    """Root of the leaves [start, end), where `start` is where such a subtree may begin."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return hash_of(level, start >> level)
    split = 1 << (size - 1).bit_length() - 1
    return node_hash(_range_hash(start, start + split, hash_of), _range_hash(start + split, end, hash_of))


def inclusion(index: int, size: int, hash_of: HashOf) -> tuple[bytes, ...]:
    """The audit path of leaf `index` in the tree of `size` leaves, lowest hash first. Raises IndexError."""
    if not 0 <= index < size:
        raise IndexError(f"there is no leaf {index} in a tree of {size}")
    path, start, end = [], 0, size
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if index < split:
            path.append(_range_hash(split, end, hash_of))
            end = split
        else:
            path.append(_range_hash(start, split, hash_of))
            start = split
    return tuple(reversed(path))


def consistency(old: int, new: int, hash_of: HashOf) -> tuple[bytes, ...]:
    """Proof that the tree of `new` leaves extends that of `old`. Raises IndexError unless 0 < old <= new."""
    if not 0 < old <= new:
        raise IndexError(f"there is no proof from a tree of {old} to one of {new}")
    path, start, end, whole = [], 0, new, True
    while old < end:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if old <= split:
            path.append(_range_hash(split, end, hash_of))
            end = split
        else:
            path.append(_range_hash(start, split, hash_of))
            start, whole = split, False
    if not whole:
        path.append(_range_hash(start, end, hash_of))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that the leaf with that hash is number `index` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for other in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(other, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, other)
        place >>= 1
        last >>= 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `path` proves that the new tree extends the old one (RFC 9162 section 2.1.4.2)."""
    if not 0 < old <= new:
        return old == 0 and not path and old_root == EMPTY  # everything extends the tree without leaves
    if old == new:
        return not path and old_root == new_root
    if not path:
        return False
    steps = [*path] if old & (old - 1) else [old_root, *path]
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    of_old = of_new = steps[0]
    for other in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            of_old, of_new = node_hash(other, of_old), node_hash(other, of_new)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            of_new = node_hash(of_new, other)
        place >>= 1
        last >>= 1
    return last == 0 and of_old == old_root and of_new == new_root
