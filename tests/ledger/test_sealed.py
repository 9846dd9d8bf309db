"""Blame and retries of the way from files to leaves; what is found is in `test_verifying`."""

import pytest

from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.note import read_checkpoint
from gateway.ledger.sealed import SealedLog
from gateway.ledger.tiles import bundle_path, tile_path
from tests import possible_record as record
from tests.possible_record import EFFECT, PARTITIONS


@pytest.fixture
def log(tmp_path):
    told = [append for n in range(80) for append in record.of(EFFECT, n)]
    ledger = record.write(tmp_path, told, every_ms=1)
    return LogFiles.open(ledger, PARTITIONS[0])


def sealed(files: LogFiles) -> SealedLog:
    note = files.note()
    assert note is not None
    return SealedLog(files, read_checkpoint(note), note)


def test_leaves_come_in_order_with_the_tree_before_them(log):
    bundles, sizes = [], []
    reading = sealed(log)
    for bundle in reading.bundles():
        bundles.append(bundle)
        sizes.append(reading.tree.size)
    assert [bundle.first for bundle in bundles] == sizes == [0, 256]
    assert sum(len(bundle.hashes) for bundle in bundles) == reading.tree.size == 320


def test_what_is_missing_is_looked_for_again_only_if_the_log_grew(log, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr("gateway.ledger.sealed.time.sleep", pauses.append)
    (log.directory / bundle_path(1, 64)).unlink()
    with pytest.raises(Damaged, match="it is missing"):
        list(sealed(log).bundles())
    assert pauses == []
    old = sealed(log)
    old.note = b"another"
    with pytest.raises(Damaged, match="it is missing"):
        list(old.bundles())
    assert len(pauses) == 20


def test_with_neither_hash_sealed_the_tile_is_named(log):
    """The checkpoint is of another history altogether: nothing says which of two that disagree was right."""
    file = log.directory / tile_path(0, 1, 64)
    file.write_bytes(file.read_bytes()[32:] + bytes(32))
    with pytest.raises(Damaged, match="is not theirs") as caught:
        list(sealed(log).bundles())
    assert (caught.value.place, caught.value.offset) == (file, 0)
