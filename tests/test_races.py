"""Named troubles between people and requests: each is one way in which gateways have acted or asked twice."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from gateway.core.approval import Decision, shown
from gateway.core.facts import Abandoned, Answered, Approved, Delivered
from gateway.core.lifecycle import Finish
from gateway.decisions import Decisions, Stale
from gateway.errors import RequesterGone
from gateway.life import Requester
from gateway.ports import NeverSent, SendLost
from tests.company import REFUND, REPORT
from tests.world import Behaviour, World, held, settle

pytestmark = pytest.mark.usefixtures("no_pauses")
LOST = Behaviour(raises=SendLost("reset"))
LEASE_OVER = 60_000


# --- Votes -------------------------------------------------------------------------------------------------------


@pytest.mark.writes_the_impossible("a vote past gateway.decisions")
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
    assert world.kinds(call)[-4:] == ["Claimed", "Approved", "Answered", "Reported"]


@pytest.mark.parametrize("wanted", [REFUND, REPORT], ids=["effect", "read"])
def test_of_many_drives_of_an_approved_call_one_sends(wanted):
    world, call = held(wanted=wanted)

    async def story():
        await world.vote(call)
        return await asyncio.gather(*(world.engine().unattended(call) for _ in range(20)))

    driven = world.live(story)
    assert world.upstream.sends == 1
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
            await asyncio.wait_for(Decisions(world.engine()).vote(call, late), 60)

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


@pytest.mark.writes_the_impossible("hands over what is still held")
def test_somebody_who_goes_away_twice_is_written_down_once():
    world, call = held()
    for fact in (Abandoned(), Abandoned(), Delivered(), Delivered(), Abandoned()):
        world.live(partial(world.engine().note, call, fact))
    assert world.kinds(call)[-3:] == ["Abandoned", "Delivered", "Abandoned"]
