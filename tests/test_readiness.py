"""What /readyz says and what the log says of it: each change once, on a gateway of real processes."""

import re
import shutil
from functools import partial

import pytest

from tests.gateway_process import eventually
from tests.gateway_world import POLICIES, world

ROLES = ("steward 0", "worker 0", "worker 1")


@pytest.fixture(scope="module")
def scene():
    with world(workers=2) as made:
        yield made


def lines(scene, pattern, of="steward 0"):
    return re.findall(rf"^\S+Z \w+ {of}: (?:{pattern}).*$", scene.gateway.log, re.MULTILINE)


def problems(scene):
    found = scene.gateway.readyz()
    return found.json()["problems"] if found.status_code == 503 else []


def test_an_embedded_journal_that_does_not_come_back_says_why_once_and_when_it_is_back(scene):
    """A file of the journal is missing, so the server cannot start until it is there again."""
    (file,) = (scene.gateway.data / "appendonlydir").glob("*.incr.aof")
    file.rename(scene.gateway.folder / "aside")
    scene.gateway.kill("valkey")
    (said,) = eventually(lambda: [text for text in problems(scene) if "is missing" in text])
    assert said.startswith("The embedded journal does not answer: a file of the journal in ")
    assert said.endswith(": restore the whole directory from a backup.")
    eventually(lambda: lines(scene, "the gateway is not ready"))
    for role in ROLES:
        eventually(partial(lines, scene, "the journal is una", role))
    (scene.gateway.folder / "aside").rename(file)
    eventually(lambda: lines(scene, "the gateway is ready again after "))
    for role in ROLES:
        eventually(partial(lines, scene, "the journal is available again after ", role))
    (not_ready,) = lines(scene, "the gateway is not ready")
    assert " ERROR " in not_ready and "does not answer" in not_ready
    for role in ROLES:
        told = [re.sub(r"\d+ (s|ms)", "N s", line.split(": ", 1)[1]) for line in lines(scene, "the journal is", role)]
        assert len(told) == 2 and told[1] == "the journal is available again after N s", told
    (again,) = lines(scene, "the gateway is ready again after ")
    assert " INFO " in again


def test_a_data_directory_that_is_moved_away_is_noticed(scene):
    data = scene.gateway.data
    aside = data.with_name("aside")
    data.rename(aside)
    try:
        (said,) = eventually(lambda: [text for text in problems(scene) if "was moved or removed" in text])
        assert str(data) in said
        data.mkdir()  # another directory at the same place is not the one that was there
        (data / "gateway.lock").touch()
        assert said in problems(scene)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        aside.rename(data)
    eventually(lambda: not problems(scene))


def test_a_broken_edit_is_an_error_once_and_its_undoing_is_said(scene):
    path = scene.gateway.folder / "policies" / "all.cedar"
    scene.gateway.replace(path, POLICIES.replace("permit", "permti", 1), serves=False)
    eventually(lambda: problems(scene))
    scene.gateway.replace(path, POLICIES, sign="the edit was undone: the files are again what serves, generation ")
    eventually(lambda: not problems(scene))
    assert len(re.findall("ERROR .*the edit is not used", scene.gateway.log)) == 1
    assert len(lines(scene, "the edit was undone")) == 1
    for role in ("worker 0", "worker 1"):
        assert not lines(scene, "the edit", role)
