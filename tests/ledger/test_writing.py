"""Writing a round's files: as many threads as are worth it. (What a crash leaves is in test_sealing.py.)"""

import threading
from pathlib import Path

import pytest

from gateway.ledger.writing import AT_ONCE, WORTH_A_THREAD, Disk, LedgerDirectory


class Watched(Disk):
    """Notes which thread wrote which file."""

    def __init__(self) -> None:
        self.by: dict[str, list[bytes]] = {}

    def write(self, path: str, data: bytes) -> None:
        super().write(path, data)
        self.by.setdefault(threading.current_thread().name, []).append(data)


def put(folder: Path, count: int) -> dict[str, list[bytes]]:
    """Write so many files; what each thread wrote."""
    disk = Watched()
    files = {f"07/tile/entries/{number:03d}": b"%d" % number for number in range(count)}
    LedgerDirectory(folder, "here", disk).put(files)
    assert {path.name: path.read_bytes() for path in (folder / "07/tile/entries").iterdir()} == {
        f"{number:03d}": b"%d" % number for number in range(count)
    }
    return disk.by


def test_what_one_log_needs_in_a_round_is_written_by_the_thread_that_asked(tmp_path):
    assert [*put(tmp_path, WORTH_A_THREAD)] == [threading.current_thread().name]


@pytest.mark.parametrize("count", [WORTH_A_THREAD + 1, 3 * WORTH_A_THREAD])
def test_a_thread_gets_enough_to_be_worth_it(tmp_path, count):
    by = put(tmp_path, count)
    assert threading.current_thread().name not in by
    assert len(by) <= -(-count // WORTH_A_THREAD)
    assert max(map(len, by.values())) >= WORTH_A_THREAD


def test_of_many_files_each_thread_gets_its_part(tmp_path):
    count = AT_ONCE * WORTH_A_THREAD * 2
    by = put(tmp_path, count)
    assert sum(map(len, by.values())) == count and len(by) <= AT_ONCE


@pytest.mark.parametrize("named", ["/ledger", "ledger"])
def test_a_new_directory_is_durable_where_it_is(named):
    synced: list[str] = []
    whole = Path(named).absolute()

    class Nowhere(Disk):
        def write(self, path: str, data: bytes) -> None: ...
        def rename(self, old: str, new: str) -> None: ...
        def make(self, folder: str) -> None: ...
        def sync(self, folder: str) -> None:
            synced.append(folder)

    LedgerDirectory(Path(named), "here", Nowhere()).put({"checkpoint": b"note"})
    assert sorted(synced) == sorted(map(str, (whole.parent, whole)))
