"""Files and directories: what is read, what is refused, and that no file wins over another."""

import errno
import os
from pathlib import Path

import pytest

from gateway.config.routes_file import load_routes
from tests.config.routes_documents import AGENTS, APPROVALS, PEOPLE, SYSTEMS, document, loaded

PARTS = {"a-people.yaml": PEOPLE, "b.yaml": APPROVALS + AGENTS, "c.yaml": SYSTEMS}


def directory(folder: Path, parts: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in parts.items():
        (folder / name).write_text(f"version: 1\n{text}", encoding="utf-8")
    return folder


def only(path: Path) -> str:
    """The one mistake of that path."""
    routes, mistakes = load_routes(path, {})
    assert routes is None and len(mistakes) == 1, mistakes
    return str(mistakes[0])


def test_a_directory_means_what_one_file_would(tmp_path):
    routes, mistakes = load_routes(directory(tmp_path / "d", PARTS), {})
    assert mistakes == [] and routes is not None
    assert routes == loaded(document(), tmp_path), "also the digest: it is about values, not about files"


def test_kubernetes_links_are_followed_and_its_own_folders_are_not_read_twice(tmp_path):
    volume = tmp_path / "volume"
    directory(volume / "..2026_01_01", PARTS)
    (volume / "..data").symlink_to("..2026_01_01")
    for name in PARTS:
        (volume / name).symlink_to(Path("..data") / name)
    (tmp_path / "link").symlink_to(volume)
    routes, mistakes = load_routes(tmp_path / "link", {})
    assert mistakes == [] and routes is not None and set(routes.systems) == {"shop"}
    directory(volume / "..2026_01_02", {**PARTS, "c.yaml": SYSTEMS.replace("shop.example", "new.example")})
    (volume / "..new").symlink_to("..2026_01_02")
    (volume / "..new").rename(volume / "..data")
    swapped, _ = load_routes(tmp_path / "link", {})
    assert swapped is not None and swapped.systems["shop"].origin == "https://new.example"
    assert swapped.digest != routes.digest


def test_one_name_has_one_definition_and_no_file_wins(tmp_path):
    folder = directory(tmp_path / "d", {**PARTS, "z.yaml": "people:\n  lead: {}\n  new: {}\n"})
    assert (
        only(folder)
        == f"{folder}/z.yaml:3: `lead` is already defined under `people` in {folder}/a-people.yaml:3; keep one"
    )


@pytest.mark.parametrize("given", ["listen: {agents: 127.0.0.1:1}", "ledger: {directory: /a}"])
def test_what_is_one_thing_is_given_once(given, tmp_path):
    folder = directory(tmp_path / "d", {**PARTS, "x.yaml": f"{given}\n", "y.yaml": f"{given}\n"})
    name = given.partition(":")[0]
    assert only(folder) == f"{folder}/y.yaml:2: `{name}` is already given in {folder}/x.yaml:2; keep one"


def test_every_file_says_its_version(tmp_path):
    folder = directory(tmp_path / "d", PARTS)
    (folder / "c.yaml").write_text(SYSTEMS, encoding="utf-8")
    assert only(folder) == f"{folder}/c.yaml:1: the file needs `version`"


def test_names_that_begin_with_a_dot_and_other_files_are_not_read(tmp_path):
    folder = directory(tmp_path / "d", {**PARTS, ".swap.yaml": "nonsense", "README.md": "x", "old.yaml.bak": "x"})
    assert load_routes(folder, {})[1] == []


def test_a_yml_file_is_a_mistake_not_a_surprise(tmp_path):
    folder = directory(tmp_path / "d", {**PARTS, "more.yml": ""})
    assert only(folder) == f"{folder}/more.yml: only *.yaml files are read; rename it to .yaml or move it away"


def test_a_directory_without_yaml(tmp_path):
    assert only(tmp_path).startswith(f"{tmp_path}: this directory has no *.yaml file")


def test_a_file_that_is_not_there(tmp_path):
    assert only(tmp_path / "no.yaml").startswith(f"{tmp_path}/no.yaml: there is no such file")


def test_a_link_that_leads_nowhere(tmp_path):
    folder = directory(tmp_path / "d", PARTS)
    (folder / "x.yaml").symlink_to("nowhere")
    assert only(folder).startswith(f"{folder}/x.yaml: there is no such file")


def test_a_link_that_leads_to_itself(tmp_path):
    (tmp_path / "x.yaml").symlink_to("x.yaml")
    assert "cannot be read (" in only(tmp_path / "x.yaml")


def test_a_fifo_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "routes.yaml")
    assert "is not a regular file" in only(tmp_path / "routes.yaml")


def test_a_directory_called_yaml_inside_a_directory(tmp_path):
    (directory(tmp_path / "d", PARTS) / "x.yaml").mkdir()
    assert "is not a regular file" in only(tmp_path / "d")


def test_what_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    file = tmp_path / "routes.yaml"
    file.write_text(document(), encoding="utf-8")
    monkeypatch.setattr(Path, "open", refuse)  # root, as whom tests may run, may read everything
    assert only(file) == f"{file}: cannot be read (permission denied); check the path and its permissions"


def test_a_path_below_a_file(tmp_path):
    (tmp_path / "a").write_text("x", encoding="utf-8")
    assert "cannot be read (not a directory)" in only(tmp_path / "a" / "routes.yaml")


@pytest.mark.parametrize("content", [b"", b"\n", b"# only words\n", b"---\n", b"~\n"])
def test_an_empty_file(content, tmp_path):
    (tmp_path / "routes.yaml").write_bytes(content)
    assert only(tmp_path / "routes.yaml") == f"{tmp_path}/routes.yaml: is empty; begin with `version: 1`"


@pytest.mark.parametrize(
    "content", [b"version: 1\n# caf\xe9\n", "version: 1\n# ü\n".encode("latin-1"), b"version: 1\n\xff"]
)
def test_a_file_that_is_not_utf_8_says_where(content, tmp_path):
    (tmp_path / "routes.yaml").write_bytes(content)
    assert only(tmp_path / "routes.yaml") == f"{tmp_path}/routes.yaml:2: is not UTF-8 here; save the file as UTF-8"


def test_utf_16_is_not_utf_8(tmp_path):
    (tmp_path / "routes.yaml").write_bytes("version: 1\n".encode("utf-16"))
    assert "is not UTF-8 here" in only(tmp_path / "routes.yaml")


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    (tmp_path / "routes.yaml").write_bytes(b"\xef\xbb\xbf" + document().encode())
    assert load_routes(tmp_path / "routes.yaml", {})[1] == []


def test_a_huge_file_is_not_read_whole(tmp_path):
    with (tmp_path / "routes.yaml").open("wb") as file:
        file.truncate(20 * 1024**2)
    assert "is larger than 16 MiB" in only(tmp_path / "routes.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "1: the file must be a mapping that begins with `version: 1`, not a list"),
        ("hello\n", "1: the file must be a mapping that begins with `version: 1`, not text"),
        ("version: 2\n", "1: `version` must be 1"),
        ("version: '1'\n", "1: `version` must be 1"),
        ("version: 1.0\n", "1: `version` must be 1"),
        ("version: true\n", "1: `version` must be 1"),
        ("people: {}\n", "1: the file needs `version`"),
        (
            "version: 1\nagents:\n  - bot:\n    owner: a\n",
            "2: `agents` must be a mapping of names to values, not a list",
        ),
        ("version: 1\npeople: [a]\n", "2: `people` must be a mapping of names to values, not a list"),
        ("version: 1\nsystems:\n", "2: `systems` has no value"),
        ("version: 1\nsystem: {}\n", "2: the file has no field `system`; did you mean `systems`?"),
        ("version: 1\nbudgets: {}\n", "2: this version does not perform `budgets` yet; remove it"),
        ("version: 1\nlisten: 127.0.0.1:80\n", "2: `listen` must be a mapping such as {agents: 127.0.0.1:8080, "),
        ("version: 1\na: [\n", "this is not valid YAML: "),
    ],
)
def test_the_top_of_a_file(text, expected, tmp_path):
    (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")
    assert expected in only(tmp_path / "routes.yaml")
