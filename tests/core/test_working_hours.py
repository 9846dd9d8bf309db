"""Reminders count the hours in which somebody works, in the group's own time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routes import Hours
from gateway.core.working_hours import after_working, longest_pause

VIENNA = Hours(timezone="Europe/Vienna", days=(0, 1, 2, 3, 4), begin=9 * 60, end=17 * 60)
HOUR = 3_600_000


def moment(text: str, zone: str = "Europe/Vienna") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("asked", "hours", "due"),
    [
        ("2026-11-25 10:00", 1, "2026-11-25 11:00"),  # a Wednesday
        ("2026-11-25 16:30", 1, "2026-11-26 09:30"),
        ("2026-11-25 20:00", 1, "2026-11-26 10:00"),
        ("2026-11-25 03:00", 1, "2026-11-25 10:00"),
        ("2026-11-27 16:30", 1, "2026-11-30 09:30"),  # over a weekend
        ("2026-11-28 12:00", 8, "2026-11-30 17:00"),
        ("2026-11-27 09:00", 8, "2026-11-27 17:00"),  # exactly a day
        ("2026-11-27 09:00", 40, "2026-12-03 17:00"),  # exactly a week
        ("2026-03-27 16:00", 2, "2026-03-30 10:00"),  # clocks change that Sunday: nine is nine
    ],
)
def test_only_working_time_counts(asked, hours, due):
    assert after_working(moment(asked), hours * HOUR, VIENNA) == moment(due)


def test_without_hours_all_time_counts():
    assert after_working(5, 7, None) == 12


def test_a_shift_over_the_change_of_clocks_is_an_hour_shorter():
    night = Hours(timezone="Europe/Vienna", days=(6,), begin=0, end=6 * 60)
    assert after_working(moment("2026-03-29 00:00"), 5 * HOUR, night) == moment("2026-03-29 06:00")
    assert after_working(moment("2026-03-29 00:00"), 6 * HOUR, night) == moment("2026-04-05 01:00")


@given(st.integers(1_700_000_000_000, 1_900_000_000_000), st.integers(0, 100 * HOUR), st.integers(0, 100 * HOUR))
def test_more_time_is_never_earlier_and_parts_add_up(start, first, second):
    between = after_working(start, first, VIENNA)
    assert start <= between <= after_working(start, first + second, VIENNA)
    if first:
        assert after_working(between, second, VIENNA) == after_working(start, first + second, VIENNA) or second == 0


@pytest.mark.parametrize(
    ("days", "pause"), [((0, 1, 2, 3, 4), 64), ((0,), 6 * 24 + 16), (tuple(range(7)), 16), ((0, 3), 4 * 24 - 8)]
)
def test_the_longest_pause_of_a_week(days, pause):
    hours = Hours(timezone="UTC", days=days, begin=9 * 60, end=17 * 60)
    assert longest_pause(hours) == pause * HOUR
