"""However a log grew, append by append, its files are those of the specification, and none that counted was touched."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.files import LogFiles
from gateway.ledger.growing import Tip, grow, load
from gateway.ledger.merkle import Tree, leaf_hash
from gateway.ledger.tiles import bundle_path, tile_path
from tests.sealed_log import SIGNER, write_log


def leaf(number: int) -> bytes:
    return b"leaf %d" % number


def grown(directory, tip: Tip, first: int, count: int) -> Tip:
    """Write what growing says, and only that."""
    it = grow(tip, [leaf(number) for number in range(first, first + count)])
    for path, data in it.files.items():
        place = directory / path
        assert not place.exists(), "a file that the shorter log refers to, or an earlier step wrote"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return it.tip


def files_of(size: int, directory) -> dict[str, bytes]:
    write_log(directory, "07", [leaf(number) for number in range(size)], SIGNER)
    root = directory / "07"
    return {str(path.relative_to(root)): path.read_bytes() for path in (root / "tile").rglob("*") if path.is_file()}


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_in_any_steps_it_becomes_the_log_of_the_specification(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("log")
    tip, size = Tip(), 0
    for count in steps:
        tip = grown(folder / "mine", tip, size, count)
        size += count
        assert tip.root == Tree().append(leaf_hash(leaf(number)) for number in range(size)).root
        assert load(LogFiles(folder / "mine", size)) == tip
    wanted = files_of(size, folder / "theirs")
    assert {path: (folder / "mine" / path).read_bytes() for path in wanted} == wanted
    assert tip.partial == {path for path in wanted if ".p/" in path}


def test_around_the_end_of_the_second_level(tmp_path):
    """65,536 leaves fill a tile of the second level, and so begin the third."""
    tip, size = grown(tmp_path / "mine", Tip(), 0, 65_535), 65_535
    wanted: dict[str, bytes] = {}
    for edge in (65_535, 65_536, 65_537):
        while size < edge:
            tip, size = grown(tmp_path / "mine", tip, size, 1), size + 1
        wanted = files_of(edge, tmp_path / str(edge))
        assert {path: (tmp_path / "mine" / path).read_bytes() for path in wanted} == wanted
        assert load(LogFiles(tmp_path / "mine", edge)) == tip
    assert tile_path(2, 0, 1) in wanted and tile_path(1, 0) in wanted and bundle_path(256, 1) in wanted


def test_nothing_grows_from_nothing():
    assert grow(Tip(), []).files == {} and grow(Tip(), []).tip == Tip()
    assert Tip().root == Tree().root
