"""What routes.yaml says about reminders, escalations, working hours and absences; and what cannot be, with its line."""

import pytest

from gateway.core.quota import Quota
from gateway.core.routes import Away, Escalation, Hours
from tests.config.routes_documents import document, expect, loaded
from tests.config.test_parties import HOOK, group

HOURS = 'hours: {tz: Europe/Vienna, days: [mon-fri], from: "9:00", to: "17:00"}'
PEOPLE = """people:
  lead: {roles: [approver]}
  boss: {roles: [approver]}
  desk: {roles: [operator]}
"""
BOARD = f"  board: {{members: [boss, lead], notify: [{HOOK}]}}\n"


def finance(*lines: str) -> str:
    return group("members: [lead, boss]", f"notify: [{HOOK}]", *lines)


def test_a_whole_ladder(tmp_path):
    lines = [
        "remind: [1h, 15m]", "escalate: [{after: 2h, to: [boss]}, {after: 3h, to: [board, boss]}]", HOURS, "undo: 10s",
        "batch: 5/h", "allow_owner: true", "expire: 72h",
    ]  # fmt: skip
    text = finance(*lines).replace("  finance:", f"{BOARD}  finance:")
    found = loaded(text, tmp_path).groups["finance"]
    assert found.remind_seconds == (900.0, 3600.0)
    assert found.escalations == (
        Escalation(after_seconds=7200.0, people=("boss",)),
        Escalation(after_seconds=10800.0, people=("boss", "lead"), groups=("board",)),
    )
    assert found.hours == Hours(timezone="Europe/Vienna", days=(0, 1, 2, 3, 4), begin=540, end=1020)
    assert found.undo_seconds == 10 and found.batch == Quota(5, 3600.0)
    assert found.allow_owner


def test_a_single_reminder_and_escalation_need_no_list(tmp_path):
    found = loaded(finance("remind: 15m", "escalate: {after: 1h, to: [boss]}"), tmp_path).groups["finance"]
    assert found.remind_seconds == (900.0,)
    assert found.escalations == (Escalation(after_seconds=3600.0, people=("boss",)),)


def test_what_nothing_is_said_about_is_off(tmp_path):
    found = loaded(finance(), tmp_path).groups["finance"]
    assert (found.remind_seconds, found.escalations, found.hours, found.undo_seconds, found.allow_owner) == (
        (), (), None, 0.0, False,
    )  # fmt: skip
    assert found.batch is None


@pytest.mark.parametrize(
    ("lines", "fragment"),
    [
        (["remind: 24h  # <-"], "reminder 1 would come when the question is over"),
        (["remind: soon  # <-"], "must be a duration"),
        (["escalate: {after: 24h, to: [boss]}  # <-"], "this escalation would come when the question is over"),
        (
            ["escalate: {after: 1h, to: [bos]}  # <-"],
            "neither a person nor a group `bos` to escalate to; did you mean `boss`",
        ),
        (["escalate: {after: 1h, to: [desk]}  # <-"], "`desk` has no role approver"),
        (["escalate: {after: 1h, to: []}  # <-"], "`to`"),
        (["escalate: {after: 1h, to: [boss, boss]}  # <-"], "must not list `boss` twice"),
        (["escalate: {to: [boss]}  # <-"], "`after`"),
        ([HOURS, "expire: 65h  # <-"], "over before anybody works again: `hours` pause for up to 64 hours"),
        ([HOURS.replace("mon-fri", "mon-fir") + "  # <-"], "must list days"),
        ([HOURS.replace("Vienna", "Wien") + "  # <-"], "a time zone that this machine knows"),
        ([HOURS.replace('"9:00"', '"18:00"') + "  # <-"], "must have `from` before `to`"),
        ([HOURS.replace("from:", "form:") + "  # <-"], "did you mean `from`"),
        (["undo: -1s  # <-"], "must be a duration"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_with_its_line(lines, fragment, tmp_path):
    expect(finance(*lines), tmp_path, fragment)


def test_an_end_after_the_longest_pause_and_an_hour_is_enough(tmp_path):
    assert loaded(finance(HOURS, "expire: 66h"), tmp_path).groups["finance"].hours is not None


def absent(line: str) -> str:
    return document(
        people=PEOPLE.replace("boss: {roles: [approver]}", f"boss: {{roles: [approver], away: {line}}}  # <-")
    )


def test_an_absence(tmp_path):
    text = absent("{from: 2026-11-24, until: 2026-12-01, delegate: lead}")
    assert loaded(text, tmp_path).people["boss"].away == Away(
        begin=1_795_478_400_000, until=1_796_083_200_000, delegate="lead"
    )
    assert loaded(absent("{until: 2026-12-01, delegate: lead}"), tmp_path).people["boss"].away == Away(
        until=1_796_083_200_000, delegate="lead"
    )


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("{until: 2026-12-01, delegate: boss}", "the delegate must be somebody else"),
        (
            "{until: 2026-12-01, delegate: leda}",
            "there is no person `leda` under `people` to be the delegate; did you mean `lead`",
        ),
        ("{until: 2026-12-01, delegate: desk}", "the delegate `desk` has no role approver"),
        ("{until: whenever, delegate: lead}", "must be a date"),
        ("{delegate: lead}", "`until`"),
    ],
)
def test_an_absence_without_anybody_in_their_place_is_refused(line, fragment, tmp_path):
    expect(absent(line), tmp_path, fragment)
