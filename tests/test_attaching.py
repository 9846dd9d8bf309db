"""Which requests are one call, and which are not: attaching, replaying, and trying again what did not happen."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.core.facts import Answered, Attached, Lost, Rejected, Withdrawn
from gateway.core.lifecycle import Wait
from gateway.core.pointers import REFUSED_MS
from gateway.errors import IdempotencyKeyReused, PolicyDenied
from gateway.ports import NeverSent, SendLost
from tests.company import (
    HOLDING,
    REFUND,
    Generation,
    Policies,
    deny,
    with_tool,
)
from tests.world import Behaviour, World, held

pytestmark = pytest.mark.usefixtures("no_pauses")


def test_two_identical_calls_racing_to_be_held_become_one_question():
    """Peer failure 19: two identical approval cards from one retried create."""
    world = World(generation=HOLDING)

    async def story():
        return await asyncio.gather(*(world.ask(key=f"key-{number}") for number in range(5)))

    driven = world.live(story)
    assert {life.record.call.id for life, _ in driven} == set(world.calls)
    [call] = world.calls
    assert world.kinds(call).count("Asked") == 1
    assert sorted(life.attached for life, _ in driven) == [False, True, True, True, True]
    assert len(world.journal.notices) == 1
    assert {name for name in world.journal.pointers if name.startswith("key:")} == {
        f"key:{name}" for name, _ in world.record(call).keys
    }
    assert len(world.record(call).keys) == 5


def test_the_same_key_from_two_agents_is_two_calls():
    world = World()

    async def story():
        for agent in ("billing-bot", "support-bot"):
            await world.ask(key="same", agent=agent)

    world.live(story)
    assert len(world.calls) == world.effects == 2


def test_the_same_key_for_another_request_is_refused_before_anything_happens():
    world = World()

    async def story():
        await world.ask(key="k", amount=5)
        await world.ask(key="k", amount=6)

    assert isinstance(world.live(story), IdempotencyKeyReused)
    assert world.effects == 1


def test_calls_with_different_keys_executing_side_by_side_are_different_calls():
    world = World()

    async def story():
        return await asyncio.gather(world.ask(key="one"), world.ask(key="two"))

    assert all(isinstance(step.outcome, Answered) for _, step in world.live(story))
    assert world.effects == 2


def test_a_duplicate_while_the_first_executes_waits_and_gets_its_answer():
    world = World()
    engine = world.engine()

    async def story():
        async def duplicate():
            seen.append(await world.ask(key="k"))

        seen: list[Any] = []
        world.upstream.script = [Behaviour(meanwhile=duplicate)]
        await world.ask(key="k")
        life, step = seen[0]
        assert isinstance(step, Wait) and life.attached
        life, step = await engine.follow((life, step), 5)
        return step, await engine.kept_answer(life)

    step, answer = world.live(story)
    assert isinstance(step.outcome, Answered) and answer.body == b'{"id":"re_1"}'
    assert world.effects == 1


def test_without_a_key_the_same_request_is_the_same_call_for_a_while():
    world = World()
    for later in (0, REFUND.window_seconds * 1000 - 1, 1):
        world.now += round(later)
        world.live(partial(world.ask, key=None))
        if later != 1:
            assert world.effects == 1
    assert world.effects == 1  # asking again kept the key alive
    world.now += round(REFUND.window_seconds * 1000)
    world.live(partial(world.ask, key=None))
    assert world.effects == 2


def test_a_tool_without_dedupe_acts_as_often_as_it_is_asked():
    world = World(generation=Generation(routes=with_tool(replace(REFUND, dedupe=False))))
    for _ in range(3):
        world.live(partial(world.ask, replace(REFUND, dedupe=False)))
    assert world.effects == 3 and not world.journal.pointers


@pytest.mark.parametrize("key", ["key-1", "key-2"])
def test_for_an_hour_after_a_person_said_no_the_same_request_hears_that_no(key):
    world, call = held(key="key-1")
    world.live(partial(world.vote, call, approve=False))
    world.restart(later=REFUSED_MS - 1)
    life, step = world.live(partial(world.ask, key=key))
    assert life.attached and isinstance(step.outcome, Rejected)
    assert len(world.calls) == 1


def test_after_that_hour_a_new_key_may_ask_again():
    world, call = held(key="key-1")
    world.live(partial(world.vote, call, approve=False))
    world.restart(later=REFUSED_MS)
    _, step = world.live(partial(world.ask, key="key-2"))
    assert isinstance(step, Wait) and len(world.calls) == 2


@pytest.mark.parametrize("key", ["key-1", "key-2"])
def test_a_request_identical_to_one_in_doubt_is_told_of_the_doubt(key):
    world = World()
    world.upstream.script = [Behaviour(raises=SendLost("reset"))]
    world.live(partial(world.ask, key="key-1"))
    world.restart(later=90 * 24 * 3_600_000)
    life, step = world.live(partial(world.ask, key=key))
    assert life.attached and isinstance(step.outcome, Lost)
    assert world.upstream.sends == 1


@pytest.mark.parametrize("key", ["key-1", "key-2"])
def test_what_provably_did_not_happen_can_be_tried_again(key):
    world = World()
    world.upstream.script = [Behaviour(acts=False, raises=NeverSent("refused")), Behaviour(acts=False, status=429)]
    for _ in range(2):
        world.live(partial(world.ask, key="key-1"))
    life, step = world.live(partial(world.ask, key=key))
    assert not life.attached and isinstance(step.outcome, Answered)
    assert (world.upstream.sends, world.effects) == (3, 1)


def test_a_finished_call_is_judged_again_before_its_answer_is_replayed():
    world = World()
    world.live(partial(world.ask, key="key-1"))
    world.generation = Generation("generation-2", policies=Policies(deny))
    error = world.live(partial(world.ask, key="key-1"))
    assert isinstance(error, PolicyDenied)
    assert "no answer is given" in error.detail
    assert world.effects == 1


def test_many_keys_cost_one_pointer_each_and_not_all_of_them_every_time():
    """SDKs invent a key per attempt; a call that is asked for a thousand times must not slow everybody down."""
    world, call = held()
    for number in range(12):
        world.live(partial(world.ask, key=f"attempt {number}"))
    record = world.record(call)
    assert len(record.keys) == 13
    life = world.live(partial(world.load, call))
    life.add(Attached(key="one more", keep=1000, at=world.now))
    pointers = life.append(world.now).upkeep.pointers
    assert {(pointer.kind, pointer.name) for pointer in pointers} == {("key", "one more"), ("stored", "billing-bot")}
    life.add(Withdrawn(at=world.now))
    assert len(life.append(world.now).upkeep.pointers) == 17


def test_a_retry_of_a_call_that_may_have_acted_is_never_told_that_nothing_was_executed():
    """The system acted, the connection broke, and then the policies were edited: the retry is denied, but says so."""
    world = World()
    world.upstream.script = [Behaviour(raises=SendLost("reset"))]
    world.live(partial(world.ask, key="k"))
    world.generation = Generation(policies=Policies(deny))
    error = world.live(partial(world.ask, key="k"))
    assert isinstance(error, PolicyDenied)
    assert "may have been executed" in error.detail
    assert "Nothing was executed" not in error.detail
    assert error.call == world.calls[0]
