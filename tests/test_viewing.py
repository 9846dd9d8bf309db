"""Who is shown the arguments of a held call is written down first; and whoever cannot be is not shown them."""

from functools import partial

import pytest

from gateway.core.facts import Judged, Viewed
from gateway.judging import admission_of
from gateway.viewing import opened
from tests.world import RUNNER, Fault, held


def open_(world, call, by="ann"):
    return world.live(partial(opened, world.engine(), call, by=by, via="token"))


def views(world, call):
    return [(fact.by, fact.via, fact.fingerprint) for fact in world.facts(call) if isinstance(fact, Viewed)]


def test_a_person_is_written_down_once_for_what_they_saw():
    world, call = held()
    seen = world.record(call).asked_fingerprint
    for by in ("ann", "ann", "bob", "ann"):
        view = open_(world, call, by)
        assert view.hidden == "" and view.life.record.call.id == call
    assert views(world, call) == [("ann", "token", seen), ("bob", "token", seen)]


def test_they_are_written_down_again_when_it_is_something_else():
    world, call = held()
    open_(world, call)

    async def changes():
        life = await world.load(call)
        assert life.record.judged is not None
        life.add(Judged(verdict=life.record.judged.verdict, generation="g", fingerprint="other", at=world.now))
        await world.engine().flush(life)

    world.live(changes)
    open_(world, call)
    assert [seen for _, _, seen in views(world, call)] == [world.record(call).asked_fingerprint, "other"]


def test_nothing_changes_for_the_question_and_a_vote_counts_as_before():
    world, call = held()
    before = world.record(call)
    due = world.journal.due_times[call]
    open_(world, call)
    after = world.record(call)
    assert after.evolve(version=0) == before.evolve(version=0) and world.journal.due_times[call] == due
    world.live(partial(world.vote, call))
    world.live(partial(world.engine().unattended, call))
    assert world.effects == 1


def test_whoever_writes_at_the_same_moment_is_not_in_the_way():
    world, call = held()
    world.journal.faults = [Fault(Viewed, "conflict", times=2)]
    assert open_(world, call).hidden == ""
    assert len(views(world, call)) == 1


@pytest.mark.parametrize("persists", [False, True])
def test_no_record_no_disclosure(persists):
    world, call = held()
    world.journal.faults = [Fault(Viewed, "unavailable", persists=persists)]
    view = open_(world, call)
    assert "cannot record that you saw them (the reply was lost)" in view.hidden
    assert all(not isinstance(fact, Viewed) for fact in view.life.facts) or persists
    assert open_(world, call).hidden == "", "and the next time they see it"
    assert len(views(world, call)) == 1


def test_nobody_has_seen_what_is_not_kept_any_more():
    world, call = held()
    del world.journal.payloads[call]["request"]
    view = open_(world, call)
    assert view.hidden and views(world, call) == [], "nothing is shown, also if it can be read a moment later"


def test_a_call_that_is_not_there():
    world, _ = held()
    assert open_(world, "00" + "ab" * 11) is None


def test_what_was_written_is_what_is_shown():
    world, call = held()
    view = open_(world, call)
    admission = RUNNER.run(admission_of(view.life, world.journal))
    assert admission.call.fingerprint == views(world, call)[0][2]
