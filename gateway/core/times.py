"""Times of the journal, milliseconds since the epoch, as people and other programs read them."""

from datetime import UTC, datetime


def iso(milliseconds: int) -> str:
    """RFC 3339 in UTC, to the second: `2026-11-20T10:00:00Z`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(milliseconds: int) -> str:
    """A duration for people: `250 ms`, `14 s`, `3 min`, `2 h`."""
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds >= 2 * size or (unit == "s" and milliseconds >= size):
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"
