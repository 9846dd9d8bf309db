"""Working hours and absences as people write them: `[mon-fri]`, `9:00`, `Europe/Vienna`, `2026-12-01`.

A validator raises ValueError with a predicate, as in field_types.py. A moment without a time of day is the beginning of
that day, and without a time zone it is in UTC; nothing else is guessed.
"""

import re
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00")


def minutes(value: object) -> int:
    """A time of day, in minutes after midnight. ValueError says what was expected."""
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a time of day in quotes, such as "9:00" or "17:30"')
    return int(found[1]) * 60 + int(found[2]) if found[1] else 24 * 60


def days(value: object) -> tuple[int, ...]:
    """Days and ranges of days, as numbers from Monday, 0."""
    found: set[int] = set()
    for item in value if isinstance(value, list) else [value]:
        first, dash, last = str(item).lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError("must list days or ranges of days, such as [mon-thu, sat]")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update(range(begin, end + 1) if begin <= end else (*range(begin, 7), *range(end + 1)))
    if not found:
        raise ValueError("must name at least one day")
    return tuple(sorted(found))


def time_zone(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be the name of a time zone, such as Europe/Vienna or UTC")
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be the name of a time zone that this machine knows, such as Europe/Vienna") from None
    return value


def moment(value: object) -> int:
    """A date, or a date and time, in milliseconds since the epoch."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("must be a date, such as 2026-12-01, or a time, such as 2026-12-01T09:00+01:00") from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


TimeOfDay = Annotated[int, BeforeValidator(minutes)]
Days = Annotated[tuple[int, ...], BeforeValidator(days)]
TimeZone = Annotated[str, BeforeValidator(time_zone)]
Moment = Annotated[int, BeforeValidator(moment)]
