"""Clocks that disagree or jump: a yes counts once, nothing is executed that nobody said yes to, nothing strands.

The time of every fact is the journal's. A process estimates it and may be behind; the machine below the journal may be
set an hour forward or back while a call is held.
"""

from dataclasses import replace
from functools import partial

import pytest

from gateway.core.approval import Decision, NotEligible, Stale, shown
from gateway.core.lifecycle import Wait
from gateway.core.routes import Escalation
from gateway.core.verdict import Requirement
from gateway.decisions import Decisions
from tests.company import FINANCE, HOLDING, Generation, Policies, holding, with_group
from tests.world import BreakableJournal, World, held

pytestmark = pytest.mark.usefixtures("no_pauses")
HOUR = 3_600_000
LEGAL = Requirement("legal", "abroad", "text-2")


class Behind(BreakableJournal):
    """The journal as another host's process sees it: its estimate of the time is a little late."""

    lag = 5

    def now(self) -> int:
        return BreakableJournal.now(self) - self.lag


def hold(**changes) -> tuple[World, str]:
    return held(World(generation=replace(HOLDING, routes=with_group("finance", **changes))))


def say(world: World, call: str, act: str = "vote", *, by: str = "ann", group: str = "finance"):
    """One decision in a life of its own; what it lets happen happens."""

    async def story():
        decisions = Decisions(world.engine())
        try:
            if act == "retract":
                return await decisions.retract(call, by=by, group=group, via="token")
            fingerprint = shown((await world.load(call)).record, group)
            told = Decision(approve=True, by=by, group=group, fingerprint=fingerprint, via="token")
            return await decisions.vote(call, told)
        except (NotEligible, Stale) as error:
            return error

    return world.live(story)


def look(world: World, call: str):
    """The steward's look at it; the step at which it stands."""
    return world.live(partial(world.engine().unattended, call))[1]


def seen_from_another_host(world: World) -> Behind:
    """The same journal, by a process whose clock is late. The world uses it from now on."""
    behind = Behind(world.clock)
    for name in ("calls", "payloads", "pointers", "executing", "held", "due_times", "notices", "ledger", "ends"):
        setattr(behind, name, getattr(world.journal, name))
    world.journal = behind
    return behind


def test_a_yes_counts_at_once_on_a_host_whose_clock_is_late():
    """The decision lands on one host; the connection that waits on another sees it before its own time reaches it."""
    world, call = hold()
    world.live(partial(world.vote, call))  # recorded; the process that recorded it has not driven the call on yet
    seen_from_another_host(world)
    look(world, call)
    assert world.effects == 1


def test_a_yes_that_could_be_taken_back_counts_though_it_was_weighed_a_moment_too_early():
    """A late process judges in the last milliseconds of `undo`; the journal writes that down as after them."""
    routes = with_group("finance", undo_seconds=10.0)
    world, call = held(World(generation=Generation(routes=routes, policies=Policies(holding(FINANCE, LEGAL)))))
    say(world, call)
    world.now += 10_002
    behind = seen_from_another_host(world)  # for it, 3 ms are missing
    say(world, call, by="bob", group="legal")
    behind.lag = 0
    world.now += 1_000
    look(world, call)
    assert world.effects == 1


@pytest.mark.parametrize("undo", [0.0, 10.0])
def test_a_clock_that_goes_back_an_hour_between_yes_and_release_strands_nothing(undo):
    world, call = hold(undo_seconds=undo, expire_seconds=4 * 3600)
    world.live(partial(world.vote, call)) if not undo else say(world, call)
    world.now -= HOUR
    step = look(world, call)
    assert world.effects == (0 if undo else 1)
    if undo:
        assert isinstance(step, Wait) and world.journal.due_times[call] - world.now <= HOUR + 10_000
        world.steward()
        assert world.effects == 1


def test_a_clock_that_goes_back_gives_nobody_a_second_vote_and_takes_no_reminder_twice():
    world, call = hold(quorum=2, remind_seconds=(900.0,), expire_seconds=4 * 3600)
    world.now += 900_000
    look(world, call)
    say(world, call)
    world.now -= HOUR
    assert isinstance(say(world, call), NotEligible)
    look(world, call)
    world.now += 2 * HOUR
    look(world, call)
    assert world.effects == 0 and world.kinds(call).count("Reminded") == 1


def test_a_clock_that_jumps_past_the_end_and_back_executes_nothing():
    world, call = hold(expire_seconds=1800)
    world.now += HOUR
    assert isinstance(say(world, call), Stale)  # also before anybody wrote that it is over
    look(world, call)
    assert "Expired" in world.kinds(call)
    world.now -= HOUR
    assert isinstance(say(world, call), Stale)
    world.steward()
    assert world.effects == 0


def test_a_clock_that_jumps_forward_climbs_each_rung_once_and_in_order():
    after = (Escalation(after_seconds=600.0, people=("bob",)),)
    world, call = hold(remind_seconds=(300.0,), escalations=after, expire_seconds=2 * 3600)
    for jump in (HOUR, -HOUR, HOUR):
        world.now += jump
        look(world, call)
    kinds = [kind for kind in world.kinds(call) if kind in ("Reminded", "Escalated", "Expired")]
    assert kinds == ["Reminded", "Escalated"] and world.effects == 0
    world.now += HOUR
    look(world, call)
    assert world.kinds(call).count("Expired") == 1


def test_a_yes_from_a_time_that_the_clock_took_back_can_still_be_taken_back():
    world, call = hold(undo_seconds=10.0, expire_seconds=4 * 3600)
    say(world, call)
    world.now -= HOUR
    say(world, call, "retract")
    world.steward(hours=3)
    assert world.effects == 0 and "Retracted" in world.kinds(call)
