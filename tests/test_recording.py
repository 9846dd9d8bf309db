"""What is not recorded is neither done nor told; and what was done is recorded, however long that takes."""

from functools import partial

import pytest

from gateway.clock import uptime
from gateway.core.facts import Answered, Asked, Claimed, Ended, Unsent
from gateway.core.verdict import Requirement
from gateway.errors import OutcomeUnknown
from gateway.ports import JournalUnavailable
from tests.company import (
    CHARGE,
    REFUND,
    REPORT,
    Generation,
    Policies,
    allow,
    holding,
)
from tests.world import Behaviour, FakeReply, Fault, World, held, settle

pytestmark = pytest.mark.usefixtures("no_pauses")


# --- What is not recorded is neither done nor told ---------------------------------------------------------------


def test_a_suspended_agent_gets_no_answer_of_a_read():
    world = World()
    world.journal.suspended.add("billing-bot")
    life, step = world.live(partial(world.ask, CHARGE))
    assert step.outcome.verdict.code == "agent-suspended"
    assert life.answer is None and life.reply is None


@pytest.mark.parametrize("how", ["unavailable", "conflict"])
def test_an_answer_of_a_read_that_could_not_be_recorded_is_not_disclosed(how):
    world, call = held(wanted=REPORT)
    reply = FakeReply(200, headers=((b"content-type", b"text/event-stream"),))
    world.upstream.script = [Behaviour(reply=reply)]
    world.live(partial(world.vote, call))
    world.generation = Generation(policies=Policies(allow))
    world.journal.faults = [Fault(Answered, how)]
    result = world.live(partial(world.engine().resume, call))
    assert reply.closed
    if how == "unavailable":
        assert isinstance(result, JournalUnavailable)
    else:
        assert world.upstream.sends == 2  # judged and read again


def test_an_outcome_waits_for_the_journal_and_is_written_when_it_is_back():
    world = World()

    async def journal_goes_away():
        world.journal.down = True

    async def story():
        world.upstream.script = [Behaviour(meanwhile=journal_goes_away)]
        try:
            await world.ask(REFUND)
        except OutcomeUnknown as unknown:
            await settle()
            world.journal.down = False
            await settle()
            return unknown

    assert isinstance(world.live(story), OutcomeUnknown)
    [call] = world.calls
    assert isinstance(world.outcome(call), Answered)
    assert world.effects == 1


def test_a_claim_that_was_not_confirmed_is_disowned_and_never_used():
    world = World()
    world.journal.faults = [Fault(Claimed, "unavailable", persists=True)]
    assert isinstance(world.live(partial(world.ask, REFUND)), JournalUnavailable)
    [call] = world.calls
    assert world.upstream.sends == 0
    assert isinstance(world.outcome(call), Unsent)
    world.live(partial(world.ask, REFUND))
    assert world.effects == 1


def test_a_claim_that_took_too_long_to_write_is_not_used(monkeypatch):
    world = World()
    monkeypatch.setattr("gateway.sending.uptime", lambda: uptime() + 3)
    _, step = world.live(partial(world.ask, REFUND))
    assert isinstance(step.outcome, Unsent) and world.upstream.sends == 0


def test_a_streamed_answer_that_nobody_waits_for_is_read_to_its_end():
    world, call = held()
    reply = FakeReply(200, headers=((b"content-type", b"text/event-stream; charset=utf-8"),), body=b"data: 1\n\n")
    world.upstream.script = [Behaviour(reply=reply)]

    async def story():
        await world.vote(call)
        await world.engine().unattended(call)

    world.live(story)
    assert reply.closed
    ended = world.facts(call)[-1]
    assert isinstance(ended, Ended) and ended.whole and ended.length == 9


def test_a_hold_that_nobody_may_answer_is_a_no_that_says_so():
    world = World(generation=Generation(policies=Policies(holding(Requirement("nobody", "p", "t")))))
    _, step = world.live(world.ask)
    assert step.outcome.verdict.code == "unmanned" and Asked not in map(type, world.facts(world.calls[0]))
