"""The tree against the vectors of Certificate Transparency, against the definition in RFC 6962, and against itself."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.merkle import (
    EMPTY,
    Tree,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    tree_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word: slow, and obviously right."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def made(size: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(size)]


def hashes_of(leaves: list[bytes]) -> Any:
    return lambda level, number: root_of(leaves[number << level : (number + 1) << level])


@pytest.mark.parametrize("size", range(9))
def test_the_vectors_of_certificate_transparency(size):
    assert Tree().append(map(leaf_hash, LEAVES[:size])).root.hex() == ROOTS[size]


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_appending_in_any_portions_gives_the_tree_of_the_definition(first, more):
    leaves = made(first + more)
    tree = Tree().append(map(leaf_hash, leaves[:first])).append(map(leaf_hash, leaves[first:]))
    assert tree.root == root_of(leaves)
    assert tree == tree_of(len(leaves), hashes_of(leaves))


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_has_a_proof_that_proves_no_other(size):
    leaves = made(size)
    root = root_of(leaves)
    for index in range(size):
        path = inclusion(index, size, hashes_of(leaves))
        assert verify_inclusion(leaf_hash(leaves[index]), index, size, path, root)
        for other in range(-1, size + 2):
            if other != index:
                assert not verify_inclusion(leaf_hash(leaves[index]), other, size, path, root)
        assert not verify_inclusion(leaf_hash(b"another"), index, size, path, root)
        assert not verify_inclusion(leaf_hash(leaves[index]), index, size, (*path, EMPTY), root)
        for place in range(len(path)):
            assert not verify_inclusion(leaf_hash(leaves[index]), index, size, path[:place] + path[place + 1 :], root)


@pytest.mark.parametrize("new", range(1, 34))
def test_a_tree_extends_each_of_its_beginnings_and_nothing_else(new):
    leaves = made(new)
    for old in range(1, new + 1):
        path = consistency(old, new, hashes_of(leaves))
        before, root = root_of(leaves[:old]), root_of(leaves)
        assert verify_consistency(old, new, path, before, root)
        another = root_of([*leaves[: old - 1], b"another"])
        assert not verify_consistency(old, new, path, another, root)
        assert not verify_consistency(old, new, path, before, EMPTY)
        assert not verify_consistency(old, new, (*path, EMPTY), before, root)
        for place in range(len(path)):
            assert not verify_consistency(old, new, path[:place] + path[place + 1 :], before, root)
        if old > 1:
            assert not verify_consistency(old - 1, new, path, before, root)


def test_everything_extends_the_tree_without_leaves():
    assert verify_consistency(0, 5, (), EMPTY, root_of(made(5)))
    assert not verify_consistency(0, 5, (), root_of(made(1)), root_of(made(5)))
    assert not verify_consistency(5, 3, (), root_of(made(5)), root_of(made(3)))


def test_what_cannot_be_proved_is_an_error():
    with pytest.raises(IndexError):
        inclusion(3, 3, hashes_of(made(3)))
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(IndexError):
            consistency(old, new, hashes_of(made(3)))
