"""What an agent or a system wrote, as text that a person can trust on one line.

Whoever reads a summary must be able to tell our words from an agent's, so a value is either one plain word or stands in
quotes that it cannot close; and what it holds is what is seen: no line break, no control, bidirectional or invisible
character, no heap of accents over its neighbours. It escapes for people only: HTML and the like are another matter.
"""

import json
import re
import unicodedata

LONGEST_VALUE = 80
"""Characters of a value that are shown; the whole stands beside, wherever a person decides."""
MOST_MARKS = 2
"""Accents on one letter; no language needs more, and a hundred of them cover the lines around."""

_WORD = re.compile(r"[A-Za-z0-9_.:/@+-]+")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Printable by name, and never seen."""


def visible(text: str) -> str:
    """`text` with everything that is not seen as it is written as an escape, such as `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        hidden = not character.isprintable() or character in _BLANK or _selects(character)
        shown.append(_escaped(character) if hidden or marks > MOST_MARKS else character)
    return "".join(shown)


def _selects(character: str) -> bool:
    """A variation selector: it may change how its neighbour looks, and hides whatever somebody encodes in many."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _escaped(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return named or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\u{{{code:x}}}")


def quoted(text: str, longest: int = LONGEST_VALUE) -> str:
    """In quotes, and cut if it is longer, with how long it is."""
    inside = visible(text[:longest].replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{inside}"' if len(text) <= longest else f'"{inside}..." ({len(text)} characters)'


def value(given: object, longest: int = LONGEST_VALUE) -> str:
    """Any argument or answer: numbers and plain words as they are, other text in quotes, the rest as JSON."""
    match given:
        case str():
            return given if len(given) <= longest and _WORD.fullmatch(given) else quoted(given, longest)
        case None | bool():
            return json.dumps(given)
        case dict() | list():
            return _cut(visible(json.dumps(given, ensure_ascii=False, default=str)), longest)
        case _:
            return visible(str(given))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"
