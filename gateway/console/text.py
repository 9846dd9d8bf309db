"""Text that somebody else wrote, as it is shown to a person who decides about it.

Arguments come from a model, and a model may have read anything. What would not be seen, or would change how its
neighbours are seen (control and escape characters, changes of direction, invisible letters), is shown by its number
instead. HTML is escaped by the template engine, everywhere; this is about what remains.
"""

import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

INVISIBLE = {"\u00ad", "\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"}
"""Letters and marks that take no ink, whatever category Unicode puts them in."""
KEPT = {"\n", "\t", " "}
LONG = 2_000
"""Characters from which on a value is folded: all of it is there, behind one press, and the page says so."""


def visible(value: str) -> str:
    """The same text with everything that cannot be seen, or that moves what can, as `⟨U+202E⟩`."""
    return value if value.isascii() and value.isprintable() else "".join(map(_shown, value))


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    if character in KEPT:
        return character
    category = unicodedata.category(character)
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    if category[0] in "CZ" or selector or character in INVISIBLE:
        return f"⟨U+{ord(character):04X}⟩"
    return character


def shown_value(value: object) -> object:
    """For a template's output: text made visible, everything else as it is."""
    return visible(value) if type(value) is str else value


def number(value: object) -> str:
    """`12,345`."""
    return f"{value:,}"


def looks_like_another_type(value: str) -> bool:
    """True of text that would be read as a number, true, false or null if nothing said that it is text."""
    return value in ("true", "false", "null", "") or value.strip() != value or _is_number(value)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def left(milliseconds: int) -> str:
    """How much time that is, for somebody who has to decide within it: `1 h 59 min`, `4 min`, `38 s`."""
    seconds = max(0, milliseconds) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def when(milliseconds: int) -> str:
    """A moment for people: `27 Nov 2026, 09:19 UTC`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%-d %b %Y, %H:%M UTC")


def clock(milliseconds: int, now: int) -> str:
    """The same for somebody who watches: of today the time to the second, `09:19:44 UTC`."""
    at, today = (datetime.fromtimestamp(time / 1000, UTC) for time in (milliseconds, now))
    return at.strftime("%H:%M:%S UTC") if at.date() == today.date() else when(milliseconds)
