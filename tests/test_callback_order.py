"""Signed messages of approvers' systems that come twice, late, in another order, or under another's id."""

import json
from dataclasses import replace
from itertools import permutations

import pytest

from gateway.core.approval import CannotEdit, Decision, NotEligible, Stale, shown
from gateway.decisions import Decisions
from tests.company import FINANCE, HOLDING, Generation, Policies, holding, with_group
from tests.world import World, held

pytestmark = pytest.mark.usefixtures("no_pauses")


def undoable(**changes) -> tuple[World, str]:
    return held(World(generation=replace(HOLDING, routes=with_group("finance", undo_seconds=10.0, **changes))))


def told(world: World, call: str, message: str, by: str = "ann", **changes) -> Decision:
    """What somebody's system says about what it was shown just now."""
    fingerprint = shown(world.record(call), "finance")
    said = Decision(approve=True, by=by, group="finance", fingerprint=fingerprint, via="hook", message=message)
    return replace(said, **changes)


def send(world: World, act: str, call: str, *args, **how):
    """One message in a life of its own; the error is a value."""

    async def story():
        try:
            return await getattr(Decisions(world.engine()), act)(call, *args, **how)
        except (CannotEdit, NotEligible, Stale) as error:
            return error

    return world.live(story)


def take_back(world: World, call: str, message: str, by: str = "ann"):
    return send(world, "retract", call, by=by, group="finance", via="hook", message=message)


def sent(world: World) -> list[int]:
    return [json.loads(body)["amount"] for body in world.upstream.effects]


def test_a_retract_replayed_after_a_new_yes_takes_nothing_back():
    world, call = undoable()
    send(world, "vote", call, told(world, call, "m-1"))
    take_back(world, call, "m-2")
    send(world, "vote", call, told(world, call, "m-3"))
    facts = world.facts(call)
    take_back(world, call, "m-2")
    assert world.facts(call) == facts
    world.steward()
    assert world.effects == 1


def test_a_retract_of_a_yes_that_nobody_gave_is_not_kept_for_later():
    """It overtook its yes: it is refused, so its sender knows, and the yes stands until the sender says so again."""
    world, call = undoable()
    early = told(world, call, "m-1")
    assert isinstance(take_back(world, call, "m-2"), Stale)
    send(world, "vote", call, early)
    assert take_back(world, call, "m-2") and "Retracted" in world.kinds(call)
    world.steward()
    assert world.effects == 0


@pytest.mark.parametrize("by", ["bob", "carl", "olga", "stranger", ""])
def test_nobody_takes_back_somebody_elses_yes(by):
    world, call = undoable()
    send(world, "vote", call, told(world, call, "m-1"))
    assert isinstance(take_back(world, call, "m-2", by=by), Stale)
    world.steward()
    assert world.effects == 1


def test_one_id_for_two_decisions_is_refused_and_not_acknowledged():
    """Else a system that numbers its questions, not its messages, would believe that its no was recorded."""
    world, call = undoable(quorum=2)
    first = told(world, call, "m-1")
    send(world, "vote", call, first)
    facts = world.facts(call)
    for refused in (
        send(world, "vote", call, replace(first, approve=False)), send(world, "vote", call, replace(first, by="bob")),
        send(world, "edit", call, first, {"amount": 2}), take_back(world, call, "m-1"),
    ):  # fmt: skip
        assert isinstance(refused, Stale) and "webhook-id" in str(refused)
    assert world.facts(call) == facts
    send(world, "vote", call, first)
    assert world.facts(call) == facts


def test_an_edit_replayed_after_another_edit_changes_nothing():
    world, call = undoable(quorum=2)
    old = told(world, call, "m-1")
    send(world, "edit", call, old, {"amount": 2})
    send(world, "edit", call, told(world, call, "m-2", by="bob"), {"amount": 3})
    facts = world.facts(call)
    send(world, "edit", call, old, {"amount": 2})
    assert isinstance(send(world, "edit", call, replace(old, message="m-3"), {"amount": 2}), Stale)  # of old bytes
    assert world.facts(call) == facts and sent(world) == []


def test_an_edit_of_one_call_does_not_edit_another():
    world, one = undoable()
    _, two = held(world, key="key-2", amount=7)
    about_one = told(world, one, "m-1")
    assert isinstance(send(world, "edit", two, about_one, {"amount": 1}), Stale)
    assert "Edited" not in world.kinds(two) + world.kinds(one)


def test_a_yes_to_what_was_edited_meanwhile_is_stale():
    world, call = undoable(quorum=2)
    before = told(world, call, "m-1", by="bob")
    send(world, "edit", call, told(world, call, "m-2"), {"amount": 2})
    assert isinstance(send(world, "vote", call, before), Stale)
    assert isinstance(send(world, "vote", call, replace(before, approve=False)), Stale)
    world.steward()
    assert sent(world) == []


def test_an_edit_after_the_call_was_sent_or_refused_changes_nothing():
    for approve in (True, False):
        world, call = held()
        late = told(world, call, "m-1", by="bob")
        send(world, "vote", call, told(world, call, "m-2", approve=approve))
        facts = world.facts(call)
        assert isinstance(send(world, "edit", call, late, {"amount": 1}), Stale)
        assert world.facts(call) == facts and sent(world) == ([5] if approve else [])


def test_an_edit_after_the_time_to_decide_changes_nothing():
    world, call = held()
    late = told(world, call, "m-1")
    world.now += 3_600_000
    assert isinstance(send(world, "edit", call, late, {"amount": 1}), Stale)
    assert isinstance(take_back(world, call, "m-2"), Stale) and sent(world) == []


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_in_whatever_order_messages_arrive_nothing_acts_but_what_two_people_saw(order):
    """A yes, an edit by another, a yes to the edited call that was composed before it, and a yes that is taken back."""
    routes = with_group("finance", quorum=2, undo_seconds=1.0)
    world, call = held(World(generation=Generation(routes=routes, policies=Policies(holding(FINANCE)))))
    first = told(world, call, "m-0")
    messages = (
        lambda: send(world, "vote", call, first),
        lambda: send(world, "edit", call, replace(first, by="bob", message="m-1"), {"amount": 2}),
        lambda: send(world, "vote", call, replace(first, by="bob", message="m-2")),
        lambda: take_back(world, call, "m-3"),
    )
    for number in (*order, *order):  # and everything once more
        messages[number]()
    world.steward()
    votes = {(vote.by, vote.fingerprint) for vote in world.record(call).votes}
    assert len(sent(world)) == (
        1 if {by for by, _ in votes} == {"ann", "bob"} and len({f for _, f in votes}) == 1 else 0
    )
    assert sent(world) in ([], [5])
