"""What people made of the questions: counted fact by fact, per policy, group and person, over a window of days."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.codec import encode
from gateway.core.facts import Admitted, Cancelled, Expired, Fact, Judged, Notified, Withdrawn
from gateway.core.insights import DAY_MS, KEPT_DAYS, MOST_NAMES, OTHERS, Insights
from gateway.core.verdict import Requirement, Verdict
from tests.playbook import ALLOW, CALL, DENY, FINANCE, HOLD, LEGAL, asked, claimed, no, yes

NOON = 20_000 * DAY_MS + DAY_MS // 2
MINUTE = 60_000
LIFTED = replace(ALLOW, verdict=Verdict(decision="allow", requirements=(FINANCE,)))


class Story:
    """Facts at their times, as the ledger tells them."""

    def __init__(self) -> None:
        self.counted = Insights()
        self.calls = 0

    def call(self, *facts: tuple[int, Fact], at: int = NOON) -> str:
        """One call of its own: facts, and how long after its question each was."""
        self.calls += 1
        name = f"07{self.calls:022x}"
        for after, fact in facts:
            self.counted.fold(name, [replace(fact, at=at + after)])
        return name

    def asked(self, *requirements: Requirement, at: int = NOON) -> str:
        return self.call((0, Admitted(call=CALL)), (0, HOLD), (0, asked(*(requirements or (FINANCE,)))), at=at)

    def then(self, call: str, fact: Fact, at: int) -> None:
        self.counted.fold(call, [replace(fact, at=at)])

    def approved(self, took: int = MINUTE, *requirements: Requirement, at: int = NOON) -> None:
        call = self.asked(*requirements, at=at)
        self.then(call, yes("ann"), at + took)
        self.then(call, LIFTED, at + took)
        self.then(call, claimed(), at + took)

    def report(self, now: int = NOON, days: int = KEPT_DAYS) -> dict[str, Any]:
        return self.counted.report(now, days)


def of(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (item,) = [item for item in found if name in item.values()]
    return item


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_policy_that_was_approved_every_time_is_told_as_such(story):
    for _ in range(37):
        story.approved()
    large = of(story.report()["policies"], FINANCE.policy)
    assert (large["approved"], large["of"], large["rate"]) == (37, 37, 1.0)
    assert of(story.report()["groups"], "finance")["of"] == 37
    assert story.report()["people"] == [{"person": "ann", "yes": 37, "no": 0}]
    assert story.report()["waiting"]["count"] == 0


def test_every_way_to_end_is_counted_for_itself(story):
    story.approved()
    gone = Cancelled(by="boss", via="by token")
    for fact in (no("bob"), Expired(), Withdrawn(), gone, DENY, replace(ALLOW, verdict=Verdict(decision="allow"))):
        story.then(story.asked(), fact, NOON + MINUTE)
    told = story.report()["all"]
    assert [told[name] for name in ("approved", "rejected", "expired", "dropped")] == [1, 1, 1, 4]
    assert (told["of"], told["rate"]) == (3, round(1 / 3, 3))
    assert story.report()["people"] == [{"person": "ann", "yes": 1, "no": 0}, {"person": "bob", "yes": 0, "no": 1}]


def test_a_rejection_is_of_the_policies_of_the_group_that_said_no(story):
    story.then(story.asked(FINANCE, LEGAL), no("bob"), NOON + MINUTE)
    told = story.report()
    assert of(told["policies"], FINANCE.policy)["rejected"] == 1 and of(told["groups"], "finance")["rejected"] == 1
    legal = of(told["policies"], LEGAL.policy)
    assert (legal["rejected"], legal["dropped"], legal["of"], legal["rate"]) == (0, 1, 0, None)
    assert told["all"]["rejected"] == 1


def test_one_call_counts_once_for_a_group_with_two_policies_and_once_in_all(story):
    other = Requirement("finance", "another", "text-9")
    story.approved(MINUTE, FINANCE, other)
    told = story.report()
    assert of(told["groups"], "finance")["approved"] == told["all"]["approved"] == 1
    assert of(told["policies"], "another")["approved"] == of(told["policies"], FINANCE.policy)["approved"] == 1


@pytest.mark.parametrize(
    "order",
    [(FINANCE, Requirement("legal", FINANCE.policy, "t")), (Requirement("legal", FINANCE.policy, "t"), FINANCE)],
)
def test_a_policy_that_two_groups_lift_was_rejected_by_either(story, order):
    story.then(story.asked(*order), no("bob"), NOON + MINUTE)
    told = of(story.report()["policies"], FINANCE.policy)
    assert (told["rejected"], told["dropped"]) == (1, 0)


def test_a_call_that_is_asked_about_again_is_one_question_from_the_first_asking(story):
    call = story.asked(FINANCE)
    story.then(call, yes("ann"), NOON + MINUTE)
    story.then(call, HOLD, NOON + MINUTE)
    story.then(call, asked(LEGAL), NOON + MINUTE)
    assert story.report()["waiting"]["count"] == 1
    story.then(call, LIFTED, NOON + 10 * MINUTE)
    told = story.report()
    assert told["all"]["approved"] == 1 and told["all"]["median_seconds"] == pytest.approx(600, rel=0.03)
    assert {item["policy"] for item in told["policies"]} == {FINANCE.policy, LEGAL.policy}


def test_times_are_told_by_median_and_95_of_100(story):
    for minutes in range(1, 101):
        story.approved(minutes * MINUTE)
    for _ in range(100):
        story.then(story.asked(), Expired(), NOON + DAY_MS)  # nobody took that time to decide
    told = story.report(now=NOON + DAY_MS)["all"]
    assert told["median_seconds"] == pytest.approx(50 * 60, rel=0.03)
    assert told["p95_seconds"] == pytest.approx(95 * 60, rel=0.03)


def test_of_nothing_there_is_no_median_and_no_rate(story):
    told = story.report()
    assert (told["all"]["median_seconds"], told["all"]["p95_seconds"], told["all"]["rate"]) == (None, None, None)
    assert told["waiting"] == {
        "count": 0, "oldest_seconds": None,
        "by_age": [{"age": name, "count": 0} for name in (
            "under 15 min", "under 60 min", "under 4 h", "under 24 h", "24 h and more")],
    }  # fmt: skip


def test_what_waits_is_counted_by_age(story):
    for minutes in (0, 14, 15, 59, 60, 239, 300, 1440, 9999):
        story.asked(at=NOON - minutes * MINUTE)
    told = story.report()["waiting"]
    assert [item["count"] for item in told["by_age"]] == [2, 2, 2, 1, 2]
    assert (told["count"], told["oldest_seconds"]) == (9, 9999 * 60)


def test_a_window_counts_whole_days_up_to_today(story):
    for ago in (0, 1, 6, 7, 29):
        story.approved(at=NOON - ago * DAY_MS)
    assert [story.report(days=days)["all"]["approved"] for days in (1, 2, 7, 8, 30)] == [1, 2, 3, 4, 5]


def test_days_that_nobody_can_ask_for_are_forgotten(story):
    story.approved(at=NOON)
    story.approved(at=NOON + KEPT_DAYS * DAY_MS)
    assert len(story.counted.days) == 1
    story.approved(at=NOON)  # a late reader of an old partition
    assert len(story.counted.days) == 1 and story.report(now=NOON + KEPT_DAYS * DAY_MS)["all"]["approved"] == 1


def test_it_says_from_when_on_everything_was_read(story):
    assert story.report()["from"].startswith("2024-09-05T00:00:00")
    story.counted.read_from(NOON - 5000)
    story.counted.read_from(NOON - 3000)
    assert story.report()["from"].startswith("2024-10-04T11:59:55") and story.report()["to"].startswith("2024-10-04T12")


def test_a_call_whose_question_was_not_read_counts_for_nothing(story):
    for fact in (yes(), no(), Expired(), LIFTED, Notified(notice="n", attempt=1, status=200, done=True)):
        story.call((0, fact))
    assert story.counted.days == {} and story.counted.open == {}


def test_only_entries_that_matter_are_decoded(story):
    call = story.asked()
    assert story.counted.concerned_by(call, b"") and not story.counted.concerned_by("07other", encode(yes()))
    assert story.counted.concerned_by("07other", encode(asked(FINANCE)))
    smuggled = Admitted(call=replace(CALL, reason='"type":"Asked"'))
    assert not story.counted.concerned_by("07other", encode(smuggled)), "an agent's words cannot look like it"


def test_memory_is_bounded_by_names_and_not_by_decisions(story):
    for number in range(MOST_NAMES + 5):
        story.approved(MINUTE, Requirement("finance", f"p{number}", "t"))
    told = story.report()
    assert len(told["policies"]) == MOST_NAMES + 1 and of(told["policies"], OTHERS)["approved"] == 5
    assert told["all"]["approved"] == MOST_NAMES + 5
    size = len(orjson.dumps(story.counted.packed(), option=orjson.OPT_NON_STR_KEYS))
    for _ in range(500):
        story.approved(MINUTE, Requirement("finance", "p1", "t"))
    assert len(orjson.dumps(story.counted.packed(), option=orjson.OPT_NON_STR_KEYS)) - size < 20


def test_what_is_kept_is_what_was_counted(story):
    story.approved(3 * MINUTE, FINANCE, LEGAL)
    story.then(story.asked(), no("bob"), NOON + MINUTE)
    open_ = story.asked(FINANCE, LEGAL)
    story.counted.read_from(NOON)
    kept = orjson.loads(orjson.dumps(story.counted.packed(), option=orjson.OPT_NON_STR_KEYS))
    again = Insights.unpacked(kept)
    assert again.report(NOON) == story.report()
    again.fold(open_, [replace(LIFTED, at=NOON + MINUTE)])
    story.then(open_, LIFTED, NOON + MINUTE)
    assert again.report(NOON) == story.report() and story.report()["all"]["approved"] == 2


def test_judged_by_a_new_generation_and_still_held_it_waits_on(story):
    call = story.asked()
    story.then(call, Judged(verdict=HOLD.verdict, generation="tomorrow", fingerprint="f"), NOON)
    assert story.report()["waiting"]["count"] == 1
