"""A secret comes from where routes.yaml says, at the moment of use; a problem names the place and never the value."""

import os
import traceback
from pathlib import Path

import pytest

from gateway.adapters.secrets import Secrets
from gateway.core.routes import SecretReference
from gateway.ports import NeverSent, SecretMissing


def file(path: Path) -> SecretReference:
    return SecretReference("file", str(path))


def test_a_variable_is_read_at_every_use(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, reference = Secrets(), SecretReference("env", "SYSTEM_KEY")
    monkeypatch.setenv("SYSTEM_KEY", "first")
    assert secrets.read(reference) == "first"
    monkeypatch.setenv("SYSTEM_KEY", "second")
    assert secrets.read(reference) == "second"
    monkeypatch.delenv("SYSTEM_KEY")
    with pytest.raises(SecretMissing, match="set the environment variable SYSTEM_KEY"):
        secrets.read(reference)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"key", "key"),
        (b"key\n", "key"),
        (b"key\r\n", "key"),
        (b" k y \n", " k y "),
        ("schlüssel".encode(), "schlüssel"),
    ],
)
def test_a_file_is_its_content_without_one_line_end(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "key").write_bytes(content)
    assert Secrets().read(file(tmp_path / "key")) == value


def test_a_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    """Written in place, replaced, and switched by a link, as Kubernetes does it."""
    secrets, path = Secrets(), tmp_path / "key"
    path.write_text("first")
    assert secrets.read(file(path)) == "first"
    path.write_text("second!")
    assert secrets.read(file(path)) == "second!"
    (tmp_path / "new").write_text("third!!")
    os.utime(tmp_path / "new", ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert secrets.read(file(path)) == "third!!"
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "key").write_text(f"link-{number}")
        (tmp_path / "next").symlink_to(tmp_path / number)
        (tmp_path / "next").replace(tmp_path / "data")
        assert secrets.read(file(tmp_path / "data" / "key")) == f"link-{number}"


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("value")
    secrets = Secrets()
    assert secrets.read(file(tmp_path / "key")) == "value"

    def no_more(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("builtins.open", no_more)
    assert secrets.read(file(tmp_path / "key")) == "value"


def test_a_file_that_vanished_is_missing_although_it_was_read_before(tmp_path: Path) -> None:
    secrets = Secrets()
    (tmp_path / "key").write_text("value")
    secrets.read(file(tmp_path / "key"))
    (tmp_path / "key").unlink()
    with pytest.raises(SecretMissing, match="No such file"):
        secrets.read(file(tmp_path / "key"))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"\r\n", b"a\r\nx-evil: 1", b"a\nb\n", b"a\n\n", b"a\x00b", b"a\tb", b"a\x7fb",
        b"\xff\xfe", b"k" * 70_000,
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_a_credential_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "the-key-file").write_bytes(content)
    with pytest.raises(SecretMissing, match="the-key-file") as caught:
        Secrets().read(file(tmp_path / "the-key-file"))
    assert isinstance(caught.value, NeverSent)
    shows_nothing(caught.value, content)


@pytest.mark.parametrize("content", ["", "a\r\nx-evil: 1", "a\nb", "a\tb", "a\x7fb", "\udcff\udcfe"])
def test_a_variable_that_cannot_be_a_credential_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("SYSTEM_KEY", content)
    with pytest.raises(SecretMissing, match="SYSTEM_KEY") as caught:
        Secrets().read(SecretReference("env", "SYSTEM_KEY"))
    shows_nothing(caught.value, content.encode("utf-8", "surrogateescape"))


def test_a_value_that_became_bad_is_refused_although_the_last_one_was_good(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, reference = Secrets(), SecretReference("env", "SYSTEM_KEY")
    for bad in ("", "a\nb"):
        monkeypatch.setenv("SYSTEM_KEY", "good")
        assert secrets.read(reference) == "good"
        monkeypatch.setenv("SYSTEM_KEY", bad)
        with pytest.raises(SecretMissing):
            secrets.read(reference)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    """A directory, a pipe (which would block for ever), a missing file, a path that is none."""
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path), str(tmp_path / "pipe"), str(tmp_path / "missing"), "a\x00b"):
        with pytest.raises(SecretMissing, match="cannot be read"):
            Secrets().read(SecretReference("file", path))


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised by hand, because tests may run as root, who may read everything."""
    (tmp_path / "key").write_text("value")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(SecretMissing, match="Permission denied"):
        Secrets().read(file(tmp_path / "key"))


def test_the_values_are_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("very-secret")
    secrets = Secrets()
    secrets.read(file(tmp_path / "key"))
    assert "very-secret" not in repr(secrets) + repr(secrets._files)


def shows_nothing(error: BaseException, content: bytes) -> None:
    """Neither the text of the exception nor anything that hangs on it contains the value."""
    assert error.__context__ is None
    assert error.__cause__ is None
    for text in (*content.decode("latin-1").split(), repr(content)[2:-1]):
        if len(text) > 1:
            assert text not in str(error)
            assert text not in "".join(traceback.format_exception_only(error))
