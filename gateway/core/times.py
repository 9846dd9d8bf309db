"""Times of the journal, milliseconds since the epoch, as people and other programs read them."""

from datetime import UTC, datetime
from functools import lru_cache

MINUTE_MS = 60_000
YEAR_10000_MS = 253_402_300_800_000
"""From here on there is no date to write. No journal says so, but a forged record may."""


def iso(milliseconds: int) -> str:
    """RFC 3339 in UTC, to the second: `2026-11-20T10:00:00Z`."""
    if not 0 <= milliseconds < YEAR_10000_MS:
        return f"{milliseconds} ms since 1970"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(milliseconds: int) -> str:
    """RFC 3339 in UTC, to the millisecond: `2026-11-20T10:00:00.058Z`."""
    if not 0 <= milliseconds < YEAR_10000_MS:
        return f"{milliseconds} ms since 1970"
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    """Many lines are written about one second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def since(milliseconds: int) -> str:
    """How long after the beginning something was, so that what happens in one second is in order: `+2.431 s`."""
    return f"+{milliseconds / 1000:.3f} s" if milliseconds < MINUTE_MS else f"+{span(milliseconds)}"


def span(milliseconds: int) -> str:
    """A duration for people: `250 ms`, `14 s`, `3 min`, `2 h`, `400 days`."""
    for size, unit in ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds >= 2 * size or (unit == "s" and milliseconds >= size):
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"
