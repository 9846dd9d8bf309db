"""Who may decide when: escalated people, absences and delegates, owners; and yeses that can still be taken back."""

from dataclasses import replace

import pytest

from gateway.core.approval import (
    Decision,
    NotEligible,
    Stale,
    lacking,
    may_cancel,
    may_retract,
    may_vote,
    met,
    shown,
    voters,
)
from gateway.core.facts import Claimed, Edited, Escalated, Expired, Retracted
from gateway.core.lifecycle import Ask, Judge, Wait
from gateway.core.routes import Away, Group, Person
from tests.company import AGENTS, PEOPLE, ROUTES, with_group
from tests.playbook import ALLOW, CALL, EXPIRE, FINANCE, HOLD, LEGAL, OTHER_PRINT, PRINT, Playbook, asked, judged, yes

WEEK = 7 * 24 * 3_600_000


def people(**changes: Person):
    return replace(ROUTES, people={**PEOPLE, **changes})


def approver(name: str, away: Away | None = None, roles: frozenset[str] = frozenset({"approver"})) -> Person:
    return Person(name=name, roles=roles, away=away)


def gone(delegate: str, begin: int = 0, until: int = WEEK) -> Away:
    return Away(begin=begin, until=until, delegate=delegate)


def held() -> Playbook:
    return Playbook() >> HOLD >> asked(FINANCE)


def who(story: Playbook, routes=ROUTES, at=0, group="finance"):
    return voters(story.record, routes.groups[group], routes, at=at)


def vote(story: Playbook, by: str, routes=ROUTES, **changes):
    told = Decision(approve=True, by=by, group="finance", fingerprint=shown(story.record, "finance"), via="token")
    return may_vote(story.record, replace(told, **changes), routes, now=story.now)


# --- Escalated ------------------------------------------------------------------------------------------------------


def test_whom_it_was_escalated_to_may_decide_from_then_on():
    routes = people(cfo=approver("cfo"))
    assert who(held(), routes) == {"ann": "", "bob": ""}
    with pytest.raises(NotEligible, match="not a member"):
        vote(held(), "cfo", routes)
    story = held() >> Escalated(group="finance", to=("cfo",), notices=())
    assert who(story, routes) == {"ann": "", "bob": "", "cfo": ""}
    assert vote(story, "cfo", routes).requirements == (FINANCE,)
    assert met((story >> yes("cfo")).record, fingerprint=PRINT, routes=routes, now=0) == {FINANCE}


def test_an_escalation_is_for_its_group_alone():
    routes = people(cfo=approver("cfo"))
    story = held() >> Escalated(group="legal", to=("cfo",), notices=())
    assert "cfo" not in who(story, routes)


@pytest.mark.parametrize("cfo", [None, approver("cfo", roles=frozenset({"auditor"}))])
def test_an_escalation_makes_nobody_an_approver(cfo):
    routes = people(**({"cfo": cfo} if cfo else {}))
    story = held() >> Escalated(group="finance", to=("cfo",), notices=())
    assert "cfo" not in who(story, routes)
    with pytest.raises(NotEligible):
        vote(story, "cfo", routes)


def test_the_agents_owner_may_not_decide_even_as_the_last_rung():
    story = held() >> Escalated(group="finance", to=("olga",), notices=())
    assert "olga" not in who(story)


# --- Away -----------------------------------------------------------------------------------------------------------


def test_a_delegate_decides_in_the_place_of_who_is_away():
    routes = people(ann=approver("ann", gone("zoe")), zoe=approver("zoe"))
    assert who(held(), routes) == {"bob": "", "zoe": "ann"}
    assert vote(held(), "zoe", routes).on_behalf == "ann"
    with pytest.raises(NotEligible, match=r"away until 1970-01-08.*'zoe' decides meanwhile"):
        vote(held(), "ann", routes)


def test_an_absence_begins_and_ends():
    routes = people(ann=approver("ann", gone("zoe", begin=10, until=20)), zoe=approver("zoe"))
    assert [set(who(held(), routes, at=at)) for at in (9, 10, 19, 20)] == [
        {"ann", "bob"}, {"zoe", "bob"}, {"zoe", "bob"}, {"ann", "bob"},
    ]  # fmt: skip


def test_a_delegate_who_is_a_member_has_one_vote_in_their_own_right():
    routes = people(ann=approver("ann", gone("bob")))
    assert who(held(), routes) == {"bob": ""}


@pytest.mark.parametrize(
    "zoe",
    [None, approver("zoe", roles=frozenset()), approver("zoe", gone("bob")), approver("zoe", gone("ann"))],
    ids=["nobody", "no approver", "away too", "away in a circle"],
)
def test_a_delegate_who_could_not_decide_decides_nothing(zoe):
    routes = people(ann=approver("ann", gone("zoe")), **({"zoe": zoe} if zoe else {}))
    assert who(held(), routes) == {"bob": ""}


def test_separation_of_duties_holds_through_a_delegate():
    """Neither may the owner send a delegate, nor may the owner be one."""
    owner_away = people(olga=approver("olga", gone("zoe")), zoe=approver("zoe"))
    assert "zoe" not in who(held(), owner_away)
    owner_delegate = people(ann=approver("ann", gone("olga")))
    assert "olga" not in who(held(), owner_delegate)
    for_user = Playbook(replace(CALL, user="zoe")) >> HOLD >> asked(FINANCE)
    assert "zoe" not in who(for_user, people(ann=approver("ann", gone("zoe")), zoe=approver("zoe")))


def test_the_vote_of_a_delegate_outlives_the_absence_and_fills_the_seat():
    routes = replace(
        people(ann=approver("ann", gone("zoe", until=10)), zoe=approver("zoe")),
        groups={"finance": Group(name="finance", members=("ann", "bob"), quorum=2)},
    )
    story = held() >> replace(yes("zoe"), on_behalf="ann")
    story.now = 20
    story = story >> judged("hold", FINANCE, lacking=(1,))
    assert lacking(story.record, HOLD, routes) == (1,)
    with pytest.raises(NotEligible, match="in place of 'ann'"):
        vote(story, "ann", routes)
    both = story >> yes("ann")
    assert lacking(both.record, HOLD, routes) == (1,)  # the seat of ann is filled once
    assert met((both >> yes("bob")).record, fingerprint=PRINT, routes=routes, now=20) == {FINANCE}


def test_a_vote_on_behalf_counts_only_for_whom_the_routes_name():
    routes = people(ann=approver("ann", gone("zoe")), zoe=approver("zoe"))
    for wrong in ("bob", "", "carl"):
        story = held() >> replace(yes("zoe"), on_behalf=wrong)
        assert met(story.record, fingerprint=PRINT, routes=routes, now=0) == frozenset()


# --- Owners ---------------------------------------------------------------------------------------------------------


def test_owners_decide_only_where_the_group_says_so():
    routes = with_group("finance", allow_owner=True)
    assert set(who(held(), routes)) == {"ann", "bob", "olga"}
    for_ann = Playbook(replace(CALL, user="ann")) >> HOLD >> asked(FINANCE)
    assert set(who(for_ann)) == {"bob"}
    assert set(who(for_ann, routes)) == {"ann", "bob", "olga"}


# --- Taking back ----------------------------------------------------------------------------------------------------


def test_a_yes_counts_once_it_can_no_longer_be_taken_back():
    story = held() >> replace(yes("ann"), undo=1000) << Judge()
    story = story >> judged("hold", FINANCE, lacking=(0,)) << Wait(1000)
    assert met(story.record, fingerprint=PRINT, routes=ROUTES, now=999) == frozenset()
    assert met(story.record, fingerprint=PRINT, routes=ROUTES, now=1000) == {FINANCE}
    assert lacking(story.record, HOLD, ROUTES) == (0,)
    story.now = 1000
    story << Judge()
    assert story.recalled().step == Judge()


def test_meanwhile_others_may_say_no_and_it_can_be_taken_back():
    story = held() >> replace(yes("ann"), undo=1000) >> judged("hold", FINANCE, lacking=(0,))
    assert vote(story, "bob", approve=False).requirements == (FINANCE,)
    may_retract(story.record, "ann", "finance")
    back = story >> Retracted(by="ann", group="finance", via="token") << Judge()
    assert back.record.votes == ()
    back >> judged("hold", FINANCE, lacking=(1,)) << Ask((FINANCE,))  # the others believed that it was decided


@pytest.mark.parametrize(
    ("by", "group"), [("bob", "finance"), ("ann", "legal")], ids=["somebody else", "for another group"]
)
def test_only_an_own_yes_can_be_taken_back(by, group):
    with pytest.raises(Stale, match="no approval"):
        may_retract((held() >> yes("ann")).record, by, group)


def test_taking_back_for_one_group_leaves_what_was_said_for_another():
    story = held() >> yes("ann") >> yes("ann", LEGAL) >> Retracted(by="ann", group="legal", via="token")
    assert [vote.group for vote in story.record.votes] == ["finance"]


@pytest.mark.parametrize("late", [Expired(), Claimed(token="t", fingerprint=PRINT, lease=1)])
def test_it_is_too_late_to_take_back_what_was_released_or_is_over(late):
    with pytest.raises(Stale, match="too late"):
        may_retract((held() >> yes("ann") >> ALLOW >> late).record, "ann", "finance")


def test_after_an_edit_the_earlier_votes_meet_nothing():
    edit = Edited(by="bob", group="finance", before=PRINT, fingerprint=OTHER_PRINT, changed=("amount",), via="token")
    story = held() >> yes("ann") >> edit << Judge()
    assert met(story.record, fingerprint=OTHER_PRINT, routes=ROUTES, now=0) == frozenset()
    story = story >> replace(yes("bob"), fingerprint=OTHER_PRINT)
    assert met(story.record, fingerprint=OTHER_PRINT, routes=ROUTES, now=0) == {FINANCE}


# --- Cancelling -----------------------------------------------------------------------------------------------------


def test_whoever_answers_for_the_agent_or_the_system_may_cancel():
    routes = replace(people(op=approver("op", roles=frozenset({"operator"}))), agents={
        **AGENTS, "billing-bot": replace(AGENTS["billing-bot"], owner="bob")})  # fmt: skip
    for able in ("bob", "olga", "op"):  # owner of the agent, of the system, and an operator
        may_cancel(held().record, able, routes)
    for unable in ("ann", "carl", "ghost"):
        with pytest.raises(NotEligible):
            may_cancel(held().record, unable, routes)


@pytest.mark.parametrize(
    "story",
    [
        Playbook() >> ALLOW >> Claimed(token="t", fingerprint=PRINT, lease=EXPIRE),
        held() >> yes("ann") >> ALLOW >> Claimed(token="t", fingerprint=PRINT, lease=EXPIRE),
        held() >> Expired(),
    ],
    ids=["never held", "being sent", "over"],
)
def test_only_a_held_call_can_be_cancelled(story):
    with pytest.raises(Stale, match="only a call that is held"):
        may_cancel(story.record, "olga", ROUTES)
