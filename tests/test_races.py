"""Named troubles between people and requests: each is one way in which gateways have acted or asked twice."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.core.approval import Decision, shown
from gateway.core.facts import Abandoned, Answered, Approved, Delivered, Judged, Lost, Rejected
from gateway.core.lifecycle import Finish, Wait
from gateway.core.pointers import REFUSED_MS
from gateway.decisions import Decisions, Stale
from gateway.errors import IdempotencyKeyReused, RequesterGone
from gateway.life import Requester
from gateway.ports import NeverSent, SendLost
from tests.company import (
    HOLDING,
    REFUND,
    Generation,
    deny,
    with_tool,
)
from tests.world import Behaviour, World, held, settle

pytestmark = pytest.mark.usefixtures("no_pauses")
LOST = Behaviour(raises=SendLost("reset"))
LEASE_OVER = 60_000


# --- Votes -------------------------------------------------------------------------------------------------------


def test_a_vote_arriving_while_the_effect_is_being_sent_does_not_send_it_again():
    world, call = held()

    async def late_vote():
        engine = world.engine()
        with pytest.raises(Stale):  # through the front door
            await Decisions(engine).vote(
                call, Decision(approve=True, by="bob", group="finance", fingerprint="", via="t")
            )
        life = await world.load(call)  # and as the fact itself, so that the outcome's append meets a conflict
        vote = next(fact for fact in life.facts if isinstance(fact, Approved))
        life.add(replace(vote, by="bob"))
        await engine.flush(life)

    world.upstream.script = [Behaviour(meanwhile=late_vote)]

    async def story():
        await world.vote(call)
        return await world.engine().unattended(call)

    _, step = world.live(story)
    assert isinstance(step.outcome, Answered)
    assert world.effects == world.upstream.sends == 1
    assert world.kinds(call)[-3:] == ["Claimed", "Approved", "Answered"]


def test_of_many_drives_of_an_approved_call_one_sends():
    world, call = held()

    async def story():
        await world.vote(call)
        return await asyncio.gather(*(world.engine().unattended(call) for _ in range(20)))

    driven = world.live(story)
    assert world.effects == world.upstream.sends == 1
    assert any(isinstance(step, Finish) for _, step in driven)
    assert isinstance(world.outcome(call), Answered)


@pytest.mark.parametrize(
    "sent", [Behaviour(acts=False, raises=NeverSent("refused")), LOST, Behaviour()], ids=["unsent", "lost", "answered"]
)
def test_a_decision_about_a_call_that_is_over_is_answered_at_once(sent):
    world, call = held()
    world.upstream.script = [sent]

    async def story():
        life = await world.load(call)
        fingerprint = shown(life.record, "finance")
        await world.vote(call)
        await world.engine().unattended(call)
        late = Decision(approve=True, by="bob", group="finance", fingerprint=fingerprint, via="token")
        with pytest.raises(Stale):
            await asyncio.wait_for(Decisions(world.engine()).vote(call, late), 2)

    world.live(story)
    assert world.upstream.sends == 1


def test_a_callback_repeated_changes_nothing():
    world, call = held()

    async def story():
        life = await world.load(call)
        told = Decision(
            approve=True,
            by="ann",
            group="finance",
            fingerprint=shown(life.record, "finance"),
            via="hook",
            message="m-1",
        )
        for _ in range(3):
            await Decisions(world.engine()).vote(call, told)
            await settle()

    world.live(story)
    assert world.kinds(call).count("Approved") == 1
    assert world.effects == 1


# --- Two requests ------------------------------------------------------------------------------------------------


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
    life, step = world.live(partial(world.ask, key="key-1"))
    assert isinstance(step.outcome, Judged) and not life.attached and life.answer is None


# --- Requesters that go away -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["while it runs", "afterwards"])
def test_a_client_that_gives_up_and_asks_again_with_a_new_key_gets_the_first_answer(when):
    world = World()
    requester = Requester()
    again = []

    async def gives_up():
        world.engine().leave(requester)
        await settle()
        if when == "while it runs":
            again.append(await world.ask(key="key-2"))

    async def story():
        world.upstream.script = [Behaviour(meanwhile=gives_up)]
        await world.ask(key="key-1", requester=requester)
        if when == "afterwards":
            again.append(await world.ask(key="key-2"))
        return await world.engine().follow(again[0], 5)

    life, step = world.live(story)
    assert isinstance(step.outcome, Answered) and life.attached
    assert world.effects == 1 and len(world.calls) == 1


def test_a_client_that_left_before_anything_was_written_begins_nothing():
    world = World()
    assert isinstance(world.live(partial(world.ask, requester=Requester(left=True))), RequesterGone)
    assert world.upstream.sends == 0 and not world.calls


@pytest.mark.parametrize("key", ["key-1", "key-2"])
def test_the_answer_of_a_held_call_whose_delivery_was_lost_is_there_for_either_key(key):
    world, call = held(key="key-1")

    async def approve():
        await world.vote(call)
        await world.engine().unattended(call)

    async def fetch(name):
        life, step = await world.ask(key=name)
        assert isinstance(step, Finish)
        return step.outcome, await world.engine().kept_answer(life)

    world.live(partial(world.ask, key="key-2"))
    world.live(approve)
    world.restart(later=LEASE_OVER)
    outcome, answer = world.live(partial(fetch, key))  # this delivery is lost
    assert isinstance(outcome, Answered) and answer.status == 200
    world.restart(later=LEASE_OVER)
    assert world.live(partial(fetch, key)) == (outcome, answer)
    assert world.live(partial(fetch, "a third key")) == (outcome, answer)
    world.live(lambda: world.engine().note(call, Delivered()))
    assert world.live(partial(fetch, key)) == (outcome, answer)  # its own keys replay it
    assert world.effects == 1
    assert len(world.calls) == 1


def test_once_delivered_a_new_key_is_a_new_call():
    world, call = held(key="key-1")

    async def approve_and_deliver():
        await world.vote(call)
        await world.engine().unattended(call)
        await world.engine().note(call, Delivered())

    world.live(approve_and_deliver)
    world.live(partial(world.ask, key="new"))
    assert len(world.calls) == 2 and world.effects == 1  # the second is held


def test_somebody_who_goes_away_twice_is_written_down_once():
    world, call = held()
    for fact in (Abandoned(), Abandoned(), Delivered(), Delivered(), Abandoned()):
        world.live(partial(world.engine().note, call, fact))
    assert world.kinds(call)[-3:] == ["Abandoned", "Delivered", "Abandoned"]
