"""Approvers are shown what a call is about, and nothing is sent on a picture that is no longer true."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.approval import Decision, NotEligible, Stale, may_vote, shown
from gateway.core.facts import Admitted, Answered, Approved, Asked, Claimed, Judged, Lost, Previewed, Unsent
from gateway.core.lifecycle import Wait
from gateway.core.looking import BACKOFF_MS
from gateway.core.previews import MOST_BYTES, Preview, unpack
from gateway.core.previews import field as shown_field
from gateway.core.summaries import parse
from gateway.core.timeline import state
from gateway.core.verdict import Question, Requirement, Verdict
from gateway.decisions import Decisions
from gateway.ports import BodyBroken, CredentialEchoed, Delivery, NeverSent, SendLost
from gateway.previewing import pictures_in
from tests.company import CAPTURE, CHARGE, FINANCE, REFUND, ROUTES, Generation, Policies, holding, with_tool
from tests.test_steward import Receiver, rounds, steward
from tests.world import Behaviour, Crash, FakeReply, Fault, Stripe, World, held

ABOUT = Preview(
    name="charge",
    tool="stripe.charge",
    given=(("amount", parse("{amount}")),),
    show=(shown_field("amount|money:currency"), shown_field("amount_refunded"), shown_field("header:etag")),
    bind=("amount_refunded",),
    becomes=(("amount_refunded", parse("{amount}")),),
    title=("description",),
)
SEEN: dict[str, Any] = {"amount": 5000, "currency": "usd", "amount_refunded": 0, "description": "Order 7"}


def charge(**changes: Any) -> Behaviour:
    body = json.dumps(SEEN | changes).encode()
    return Behaviour(reply=FakeReply(200, ((b"content-type", b"application/json"), (b"etag", b'"1"')), body))


@dataclass
class Bank(Stripe):
    """Reads are answered from `charges`, the last of which repeats; effects are counted as ever."""

    charges: list[Behaviour] = field(default_factory=lambda: [charge()])
    reads: int = 0
    asked: list[str] = field(default_factory=list)

    async def send(self, system: Any, wanted: Any, request: Any, extra: Any) -> FakeReply:
        if wanted.acts:
            return await Stripe.send(self, system, wanted, request, extra)
        self.reads += 1
        self.asked.append(request.target)
        self.seconds = system.timeout_seconds
        behaviour = self.charges.pop(0) if len(self.charges) > 1 else self.charges[0]
        if behaviour.meanwhile is not None:
            await behaviour.meanwhile()
        if behaviour.raises is not None:
            raise behaviour.raises
        return behaviour.reply or FakeReply(behaviour.status)


def effects_are_held(question: Question, met: frozenset[Requirement]) -> Verdict:
    if question.action == CHARGE.name:
        return Verdict(decision="allow", policies=("reads",))
    return holding(FINANCE)(question, met)


def looking(*previews: Preview, decide: Callable[..., Verdict] = effects_are_held, **changes: Any) -> Generation:
    tool = replace(REFUND, previews=previews or (ABOUT,))
    return Generation(routes=with_tool(tool, ROUTES), policies=Policies(decide), **changes)


def bank(*charges: Behaviour, **how: Any) -> World:
    return World(generation=looking(**how), upstream=Bank(charges=list(charges) or [charge()]))


def waits(world: World) -> str:
    """A call that is held, and looked at."""
    wanted = world.generation.routes.tool(REFUND.name)
    assert wanted is not None
    _, call = held(world, wanted=wanted)
    return call


def pictures(world: World, call: str) -> list[dict[str, Any]]:
    return unpack(world.journal.payloads[call].get("preview"))


def looks(world: World, call: str) -> list[Previewed]:
    return [fact for fact in world.facts(call) if isinstance(fact, Previewed)]


def drive(world: World, call: str) -> Any:
    return world.live(partial(world.engine().unattended, call))


def approve(world: World, call: str, by: str = "ann") -> Any:
    """A yes, and the drive that follows it."""
    world.live(partial(world.vote, call, by))
    return drive(world, call)


def reads_of(world: World, call: str) -> list[str]:
    return [other for other in world.calls if other != call]


# --- What approvers are shown -----------------------------------------------------------------------------------------


def test_a_held_call_is_looked_at_and_the_picture_kept_beside_it():
    world = bank()
    call = waits(world)
    assert world.kinds(call) == ["Admitted", "Judged", "Asked", "Previewed"]
    (read,) = reads_of(world, call)
    assert pictures(world, call) == [
        {
            "name": "charge", "tool": "stripe.charge", "call": read, "at": world.now, "title": '"Order 7"',
            "fields": [
                {"field": "amount|money:currency".partition("|")[0], "text": "50.00 USD", "value": 5000},
                {"field": "amount_refunded", "text": "0", "value": 0, "after": "5"},
                {"field": "header:etag", "text": '"\\"1\\""', "value": '"1"'},
            ],
            "bind": ["amount_refunded"], "failed": "", "unread": "",
        }
    ]  # fmt: skip
    assert world.effects == 0


def test_a_look_is_a_read_of_its_own_in_the_name_of_the_agent():
    world = bank()
    call = waits(world)
    (read,) = reads_of(world, call)
    first, judged, answered = world.facts(read)
    assert isinstance(first, Admitted) and isinstance(judged, Judged) and isinstance(answered, Answered)
    told = first.call
    assert (told.agent, told.tool, told.effect) == ("billing-bot", "stripe.charge", "read")
    assert told.reason == f"preview for call {call}" and told.key == told.match == ""
    assert judged.verdict.policies == ("reads",)
    assert not answered.kept
    assert isinstance(world.upstream, Bank)
    assert world.upstream.asked == ["/v1/charge?amount=5"] and world.upstream.seconds == 5.0
    (fact,) = looks(world, call)
    assert fact.call == read and fact.fingerprint == world.record(call).asked_fingerprint


def test_a_fact_tells_nothing_of_what_was_seen():
    world = bank()
    (fact,) = looks(world, waits(world))
    assert len(fact.digest) == len(fact.bound) == 64
    assert "5000" not in str(replace(fact, call="")) and "Order" not in str(fact)


def test_nobody_is_looked_at_for_a_call_that_is_not_held():
    world = bank(decide=lambda _, __: Verdict(decision="allow", policies=("all",)))
    wanted = world.generation.routes.tool(REFUND.name)
    assert wanted is not None
    world.live(partial(world.ask, wanted))
    assert isinstance(world.upstream, Bank)
    assert (world.upstream.reads, world.effects) == (0, 1)


def test_nobody_hears_of_the_question_before_it_was_looked_at():
    seen: list[int] = []
    world = bank()
    assert isinstance(world.upstream, Bank)

    async def look() -> None:
        seen.extend(due - world.now for due in world.journal.notices.values())

    world.upstream.charges = [replace(charge(), meanwhile=look)]
    waits(world)
    assert seen and min(seen) >= 5_000
    assert set(world.journal.notices.values()) == {world.now}


def test_the_agent_does_not_wait_for_what_approvers_are_shown():
    world = bank()
    wanted = world.generation.routes.tool(REFUND.name)
    assert wanted is not None

    async def story() -> tuple[Any, int]:
        driven = await world.ask(wanted)
        assert isinstance(world.upstream, Bank)
        return driven[1], world.upstream.reads

    step, reads = world.live(story)
    assert isinstance(step, Wait) and reads == 0
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 1


def test_nobody_decides_while_the_system_is_being_looked_at():
    world = bank()
    refused: list[str] = []
    assert isinstance(world.upstream, Bank)

    async def vote() -> None:
        (call,) = [call for call in world.calls if len(world.journal.calls[call]) == 3]
        try:
            await world.vote(call)
        except Stale as stale:
            refused.append(str(stale))

    world.upstream.charges = [replace(charge(), meanwhile=vote)]
    call = waits(world)
    assert len(refused) == 1 and "is just being looked at" in refused[0]
    assert "Approved" not in world.kinds(call)


# --- A failing look never blocks the decision -------------------------------------------------------------------------

UNBOUND = replace(ABOUT, bind=())


def failing(**how: Any) -> Behaviour:
    return Behaviour(reply=FakeReply(**how))


@pytest.mark.parametrize(
    ("behaviour", "why", "outcome"),
    [
        (Behaviour(raises=NeverSent("connection refused")), "was not reached: connection refused", Unsent),
        (Behaviour(raises=SendLost("timed out")), "gave no answer: timed out", Lost),
        (failing(status=404), "the system answered 404", Answered),
        (failing(status=302), "the system answered 302", Answered),
        (failing(status=200, body=b"x" * (MOST_BYTES + 1)), "has more than 64 KiB", Answered),
        (failing(status=200, body=b"<html>"), "is not JSON that every parser reads alike", Answered),
        (failing(status=200, body=b'{"a":1,"a":2}'), "is not JSON that every parser reads alike", Answered),
        (failing(status=200, body=b"[" * 30_000), "is not JSON that every parser reads alike", Answered),
        (failing(status=200, broken=BodyBroken()), "the answer broke off", Answered),
        (failing(status=200, broken=CredentialEchoed()), "carried the system's credential", Answered),
        (failing(status=200, headers=((b"content-type", b"text/event-stream"),)), "or streams", Answered),
        (failing(status=200, headers=((b"content-encoding", b"gzip"),), body=b"\x1f\x8b"), "is encoded", Answered),
    ],
)
def test_a_look_that_fails_says_why_and_blocks_nothing(behaviour, why, outcome):
    world = World(generation=looking(UNBOUND), upstream=Bank(charges=[behaviour]))
    call = waits(world)
    (fact,) = looks(world, call)
    assert why in fact.failed and fact.bound == ""
    (picture,) = pictures(world, call)
    assert why in picture["failed"] and picture["fields"] == []
    (read,) = reads_of(world, call)
    assert any(isinstance(found, outcome) for found in world.facts(read))
    if behaviour.reply is not None and why.endswith("streams"):
        assert behaviour.reply.closed
    approve(world, call)
    assert world.effects == 1
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 1


@pytest.mark.parametrize(("decision", "why"), [("deny", "No reads."), ("hold", "a preview asks nobody")])
def test_policies_decide_whether_a_look_is_allowed(decision, why):
    def decide(question: Question, met: frozenset[Requirement]) -> Verdict:
        if question.action != CHARGE.name:
            return holding(FINANCE)(question, met)
        requirements = (FINANCE,) if decision == "hold" else ()
        return Verdict(decision=decision, policies=("none",), reasons=("No reads.",), requirements=requirements)

    world = World(generation=looking(UNBOUND, decide=decide), upstream=Bank())
    call = waits(world)
    assert why in looks(world, call)[0].failed
    (read,) = reads_of(world, call)
    assert world.kinds(read) == ["Admitted", "Judged"]
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 0
    approve(world, call)
    assert world.effects == 1


def test_what_cannot_even_be_asked_for_is_said():
    nowhere = replace(UNBOUND, tool="stripe.gone")
    world = World(generation=looking(nowhere), upstream=Bank())
    call = waits(world)
    (fact,) = looks(world, call)
    assert "no longer declared" in fact.failed and fact.call == ""
    approve(world, call)
    assert world.effects == 1


def test_a_mistake_of_ours_in_reading_an_answer_blocks_nothing(monkeypatch):
    monkeypatch.setattr("gateway.core.previews._field", lambda *_: 1 / 0)
    world = World(generation=looking(UNBOUND), upstream=Bank())
    call = waits(world)
    assert looks(world, call)[0].failed == "ZeroDivisionError"


def test_several_previews_are_looked_at_and_one_that_fails_hides_no_other():
    second = replace(UNBOUND, name="again", tool="stripe.gone")
    world = World(generation=looking(ABOUT, second), upstream=Bank())
    call = waits(world)
    assert [(fact.name, bool(fact.failed)) for fact in looks(world, call)] == [("charge", False), ("again", True)]
    assert [picture["name"] for picture in pictures(world, call)] == ["charge", "again"]


# --- Bound to the world -----------------------------------------------------------------------------------------------


def test_what_is_still_so_is_sent_with_its_proof_in_the_append_of_the_claim():
    world = bank()
    call = waits(world)
    approve(world, call)
    assert world.effects == 1
    assert world.kinds(call)[4:] == ["Approved", "Judged", "Previewed", "Judged", "Claimed", "Answered", "Reported"]
    _, again = looks(world, call)
    assert again.again and not again.changed and not again.failed
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 2


def test_what_has_changed_returns_to_its_approvers_with_the_difference():
    world = bank(charge(), charge(amount_refunded=4000))
    call = waits(world)
    before = shown(world.record(call), "finance")
    approve(world, call)
    assert world.effects == 0
    assert world.kinds(call)[4:] == ["Approved", "Judged", "Previewed", "Judged", "Asked"]
    assert looks(world, call)[-1].changed == ("amount_refunded",)
    (picture,) = pictures(world, call)
    assert picture["fields"][1] == {
        "field": "amount_refunded", "text": "4000", "value": 4000, "after": "5", "was": "0",
    }  # fmt: skip
    record = world.record(call)
    assert record.votes == () and shown(record, "finance") != before
    asked = [fact for fact in world.facts(call) if isinstance(fact, Asked)]
    assert len(asked) == 2 and not {item.id for item in asked[0].notices} & {item.id for item in asked[1].notices}
    assert all(world.journal.notices[call, item.id] == world.now for item in asked[1].notices)
    approve(world, call)  # who has seen the difference
    assert world.effects == 1


def test_what_changes_without_being_bound_changes_nothing():
    world = bank(charge(), charge(amount=9000, description="Other"))
    call = waits(world)
    approve(world, call)
    assert world.effects == 1
    assert pictures(world, call)[0]["fields"][0]["text"] == "50.00 USD"


@pytest.mark.parametrize("seen", [{"amount_refunded": None}, {"amount_refunded": "0"}, {"amount_refunded": [0]}])
def test_another_type_is_another_value(seen):
    world = bank(charge(), charge(**seen))
    call = waits(world)
    approve(world, call)
    assert world.effects == 0


def test_what_is_gone_is_another_value():
    gone = Behaviour(reply=FakeReply(200, body=b"{}"))
    world = bank(charge(), gone)
    call = waits(world)
    approve(world, call)
    assert world.effects == 0
    assert pictures(world, call)[0]["fields"][1]["text"] == "(not there)"


BROKEN = Behaviour(raises=SendLost("timed out"))


def test_what_cannot_be_seen_is_not_sent_and_looked_at_again():
    world = bank(charge(), BROKEN, BROKEN, charge())
    call = waits(world)
    _, step = approve(world, call)
    assert world.effects == 0
    assert step == Wait(world.now + BACKOFF_MS[0])
    record = world.record(call)
    assert record.judged is not None and record.judged.verdict.decision == "hold" and len(record.votes) == 1
    assert "timed out" in pictures(world, call)[0]["unread"]
    assert pictures(world, call)[0]["fields"][1]["text"] == "0"
    world.now += BACKOFF_MS[0]
    _, step = drive(world, call)
    assert step == Wait(world.now + BACKOFF_MS[1]) and world.effects == 0
    world.now += BACKOFF_MS[1]
    drive(world, call)
    assert world.effects == 1


def test_it_is_looked_at_less_and_less_often_until_the_hold_is_over():
    world = bank(charge(), BROKEN)
    call = waits(world)
    approve(world, call)
    world.steward(hours=2)
    assert world.effects == 0
    assert world.kinds(call)[-2:] == ["Expired", "Reported"]
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads < 15


def test_who_decided_hears_once_that_it_cannot_be_looked_at_again():
    world = bank(charge(), BROKEN)
    call = waits(world)
    before = len(world.record(call).notices)
    approve(world, call)
    told = world.record(call).notices[before:]
    assert [(notice.group, notice.channel) for notice in told] == [("finance", 0)]
    assert all(world.journal.notices[call, notice.id] == world.now for notice in told)
    world.now += BACKOFF_MS[0]
    drive(world, call)
    assert len(world.record(call).notices) == before + 1


def test_a_person_may_still_say_no_while_it_cannot_be_looked_at_again():
    world = bank(charge(), BROKEN)
    call = waits(world)
    approve(world, call)
    world.live(partial(world.vote, call, "bob", approve=False))
    drive(world, call)
    assert "Rejected" in world.kinds(call)[-2:]
    assert world.effects == 0


def test_a_second_yes_is_not_asked_for_while_it_cannot_be_looked_at_again():
    world = bank(charge(), BROKEN)
    call = waits(world)
    approve(world, call)
    assert sum(isinstance(fact, Asked) for fact in world.facts(call)) == 1
    decision = Decision(
        approve=True, by="ann", group="finance", fingerprint=shown(world.record(call), "finance"), via="token"
    )
    with pytest.raises(NotEligible):
        may_vote(world.record(call), decision, world.generation.routes, now=world.now)


def test_what_was_never_seen_must_be_seen_before_it_is_sent():
    """Fail closed: people may decide without the picture, but a call bound to it waits until they had it."""
    world = bank(BROKEN, BROKEN, charge())
    call = waits(world)
    assert looks(world, call)[0].bound
    approve(world, call)
    assert world.effects == 0
    world.now += BACKOFF_MS[0]
    drive(world, call)
    assert world.effects == 0
    assert looks(world, call)[-1].changed == ("amount_refunded",)
    approve(world, call)
    assert world.effects == 1


def test_a_preview_that_is_no_longer_declared_is_another_question():
    world = bank()
    call = waits(world)
    world.live(partial(world.vote, call))
    world.generation = replace(looking(), digest="generation-2", routes=ROUTES)
    drive(world, call)
    assert world.effects == 0
    assert "no longer declared" in looks(world, call)[-1].failed and world.record(call).votes == ()
    approve(world, call)
    assert world.effects == 1


def test_an_allow_that_needs_no_yes_looks_at_nothing():
    world = bank()
    call = waits(world)
    world.live(partial(world.vote, call))
    world.generation = looking(digest="generation-2", decide=lambda _, __: Verdict(decision="allow", policies=("all",)))
    drive(world, call)
    assert isinstance(world.upstream, Bank)
    assert (world.effects, world.upstream.reads) == (1, 1)


def test_policies_that_change_while_it_is_looked_at_again_count():
    world = bank()
    call = waits(world)
    answers = iter(("allow", "deny"))

    def decide(question: Question, met: frozenset[Requirement]) -> Verdict:
        if question.action == CHARGE.name:
            return Verdict(decision="allow", policies=("reads",))
        decision: Any = next(answers)
        return Verdict(decision=decision, policies=("p",), requirements=(FINANCE,) if decision == "allow" else ())

    world.live(partial(world.vote, call))
    world.generation = replace(world.generation, policies=Policies(decide))
    drive(world, call)
    assert world.effects == 0
    assert world.kinds(call)[-2:] == ["Judged", "Reported"]


# --- Crashes, and others at the same time -----------------------------------------------------------------------------


def test_a_crash_before_the_picture_is_written_is_made_good_by_the_steward():
    world = bank()
    world.journal.faults = [Fault(Previewed, "crash")]
    call = waits(world)
    assert world.kinds(call)[-1] == "Asked"
    assert min(world.journal.notices.values()) > world.now
    due = world.journal.due_times[call] - world.now
    assert 5_000 <= due <= min(world.journal.notices.values()) - world.now
    world.restart(later=due)
    drive(world, call)
    assert world.kinds(call)[-1] == "Previewed"
    assert set(world.journal.notices.values()) == {world.now}


def test_a_crash_after_the_picture_is_written_loses_no_notice():
    world = bank()
    world.journal.faults = [Fault(Previewed, "crash", persists=True)]
    call = waits(world)
    world.restart()
    assert world.kinds(call)[-1] == "Previewed"
    assert set(world.journal.notices.values()) == {world.now}
    assert len(pictures(world, call)) == 1


def test_who_writes_meanwhile_keeps_no_picture_from_being_written():
    world = bank()
    world.journal.faults = [Fault(Previewed, "conflict", times=3)]
    call = waits(world)
    assert world.kinds(call)[-1] == "Previewed"
    assert [picture["failed"] for picture in pictures(world, call)] == [""]
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 1


def test_a_look_that_could_not_be_recorded_is_made_again():
    world = bank()
    world.journal.faults = [Fault(Answered, "unavailable")]
    call = waits(world)
    assert world.kinds(call)[-1] == "Asked"
    world.restart(later=20_000)
    drive(world, call)
    assert looks(world, call)[0].failed == ""


def test_a_crash_before_the_claim_is_written_looks_again():
    world = bank()
    call = waits(world)
    world.live(partial(world.vote, call))
    world.journal.faults = [Fault(Claimed, "crash")]
    assert drive(world, call) is Crash
    world.restart()
    assert isinstance(world.upstream, Bank)
    world.upstream.charges = [charge(amount_refunded=4000)]
    drive(world, call)
    assert world.effects == 0 and world.record(call).votes == ()


def lost_once(*charges: Behaviour) -> tuple[World, str]:
    """A repeatable call, approved, sent and lost. `charges`: what approvers see, then what is seen at each send."""
    tool = replace(CAPTURE, previews=(ABOUT,))
    world = World(
        generation=Generation(routes=with_tool(tool, ROUTES), policies=Policies(effects_are_held)),
        upstream=Bank(charges=list(charges), script=[Behaviour(raises=SendLost("reset"))]),
    )
    _, call = held(world, wanted=tool)
    approve(world, call)
    assert (world.effects, state(world.record(call))) == (1, "in doubt")
    return world, call


def later(world: World, call: str, *seconds: float) -> Any:
    for each in seconds:
        world.restart(later=round(each * 1000))
        drive(world, call)
    return [fact for fact in world.facts(call) if isinstance(fact, Claimed)]


def test_a_lost_call_is_looked_at_again_before_it_is_sent_again():
    world, call = lost_once(charge())
    assert len(later(world, call, 1)) == 2
    assert isinstance(world.upstream, Bank)
    assert (world.upstream.reads, world.effects, state(world.record(call))) == (3, 1, "answered")


def test_a_lost_call_whose_picture_changed_is_not_sent_again():
    """It may be the effect of the send before, or somebody else's: a person has to look."""
    world, call = lost_once(charge(), charge(), charge(amount_refunded=4000))
    assert len(later(world, call, 1, 5, 60)) == 1
    assert isinstance(world.upstream, Bank)
    assert (world.upstream.sends, state(world.record(call))) == (1, "in doubt")
    assert looks(world, call)[-1].changed == ("amount_refunded",)
    told = [notice.kind for notice in world.record(call).notices]
    assert told == ["approval.requested", "call.in_doubt"]


def test_a_lost_call_that_cannot_be_looked_at_is_tried_as_often_as_a_send():
    away = Behaviour(raises=NeverSent("refused"))
    world, call = lost_once(charge(), charge(), away, charge())
    assert len(later(world, call, 1)) == 1 and looks(world, call)[-1].failed
    assert len(later(world, call, 5)) == 2 and state(world.record(call)) == "answered"
    world, call = lost_once(charge(), charge(), away)
    assert len(later(world, call, 1, 5, 60, 600)) == 1 and state(world.record(call)) == "in doubt"
    assert [notice.kind for notice in world.record(call).notices] == ["approval.requested", "call.in_doubt"]


def test_a_confirmation_that_lost_the_race_confirms_nothing():
    world = bank(charge(), charge(), charge(amount_refunded=4000))
    call = waits(world)
    world.live(partial(world.vote, call))
    world.journal.faults = [Fault(Claimed, "conflict")]
    drive(world, call)
    assert world.effects == 0
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 3


def test_a_yes_that_crosses_a_change_is_not_counted_for_it():
    world = bank(charge(), charge(amount_refunded=4000))
    call = waits(world)
    old = shown(world.record(call), "finance")
    approve(world, call)
    decision = Decision(approve=True, by="bob", group="finance", fingerprint=old, via="token")
    with pytest.raises(Stale, match="changed since it was shown"):
        may_vote(world.record(call), decision, world.generation.routes, now=world.now)


def test_the_journal_away_while_looking_is_no_answer_of_the_system():
    world = bank()
    assert isinstance(world.upstream, Bank)

    async def away() -> None:
        world.journal.down = True

    world.upstream.charges = [replace(charge(), meanwhile=away)]
    call = waits(world)
    world.restart(later=20_000)
    assert world.kinds(call)[-1] == "Asked"
    world.upstream.charges = [charge()]
    drive(world, call)
    assert world.kinds(call)[-1] == "Previewed"


def test_the_votes_of_a_call_without_previews_are_bound_to_nothing():
    world, call = held(World(generation=Generation(policies=Policies(holding(FINANCE)))))
    world.live(partial(world.vote, call))
    drive(world, call)
    assert world.kinds(call) == ["Admitted", "Judged", "Asked", "Approved", "Judged", "Claimed", "Answered", "Reported"]
    assert not any(isinstance(fact, Previewed) for fact in world.facts(call))
    assert isinstance(world.facts(call)[3], Approved)


# --- Whatever happens -------------------------------------------------------------------------------------------------

MOVES = ("vote", "other vote", "drive", "drive", "later", "change", "break", "mend", "lose a claim", "lose a picture")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=14))
def test_nothing_is_sent_but_what_people_saw_and_what_is_still_so(moves):
    """Every effect was preceded by a yes to exactly what the system holds when it is sent."""
    world = bank()
    upstream = world.upstream
    assert isinstance(upstream, Bank)
    refunded, broken, voted = 0, False, list[str]()

    def now() -> list[Behaviour]:
        return [BROKEN] if broken else [charge(amount_refunded=refunded)]

    call = waits(world)
    for move in (*moves, "mend", "drive", "later", "drive"):
        match move:
            case "vote" | "other vote":
                before = world.kinds(call)
                world.live(partial(cast_if_possible, world, call, "ann" if move == "vote" else "bob"))
                if world.kinds(call) != before:
                    voted.append(pictures(world, call)[0]["fields"][1]["text"])
            case "drive":
                drive(world, call)
            case "later":
                world.now += max(BACKOFF_MS)
            case "change":
                refunded += 1000
            case "break" | "mend":
                broken = move == "break"
            case "lose a claim":
                world.journal.faults = [Fault(Claimed, "crash")]
            case "lose a picture":
                world.journal.faults = [Fault(Previewed, "conflict", times=2)]
        upstream.charges = now()
        if world.effects:
            assert voted and voted[-1] == str(refunded), "sent on a picture that nobody approved or that was stale"
            break
    assert world.effects <= 1


async def cast_if_possible(world: World, call: str, by: str) -> None:
    try:
        await world.vote(call, by)
    except (Stale, NotEligible):
        return


# --- Notices ----------------------------------------------------------------------------------------------------------


def test_a_notice_carries_the_pictures_and_waits_for_them():
    world = bank()
    world.journal.faults = [Fault(Previewed, "crash")]
    call = waits(world)
    world.restart(later=20_000)
    told: list[dict[str, Any]] = []

    class Listening(Receiver):
        async def deliver(self, channel: Any, message: Any, now: int) -> Delivery:
            told.append(message.body["data"])
            return Delivery(status=200, done=True, error="")

    world.journal.due_times.clear()  # nobody has looked yet: the notice is due all the same
    world.live(partial(rounds, steward(world, Listening())))
    assert told == []
    assert "just being looked at" in str(world.facts(call)[-1])
    drive(world, call)
    world.now += 10_000
    world.live(partial(rounds, steward(world, Listening())))
    assert [picture["fields"][1]["text"] for data in told for picture in data["preview"]] == ["0"]
    assert told[0]["preview"][0]["at"].endswith("Z")


def test_whoever_decides_while_it_is_looked_at_again_makes_nobody_look_twice():
    """A yes is being released, which takes as long as the system takes to answer; meanwhile bob says no."""
    slow = charge()
    slow.meanwhile = partial(asyncio.sleep, 0.4)
    world = bank(charge(), slow)
    call = waits(world)
    print_ = shown(world.record(call), "finance")
    no = Decision(approve=False, by="bob", group="finance", fingerprint=print_, via="token")
    world.live(partial(world.vote, call))

    async def story() -> object:
        try:
            return await Decisions(world.engine()).vote(call, no)
        except Stale as stale:
            return stale

    assert isinstance(world.live(story), Stale)
    assert world.effects == 1
    assert isinstance(world.upstream, Bank)
    assert world.upstream.reads == 2


def test_a_picture_of_another_request_is_shown_to_nobody():
    """After an edit the old picture stays beside the call until the new one is there."""
    world = bank()
    call = waits(world)
    record, payload = world.record(call), world.journal.payloads[call]
    assert [picture["name"] for picture in pictures_in(record, payload)] == ["charge"]
    other = replace(record.sight, wanted=("charge", "other"), pictures=(replace(looks(world, call)[0], name="other"),))
    assert pictures_in(record.evolve(sight=other), payload) == []


def edit(world: World, call: str, amount: int) -> Any:
    print_ = shown(world.record(call), "finance")
    yes = Decision(approve=True, by="ann", group="finance", fingerprint=print_, via="token")
    return world.live(lambda: Decisions(world.engine()).edit(call, yes, {"amount": amount}))


def test_an_edit_is_no_yes_to_what_nobody_has_seen():
    """What was shown was of the request as it was; who edits is asked with what the system says of the new one."""
    world = bank(charge(), charge(amount_refunded=4000), charge(amount_refunded=4000))
    call = waits(world)
    edit(world, call, 4)
    drive(world, call)
    assert world.effects == 0
    assert world.kinds(call)[4:] == ["Edited", "Judged", "Asked", "Previewed"]
    assert pictures(world, call)[0]["fields"][1]["text"] == "4000"
    approve(world, call)
    assert world.effects == 1


def test_an_edit_is_a_yes_where_nothing_is_bound():
    world = World(generation=looking(UNBOUND), upstream=Bank())
    call = waits(world)
    edit(world, call, 4)
    assert world.effects == 1
