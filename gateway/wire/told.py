"""What every channel tells about a call, from the body that a webhook gets: rows of a label and a text for a person.

Texts come from agents, systems and policies, so each is one line in which nothing is hidden; a channel still has to
escape it for its own language.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gateway.core.legible import legible
from gateway.core.one_line import visible
from gateway.core.times import span

LONGEST_TEXT = 300
"""Of the agent's own words, and of one reason."""
MOST_POLICIES = 8
MOST_PREVIEWS, MOST_FIELDS, LONGEST_FIELD = 3, 6, 120
"""More stands on the page, and nothing here may make a message too long."""
LONGEST_ITEM = 150
"""Of one line in a digest."""
CHANGES = {"was": "before:", "after": "would become:"}
"""Members of a preview's field beside its text, and how they are told."""

Row = tuple[str, str]


class Item(NamedTuple):
    """One call in a digest."""

    summary: str
    text: str
    page: str


def requester(data: Mapping[str, Any]) -> Iterator[Row]:
    """Who asks, on whose behalf, in which run, and why in its own words."""
    yield "Agent", visible(f"{data['agent']} (owner {data['owner']})")
    for name, member in (("On behalf of", "user"), ("Run", "run")):
        if data[member]:
            yield name, visible(data[member])
    if data["why"]:
        yield "The agent's own words", legible(data["why"], LONGEST_TEXT)[0]


def policies(found: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Why it is held."""
    for policy in found[:MOST_POLICIES]:
        reason = cut(visible(policy["reason"]), LONGEST_TEXT) or "A policy demands it."
        yield f"{reason} ({policy['id']})"
    if len(found) > MOST_POLICIES:
        yield f"{len(found) - MOST_POLICIES} more policies are named on the page."


def previews(found: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """What the system says of what the call is about, or why it could not be asked."""
    for picture in list(found)[:MOST_PREVIEWS]:
        name = cut(visible(str(picture["title"] or picture["name"])), LONGEST_FIELD // 2)
        if failed := picture["failed"] or picture["unread"]:
            yield name, cut(f"could not be looked at: {visible(str(failed))}", LONGEST_FIELD)
        for field in picture["fields"][:MOST_FIELDS]:
            more = "".join(f", {word} {field[member]}" for member, word in CHANGES.items() if member in field)
            label = cut(visible(str(field["field"])), LONGEST_FIELD // 2)
            yield f"{name}, {label}", cut(visible(f"{field['text']}{more}"), LONGEST_FIELD)


def outcome(data: Mapping[str, Any]) -> Iterator[Row]:
    """How it ended."""
    yield data["outcome"], cut(visible(data["told"]), 2 * LONGEST_TEXT)
    if data["decided_by"]:
        yield "Decided by", cut(visible(", ".join(data["decided_by"])), LONGEST_TEXT)


def waiting(data: Mapping[str, Any]) -> str:
    """What a digest is about, in a line."""
    count = data["waiting"]
    if not count:
        return f"Nothing in the digest of {data['approval']} waits any more"
    return f"{count} question{'s' if count > 1 else ''} wait{'' if count > 1 else 's'} for {data['approval']}"


def questions(body: Mapping[str, Any], most: int) -> Iterator[Item]:
    """At most so many of the questions in a digest: what each is, who asks, and how long it is open."""
    for item in body["data"]["questions"][:most]:
        who = f"{item['agent']} (owner {item['owner']})" + (f" for {item['user']}" if item["user"] else "")
        left = time_left({"timestamp": body["timestamp"], "data": item})
        summary = cut(visible(item["summary"]), LONGEST_ITEM)
        yield Item(summary, f"{cut(visible(who), LONGEST_FIELD)}; {left} left", item["page"])


def over(data: Mapping[str, Any], most: int) -> Iterator[Item]:
    """At most so many of the calls that a digest says are over."""
    for item in data["over"][:most]:
        text = cut(visible(f"{item['outcome']}: {item['told']}"), LONGEST_ITEM)
        yield Item(cut(visible(item["summary"]), LONGEST_ITEM), text, item["page"])


def unlisted(data: Mapping[str, Any], most: int) -> Iterator[str]:
    """How many a digest counts and does not list."""
    for count, listed, word in (("waiting", "questions", "wait"), ("ended", "over", "are over")):
        if more := data[count] - len(data[listed][:most]):
            yield f"{more} more {word}."


def time_left(body: Mapping[str, Any]) -> str:
    """Until the question closes, from when this is told: `23 h`."""
    end, now = (datetime.fromisoformat(text).timestamp() for text in (body["data"]["expires_at"], body["timestamp"]))
    return span(max(round((end - now) * 1000), 0))


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
