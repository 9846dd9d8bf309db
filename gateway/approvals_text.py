"""What waits for people, as lines for a terminal: a list, and one question with everything that decides it.

Nearly all of it was written by somebody else, and a terminal obeys what it is told. So every value goes through
`visible`, and an argument is JSON: whole, quoted, and nothing in it can look like one of our own lines.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.one_line import visible

HEADINGS = ("CALL", "LEFT", "AGENT", "WAITS FOR", "WANTS")
WIDEST_NAME = 24
"""Columns that names of arguments are given; a longer one pushes its value to the right."""

Told = Mapping[str, Any]


def left(seconds: int | None) -> str:
    """How much time that is, in two units at most: `1 h 59 min`, `4 min`, `38 s`."""
    if seconds is None:
        return "-"
    for size, unit, part, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 60, "")):
        if seconds >= size:
            rest = seconds % size // part if below else 0
            return f"{seconds // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{seconds} s"


def row(told: Told) -> tuple[str, ...]:
    """One question in a list, under HEADINGS."""
    groups = ", ".join(item["approval"] for item in told["questions"])
    cells = (told["call"], left(told["seconds_left"]), told["agent"], groups, told["summary"])
    return tuple(visible(str(cell)) for cell in cells)


def card(told: Told) -> list[str]:
    """One question whole."""
    lines = [visible(told["summary"]), ""]
    lines += _table(_about(told))
    lines += ["", "  arguments", *_arguments(told["input"]), "", *_seen(told["preview"]), *_table(_asked(told))]
    return lines


def _about(told: Told) -> Iterable[tuple[str, str]]:
    yield "call", told["call"]
    until = f", {left(told['seconds_left'])} left, until {told['expires_at']}" if told["state"] == "held" else ""
    yield "state", told["state"] + until
    yield "agent", told["agent"] + (f", owned by {told['owner']}" if told["owner"] else "")
    if told["user"]:
        yield "on behalf of", told["user"]
    if told["run"]:
        yield "run", told["run"]
    yield "tool", told["tool"]
    if told["resource"]:
        yield "resource", told["resource"]
    yield "agent's why", f"{_json(told['why'])} (its own words)" if told["why"] else "it gave none"


def _arguments(given: Mapping[str, object] | None) -> list[str]:
    if given is None:
        return ["    cannot be shown: see the first line"]
    return [f"    {visible(name):{WIDEST_NAME}}  {_json(item)}" for name, item in given.items()] or ["    none"]


def _seen(pictures: Iterable[Told]) -> Iterable[str]:
    """What the system was seen to hold, what has changed since, and what a yes is bound to."""
    for picture in pictures:
        title = f" {picture['title']}" if picture["title"] else ""
        yield visible(f"  {picture['name']}{title}, as {picture['tool']} said at {picture['at']}")
        for name, member in (("could not be looked at", "failed"), ("could not be looked at again", "unread")):
            if picture[member]:
                yield visible(f"    {name}: {picture[member]}")
        for item in picture["fields"]:
            was = f" (was {item['was']})" if "was" in item else ""
            after = f", would become {item['after']}" if "after" in item else ""
            bound = "; your yes is bound to it" if item["field"] in picture["bind"] else ""
            yield visible(f"    {item['field']:{WIDEST_NAME}}  {item['text']}{was}{after}{bound}")
        yield ""


def _asked(told: Told) -> Iterable[tuple[str, str]]:
    for item in told["policies"]:
        yield f"for {item['approval']}", f"{item['id']}: {item['reason'] or 'no reason is given'}"
    for vote in told["votes"]:
        reason = f": {_json(vote['reason'])}" if vote["reason"] else ""
        yield "vote", f"{vote['by']} said yes for {vote['group']} at {vote['at']} ({vote['via']}){reason}"
    if not told["votes"]:
        yield "votes", "none yet"
    yield "digest", f"{told['digest']} of exactly what would be sent"
    for item in told["questions"]:
        yield "fingerprint", f"{item['fingerprint']} of what is shown here, for {item['approval']}"


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    found = [(visible(name), visible(text)) for name, text in rows]
    width = max(len(name) for name, _ in found)
    return [f"  {name:{width}}  {text}" for name, text in found]


def _json(value: object) -> str:
    return visible(json.dumps(value, ensure_ascii=False))
