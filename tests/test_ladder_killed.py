"""A ladder while everything dies between its rungs: supervisor, workers, steward and the embedded Valkey."""

import os
import signal
import time
from contextlib import suppress
from functools import partial

import pytest
import yaml

from tests.gateway_process import eventually, write_configuration
from tests.gateway_world import slug, world
from tests.ladder_world import LADDER, LADDER_POLICIES, RUNGS, facts, heard, say, with_ladder
from tests.scripted_upstream import fresh


@pytest.fixture(scope="module")
def killed():
    begun = time.monotonic()
    with world() as made:
        yield made, slow_ladder(made, start=time.monotonic() - begun)


def slow_ladder(scene, start):
    """Seconds between the rungs, such that a gateway that was killed at one is there again before the next.

    On an idle machine a `start` takes a second or two.
    """
    rung = 0.5 + 1.2 * start
    routes = yaml.safe_load((scene.gateway.folder / "routes.yaml").read_text())
    with_ladder(*(f"{round(times * rung * 1000)}ms" for times in (1, 2, 8)))(routes)
    kill_everything(scene.gateway, between=lambda: write_configuration(scene.gateway.folder, routes, LADDER_POLICIES))
    return rung


def kill_everything(gateway, between=lambda: None):
    """A power cut; then it is started again on what its disk has."""
    pids = [gateway.process.pid, *(pid for what in ("worker", "steward", "valkey") for pid in gateway.pids(what))]
    assert len(pids) == 4
    for pid in pids:
        with suppress(ProcessLookupError):  # the supervisor's children die with it
            os.kill(pid, signal.SIGKILL)
    gateway.process.wait()
    eventually(lambda: not any(_alive(pid) for pid in pids))
    between()
    gateway.start()


def _alive(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def told(scene, call, number):
    """True if so many notices about it were delivered, and that is written down."""
    return facts(scene, call)["Notified"] >= number


def test_every_rung_is_climbed_once_though_everything_is_killed_between_each_and_the_next(killed):
    scene, rung = killed
    left, decided = fresh("pay"), fresh("pay")
    begun = time.monotonic()
    nobody, call = scene.hold(left, LADDER), scene.hold(decided, LADDER)
    for number in range(1, len(RUNGS)):
        for each in (nobody, call):
            eventually(partial(told, scene, each, number), f"rung {number}", seconds=60 + 8 * rung)
        kill_everything(scene.gateway)
        if number == 3:  # cfo heard of it before the power cut, and still may
            assert say(scene, call, "cfo").status_code == 200
            eventually(lambda: scene.state(call) == "answered")
    eventually(lambda: scene.state(nobody) == "denied", seconds=60 + 8 * rung)
    assert time.monotonic() - begun >= 8 * rung - 0.1

    counted = eventually(lambda: (found := facts(scene, nobody))["Notified"] == len(RUNGS) and found)
    wanted = {"Asked": 1, "Reminded": 1, "Escalated": 2, "Expired": 1, "Reported": 1, "Notified": len(RUNGS)}
    assert {fact: counted[fact] for fact in wanted} == wanted
    assert heard(scene, nobody, once=True) == list(zip(RUNGS, [(), (), ("cfo",), ("chief",), ()], strict=True))
    assert slug(scene.pay(left, LADDER)) == "approval-expired" and scene.upstream.seen(left) == []
    assert facts(scene, call)["Approved"] == 1 and len(scene.upstream.seen(decided)) == 1
