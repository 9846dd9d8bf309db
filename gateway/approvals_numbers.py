"""The numbers about decisions as lines for a terminal: what `gateway approvals stats` prints.

Every name in them was written by somebody else, so it goes through `visible`, as everything on a terminal does.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.approvals_text import left
from gateway.core.one_line import visible

TELLING = 20
"""Questions after which it says something that every one of them was approved."""

ENDINGS = ("APPROVED", "REJECTED", "EXPIRED", "MEDIAN", "95 %")

Told = Mapping[str, Any]


def numbers(told: Told) -> list[str]:
    """Everything that GET /approvals/stats answers, but shorter."""
    waiting, everything = told["waiting"], told["all"]
    lines = [f"From {told['from']} to {told['to']}."]
    if told["behind"]:
        lines.append("The record is still being read, so these numbers are not final: ask again in a minute.")
    lines += ["", f"Waiting: {waiting['count']}{_oldest(waiting)}"]
    lines += [f"  {item['age']:14} {item['count']:6}" for item in waiting["by_age"] if waiting["count"]]
    lines += ["", f"Over: {everything['of'] + everything['dropped']}; {_endings(everything)}", ""]
    for title, kind, found in (("POLICY", "policy", told["policies"]), ("GROUP", "group", told["groups"])):
        lines += _table(
            (title, "APPROVED", "REJECTED", "EXPIRED", "MEDIAN", "95 %"), (_row(kind, item) for item in found)
        )
    people = ((item["person"], str(item["yes"]), str(item["no"])) for item in told["people"])
    lines += _table(("PERSON", "YES", "NO"), people)
    return lines + [_telling(item) for item in told["policies"] if item["of"] >= TELLING and item["rate"] == 1.0]


def _oldest(waiting: Told) -> str:
    return f", the oldest for {left(waiting['oldest_seconds'])}" if waiting["count"] else ""


def _endings(tally: Told) -> str:
    parts = [f"{tally[name]} {name}" for name in ("approved", "rejected", "expired", "dropped")]
    if tally["median_seconds"] is not None:
        parts.append(f"decided within {_time(tally['median_seconds'])} (median), {_time(tally['p95_seconds'])} (95 %)")
    return ", ".join(parts)


def _row(kind: str, item: Told) -> tuple[str, ...]:
    times = (_time(item["median_seconds"]), _time(item["p95_seconds"]))
    return item[kind], f"{item['approved']} of {item['of']}", str(item["rejected"]), str(item["expired"]), *times


def _time(seconds: float | None) -> str:
    return left(None if seconds is None else round(seconds))


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    found = [tuple(visible(cell) for cell in row) for row in (headings, *rows)]
    if len(found) == 1:
        return []
    widths = [max(len(row[column]) for row in found) for column in range(len(headings))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in found] + [
        ""
    ]


def _telling(item: Told) -> str:
    name = visible(item["policy"])
    return f"{name} was approved {item['approved']} of {item['of']} times: does it ask too much, or does nobody look?"
