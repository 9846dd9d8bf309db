"""Standing grants on a terminal: what somebody typed as the wish that the control plane reads, and grants as lines.

It decides nothing: what may be granted, and by whom, is for the control plane to say. What is printed of a grant was
written by the gateway from an agent's call, so it goes through `visible`, line by line.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.config.durations import positive_seconds
from gateway.core.one_line import visible
from gateway.core.times import iso

HEADINGS = ("GRANT", "STATE", "AGENT", "TOOL", "MEETS", "UNTIL", "GIVEN BY")

Told = Mapping[str, Any]


class NotAWish(Exception):
    """A sentence, without its full stop, about what was typed."""


def wished(up_to: Sequence[str], free: Sequence[str], until: str, lasting: str, now: int) -> dict[str, object]:
    """`bounds`, `free` and `until` of the request. `now` in milliseconds. Raises NotAWish."""
    if bool(until) == bool(lasting):
        raise NotAWish("say how long, either by --for, such as 8h, or by --until, such as 2026-11-20T18:00:00Z")
    bounds: dict[str, int] = {}
    for text in up_to:
        name, equals, most = text.partition("=")
        if not name or not equals or not (most.isascii() and most.isdecimal() and len(most) < 20):
            raise NotAWish(f"{text!r} is not NAME=NUMBER, such as amount=10000")
        bounds[name] = int(most)
    if both := sorted(set(bounds) & set(free)):
        raise NotAWish(f"{both[0]} is both bounded and free: name it once")
    if lasting:
        try:
            until = iso(now + round(positive_seconds(lasting) * 1000))
        except ValueError as error:
            raise NotAWish(f"--for {error}") from error
    return {"bounds": bounds, "free": list(free), "until": until}


def drafts(told: Iterable[Told]) -> list[str]:
    """Everything that a person must have read before they grant it."""
    lines: list[str] = []
    for draft in told:
        lines += ["", f"  you grant {visible(draft['grant'])}, until {visible(draft['until'])}:", *_text(draft["text"])]
        if not draft["covers_this_call"]:
            lines.append("  It would not have let this call through: look at the bounds and their unit.")
        if draft["quorum"] > 1:
            lines.append(
                f"  It counts once {draft['quorum']} people of {visible(draft['approval'])} have given the same, with "
                f"--until {visible(draft['until'])}."
            )
    return lines


def row(told: Told) -> tuple[str, ...]:
    """One grant in a list, under HEADINGS."""
    people = ", ".join(each["by"] for each in told["given"])
    cells = (told["grant"], _state(told), told["agent"], told["tool"], told["forbid"], told["until"], people)
    return tuple(visible(str(cell)) for cell in cells)


def whole(told: Told) -> list[str]:
    """One grant with its text, which is kept only as long as the grant may be used."""
    lines = [f"{visible(told['grant'])}: {visible(_state(told))}, until {visible(told['until'])}"]
    given = (f"{each['by']} gave it at {each['at']} ({each['via']}), at call {each['call']}" for each in told["given"])
    lines += [f"  {visible(each)}" for each in given]
    if told["revoked"]:
        lines.append(f"  {visible(told['revoked']['by'])} revoked it at {visible(told['revoked']['at'])}")
    if told["state"] == "open" and told["unused_because"]:
        lines.append(f"  it meets nothing: {visible(told['unused_because'])}")
    return [*lines, "", *_text(told["text"] or "its text is not kept: the grant is over")]


def _state(told: Told) -> str:
    return "unused" if told["state"] == "open" and told["unused_because"] else str(told["state"])


def _text(text: str) -> list[str]:
    return [f"    {visible(line)}" for line in text.strip().split("\n")]
