"""Named troubles: each is one way in which gateways have acted twice, asked twice, or told an agent something untrue."""

import asyncio
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

import gateway.engine
from gateway.core.approval import Decision, shown
from gateway.core.facts import Abandoned, Answered, Approved, Asked, Claimed, Delivered, Ended, Judged, Lost, Unsent
from gateway.core.lifecycle import Finish, Wait
from gateway.core.routes import Credential, SecretReference
from gateway.core.verdict import Requirement
from gateway.decisions import Decisions, Stale
from gateway.errors import IdempotencyKeyReused, OutcomeUnknown, RequesterGone
from gateway.life import Requester
from gateway.ports import JournalUnavailable, NeverSent, SendLost
from tests.world import (
    CAPTURE,
    CHARGE,
    FINANCE,
    REFUND,
    REPORT,
    Behaviour,
    FakeReply,
    Fault,
    Generation,
    Policies,
    World,
    allow,
    deny,
    holding,
    settle,
    with_system,
    with_tool,
)

HOLDING = Generation(policies=Policies(holding(FINANCE)))
LOST = Behaviour(raises=SendLost("reset"))
LEASE_OVER = 60_000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(gateway.engine, "JOURNAL_RETRY_SECONDS", 0)


def held(world: World | None = None, **how) -> tuple[World, str]:
    """A call that waits for finance."""
    world = world or World(generation=HOLDING)
    life, step = world.live(partial(world.ask, **how))
    assert isinstance(step, Wait)
    return world, life.record.call.id


def kinds(world: World, call: str) -> list[str]:
    return [type(fact).__name__ for fact in world.facts(call)]


# --- Votes ------------------------------------------------------------------------------------------------------------


def test_a_vote_arriving_while_the_effect_is_being_sent_does_not_send_it_again():
    world, call = held()

    async def late_vote():
        engine = world.engine()
        with pytest.raises(Stale):  # through the front door
            await Decisions(engine).vote(call, Decision(approve=True, by="bob", group="finance", fingerprint="", via="t"))
        life = await engine.load(call)  # and as the fact itself, so that the outcome's append meets a conflict
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
    assert kinds(world, call)[-3:] == ["Claimed", "Approved", "Answered"]


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
        life = await world.engine().load(call)
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
        life = await world.engine().load(call)
        told = Decision(
            approve=True, by="ann", group="finance", fingerprint=shown(life.record, "finance"), via="hook", message="m-1"
        )
        for _ in range(3):
            await Decisions(world.engine()).vote(call, told)
            await settle()

    world.live(story)
    assert kinds(world, call).count("Approved") == 1
    assert world.effects == 1


# --- Two requests -----------------------------------------------------------------------------------------------------


def test_two_identical_calls_racing_to_be_held_become_one_question():
    """Peer failure 19: two identical approval cards from one retried create."""
    world = World(generation=HOLDING)

    async def story():
        return await asyncio.gather(*(world.ask(key=f"key-{number}") for number in range(5)))

    driven = world.live(story)
    assert {life.record.call.id for life, _ in driven} == set(world.calls)
    [call] = world.calls
    assert kinds(world, call).count("Asked") == 1
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

        seen = []
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


# --- Requesters that go away ------------------------------------------------------------------------------------------


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
    assert kinds(world, call)[-3:] == ["Abandoned", "Delivered", "Abandoned"]


# --- Edits while a call waits -----------------------------------------------------------------------------------------

EDITS = {
    "upstream": with_system(origin="https://other.example"),
    "credential": with_system(credential=Credential("bearer", SecretReference("env", "OTHER_KEY"))),
    "base path": with_system(base_path="/v2"),
}


@pytest.mark.parametrize("routes", EDITS.values(), ids=EDITS.keys())
def test_an_edit_of_what_would_be_sent_voids_votes_and_asks_again_without_more_time(routes):
    world, call = held()
    before = world.record(call)
    world.live(partial(world.vote, call))
    world.generation = replace(HOLDING, digest="generation-2", routes=routes)
    world.restart(later=1000)
    _, step = world.live(partial(world.engine().unattended, call))
    assert step == Wait(before.expires_at)
    assert world.upstream.sends == 0
    assert world.record(call).asked_fingerprint != before.asked_fingerprint
    world.live(partial(world.vote, call, "bob"))
    world.live(partial(world.engine().unattended, call))
    assert world.effects == 1


def test_an_approval_policy_edited_while_a_call_is_held_is_asked_about_again():
    world, call = held()
    world.live(partial(world.vote, call))
    edited = Requirement("finance", "over-50", "text-2")
    world.generation = Generation("generation-2", policies=Policies(holding(edited)))
    _, step = world.live(partial(world.engine().unattended, call))
    assert isinstance(step, Wait) and world.upstream.sends == 0
    assert kinds(world, call).count("Asked") == 2
    world.live(partial(world.vote, call))  # the same person, about the new text
    world.live(partial(world.engine().unattended, call))
    assert world.effects == 1


def test_a_policy_that_denies_today_wins_over_yesterdays_votes():
    world, call = held()
    world.live(partial(world.vote, call))
    world.generation = Generation("generation-2", policies=Policies(deny))
    _, step = world.live(partial(world.engine().unattended, call))
    assert isinstance(step.outcome, Judged) and world.upstream.sends == 0


def test_a_tool_that_is_gone_at_release_is_denied():
    world, call = held()
    world.live(partial(world.vote, call))
    world.generation = replace(HOLDING, digest="generation-2", routes=with_system(tools=()))
    _, step = world.live(partial(world.engine().unattended, call))
    assert step.outcome.verdict.code == "unknown-tool" and world.upstream.sends == 0


def test_a_read_that_became_an_effect_while_it_was_held_is_not_sent_without_a_claim():
    world, call = held(wanted=REPORT)
    world.live(partial(world.vote, call))
    world.generation = replace(HOLDING, digest="generation-2", routes=with_tool(replace(REPORT, effect="write")))
    _, step = world.live(partial(world.engine().unattended, call))
    assert isinstance(step.outcome, Judged) and world.upstream.sends == 0


# --- Sending again ----------------------------------------------------------------------------------------------------


def lost_once() -> tuple[World, str]:
    world = World()
    world.upstream.script = [LOST]
    life, step = world.live(partial(world.ask, CAPTURE))
    assert isinstance(step, Wait)
    return world, life.record.call.id


def test_a_repeatable_call_is_sent_again_with_the_same_key():
    world, call = lost_once()
    first = dict(world.upstream.last_extra)["idempotency-key"]
    world.steward()
    assert dict(world.upstream.last_extra)["idempotency-key"] == first
    assert (world.upstream.sends, world.effects) == (2, 1)
    assert isinstance(world.outcome(call), Answered)


def test_a_repeatable_tool_whose_key_has_aged_is_never_sent_again():
    world, call = lost_once()
    world.restart(later=round(CAPTURE.system_keeps_seconds * 500))
    world.steward()
    assert world.upstream.sends == 1
    assert isinstance(world.outcome(call), Lost)


@pytest.mark.parametrize(
    "routes",
    [
        with_tool(replace(CAPTURE, send_key="")),
        with_tool(replace(CAPTURE, send_key="X-Other-Key")),
        with_system(origin="https://other.example"),
    ],
    ids=["no key any more", "another header", "another upstream"],
)
def test_after_an_edit_a_doubt_is_not_sent_again(routes):
    world, call = lost_once()
    world.generation = Generation("generation-2", routes=routes)
    world.steward()
    assert world.upstream.sends == 1
    assert isinstance(world.outcome(call), Lost)
    assert len(world.facts(call)) < 10, "looking at a doubt must not write a fact each time"


@pytest.mark.parametrize("decide", [deny, holding(FINANCE)], ids=["denied", "held"])
def test_a_doubt_that_policies_no_longer_allow_is_not_sent_again(decide):
    world, call = lost_once()
    world.generation = Generation("generation-2", policies=Policies(decide))
    world.steward()
    assert world.upstream.sends == 1
    assert isinstance(world.outcome(call), Lost)


@pytest.mark.parametrize("status", [408, 502, 503, 504, 520, 524])
def test_a_status_of_the_load_balancer_is_passed_on_and_recorded_as_lost(status):
    world = World()
    world.upstream.script = [Behaviour(status=status)]
    life, step = world.live(partial(world.ask, REFUND))
    assert isinstance(step.outcome, Lost) and step.outcome.status == status
    assert life.answer.status == status
    world.steward()
    world.live(partial(world.ask, REFUND, key="another"))
    assert world.effects == world.upstream.sends == 1


def test_a_read_passes_any_status_on():
    world = World()
    world.upstream.script = [Behaviour(status=503)]
    life, step = world.live(partial(world.ask, CHARGE))
    assert step.outcome.status == 503 and isinstance(step.outcome, Answered) and life.answer.status == 503


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "at takeover"])
def test_a_suspended_agent_sends_nothing(fresh):
    world, call = held()
    if fresh:
        world.journal.suspended.add("billing-bot")
        life, step = world.live(partial(world.ask, CAPTURE))
        call = life.record.call.id
    else:
        world.live(partial(world.vote, call))
        world.journal.suspended.add("billing-bot")
        _, step = world.live(partial(world.engine().unattended, call))
    if fresh:
        assert isinstance(step, Wait | Finish)
    else:
        assert step.outcome.verdict.code == "agent-suspended"
    assert world.upstream.sends == 0


def test_a_doubt_of_a_suspended_agent_is_not_sent_again_and_stays_in_doubt():
    world, call = lost_once()
    world.journal.suspended.add("billing-bot")
    world.steward()
    assert world.upstream.sends == 1
    assert isinstance(world.outcome(call), Lost)


# --- What is not recorded is neither done nor told ----------------------------------------------------------------------


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
    monkeypatch.setattr("gateway.sending.time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3))
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


