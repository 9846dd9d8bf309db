"""A file that is written durably is whole under its name, or not there."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway import durable


def test_a_file_is_made_once_and_never_over_another(tmp_path):
    path = tmp_path / "key"
    durable.create(path, b"first", 0o600)
    durable.create(path, b"second", 0o644)
    assert path.read_bytes() == b"first" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_of_many_who_make_it_at_once_one_wins_and_all_find_it_whole(tmp_path):
    path = tmp_path / "key"

    def make(number):
        durable.create(path, b"%d" % number * 10_000, 0o600)
        return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(make, range(8)))
    assert len(found) == 1 and len(found.pop()) == 10_000
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("act", ["fsync", "link"])
def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch, act):
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, act, fails)
    with pytest.raises(OSError, match="No space"):
        durable.create(tmp_path / "key", b"x", 0o600)
    assert not list(tmp_path.iterdir())


def test_bytes_are_on_the_disk_before_the_name_is_and_the_name_before_it_returns(tmp_path, monkeypatch):
    acts = []

    def noted(act: str, really: Callable[..., None]) -> Callable[..., None]:
        def perform(*given: object) -> None:
            acts.append(act)
            really(*given)

        return perform

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(os, "link", noted("link", os.link))
    durable.create(tmp_path / "key", b"x", 0o600)
    assert acts == ["fsync", "link", "fsync"]


def test_nothing_is_written_over(tmp_path):
    durable.write(tmp_path / "draft", b"x", 0o600)
    with pytest.raises(FileExistsError):
        durable.write(tmp_path / "draft", b"y", 0o600)
