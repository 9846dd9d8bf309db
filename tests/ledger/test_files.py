"""A log is read as it lies there, however it came to lie there, and what is wrong with a file has a place."""

import os
import shutil

import pytest

from gateway.core.facts import Expired, Lost
from gateway.core.leaf import short
from gateway.ledger.files import Damaged, LogFiles, read_file
from gateway.ledger.merkle import Tree, inclusion, leaf_hash, verify_inclusion
from gateway.ledger.tiles import bundle_path, tile_path
from tests.sealed_log import entry, write_log

CALL = "07abababababababababab"


def made(count: int) -> list[bytes]:
    return [leaf for number in range(count) for leaf in entry(number, CALL, number, [Expired(at=number)])]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_leaves_tree_and_proofs_of_a_log(tmp_path, size):
    leaves = made(size)
    write_log(tmp_path, "07", leaves)
    log = LogFiles.open(tmp_path, "07")
    root = Tree().append(map(leaf_hash, leaves)).root
    assert log.size == size and list(log.leaves()) == leaves
    assert log.tree().root == root == root_in(log)
    for index in {0, size // 2, size - 1}:
        path = inclusion(index, size, log.hash_of)
        assert verify_inclusion(leaf_hash(leaves[index]), index, size, path, root)
        assert list(log.leaves(index, index + 1)) == [leaves[index]]


def test_a_log_of_more_than_one_level_of_full_tiles(tmp_path):
    leaves = made(256 * 256 + 300)
    write_log(tmp_path, "07", leaves)
    log = LogFiles.open(tmp_path, "07")
    assert log.tree().root == root_in(log)
    path = inclusion(65_600, log.size, log.hash_of)
    assert verify_inclusion(leaf_hash(leaves[65_600]), 65_600, log.size, path, log.tree().root)


@pytest.mark.parametrize(("old", "new"), [(3, 5), (200, 256), (255, 300), (257, 700)])
def test_a_reader_of_yesterdays_size_finds_what_it_needs_in_todays_files(tmp_path, old, new):
    leaves = made(new)
    write_log(tmp_path, "07", leaves)
    log = LogFiles(tmp_path / "07", old)
    assert list(log.leaves()) == leaves[:old]
    assert log.tree() == Tree().append(map(leaf_hash, leaves[:old]))


def test_a_log_that_was_never_sealed_is_empty(tmp_path):
    log = LogFiles.open(tmp_path, "07")
    assert (log.size, log.note(), list(log.leaves())) == (0, None, [])


def test_a_long_leaf_is_beside(tmp_path):
    [leaf] = entry(1, CALL, 0, [Lost(token="t", error="x" * 70_000, at=5)])
    write_log(tmp_path, "07", [leaf])
    log = LogFiles.open(tmp_path, "07")
    [stands] = log.leaves()
    assert stands == short(leaf)
    digest = stands.partition(b'"digest":"')[2][:64].decode()
    assert log.long(digest) == leaf
    with pytest.raises(Damaged, match="missing"):
        log.long("0" * 64)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _longer(path):
    path.write_bytes(path.read_bytes() + b"x")


def _gone(path):
    path.unlink()


def _a_directory(path):
    path.unlink()
    path.mkdir()


def _a_link(path):
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def _a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def _huge(path):
    with path.open("ab") as file:
        file.truncate(2**40)


def _read(ledger):
    log = LogFiles.open(ledger, "07")
    return list(log.leaves()), log.tree()


def root_in(log):
    checkpoint = log.checkpoint()
    assert checkpoint is not None
    return checkpoint.root


@pytest.mark.parametrize("harm", [_cut, _longer, _gone, _a_directory, _a_link, _a_pipe, _huge])
@pytest.mark.parametrize("name", [bundle_path(0, 17), tile_path(0, 0, 17), "checkpoint"])
def test_what_is_wrong_with_a_file_has_a_place(tmp_path, name, harm):
    directory = write_log(tmp_path, "07", made(17))
    harm(directory / name)
    if name == "checkpoint" and harm in (_gone, _cut, _longer):  # without it, or with more text, the log is another
        return
    with pytest.raises(Damaged) as damaged:
        _read(tmp_path)
    assert damaged.value.place.is_relative_to(directory)
    assert damaged.value.offset >= 0 and damaged.value.why


def test_no_subtree_beyond_the_size_can_be_asked_for(tmp_path):
    write_log(tmp_path, "07", made(3))
    log = LogFiles.open(tmp_path, "07")
    with pytest.raises(IndexError):
        log.hash_of(2, 0)


def test_a_missing_file_is_told_apart_from_a_bad_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing", 10)
    shutil.copy(__file__, tmp_path / "some")
    with pytest.raises(Damaged, match="may have 10"):
        read_file(tmp_path / "some", 10)
