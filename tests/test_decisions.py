"""What people may do to a held call beside yes and no: change it, take a yes back, end it; and who hears of the end."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest

from gateway.core.approval import CannotEdit, Decision, NotEligible, Stale, shown
from gateway.core.facts import Approved, Cancelled, Delivered, Edited, Lost, Reported
from gateway.core.lifecycle import Finish, Wait
from gateway.core.payload import Answer, unpack_answer, unpack_request
from gateway.core.routes import Escalation
from gateway.core.verdict import Requirement
from gateway.decisions import Decisions
from gateway.doors.rendering import edited_fields, status_document
from gateway.ports import SendLost
from tests.company import CAPTURE, FINANCE, HOLDING, Policies, allow, with_group
from tests.world import Behaviour, FakeReply, World, held, settle

pytestmark = pytest.mark.usefixtures("no_pauses")


def decision(world: World, call: str, by: str = "ann", **changes) -> Decision:
    told = Decision(approve=True, by=by, group="finance", fingerprint=shown(world.record(call), "finance"), via="token")
    return replace(told, **changes)


def decide(world: World, act, call: str, *args, **how):
    """One decision in a life of its own; what it lets happen happens."""

    async def story():
        try:
            return await getattr(Decisions(world.engine()), act)(call, *args, **how)
        except (CannotEdit, NotEligible, Stale) as error:
            return error

    return world.live(story)


def limit(amount: int):
    """Held above an amount, denied above ten times that."""

    def decide_(question, met):
        asked, verdict = question.input["amount"], allow(question, met)
        if asked > 10 * amount:
            return replace(verdict, decision="deny", reasons=("Never that much.",))
        if asked > amount and FINANCE not in met:
            return replace(verdict, decision="hold", requirements=(FINANCE,))
        return replace(verdict, requirements=(FINANCE,) if asked > amount else ())

    return replace(HOLDING, policies=Policies(decide_))


def small(amount: int = 50) -> tuple[World, str]:
    return held(World(generation=limit(5)), amount=amount)


def sent(world: World) -> list[int]:
    return [json.loads(body)["amount"] for body in world.upstream.effects]


# --- Edit and approve -----------------------------------------------------------------------------------------------


def test_an_edit_is_judged_anew_and_executed_instead_of_what_was_asked():
    world, call = small()
    before = world.record(call)
    decide(world, "edit", call, decision(world, call), {"amount": 20})
    assert sent(world) == [20]
    edit = next(fact for fact in world.facts(call) if isinstance(fact, Edited))
    yes = next(fact for fact in world.facts(call) if isinstance(fact, Approved))
    assert (edit.by, edit.changed, edit.before) == ("ann", ("amount",), before.asked_fingerprint)
    assert edit.fingerprint == yes.fingerprint != before.asked_fingerprint
    first = world.record(call).first
    assert first is not None and first.fingerprint == edit.fingerprint
    payload = world.live(partial(world.journal.payload, call))
    assert json.loads(unpack_request(payload["original"]).body) == {"amount": 50}


def test_an_edit_below_the_limit_needs_no_approval_any_more():
    world, call = small()
    decide(world, "edit", call, decision(world, call), {"amount": 5})
    assert sent(world) == [5]
    assert "Approved" not in world.kinds(call)


def test_an_edit_that_is_denied_changes_nothing():
    world, call = small()
    before = world.facts(call)
    error = decide(world, "edit", call, decision(world, call), {"amount": 51})
    assert isinstance(error, CannotEdit) and "denied: Never that much." in str(error)
    assert world.facts(call) == before and sent(world) == []
    decide(world, "vote", call, decision(world, call))
    assert sent(world) == [50]


def test_an_edit_is_no_yes_to_a_forbid_that_was_not_shown():
    larger = Requirement("finance", "over-15", "text-9")

    def decide_(question, met):
        unmet = tuple(
            item for item, least in ((FINANCE, 5), (larger, 15))
            if question.input["amount"] > least and item not in met
        )  # fmt: skip
        return replace(allow(question, met), decision="hold" if unmet else "allow", requirements=unmet)

    world, call = held(World(generation=replace(HOLDING, policies=Policies(decide_))), amount=10)
    decide(world, "edit", call, decision(world, call), {"amount": 20})
    assert sent(world) == []
    assert world.record(call).asked == (larger,)
    decide(world, "vote", call, decision(world, call))
    assert sent(world) == [20]


def test_what_the_agent_asked_for_stays_beside_however_often_it_is_edited():
    world, call = held(World(generation=replace(limit(5), routes=with_group("finance", quorum=2))), amount=50)
    for by, amount in (("ann", 40), ("bob", 30)):
        decide(world, "edit", call, decision(world, call, by), {"amount": amount})
    payload = world.live(partial(world.journal.payload, call))
    assert json.loads(unpack_request(payload["original"]).body) == {"amount": 50}
    assert json.loads(unpack_request(payload["request"]).body) == {"amount": 30}


def test_an_edit_voids_the_votes_of_others():
    routes = with_group("finance", quorum=2)
    world, call = held(World(generation=replace(limit(5), routes=routes)), amount=50)
    decide(world, "vote", call, decision(world, call, "ann"))
    decide(world, "edit", call, decision(world, call, "bob"), {"amount": 20})
    assert sent(world) == []
    record = world.record(call)
    assert record.judged is not None and record.judged.lacking == (1,)
    assert world.kinds(call).count("Asked") == 2  # ann has to look at the new amount
    decide(world, "vote", call, decision(world, call, "ann"))
    assert sent(world) == [20]


@pytest.mark.parametrize("by", ["olga", "carl", "stranger"])
def test_who_may_not_decide_may_not_edit(by):
    world, call = small()
    assert isinstance(decide(world, "edit", call, decision(world, call, by), {"amount": 20}), NotEligible)
    assert "Edited" not in world.kinds(call)


def test_an_edit_of_what_was_not_shown_is_stale():
    world, call = small()
    stale = decision(world, call, fingerprint="0" * 64)
    assert isinstance(decide(world, "edit", call, stale, {"amount": 20}), Stale)


def test_a_repeated_edit_changes_nothing():
    world, call = held(World(generation=replace(limit(5), routes=with_group("finance", quorum=2))), amount=50)
    told = decision(world, call, message="msg_1")
    decide(world, "edit", call, told, {"amount": 20})
    once = world.kinds(call)
    decide(world, "edit", call, told, {"amount": 20})
    assert world.kinds(call) == once


def test_the_agent_is_told_what_was_changed():
    world, call = small()
    decide(world, "edit", call, decision(world, call, reason="half is enough"), {"amount": 20})
    life = world.live(partial(world.load, call))
    told = status_document(life.record, None, life.generation.readmit(life.record.call, world.live(
        partial(world.journal.payload, call))))  # fmt: skip
    assert told["edited"] == {"by": "ann", "reason": "half is enough", "changed": ["amount"], "now": {"amount": 20}}
    assert edited_fields(life.record) == [(b"gateway-edited", b"amount")]


def test_a_retry_of_the_original_request_gets_the_edited_calls_answer():
    world, call = small()
    decide(world, "edit", call, decision(world, call), {"amount": 20})
    life, step = world.live(partial(world.ask, amount=50, key="another key"))
    assert life.record.call.id == call and isinstance(step, Finish)
    assert sent(world) == [20]


# --- Undo -----------------------------------------------------------------------------------------------------------


def undoable() -> tuple[World, str]:
    return held(World(generation=replace(HOLDING, routes=with_group("finance", undo_seconds=10.0))))


def test_a_yes_waits_until_it_can_no_longer_be_taken_back():
    world, call = undoable()
    decide(world, "vote", call, decision(world, call))
    assert world.effects == 0
    _, step = world.live(partial(world.engine().unattended, call))
    assert step == Wait(world.now + 10_000)
    kinds = world.kinds(call)
    world.live(partial(world.engine().unattended, call))
    assert world.kinds(call) == kinds  # looking at it writes nothing
    world.now += 10_000
    world.live(partial(world.engine().unattended, call))
    assert world.effects == 1


def test_the_steward_releases_it_with_nobody_waiting():
    world, call = undoable()
    decide(world, "vote", call, decision(world, call))
    world.steward()
    assert world.effects == 1


def test_a_yes_that_was_taken_back_releases_nothing_and_the_group_is_asked_again():
    world, call = undoable()
    decide(world, "vote", call, decision(world, call))
    decide(world, "retract", call, by="ann", group="finance", via="token")
    world.now += 10_000
    world.live(partial(world.engine().unattended, call))
    assert world.effects == 0
    assert world.kinds(call).count("Asked") == 2
    decide(world, "vote", call, decision(world, call, "bob"))
    world.steward()
    assert world.effects == 1


def test_a_callback_of_a_yes_that_was_taken_back_counts_never_again():
    world, call = undoable()
    told = decision(world, call, message="msg_1")
    decide(world, "vote", call, told)
    decide(world, "retract", call, by="ann", group="finance", via="token", message="msg_2")
    decide(world, "vote", call, told)  # the same callback once more
    decide(world, "vote", call, decision(world, call, message="msg_3"))
    decide(world, "retract", call, by="ann", group="finance", via="token", message="msg_2")
    assert [vote.message for vote in world.record(call).votes] == ["msg_3"]


def test_meanwhile_somebody_else_may_say_no_at_once():
    world, call = undoable()
    decide(world, "vote", call, decision(world, call))
    decide(world, "vote", call, decision(world, call, "bob", approve=False))
    world.steward()
    assert world.effects == 0 and "Rejected" in world.kinds(call)


def test_it_is_too_late_to_take_back_what_was_sent():
    world, call = held()
    decide(world, "vote", call, decision(world, call))
    assert isinstance(decide(world, "retract", call, by="ann", group="finance", via="token"), Stale)
    assert world.effects == 1


# --- Cancel ---------------------------------------------------------------------------------------------------------


def test_the_owner_ends_a_held_call():
    world, call = held()
    decide(world, "cancel", call, by="olga", via="token", reason="The run was stopped.")
    assert status_document(world.record(call))["reason"] == "The run was stopped."
    refusal = world.record(call).refusal
    assert isinstance(refusal, Cancelled) and refusal.reason == "The run was stopped."
    assert isinstance(decide(world, "vote", call, decision(world, call)), Stale)
    kinds = world.kinds(call)
    assert not isinstance(decide(world, "cancel", call, by="olga", via="token"), Stale)  # saying so again is no error
    assert world.kinds(call) == kinds and world.effects == 0


# --- The end is told to those who were asked ------------------------------------------------------------------------


def reports(world: World, call: str) -> list[str]:
    return [fact.kind for fact in world.facts(call) if isinstance(fact, Reported)]


@pytest.mark.parametrize("end", ["vote", "reject", "cancel", "expire", "withdraw"])
def test_every_end_is_told_once(end):
    world, call = held()
    match end:
        case "vote":
            decide(world, "vote", call, decision(world, call))
        case "reject":
            decide(world, "vote", call, decision(world, call, approve=False))
        case "cancel":
            decide(world, "cancel", call, by="olga", via="token")
        case "withdraw":
            decide(world, "withdraw", call, "billing-bot")
    world.steward()
    world.live(partial(world.engine().unattended, call))
    world.live(partial(world.engine().note, call, Delivered()))
    assert reports(world, call) == ["call.finished"]
    assert [it.kind for it in world.record(call).notices][-1] == "call.finished"


def test_a_doubt_is_told_and_then_its_end():
    world, call = held()
    world.upstream.script = [Behaviour(raises=SendLost("reset"))]
    decide(world, "vote", call, decision(world, call))
    assert reports(world, call) == ["call.in_doubt"]
    world.now += 60_000
    decide(world, "resolve", call, by="olga", acted=True, note="", answer=None)
    assert reports(world, call) == ["call.in_doubt", "call.finished"]


def held_with_little_storage():
    agents = HOLDING.routes.agents
    little = replace(HOLDING.routes, agents={**agents, "billing-bot": replace(agents["billing-bot"], storage=4096)})
    return held(World(generation=replace(HOLDING, routes=little)))


def test_the_answer_to_what_people_approved_is_kept_however_much_is_stored_for_the_agent():
    world, call = held_with_little_storage()
    world.upstream.script = [Behaviour(reply=FakeReply(200, body=b"x" * 8192))]
    decide(world, "vote", call, decision(world, call))
    answered = world.record(call).answer
    assert answered is not None and answered.kept
    assert unpack_answer(world.journal.payloads[call]["answer"]).body == b"x" * 8192


def test_what_an_operator_says_of_a_doubt_is_kept_however_much_is_stored_for_the_agent():
    world, call = held_with_little_storage()
    world.upstream.script = [Behaviour(raises=SendLost("reset"))]
    decide(world, "vote", call, decision(world, call))
    world.now += 60_000
    answer = Answer(status=201, headers=(), body=b"x" * 8192)
    settled = decide(world, "resolve", call, by="olga", acted=True, note="", answer=answer)
    assert settled.resolved is not None and settled.resolved.status == 201
    assert unpack_answer(world.journal.payloads[call]["answer"]) == answer


def test_nobody_is_told_of_calls_that_nobody_was_asked_about():
    world = World()
    world.live(world.ask)
    assert reports(world, world.calls[0]) == []


# --- The ladder, driven by due times --------------------------------------------------------------------------------


def test_a_ladder_of_a_day_is_climbed_by_due_times_alone_rung_by_rung_once():
    routes = with_group(
        "finance", remind_seconds=(900.0,), escalations=(Escalation(after_seconds=3600.0, people=("bob",)),),
        expire_seconds=24 * 3600.0,
    )  # fmt: skip
    world, call = held(World(generation=replace(HOLDING, routes=routes)))
    begun = world.now
    world.steward()
    kinds = [kind for kind in world.kinds(call) if kind in ("Asked", "Reminded", "Escalated", "Expired")]
    assert kinds == ["Asked", "Reminded", "Escalated", "Escalated", "Expired"]
    assert world.now == begun + 24 * 3_600_000
    assert [it.kind for it in world.record(call).notices] == [
        "approval.requested", "approval.reminded", "approval.escalated", "approval.escalated", "call.finished",
    ]  # fmt: skip


def test_two_stewards_climb_a_rung_once():

    world, call = held(World(generation=replace(HOLDING, routes=with_group("finance", remind_seconds=(900.0,)))))
    world.now += 900_000

    async def story():
        await asyncio.gather(*(world.engine().unattended(call) for _ in range(5)))
        await settle()

    world.live(story)
    assert world.kinds(call).count("Reminded") == 1


def test_every_rung_survives_a_restart_before_it():
    routes = with_group("finance", remind_seconds=(60.0, 120.0), expire_seconds=3600.0)
    world, call = held(World(generation=replace(HOLDING, routes=routes)))
    for rung in (1, 2):
        world.restart(later=60_000)
        world.live(partial(world.engine().unattended, call))
        assert world.kinds(call).count("Reminded") == rung


def test_nobody_decides_on_a_call_that_may_have_been_sent():
    """Its record says what was sent, for whoever settles it; and a new yes would send it again."""
    world, call = held(wanted=CAPTURE, amount=50)
    before = decision(world, call, "bob")
    world.upstream.script = [Behaviour(raises=SendLost("timed out"))]
    decide(world, "vote", call, decision(world, call))
    world.generation = replace(HOLDING, routes=with_group("finance", members=("bob", "carl")), digest="generation-2")
    world.now += 1_000
    world.live(partial(world.engine().unattended, call))
    record = world.record(call)
    assert isinstance(world.outcome(call), Lost) and record.judged is not None
    assert record.judged.verdict.decision == "hold"  # ann's yes does not count any more
    asked = replace(before, fingerprint=shown(record, "finance"))
    for act, more in (("vote", ()), ("edit", ({"amount": 20},))):
        assert isinstance(decide(world, act, call, asked, *more), Stale)
    assert "Edited" not in world.kinds(call) and world.upstream.sends == 1


def test_nobody_is_reminded_of_what_everybody_has_said_yes_to():
    """A yes that can be taken back for long does not count yet, but it was given; the ladder goes on if it is taken."""
    routes = with_group(
        "finance", undo_seconds=600.0, remind_seconds=(60.0,),
        escalations=(Escalation(after_seconds=120.0, people=("olga",)),),
    )  # fmt: skip
    world, call = held(World(generation=replace(HOLDING, routes=routes)))
    decide(world, "vote", call, decision(world, call))
    world.now += 130_000
    world.live(partial(world.engine().unattended, call))
    assert not {"Reminded", "Escalated"} & set(world.kinds(call))
    decide(world, "retract", call, by="ann", group="finance", via="token")
    world.live(partial(world.engine().unattended, call))
    assert world.kinds(call).count("Asked") == 2
    world.now += 130_000
    world.live(partial(world.engine().unattended, call))
    assert {"Reminded", "Escalated"} <= set(world.kinds(call))
