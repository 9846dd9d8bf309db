"""Durations as people write them: `250ms`, `30s`, `15m`, `1h`, `7d`; how often: `20/h`; how much: `1GiB`.
No unit is ever guessed."""

import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 3650 * SECONDS["d"]
"""Ten years: longer than anything here can mean, and far from overflowing milliseconds in Redis."""
FORM = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")


def seconds(value: object) -> float:
    """The duration in seconds, zero included. ValueError says what was expected."""
    form = FORM.fullmatch(value) if isinstance(value, str) else None
    if form is None:
        raise ValueError("must be a duration: a whole number and a unit, such as 250ms, 30s, 15m, 1h or 7d")
    length = int(form[1]) * SECONDS[form[2]]
    if length > LONGEST:
        raise ValueError("must be at most 3650d (ten years)")
    return length


def positive_seconds(value: object) -> float:
    """The same, but not zero."""
    length = seconds(value)
    if not length:
        raise ValueError("must be longer than zero")
    return length


QUOTA = re.compile(r"([0-9]{1,9})/(m|h|d)")


def quota(value: object) -> tuple[int, float] | None:
    """`20/h`: how many, and in how many seconds; None for `off`. ValueError says what was expected."""
    if value == "off" or value is False:
        return None
    form = QUOTA.fullmatch(value) if isinstance(value, str) else None
    if form is None or not int(form[1]):
        raise ValueError("must be how many in a minute, an hour or a day, such as 5/m, 20/h or 100/d; or off")
    return int(form[1]), SECONDS[form[2]]


BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
SIZE = re.compile(r"([0-9]{1,6})(KiB|MiB|GiB)")


def size(value: object) -> int | None:
    """`64MiB` in bytes; None for `off`. ValueError says what was expected."""
    if value == "off" or value is False:
        return None
    form = SIZE.fullmatch(value) if isinstance(value, str) else None
    if form is None or not int(form[1]):
        raise ValueError("must be a size: a whole number and a unit, such as 64MiB or 1GiB; or off")
    return int(form[1]) * BYTES[form[2]]
