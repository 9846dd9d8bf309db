"""Identical requests under different keys: beside each other while their senders are seen at work, one call if not.

A worker that dies while it sends cannot write down that its requester was left without an answer. So whoever meets a
call that another process is sending waits for a sign of life, younger than its own request, before it acts too.
"""

import asyncio
from dataclasses import replace

import pytest

from gateway import beside
from gateway.core.admit import LEASE_MARGIN_MS
from gateway.core.facts import Claimed, Judged
from gateway.core.lifecycle import Finish, Wait
from gateway.core.pointers import EXECUTING_MS
from gateway.engine import Engine
from gateway.life import Requester
from gateway.ports import BEAT_MS
from tests.company import REFUND, Generation, Policies, admission, deny, with_system
from tests.world import Behaviour, Crash, World

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """As long as a test waits for a sign of life."""
    monkeypatch.setattr(beside, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(beside, "LAST_LOOK_SECONDS", 0.02)


def worker(world: World, name: str) -> Engine:
    return replace(world.engine(), worker=name)


async def ask(world: World, name: str, key: str):
    return await worker(world, name).begin(admission(REFUND, key=key), world.generation, Requester())


def died_sending() -> World:
    """The worker `first` claimed a refund, the system acted, and then the worker was gone."""
    world = World()
    world.upstream.script = [Behaviour(raises=Crash())]
    assert world.live(lambda: ask(world, "first", "k1")) is Crash
    assert world.effects == 1
    world.restart()
    return world


def test_the_claim_names_the_worker_that_sends():
    world = died_sending()
    [claim] = [fact for fact in world.facts(world.calls[0]) if isinstance(fact, Claimed)]
    assert claim.worker == "first"


def test_the_retry_of_what_a_dead_worker_was_sending_is_the_same_call_under_any_key_and_at_once():
    world = died_sending()
    life, step = world.live(lambda: ask(world, "second", "another key"))
    assert life.record.call.id == world.calls[0]
    assert isinstance(step, Wait)
    assert world.kinds(world.calls[0])[-2:] == ["Attached", "Abandoned"]
    assert (world.effects, world.calls) == (1, [life.record.call.id])


def test_a_beat_from_before_the_request_is_no_sign_of_life():
    """The worker beat, died, and then the retry came: all within one beat."""
    world = died_sending()
    world.live(lambda: world.journal.beat("first"))
    world.now += 1
    world.live(lambda: ask(world, "second", "another key"))
    assert world.effects == 1


def test_it_is_found_for_as_long_as_nobody_wrote_how_it_ended():
    world = died_sending()
    world.restart(later=5 * 60_000)
    world.live(lambda: ask(world, "second", "another key"))
    assert world.effects == 1


async def _meet(world: World, **meanwhile):
    """The worker `first` is sending; `second` is asked the same under another key."""
    arrived = asyncio.Event()
    go = asyncio.Event()

    async def slow() -> None:
        arrived.set()
        await go.wait()

    world.upstream.script = [Behaviour(meanwhile=slow)]
    one = asyncio.ensure_future(ask(world, "first", "k1"))
    await arrived.wait()
    other = asyncio.ensure_future(ask(world, meanwhile.get("name", "second"), "k2"))
    await asyncio.sleep(0.01)
    if meanwhile.get("beats"):
        world.now += 1
        await world.journal.beat("first")
    if meanwhile.get("ends"):
        go.set()
        await one
    found = await other
    go.set()
    await one
    return found


@pytest.mark.parametrize("how", [{"beats": True}, {"ends": True}, {"name": "first"}], ids=["beats", "ends", "same"])
def test_beside_a_sender_that_is_at_work_an_identical_request_is_another_call(how):
    world = World()
    life, _ = world.live(lambda: _meet(world, **how))
    assert world.effects == 2
    assert life.record.call.id == world.calls[1]
    assert world.kinds(world.calls[1]) == ["Admitted", "Judged", "Claimed", "Answered"]


def test_a_sender_that_only_seems_dead_still_acts_once_for_both_requests():
    world = World()
    life, _ = world.live(lambda: _meet(world))
    assert (world.effects, len(world.calls)) == (1, 1)
    assert life.attached


def test_what_waited_is_judged_by_the_policies_of_that_moment():
    """While it looked for a sign of life, the policies changed."""
    world = World()

    async def story():
        found = asyncio.ensure_future(_meet(world, beats=True))
        await asyncio.sleep(0.005)
        world.generation = Generation("generation-2", policies=Policies(deny))
        return await found

    _, step = world.live(story)
    assert isinstance(step, Finish) and isinstance(step.outcome, Judged)
    assert step.outcome.generation == "generation-2"
    assert world.effects == 1


def test_a_call_that_is_over_is_met_by_nobody():
    world = World()
    world.live(lambda: ask(world, "first", "k1"))
    world.live(lambda: ask(world, "second", "k2"))
    assert world.effects == 2
    assert not any(world.journal.executing.values())


def test_the_memory_outlasts_every_claim():
    longest = with_system(timeout_seconds=3600).systems["stripe"].timeout_seconds * 1000 + LEASE_MARGIN_MS
    assert longest < EXECUTING_MS
    assert beside.SILENCE_SECONDS * 1000 < BEAT_MS
