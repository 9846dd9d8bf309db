"""What every channel tells about a call, from the body that a webhook gets: rows of a label and a text for a person.

Texts come from agents, systems and policies, so each is one line in which nothing is hidden; a channel still has to
escape it for its own language.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.core.legible import legible
from gateway.core.one_line import visible
from gateway.core.times import span

LONGEST_TEXT = 300
"""Of the agent's own words, and of one reason."""
MOST_POLICIES = 20

Row = tuple[str, str]


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


def outcome(data: Mapping[str, Any]) -> Iterator[Row]:
    """How it ended."""
    members = (("Outcome", "outcome"), ("Decided by", "decided_by"), ("Reason", "reason"), ("Status", "status"))
    for name, member in members:
        if data.get(member):
            yield name, cut(visible(str(data[member])), LONGEST_TEXT)


def time_left(body: Mapping[str, Any]) -> str:
    """Until the question closes, from when this is told: `23 h`."""
    end, now = (datetime.fromisoformat(text).timestamp() for text in (body["data"]["expires_at"], body["timestamp"]))
    return span(max(round((end - now) * 1000), 0))


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
