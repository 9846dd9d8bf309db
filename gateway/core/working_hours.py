"""Working time: when a reminder that is due after two working hours comes.

Pure, and in local time: a day has the hours that the group's time zone gives it, so a working day on which clocks
change is an hour shorter or longer only if the change falls into it. It must never read a clock.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.core.routes import Hours

LONGEST_LOOK_DAYS = 3660
"""A duration that does not end within ten years of working days is a mistake that nobody may wait for."""


def after_working(start: int, duration: int, hours: Hours | None) -> int:
    """The time, milliseconds since the epoch, at which `duration` milliseconds of working time have passed."""
    if hours is None:
        return start + duration
    left = duration
    for begin, end in _periods(start, hours):
        if left <= end - begin:
            return begin + left
        left -= end - begin
    raise ValueError("a duration of more than ten years of working time")


def longest_pause(hours: Hours) -> int:
    """Milliseconds between two working periods, at most, in a week without a change of clocks; one hour more with."""
    begins = [day * 24 * 60 + hours.begin for day in hours.days]
    ends = [day * 24 * 60 + hours.end for day in hours.days]
    week = 7 * 24 * 60
    pauses = [((begin - end) % week) or week for end, begin in zip(ends, [*begins[1:], begins[0]], strict=True)]
    return max(pauses) * 60_000


def _periods(start: int, hours: Hours) -> Iterator[tuple[int, int]]:
    """What is left of each working period from `start` on."""
    zone = ZoneInfo(hours.timezone)
    day = datetime.fromtimestamp(start / 1000, zone).date()
    for _ in range(LONGEST_LOOK_DAYS):
        if day.weekday() in hours.days:
            begin, end = (_moment(day, minutes, zone) for minutes in (hours.begin, hours.end))
            if end > start:
                yield max(begin, start), end
        day += timedelta(days=1)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> int:
    midnight = datetime.combine(day, time(), zone)
    local = midnight + timedelta(minutes=minutes)  # wall time: 9:00 is 9:00 on the day clocks change too
    return round(local.astimezone(UTC).timestamp() * 1000)
