"""The payload store: durable, sealed, laid out by the day of its end, and gone when that has come."""

import pytest

from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.payload_store import LedgerFolder, PayloadStore
from gateway.adapters.store import DirectoryStore
from gateway.core.facts import Recorded
from gateway.core.kept import Kept, day_of, kept_as
from gateway.ledger.store import StoreUnavailable
from gateway.payload_ports import Unreadable

DAY = 24 * 3_600_000
NOON = 1_795_176_000_000
CIPHER = PayloadCipher((b"k" * 32,))
CALL, OTHER = "07" + "ab" * 11, "08" + "cd" * 11


def kept(call=CALL, part="input", at=NOON, keep=30 * DAY, data=b"salt copy"):
    copy = Kept(call, part, at, keep)
    return Kept(call, part, at, keep, CIPHER.seal(call, copy.field, data))


@pytest.fixture(params=["ledger", "shared"])
def store(request, tmp_path):
    return PayloadStore((LedgerFolder if request.param == "ledger" else DirectoryStore)(tmp_path))


def test_a_copy_is_found_by_its_fact_and_read_by_whoever_has_the_key(store, tmp_path):
    store.put(kept())
    store.put(kept())  # after a crash
    fact = Recorded(part="input", how="full", digest="d", size=4, keep=30 * DAY, at=NOON)
    assert store.read(kept_as(CALL, fact), CIPHER) == b"salt copy"
    [path] = [path for path in (tmp_path / "payloads").rglob("*") if path.is_file()]
    assert str(path.relative_to(tmp_path)) == f"payloads/{day_of(NOON + 30 * DAY)}/07/{CALL}.input.{NOON}"
    assert b"copy" not in path.read_bytes()
    assert store.read(kept_as(OTHER, fact), CIPHER) is None


def test_a_copy_in_the_place_of_another_is_noticed(store):
    store.put(kept())
    moved = Kept(OTHER, "input", NOON, 30 * DAY, kept().sealed)
    store.put(moved)
    with pytest.raises(Unreadable, match="another's place"):
        store.read(moved, CIPHER)


def test_in_the_ledgers_own_directory_nobody_else_reads_them(tmp_path):
    PayloadStore(LedgerFolder(tmp_path)).put(kept())
    found = list((tmp_path / "payloads").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "payloads", *found) if path.is_dir()} == {0o700}


def test_a_month_of_retention(store, tmp_path):
    """Each day one copy is kept for ten days; every day it is looked whose time is over."""
    for number in range(31):
        now = NOON + number * DAY
        store.put(kept(at=now, keep=10 * DAY))
        gone = store.retire(now)
        assert gone == ([day_of(now - DAY)] if number >= 11 else [])
        there = list(store.home.list("payloads"))
        assert len(there) == min(number + 1, 11)
        assert all(path.split("/")[1] >= day_of(now) for path in there), "nothing goes before its time, nothing stays"
    assert store.retire(NOON + 400 * DAY) and list(store.home.list("payloads")) == []


def test_empty_days_leave_no_folders(tmp_path):
    store = PayloadStore(LedgerFolder(tmp_path))
    store.put(kept())
    store.retire(NOON + 40 * DAY)
    assert list((tmp_path / "payloads").iterdir()) == []
    assert PayloadStore(LedgerFolder(tmp_path / "none")).retire(NOON) == []


def test_what_is_no_day_is_left_alone(tmp_path):
    (tmp_path / "payloads" / "2001-1-1").mkdir(parents=True)
    (tmp_path / "payloads" / "2001-1-1" / "x").write_text("somebody's")
    assert PayloadStore(LedgerFolder(tmp_path)).retire(NOON) == []
    assert (tmp_path / "payloads" / "2001-1-1" / "x").exists()


def test_erasing_takes_every_copy_of_the_calls_and_no_other(store):
    for copy in (kept(), kept(part="output", keep=DAY), kept(part="edited", at=NOON + 1), kept(OTHER)):
        store.put(copy)
    assert store.erase([CALL]) == 3
    assert [path.rpartition("/")[2] for path in store.home.list("payloads")] == [f"{OTHER}.input.{NOON}"]
    assert store.erase([CALL]) == 0


def test_a_directory_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "payloads").write_text("not a folder")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        PayloadStore(LedgerFolder(tmp_path)).put(kept())
