"""No policy below the directory is passed over in silence, whatever it is reached by."""

import os
from pathlib import Path

import pytest

from gateway.config.policy_files import policy_files


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_files_are_found_at_any_depth_and_through_links_in_order(tmp_path: Path):
    shared = write(tmp_path / "elsewhere" / "deep" / "b.cedar").parents[1]
    top = write(tmp_path / "policies" / "z.cedar").parent
    write(top / "notes.txt")
    (top / "common").symlink_to(shared)
    found = policy_files(top)
    assert found.files == (top / "common" / "deep" / "b.cedar", top / "z.cedar")
    assert found.directories == (top, shared, shared / "deep")
    assert not found.mistakes


def test_hidden_names_are_passed_over(tmp_path: Path):
    write(tmp_path / "..data" / "a.cedar")
    write(tmp_path / ".a.cedar")
    (tmp_path / ".#lock").symlink_to("nobody@nowhere")
    found = policy_files(tmp_path)
    assert (found.files, found.directories, found.mistakes) == ((), (tmp_path,), ())


def test_links_in_a_circle_have_an_end(tmp_path: Path):
    one = write(tmp_path / "a" / "one.cedar")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to("a")
    found = policy_files(tmp_path)
    assert found.files == (one,) and not found.mistakes


@pytest.mark.parametrize("name", ["common", "a.cedar"])
@pytest.mark.parametrize("target", ["nowhere", "{}"], ids=["to nowhere", "to itself"])
def test_a_link_that_leads_nowhere_is_a_mistake(tmp_path: Path, name, target):
    (tmp_path / name).symlink_to(target.format(name))
    (mistake,) = policy_files(tmp_path).mistakes
    assert mistake.file == str(tmp_path / name) and "cannot be read" in mistake.sentence


def test_what_is_named_like_a_policy_and_is_no_file_is_a_mistake(tmp_path: Path):
    (tmp_path / "a.cedar").mkdir()
    os.mkfifo(tmp_path / "b.cedar")
    found = policy_files(tmp_path)
    assert [Path(mistake.file).name for mistake in found.mistakes] == ["a.cedar", "b.cedar"]
    assert all("not a regular file" in mistake.sentence for mistake in found.mistakes)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_directory_that_may_not_be_read_is_a_mistake(tmp_path: Path):
    folder = write(tmp_path / "common" / "a.cedar").parent
    folder.chmod(0)
    (mistake,) = policy_files(tmp_path).mistakes
    folder.chmod(0o700)
    assert mistake.file == str(folder) and "the directory cannot be read" in mistake.sentence


def test_a_directory_that_is_gone_is_a_mistake(tmp_path: Path):
    """The same branch as one that may not be read, for those who run the tests as root."""
    (mistake,) = policy_files(tmp_path / "gone").mistakes
    assert mistake.file == str(tmp_path / "gone") and "the directory cannot be read" in mistake.sentence
