"""Whose yes counts: membership, quorum, distinct people, nobody for their own request, nothing but what was shown."""

from dataclasses import replace

import pytest

from gateway.core.approval import (
    Decision,
    NotEligible,
    Stale,
    eligible,
    lacking,
    may_vote,
    met,
    question,
    shown,
    unmanned,
)
from gateway.core.facts import Approved, Expired
from gateway.core.verdict import Requirement
from tests.company import AGENTS, GROUPS, PEOPLE, ROUTES, with_group
from tests.playbook import (
    ALLOW,
    CALL,
    EXPIRE,
    FINANCE,
    FINANCE_EDITED,
    HOLD,
    LEGAL,
    OTHER_PRINT,
    PRINT,
    TOMORROW,
    Playbook,
    answered,
    asked,
    claimed,
    judged,
    no,
    yes,
)

QUORUM_2 = with_group("finance", quorum=2)


def held(*requirements: Requirement) -> Playbook:
    wanted = requirements or (FINANCE,)
    return Playbook() >> judged("hold", *wanted) >> asked(*wanted)


def decision(story: Playbook, by: str = "ann", group: str = "finance", *, approve: bool = True) -> Decision:
    return Decision(approve=approve, by=by, group=group, fingerprint=shown(story.record, group), via="token")


def vote(story: Playbook, by: str = "ann", group: str = "finance", routes=ROUTES, **changes):
    told = replace(decision(story, by, group), **changes)
    return may_vote(story.record, told, routes, now=story.now).requirements


# --- Who may decide -------------------------------------------------------------------------------------------------


def test_a_member_who_is_an_approver_may_decide():
    assert vote(held()) == (FINANCE,)


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("olga", "owns"),  # the agent's owner
        ("carl", "role"),  # a member who is no approver
        ("ghost", "not declared"),  # a member who is no person
        ("dora", "not declared"),
    ],
)
def test_who_may_not_decide_is_told_why(by, why):
    with pytest.raises(NotEligible, match=why):
        vote(held(), by)


def test_the_person_on_whose_behalf_the_agent_acts_may_not_decide():
    story = Playbook(replace(CALL, user="ann")) >> HOLD >> asked(FINANCE)
    with pytest.raises(NotEligible, match="requested"):
        vote(story, "ann")
    assert vote(story, "bob") == (FINANCE,)


def test_a_person_outside_the_group_may_not_decide():
    routes = with_group("finance", members=("bob",))
    with pytest.raises(NotEligible, match="member"):
        vote(held(), "ann", routes=routes)


def test_nobody_decides_about_an_agent_that_is_no_longer_declared():
    routes = replace(ROUTES, agents={})
    assert eligible(held().record, GROUPS["finance"], "ann", ROUTES, at=0)
    assert not eligible(held().record, GROUPS["finance"], "ann", routes, at=0)


# --- When, and about what -------------------------------------------------------------------------------------------


def test_nobody_decides_after_the_time_is_over():
    story = held()
    assert vote(story.at(EXPIRE - 1)) == (FINANCE,)
    with pytest.raises(Stale, match="time"):
        vote(story.at(EXPIRE))


OVER = {
    "never held": Playbook() >> ALLOW,
    "not judged": Playbook(),
    "rejected": held() >> no("bob"),
    "expired": held() >> Expired(),
    "being sent": held() >> yes("bob") >> ALLOW >> claimed(),
    "answered": held() >> yes("bob") >> ALLOW >> claimed() >> answered(),
    "denied meanwhile": held() >> judged("deny"),
}


@pytest.mark.parametrize("story", OVER.values(), ids=OVER.keys())
def test_a_decision_about_a_call_that_no_longer_waits_is_stale(story):
    with pytest.raises(Stale):
        vote(story)


def test_a_decision_for_a_group_that_was_not_asked_is_stale():
    with pytest.raises(Stale, match="legal"):
        vote(held(), group="legal")


def test_a_group_that_no_longer_exists_cannot_decide():
    with pytest.raises(Stale):
        vote(held(), routes=replace(ROUTES, groups={}))


@pytest.mark.parametrize("fingerprint", [PRINT, OTHER_PRINT, ""])
def test_a_decision_about_anything_but_what_was_shown_is_stale(fingerprint):
    with pytest.raises(Stale, match="changed"):
        vote(held(), fingerprint=fingerprint)


def test_what_was_shown_to_one_group_is_not_what_was_shown_to_another():
    story = held(FINANCE, LEGAL)
    with pytest.raises(Stale):
        vote(story, group="legal", fingerprint=shown(story.record, "finance"))


def test_a_forbid_edited_after_it_was_shown_makes_the_decision_stale():
    story = held()
    before = shown(story.record, "finance")
    story = story.deployed(TOMORROW) >> judged("hold", FINANCE_EDITED, generation=TOMORROW)
    with pytest.raises(Stale):
        vote(story, fingerprint=before)
    story = story >> asked(FINANCE_EDITED)
    with pytest.raises(Stale):
        vote(story, fingerprint=before)
    assert vote(story) == (FINANCE_EDITED,)


def test_a_forbid_that_appeared_after_the_notice_is_not_lifted_by_an_answer_to_it():
    appeared = Requirement("finance", "sundays", "text-9")
    story = held()
    before = shown(story.record, "finance")
    story = story.deployed(TOMORROW) >> judged("hold", FINANCE, appeared, generation=TOMORROW) >> asked(appeared)
    with pytest.raises(Stale):
        vote(story, fingerprint=before)
    assert set(vote(story)) == {FINANCE, appeared}


def test_other_bytes_or_another_upstream_make_the_decision_stale():
    story = held()
    before = shown(story.record, "finance")
    story = story >> judged("hold", FINANCE, fingerprint=OTHER_PRINT)
    assert question(story.record, "finance") == ()  # not asked about these bytes yet
    with pytest.raises(Stale):
        vote(story, fingerprint=before)
    story = story >> asked(FINANCE, fingerprint=OTHER_PRINT)
    with pytest.raises(Stale):
        vote(story, fingerprint=before)
    assert vote(story) == (FINANCE,)


def test_what_is_shown_does_not_depend_on_the_order_of_the_forbids():
    other = Requirement("finance", "sundays", "text-9")
    assert shown(held(FINANCE, other).record, "finance") == shown(held(other, FINANCE).record, "finance")


# --- One person counts once ----------------------------------------------------------------------------------------


def test_one_person_cannot_decide_twice():
    story = held() >> yes("ann") >> judged("hold", FINANCE)
    with pytest.raises(NotEligible, match="once"):
        vote(story, "ann", routes=QUORUM_2)
    assert vote(story, "bob", routes=QUORUM_2) == (FINANCE,)


def test_whoever_said_yes_may_take_it_back_by_saying_no():
    story = held() >> yes("ann") >> judged("hold", FINANCE)
    assert vote(story, "ann", routes=QUORUM_2, approve=False) == (FINANCE,)
    with pytest.raises(NotEligible):
        vote(story, "carl", routes=QUORUM_2, approve=False)


def test_one_person_in_two_groups_counts_for_the_first_only():
    story = held(FINANCE, LEGAL) >> yes("ann") >> judged("hold", LEGAL)
    with pytest.raises(NotEligible, match="once"):
        vote(story, "ann", "legal")
    assert total(yes("ann", FINANCE), yes("ann", LEGAL)) == {FINANCE}


def test_the_same_person_may_answer_for_the_group_again_when_it_is_asked_something_new():
    story = held() >> yes("ann") >> judged("hold", FINANCE_EDITED, generation=TOMORROW) >> asked(FINANCE_EDITED)
    assert vote(story, "ann") == (FINANCE_EDITED,)
    assert total(yes("ann", FINANCE), yes("ann", FINANCE_EDITED)) == {FINANCE, FINANCE_EDITED}


# --- What the votes add up to ---------------------------------------------------------------------------------------


def voted(*votes: Approved, call=CALL):
    return replace(Playbook(call).record, votes=votes)


def total(*votes: Approved, routes=ROUTES, fingerprint=PRINT, call=CALL, now=0):
    return met(voted(*votes, call=call), fingerprint=fingerprint, routes=routes, now=now)


def test_without_votes_nothing_is_met():
    assert total() == frozenset()


def test_a_vote_meets_only_the_forbids_it_named():
    assert total(yes("ann")) == {FINANCE}
    assert FINANCE_EDITED not in total(yes("ann"))


def test_a_quorum_takes_distinct_people():
    assert total(yes("ann"), yes("ann"), routes=QUORUM_2) == frozenset()
    assert total(yes("ann"), yes("bob"), routes=QUORUM_2) == {FINANCE}


def test_a_vote_for_another_fingerprint_is_void():
    assert total(yes("ann", fingerprint=OTHER_PRINT)) == frozenset()
    assert total(yes("ann"), yes("bob", fingerprint=OTHER_PRINT), routes=QUORUM_2) == frozenset()


@pytest.mark.parametrize(
    "routes",
    [
        with_group("finance", members=("bob",)),
        replace(ROUTES, people={**PEOPLE, "ann": replace(PEOPLE["ann"], roles=frozenset())}),
        replace(ROUTES, people={}),
        replace(ROUTES, groups={}),
        replace(ROUTES, agents={**AGENTS, "billing-bot": replace(AGENTS["billing-bot"], owner="ann")}),
    ],
    ids=["left the group", "lost the role", "left the company", "the group is gone", "became the owner"],
)
def test_eligibility_is_checked_again_at_every_judging(routes):
    assert total(yes("ann")) == {FINANCE}
    assert total(yes("ann"), routes=routes) == frozenset()


@pytest.mark.parametrize("by", ["olga", "carl", "ghost"])
def test_a_recorded_vote_of_somebody_who_may_not_decide_does_not_count(by):
    assert total(yes(by)) == frozenset()


def test_the_requester_does_not_count():
    assert total(yes("ann"), call=replace(CALL, user="ann")) == frozenset()


def test_a_vote_cannot_meet_the_forbid_of_another_group():
    smuggled = replace(yes("ann"), requirements=(FINANCE, LEGAL))
    assert total(smuggled) == {FINANCE}


@pytest.mark.parametrize(
    ("votes", "routes", "expected"),
    [
        ((), ROUTES, 1),
        ((yes("ann"),), QUORUM_2, 1),
        ((yes("ann"),), with_group("finance", quorum=2, members=("bob", "carl")), 2),
        ((yes("ann", fingerprint=OTHER_PRINT),), ROUTES, 1),
    ],
    ids=["nobody voted", "one of two", "the one of two left", "for other bytes"],
)
def test_a_hold_says_how_many_more_people_it_takes(votes, routes, expected):
    assert lacking(voted(*votes), HOLD, routes) == (expected,)


# --- Somebody who can answer ----------------------------------------------------------------------------------------


def test_a_group_is_unmanned_for_an_agent_when_too_few_may_ever_decide():
    agent = AGENTS["billing-bot"]
    assert not unmanned(GROUPS["finance"], agent, ROUTES)
    assert not unmanned(replace(GROUPS["finance"], quorum=2), agent, ROUTES)
    assert unmanned(replace(GROUPS["finance"], quorum=3), agent, ROUTES)  # olga owns the agent, carl only reads
    assert unmanned(replace(GROUPS["finance"], members=("olga",)), agent, ROUTES)
    assert unmanned(replace(GROUPS["finance"], members=("ghost", "carl")), agent, ROUTES)
