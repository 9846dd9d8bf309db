"""Names and contents of the files of a log, as C2SP tlog-tiles has them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.tiles import (
    NotABundle,
    bundle,
    bundle_path,
    hashes,
    long_path,
    tile_path,
    unbundle,
    width_of,
    widths,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (tile_path(0, 0), "tile/0/000"),
        (tile_path(1, 999), "tile/1/999"),
        (tile_path(0, 1000), "tile/0/x001/000"),
        (tile_path(0, 1234067), "tile/0/x001/x234/067"),
        (tile_path(2, 5, 17), "tile/2/005.p/17"),
        (bundle_path(1234067, 1), "tile/entries/x001/x234/067.p/1"),
        (bundle_path(12), "tile/entries/012"),
        (long_path("a" * 64), f"long/{'a' * 64}"),
    ],
)
def test_paths(path, expected):
    assert path == expected


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, ""])
def test_a_digest_that_is_none_is_no_path(name):
    with pytest.raises(ValueError, match="not a SHA-256"):
        long_path(name)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, [(0, 0, 1)]),
        (255, [(0, 0, 255)]),
        (256, [(0, 0, 256), (1, 0, 1)]),
        (257, [(0, 1, 1), (1, 0, 1)]),
        (65_536, [(0, 255, 256), (1, 0, 256), (2, 0, 1)]),
        (70_000, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]),
    ],
)
def test_the_last_tile_of_every_level(size, expected):
    assert list(widths(size)) == expected


def test_how_much_of_a_tile_there_is():
    assert [width_of(number, 600) for number in range(4)] == [256, 256, 88, 0]


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_comes_back(leaves):
    assert unbundle(bundle(leaves), len(leaves)) == leaves


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=9), st.data())
def test_a_bundle_that_is_cut_or_longer_is_none(leaves, data):
    whole = bundle(leaves)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for wrong, count in ((whole[:cut], len(leaves)), (whole + b"x", len(leaves)), (whole, len(leaves) - 1)):
        with pytest.raises(NotABundle) as refused:
            unbundle(wrong, count)
        assert 0 <= refused.value.offset <= len(whole)


def test_a_leaf_of_more_than_sixteen_bits_does_not_fit():
    assert len(bundle([b"x" * 65_535])) == 65_537
    with pytest.raises(struct.error):
        bundle([b"x" * 65_536])


def test_a_tile_is_its_hashes():
    assert hashes(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
