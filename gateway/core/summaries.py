"""`summary: "Refund {amount|money:usd} on {charge}"`: what a call would do, in one sentence that its operator wrote.

`{name}` stands for an argument and `{name|filter}` for one told in another way; `{metadata.order}` reaches into an
object or list; `{{` and `}}` are braces. Text is read once, when routes.yaml is loaded. It must never compute: a filter
may make a value readable, never make another value of it, so there is no arithmetic and there are no floats.

Rendering is total. What is missing is said in words, and what a filter cannot read is shown as it came.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core import one_line
from gateway.core.currencies import CURRENCIES, minor_units

LONGEST_TEXT = 200
"""Characters of a summary as it is written in routes.yaml."""
MOST_SLOTS = 8
"""So that a summary has a greatest length without ever being cut: what is cut is what somebody wants overlooked."""
FILTERS: Mapping[str, frozenset[str]] = {
    "money": frozenset({"integer"}),
    "date": frozenset({"integer", "string"}),
    "count": frozenset({"array", "object"}),
    "upper": frozenset({"string"}),
    "short": frozenset({"string"}),
}
"""Each filter, and the JSON types that it is for."""
SHORT = 20
"""Characters, unless `short:12` says otherwise."""
LONGEST_SHORT = one_line.LONGEST_VALUE

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_NAME = re.compile(r"[^\s|.][^|]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One `{...}`."""

    name: str
    """As it was written."""
    path: tuple[str, ...]
    """The argument, and the way into it."""
    filter: str = ""
    option: str = ""
    """What stands after the filter's colon, unless that names an argument."""
    other: tuple[str, ...] = ()
    """The argument that is named there: which currency an amount is in."""


Summary = tuple[str | Slot, ...]


def parse(text: str) -> Summary:
    """ValueError says what to change."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT} characters; every argument is shown beside it anyway")
    parts = tuple(_part(found) for found in _TOKEN.finditer(text))
    if sum(isinstance(part, Slot) for part in parts) > MOST_SLOTS:
        raise ValueError(f"must name at most {MOST_SLOTS} arguments; every argument is shown beside it anyway")
    return parts


def _part(found: re.Match[str]) -> str | Slot:
    match found[0]:
        case "{{" | "}}":
            return found[0][0]
        case "{" | "}":
            raise ValueError(f"has a single {found[0]}; an argument is {{name}}, and a brace itself is written twice")
        case text if found[1] is None:
            return text
    name, mark, rest = found[1].partition("|")
    if not _NAME.fullmatch(name) or name.endswith((".", " ")) or ".." in name:
        raise ValueError(f"has {{{found[1]}}}; write an argument as {{name}}, {{name.inside}} or {{name|filter}}")
    word, _, option = rest.partition(":")
    if mark:
        _check_filter(word, option)
    names_argument = word == "money" and option.upper() not in CURRENCIES
    return Slot(
        name=name, path=tuple(name.split(".")), filter=word, option="" if names_argument else option,
        other=tuple(option.split(".")) if names_argument else (),
    )  # fmt: skip


def _check_filter(word: str, option: str) -> None:
    if word not in FILTERS:
        near = difflib.get_close_matches(word, FILTERS, n=1)
        known = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(FILTERS)}"
        raise ValueError(f"has no filter `{word}`; {known}")
    match word:
        case "money" if not option:
            raise ValueError("needs a currency, or the argument that names it: money:usd or money:currency")
        case "date" if option not in ("", "ms"):
            raise ValueError("takes `date` for seconds and RFC 3339 text, and `date:ms` for milliseconds")
        case "short" if option and not (option.isascii() and option.isdecimal() and 4 <= int(option) <= LONGEST_SHORT):
            raise ValueError(f"takes `short` with a number of characters from 4 to {LONGEST_SHORT}, such as short:12")
        case "count" | "upper" if option:
            raise ValueError(f"takes `{word}` without anything after it")


def render(summary: Summary, arguments: Mapping[str, object]) -> str:
    """The sentence for these arguments: one line, printable, of bounded length."""
    return "".join(part if isinstance(part, str) else _filled(part, arguments) for part in summary)


def slots(summary: Summary) -> Iterator[Slot]:
    return (part for part in summary if isinstance(part, Slot))


class _Missing:
    """Told apart from null, which somebody sent."""


MISSING = _Missing()


def reach(arguments: object, path: tuple[str, ...]) -> object:
    """What stands there, or MISSING."""
    found = arguments
    for step in path:
        match found:
            case Mapping() if step in found:
                found = found[step]
            case list() if step.isascii() and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            case _:
                return MISSING
    return found


def _filled(slot: Slot, arguments: Mapping[str, object]) -> str:
    given = reach(arguments, slot.path)
    return f"(no {slot.name})" if given is MISSING else told(slot, given, arguments)


def told(slot: Slot, given: object, beside: object) -> str:
    """What stands at `slot` in words. `beside`: where a currency is looked for."""
    match slot.filter, given:
        case "money", int() if not isinstance(given, bool):
            return minor_units(given, _currency(slot, beside))
        case "date", int() | str() if not isinstance(given, bool):
            return _date(given, 1000 if slot.option == "ms" else 1)
        case "count", list() | dict():
            return str(len(given))
        case "upper", str():
            return one_line.value(given.upper())
        case "short", str():
            return one_line.value(given, int(slot.option or SHORT))
    return one_line.value(given)


def _currency(slot: Slot, beside: object) -> str:
    found = reach(beside, slot.other) if slot.other else slot.option
    return found if isinstance(found, str) else ""


def _date(given: int | str, per_second: int) -> str:
    """In UTC; text without a zone, or that is no date, as it came."""
    try:
        if isinstance(given, str):
            moment = datetime.fromisoformat(given)
            if moment.tzinfo is None:
                return one_line.value(given)
        else:
            moment = datetime.fromtimestamp(given // per_second, UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return one_line.value(given)
