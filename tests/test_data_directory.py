"""The data directory is the gateway's alone, or there is one sentence about why not."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gateway.children import CannotStart
from gateway.data_directory import OURS, SOCKET_PATH_LIMIT, prepare_data, socket_path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        prepare_data(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "b") == 0o700


@pytest.mark.parametrize("content", [(), (OURS, "appendonlydir")])
def test_an_empty_directory_and_our_own_are_closed_to_others(tmp_path, content):
    data = tmp_path / "data"
    data.mkdir()
    for name in content:
        (data / name).touch()
    data.chmod(0o755)
    prepare_data(data)
    assert mode(data) == 0o700


def test_a_directory_that_cannot_be_made_private_is_one_sentence(tmp_path, monkeypatch):
    """A read-only mount."""

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refused)
    with pytest.raises(CannotStart, match=r"cannot be made private \(Read-only file system\): use a directory"):
        prepare_data(tmp_path)


def test_a_directory_with_other_things_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(CannotStart, match=r"open to other users .* run `chmod 700 .*, or use .*/gateway'"):
        prepare_data(tmp_path)
    assert mode(tmp_path) == 0o755
    tmp_path.chmod(0o700)
    prepare_data(tmp_path)


def test_a_directory_of_another_user_is_refused_with_a_way_out(tmp_path, monkeypatch):
    prepare_data(tmp_path / "data")
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(
        CannotStart, match=r"belongs to user \d+, but the gateway runs as user 4242: use a directory .*gateway'"
    ):
        prepare_data(tmp_path / "data")


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_path_that_is_a_file_is_one_sentence(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"is a file|Not a directory"):
        prepare_data(tmp_path / path)


def test_a_directory_that_cannot_be_made_or_written_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(CannotStart, match="cannot be made or read"):
        prepare_data(Path("/proc/gateway"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CannotStart, match="cannot be written"):
        prepare_data(tmp_path / "data")


def test_the_socket_is_in_the_data_directory_if_its_path_fits(tmp_path):
    longest = "/" + "d" * (SOCKET_PATH_LIMIT - len("//valkey.sock"))
    assert len(str(socket_path(Path(longest)))) == SOCKET_PATH_LIMIT
    assert socket_path(Path(longest)).parent == Path(longest)
    elsewhere = socket_path(Path(longest + "d"))
    assert elsewhere.parent == Path(f"/tmp/gateway-{os.getuid()}")
    assert elsewhere != socket_path(Path(longest + "e"))
    assert elsewhere == socket_path(Path(longest + "d"))


def test_a_planted_link_or_an_open_directory_for_the_socket_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(CannotStart, match="is a link"):
        prepare_data(tmp_path / "data", tmp_path / "link" / "s.sock")
    (tmp_path / "mine" / "other").touch()
    (tmp_path / "mine").chmod(0o777)
    with pytest.raises(CannotStart, match=r"too long for a unix socket, .* open to other users"):
        prepare_data(tmp_path / "data", tmp_path / "mine" / "s.sock")
