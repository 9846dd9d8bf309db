"""A call that waited or was left behind is carried on as today's routes and policies say, or not at all."""

from dataclasses import replace
from functools import partial

import pytest

from gateway.core.facts import Answered, Judged, Lost
from gateway.core.lifecycle import Finish, Wait
from gateway.core.routes import Credential, SecretReference
from gateway.core.verdict import Requirement
from gateway.ports import SendLost
from tests.company import (
    CAPTURE,
    CHARGE,
    FINANCE,
    HOLDING,
    REFUND,
    REPORT,
    Generation,
    Policies,
    deny,
    holding,
    with_system,
    with_tool,
)
from tests.world import Behaviour, World, held

pytestmark = pytest.mark.usefixtures("no_pauses")
LOST = Behaviour(raises=SendLost("reset"))


# --- Edits while a call waits ------------------------------------------------------------------------------------

EDITS = {
    "upstream": with_system(origin="https://other.example"),
    "credential": with_system(credential=Credential("bearer", SecretReference("env", "OTHER_KEY"))),
    "base path": with_system(base_path="/v2"),
}


@pytest.mark.parametrize("routes", EDITS.values(), ids=EDITS.keys())
def test_an_edit_of_what_would_be_sent_voids_votes_and_asks_again_without_more_time(routes):
    world, call = held()
    before = world.record(call)
    assert before.expires_at is not None
    world.live(partial(world.vote, call))
    world.generation = replace(HOLDING, digest="generation-2", routes=routes)
    world.restart(later=1000)
    _, step = world.live(partial(world.engine().unattended, call))
    assert isinstance(step, Wait)
    assert world.record(call).expires_at == before.expires_at
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
    assert world.kinds(call).count("Asked") == 2
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


# --- Sending again -----------------------------------------------------------------------------------------------


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
