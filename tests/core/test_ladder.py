"""Who hears of a question when, while nobody decides; and what the rungs make of a call."""

from dataclasses import replace

import pytest

from gateway.core.facts import Escalated, Reminded
from gateway.core.ladder import climbed, ladder, to_channels
from gateway.core.lifecycle import Climb, Wait
from gateway.core.routes import Escalation, Hours
from gateway.core.verdict import Requirement
from tests.company import GROUPS, HOOK
from tests.playbook import FINANCE, HOLD, HOUR, LEGAL, PRINT, Playbook, asked, judged, yes

CFO = Escalation(after_seconds=3600, people=("cfo",))
BOARD = Escalation(after_seconds=7200, people=("bea", "cfo"), groups=("legal",))
FINANCES = replace(GROUPS["finance"], remind_seconds=(900.0,), escalations=(CFO, BOARD))
ALL = {**GROUPS, "finance": FINANCES}
DAY = 24 * HOUR


def rungs(*requirements, groups=ALL, now=0, expire=DAY):
    found = ladder(requirements or (FINANCE,), groups, "olga", now=now, expire=expire)
    return [(rung.after, rung.group, rung.kind, rung.to) for rung in found]


def test_remind_then_escalate_then_the_owner():
    assert rungs() == [
        (HOUR // 4, "finance", "remind", ()),
        (HOUR, "finance", "escalate", ("cfo",)),
        (2 * HOUR, "finance", "escalate", ("bea", "cfo")),
        (13 * HOUR, "finance", "escalate", ("olga",)),
    ]


def test_the_owner_hears_of_it_also_where_nothing_is_configured():
    assert rungs(groups=GROUPS) == [(12 * HOUR, "finance", "escalate", ("olga",))]


def test_what_would_come_after_the_end_never_comes_and_the_owner_still_hears():
    assert rungs(expire=HOUR // 2) == [
        (HOUR // 4, "finance", "remind", ()),
        (HOUR * 3 // 8, "finance", "escalate", ("olga",)),
    ]


def test_rungs_of_several_groups_come_in_the_order_of_time():
    found = rungs(FINANCE, LEGAL)
    assert found == sorted(found, key=lambda rung: rung[0])
    assert [group for _, group, _, to in found if to == ("olga",)] == ["legal", "finance"]


def test_working_hours_count_unless_one_of_the_policies_is_urgent():
    sunday = 1_795_910_400_000  # 2026-11-29 00:00 UTC
    hours = Hours(timezone="UTC", days=(0, 1, 2, 3, 4), begin=9 * 60, end=17 * 60)
    groups = {**ALL, "finance": replace(FINANCES, hours=hours)}
    patient = rungs(FINANCE, groups=groups, now=sunday, expire=3 * DAY)
    assert patient[0][0] == DAY + 9 * HOUR + HOUR // 4
    urgent = replace(FINANCE, policy="fraud", urgent=True)
    assert rungs(FINANCE, urgent, groups=groups, now=sunday)[0][0] == HOUR // 4
    assert rungs(urgent, FINANCE, groups=groups, now=sunday)[0][0] == HOUR // 4


def test_an_escalation_is_told_to_the_channels_of_both_groups_and_names_the_people():
    rung = next(rung for rung in ladder((FINANCE,), ALL, "olga", now=0, expire=DAY) if rung.groups)
    fact = climbed(rung, ALL, "07ab", batch="beef", now=9)
    assert isinstance(fact, Escalated)
    assert [(it.group, it.channel, it.kind, it.to) for it in fact.notices] == [
        ("finance", 0, "approval.escalated", ("bea", "cfo")),
        ("legal", 0, "approval.escalated", ("bea", "cfo")),
        ("legal", 1, "approval.escalated", ("bea", "cfo")),
    ]
    assert [it.about for it in fact.notices] == ["", "finance", "finance"], "legal has to know whose question it is"
    assert len({notice.id for notice in fact.notices}) == 3
    assert fact.to == ("bea", "cfo")
    assert fact.at == 9


def test_a_reminder_goes_to_the_group_alone():
    fact = climbed(ladder((FINANCE,), ALL, "olga", now=0, expire=DAY)[0], ALL, "07ab", batch="beef", now=9)
    assert isinstance(fact, Reminded)
    assert [(it.group, it.kind, it.to) for it in fact.notices] == [("finance", "approval.reminded", ())]


def test_a_group_that_is_gone_has_no_channels():
    assert to_channels("07ab", ("finance", "gone"), {"finance": replace(FINANCES, channels=(HOOK,))}, "call.finished",
                       batch="b")[0].group == "finance"  # fmt: skip


# --- A call climbs ---------------------------------------------------------------------------------------------------


def asked_with_ladder(*requirements: Requirement):
    wanted = requirements or (FINANCE,)
    return replace(asked(*wanted, expire=DAY), ladder=ladder(wanted, ALL, "olga", now=0, expire=DAY))


def climbing(story: Playbook) -> Playbook:
    step = story.step
    assert isinstance(step, Climb)
    return story >> climbed(step.rung, ALL, story.record.call.id, batch="b", now=story.now)


def test_each_rung_is_climbed_once_when_it_is_due():
    story = Playbook() >> HOLD >> asked_with_ladder() << Wait(HOUR // 4)
    story.now = HOUR // 4
    story = climbing(story) << Wait(HOUR)
    story.now = HOUR
    story = climbing(story) << Wait(2 * HOUR)
    assert story.record.escalated == (("finance", "cfo"),)
    story.now = 2 * HOUR
    story = climbing(story) << Wait(13 * HOUR)
    story.now = 13 * HOUR
    story = climbing(story) << Wait(DAY)
    assert story.record.escalated == (("finance", "cfo"), ("finance", "bea"), ("finance", "olga"))


def test_after_a_long_outage_all_that_is_due_is_climbed_in_order():
    story = Playbook() >> HOLD >> asked_with_ladder()
    story.now = 3 * HOUR
    for _ in range(3):
        story = climbing(story)
    story << Wait(13 * HOUR)


def test_a_group_that_has_decided_is_not_disturbed():
    story = Playbook() >> judged("hold", FINANCE, LEGAL) >> asked_with_ladder(FINANCE, LEGAL) >> yes("ann", FINANCE)
    story = story >> judged("hold", LEGAL)
    step = story.step
    assert isinstance(step, Wait)
    assert step.until == 12 * HOUR  # the owner, for legal, whose group has no other rung


def test_being_asked_about_other_bytes_begins_the_ladder_anew():
    story = Playbook() >> HOLD >> asked_with_ladder()
    story.now = HOUR
    story = climbing(climbing(story))
    other = "0" * 64
    again = replace(asked_with_ladder(), fingerprint=other)
    story = story >> judged("hold", FINANCE, fingerprint=other) >> again
    assert [due for due, _ in story.record.ladder] == [HOUR + rung.after for rung in again.ladder]
    assert story.record.escalated == (("finance", "cfo"),)
    assert story.record.asked_fingerprint != PRINT


@pytest.mark.parametrize("late", [Reminded(group="finance", notices=()), Escalated(group="finance", to=(), notices=())])
def test_a_rung_without_a_ladder_changes_nothing(late):
    story = Playbook() >> HOLD >> asked(FINANCE)
    before = story.step
    story >> late << before


def test_what_is_asked_about_other_bytes_leaves_no_rung_of_the_question_before():
    story = Playbook() >> judged("hold", FINANCE, LEGAL) >> asked_with_ladder(FINANCE, LEGAL)
    other = "0" * 64
    story = story >> judged("hold", FINANCE, fingerprint=other) >> replace(asked_with_ladder(), fingerprint=other)
    assert {rung.group for _, rung in story.record.ladder} == {"finance"}
