"""Identical requests under different keys: beside each other while their senders are seen at work, one call if not.

A worker that dies while it sends cannot write down that its requester was left without an answer. So whoever meets a
call that another process is sending waits for a sign of life, younger than its own request, before it acts too.
"""

import asyncio
from dataclasses import replace

import pytest

from gateway import beside
from gateway import engine as engine_file
from gateway.adapters.memory_journal import MemoryJournal
from gateway.beside import SignsOfLife
from gateway.core.admit import LEASE_MARGIN_MS
from gateway.core.facts import Abandoned, Admitted, Answered, Claimed, Delivered, Judged
from gateway.core.lifecycle import Finish, Wait
from gateway.core.pointers import EXECUTING_MS, Upkeep
from gateway.engine import Engine
from gateway.errors import OutcomeUnknown, PolicyDenied
from gateway.life import Requester
from gateway.ports import BEAT_MS, Append
from tests.company import HOLDING, REFUND, Generation, Policies, admission, deny, with_system
from tests.playbook import ALLOW, CALL
from tests.world import Behaviour, Crash, Fault, World

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """As long as a test waits for a sign of life."""
    monkeypatch.setattr(beside, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(beside, "LAST_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(engine_file, "JOURNAL_RETRY_SECONDS", 0.001)


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


def test_a_beat_that_is_forgotten_meanwhile_is_no_sign_of_life():
    """It was there when the request came, and then its time was over: a change, but of nobody's doing."""
    world = died_sending()
    world.live(lambda: world.journal.beat("first"))

    async def story():
        asked = asyncio.ensure_future(ask(world, "second", "another key"))
        await asyncio.sleep(0.01)
        world.now += BEAT_MS
        await asked

    world.live(story)
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


# --- Whose requester got no answer -----------------------------------------------------------------------------------


async def written_by_nobody_who_waits(world: World) -> None:
    while type((await MemoryJournal.facts(world.journal, world.calls[0]))[-1]) is not Abandoned:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("persists", [True, False], ids=["only the reply was lost", "it did not get there"])
def test_an_outcome_that_was_written_late_was_told_to_nobody(persists):
    """The journal was away when the system answered, so the requester was told that nobody knows."""
    world = World()
    world.journal.faults = [Fault(Answered, "unavailable", persists=persists)]

    async def story():
        with pytest.raises(OutcomeUnknown):
            await ask(world, "first", "k1")
        async with asyncio.timeout(5):
            await written_by_nobody_who_waits(world)
        return await ask(world, "first", "k2")

    life, step = world.live(story)
    assert (world.effects, len(world.calls)) == (1, 1)
    assert life.attached and isinstance(step, Finish)


@pytest.mark.parametrize("name", ["first", "second"])
def test_while_an_outcome_is_owed_nobody_acts_beside_it(name):
    world = World()
    world.journal.faults = [Fault(Answered, "unavailable", times=10**6)]
    first = worker(world, "first")
    asked = first if name == "first" else worker(world, name)

    async def story():
        with pytest.raises(OutcomeUnknown):
            await first.begin(admission(REFUND, key="k1"), world.generation, Requester())
        return await asked.begin(admission(REFUND, key="k2"), world.generation, Requester())

    life, _ = world.live(story)
    assert world.effects == 1 and life.attached


def test_a_call_whose_requester_left_is_met_even_if_its_sender_is_at_work():
    """Two identical calls side by side; the open pointer leads to one of them only."""
    world = World()
    engine = worker(world, "first")
    requesters = [Requester(), Requester()]

    async def story():
        gates = [asyncio.Event(), asyncio.Event()]
        world.upstream.script = [Behaviour(meanwhile=gate.wait) for gate in gates]
        both = []
        for number, who in enumerate(requesters):
            both.append(asyncio.ensure_future(engine.begin(admission(REFUND, key=f"k{number}"), world.generation, who)))
            await asyncio.sleep(0.01)
        for who in requesters:
            engine.leave(who)
        await asyncio.sleep(0.01)
        one = await ask(world, "first", "retry 0")
        gates[0].set()  # the one that the first retry found is over, and its answer is delivered
        await asyncio.sleep(0.01)
        await engine.note(one[0].record.call.id, Delivered())
        other = await ask(world, "first", "retry 1")
        gates[1].set()
        await asyncio.gather(*both)
        return one, other

    world.live(story)
    assert (world.effects, len(world.calls)) == (2, 2)


@pytest.mark.parametrize("policies", [HOLDING.policies, Policies(deny)], ids=["held", "denied"])
def test_what_is_held_or_denied_today_may_be_the_retry_of_what_was_being_sent(policies):
    world = died_sending()
    world.generation = replace(world.generation, digest="generation-2", policies=policies)
    said = world.live(lambda: ask(world, "second", "another key"))
    assert len(world.calls) == 1
    if isinstance(said, PolicyDenied):
        assert world.calls[0] in said.detail  # denied today, and told which call may have acted
    else:
        assert "Abandoned" in world.kinds(world.calls[0])


def test_many_at_once_wait_for_one_beat_only():
    """Strangers that keep arriving do not make an old request wait again."""
    world = World()

    async def story():
        signs = SignsOfLife(world.journal, "second", ())
        await world.journal.append(sending("a"))
        await world.journal.append(sending("b"))
        await world.journal.beat("first")

        async def beat() -> None:
            await asyncio.sleep(0.01)
            world.now += 1
            await world.journal.beat("first")

        _, found = await asyncio.gather(beat(), signs.go_on_without_us(["59a"]))
        assert found == ""
        assert await asyncio.wait_for(signs.go_on_without_us(["59a", "59b"]), 0.05) == ""

    world.live(story)


def sending(name: str) -> Append:
    call = replace(CALL, id=f"59{name}")
    facts = (Admitted(call=call), ALLOW, Claimed(token=name, fingerprint="f", lease=9_000_000, worker="first"))
    return Append(call=call.id, agent=call.agent, expected=0, token=name, facts=facts, upkeep=Upkeep())
