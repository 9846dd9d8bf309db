"""What is not recorded is neither done nor told; and what was done is recorded, however long that takes."""

from dataclasses import replace
from functools import partial

import pytest

from gateway.adapters.memory_journal import MemoryJournal
from gateway.clock import uptime
from gateway.core.facts import Answered, Asked, Claimed, Ended, Lost, Unsent
from gateway.core.verdict import Requirement
from gateway.doors.rendering import refusal
from gateway.errors import AgentSuspended, OutcomeUnknown
from gateway.life import Requester
from gateway.ports import JournalUnavailable, NeverSent, SendLost
from tests.company import (
    CAPTURE,
    CHARGE,
    REFUND,
    REPORT,
    Generation,
    Policies,
    allow,
    deny,
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
    result = world.live(partial(world.engine().resume, call), lingers=False)
    if how == "unavailable":
        assert reply.closed and isinstance(result, JournalUnavailable)
    else:
        assert result[0].reply is reply and isinstance(world.outcome(call), Answered)
    assert world.upstream.sends == 1


def test_a_read_that_nobody_was_asked_about_is_one_append():
    world = World()
    _, step = world.live(partial(world.ask, CHARGE))
    assert isinstance(step.outcome, Answered)
    assert len(world.journal.ledger) == 1


# --- How long a request is kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "sent", "kept"),
    [
        (REFUND, Behaviour(), False),
        (REFUND, Behaviour(acts=False, raises=NeverSent("refused")), False),
        (REFUND, Behaviour(raises=SendLost("reset")), True),
        (CAPTURE, Behaviour(), False),
    ],
    ids=["answered", "unsent", "in doubt", "repeatable"],
)
def test_a_large_request_is_kept_until_its_call_is_over(wanted, sent, kept, monkeypatch):
    monkeypatch.setattr("gateway.life.LARGE_BODY", 4)
    world = World()

    async def is_there():
        [call] = world.calls
        assert world.journal.payloads[call].get("request")

    world.upstream.script = [replace(sent, meanwhile=is_there)]
    world.live(partial(world.ask, wanted))
    [call] = world.calls
    assert bool(world.journal.payloads[call].get("request")) is kept
    assert len(world.upstream.effects) == sent.acts


def test_a_lost_repeatable_call_is_sent_again_whole_before_its_request_goes(monkeypatch):
    monkeypatch.setattr("gateway.life.LARGE_BODY", 4)
    world = World()
    world.upstream.script = [Behaviour(acts=False, raises=SendLost("reset"))]
    world.live(partial(world.ask, CAPTURE))
    world.steward()
    [call] = world.calls
    assert isinstance(world.outcome(call), Answered) and world.effects == 1 and world.upstream.sends == 2
    assert not world.journal.payloads[call].get("request")


def test_a_small_request_and_that_of_a_question_outlast_the_call(monkeypatch):
    world = World()
    world.live(partial(world.ask, REFUND))
    [call] = world.calls
    assert world.journal.payloads[call].get("request")
    monkeypatch.setattr("gateway.life.LARGE_BODY", 4)
    world, call = held()
    world.live(partial(world.vote, call))
    world.live(partial(world.engine().unattended, call))
    assert isinstance(world.outcome(call), Answered)
    assert world.journal.payloads[call].get("request")


def test_what_is_denied_at_once_keeps_nothing_but_its_facts():
    world = World(generation=Generation(policies=Policies(deny)))
    world.live(partial(world.ask, REFUND))
    [call] = world.calls
    assert world.kinds(call) == ["Admitted", "Judged"]
    assert not world.journal.payloads[call]


def test_a_requester_that_leaves_a_read_is_not_written_down():
    world, requester = World(), Requester()

    async def leaves():
        world.engine().leave(requester)

    world.upstream.script = [Behaviour(meanwhile=leaves)]
    world.live(partial(world.ask, CHARGE, requester=requester))
    assert world.kinds(world.calls[0]) == ["Admitted", "Judged", "Answered"]


@pytest.mark.parametrize(("wanted", "waits"), [(REFUND, True), (CAPTURE, False), (REPORT, False)])
def test_replicas_are_waited_for_where_acting_twice_would_be_the_price(wanted, waits, monkeypatch):
    world, call = held(wanted=wanted)
    seen = []
    append = MemoryJournal.append

    async def watched(self, what):
        seen.append(what)
        return await append(self, what)

    monkeypatch.setattr(MemoryJournal, "append", watched)
    world.live(partial(world.vote, call))
    world.live(partial(world.engine().unattended, call))
    [claim] = [one for one in seen if any(isinstance(fact, Claimed) for fact in one.facts)]
    assert claim.guarded and claim.replicated is waits


def test_an_answer_of_a_held_read_waits_for_the_journal_and_is_written_when_it_is_back():
    world, call = held(wanted=REPORT)
    world.live(partial(world.vote, call))
    world.journal.faults = [Fault(Answered, "unavailable", times=3)]
    assert isinstance(world.live(partial(world.engine().resume, call)), JournalUnavailable)
    assert isinstance(world.outcome(call), Answered) and world.upstream.sends == 1


def test_an_agent_suspended_while_a_held_read_is_sent_gets_no_answer_and_the_call_is_over():
    world, call = held(wanted=REPORT)
    world.live(partial(world.vote, call))

    async def suspended():
        world.journal.suspended.add("billing-bot")

    reply = FakeReply(200, headers=((b"content-type", b"text/event-stream"),))
    world.upstream.script = [Behaviour(reply=reply, meanwhile=suspended)]
    life, step = world.live(partial(world.engine().resume, call))
    assert reply.closed and life.answer is None and life.reply is None
    assert isinstance(refusal(life, step), AgentSuspended)
    told = [kind for kind in world.kinds(call) if kind != "Reported"]
    assert told[-4:] == ["Judged", "Claimed", "Lost", "Judged"]
    assert "answer" not in world.journal.payloads[call]
    assert world.upstream.sends == 1


def test_a_suspension_is_heeded_when_the_journal_comes_back_too(caplog):
    world, call = held(wanted=REPORT)
    world.live(partial(world.vote, call))

    async def story():
        world.journal.faults = [Fault(Answered, "unavailable")]
        with pytest.raises(JournalUnavailable):
            await world.engine().resume(call)
        world.journal.suspended.add("billing-bot")
        await settle()

    world.live(story)
    assert isinstance(world.outcome(call), Lost)
    assert "answer" not in world.journal.payloads[call]
    assert not caplog.records


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
