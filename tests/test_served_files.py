"""A process that dies while somebody's edit is broken comes back with what served; nothing older ever does."""

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import pytest

from gateway.config.mistakes import Mistakes
from gateway.core.deployment import LoadedFile
from gateway.generations import Generations
from gateway.served_files import ServedFiles
from tests.gateway_process import eventually
from tests.gateway_world import world
from tests.scripted_upstream import fresh
from tests.test_generations import BROKEN, WRITES, deploy

FOO = hashlib.sha256(b"foo").hexdigest()
FILE = LoadedFile(name="policies/a.cedar", sha256=FOO)


def opened(folder: Path, served: ServedFiles) -> Generations:
    return Generations.open(folder / "routes.yaml", folder / "policies", served=served)


@pytest.fixture
def served(tmp_path):
    return ServedFiles(tmp_path / "data" / "serving")


def test_while_an_edit_is_broken_what_served_is_opened_and_the_edit_is_told(tmp_path, served):
    good = opened(deploy(tmp_path / "conf"), served).current
    deploy(tmp_path / "conf", BROKEN)
    again = opened(tmp_path / "conf", served)
    assert again.current.digest == good.digest
    assert "all.cedar" in again.mistakes[0]
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_what_serves_is_the_last_edit_that_was_whole(tmp_path, served):
    generations = opened(deploy(tmp_path / "conf"), served)
    deploy(tmp_path / "conf", WRITES)
    _run(generations.reload())
    deploy(tmp_path / "conf", BROKEN)
    _run(generations.reload())
    assert opened(tmp_path / "conf", served).current.digest == generations.current.digest
    deploy(tmp_path / "conf")
    back = opened(tmp_path / "conf", served)
    assert back.mistakes == [] and back.current.digest != generations.current.digest


def _run(coroutine):
    asyncio.run(coroutine)


def test_a_repaired_edit_is_taken_by_a_process_that_began_with_the_copy(tmp_path, served):
    opened(deploy(tmp_path / "conf"), served)
    deploy(tmp_path / "conf", BROKEN)
    again = opened(tmp_path / "conf", served)
    deploy(tmp_path / "conf", WRITES)
    _run(again._look())
    assert again.mistakes == [] and again.current.digest == opened(tmp_path / "conf", served).current.digest


def test_without_a_copy_a_broken_edit_does_not_start(tmp_path, served):
    deploy(tmp_path / "conf", BROKEN)
    with pytest.raises(Mistakes):
        opened(tmp_path / "conf", served)


def test_what_an_earlier_run_served_is_forgotten(tmp_path, served):
    opened(deploy(tmp_path / "conf"), served)
    served.forget()
    served.forget()
    assert served.found() is None
    deploy(tmp_path / "conf", BROKEN)
    with pytest.raises(Mistakes):
        opened(tmp_path / "conf", served)


def test_files_that_changed_since_they_were_loaded_are_not_kept(tmp_path, served):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.cedar").write_text("bar")
    assert served.keep("g", [FILE], tmp_path) is False
    assert served.found() is None
    (tmp_path / "policies" / "a.cedar").write_text("foo")
    assert served.keep("g", [FILE], Path("/nowhere"), tmp_path) is True
    place = served.found()
    assert place is not None and (place / FILE.name).read_text() == "foo"
    assert [entry.name for entry in served.directory.iterdir() if "." in entry.name] == []


def test_a_place_that_cannot_be_written_is_told_and_changes_nothing(tmp_path, caplog):
    (tmp_path / "data").write_text("in the way")
    generations = opened(deploy(tmp_path / "conf"), ServedFiles(tmp_path / "data" / "serving"))
    assert generations.mistakes == []
    assert "no copy of the configuration could be kept" in caplog.text


def test_a_worker_that_is_killed_while_an_edit_is_broken_serves_again():
    with world() as scene:
        policies = next((scene.gateway.folder / "policies").glob("*.cedar"))
        good = policies.read_text()
        policies.write_text(BROKEN)
        eventually(lambda: scene.gateway.readyz().status_code == 503)
        [worker] = scene.gateway.pids("worker")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: scene.gateway.pids("worker") not in ([], [worker]))
        eventually(lambda: scene.pay(fresh("pay")).status_code == 200)
        policies.write_text(good)
        eventually(lambda: scene.gateway.readyz().status_code == 200)
