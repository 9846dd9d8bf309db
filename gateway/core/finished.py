"""How many calls ended how, by tool: a running count over the ledger, in its order, and never a look back.

It counts what was journalled and nothing else, so everybody who counts the same entries has the same numbers. A call in
doubt that is answered or settled later counts for both: the doubt was there. An entry is decoded only where it must
be, since most of the ledger passes by here. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

OUTCOMES = ("answered", "denied", "unreachable", "in_doubt", "settled")
_KIND = re.compile(
    rb'"type":"(Admitted|Judged|Answered|Unsent|Lost|Resolved|Rejected|Expired|Withdrawn|Cancelled)"'
)  # nobody's text can contain this: inside of a string its quotes are escaped
MOST_CALLS = 20_000
"""Of how many calls the tool is remembered; of others it is read again from their first fact."""
MOST_TOOLS = 1_000
"""Further ones are counted together as OTHERS. Tools are declared, so that takes years of configurations."""
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Kind:
    """What has to be known of a call to count how it ended."""

    tool: str = "(unknown)"
    acts: bool = True
    """It changes something: an answer that got lost leaves a doubt."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an entry says about the call that it is about."""

    kind: Kind | None
    """If the entry begins the call."""
    ends: tuple[bytes, ...]
    """Facts that are an outcome, by type."""


def told(stored: bytes) -> Told:
    """Read an entry of the ledger: facts in their envelopes, one on a line."""
    kind, ends = None, []
    for line in stored.split(b"\n"):
        found = _KIND.search(line)
        if found is None:
            continue
        name = found[1]
        if name == b"Admitted":
            kind = kind_of(line)
        elif name != b"Judged" or b'"decision":"deny"' in line:
            ends.append(name)
    return Told(kind, tuple(ends))


def kind_of(admitted: bytes) -> Kind:
    """Of a call's first fact, in its envelope. What cannot be read is a call of an unknown tool."""
    try:
        call = orjson.loads(admitted)["fact"]["call"]
        return Kind(str(call["tool"]), call["effect"] != "read")
    except (KeyError, TypeError, ValueError):
        return Kind()


@dataclass(slots=True)
class Finished:
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """By tool and outcome."""
    _kinds: dict[str, Kind] = field(default_factory=dict)
    _tools: set[str] = field(default_factory=set)

    def lacks(self, call: str, entry: Told) -> bool:
        """Whether the kind of this call must be learned before the entry can be counted."""
        return bool(entry.ends) and entry.kind is None and call not in self._kinds

    def learn(self, call: str, kind: Kind) -> None:
        self._kinds[call] = kind

    def forget(self) -> None:
        """Remember no calls if they are too many. Not between `lacks` and `count`."""
        if len(self._kinds) >= MOST_CALLS:
            self._kinds.clear()

    def count(self, call: str, entry: Told) -> None:
        if entry.kind is not None:
            self.learn(call, entry.kind)
        for fact in entry.ends:
            kind = self._kinds.get(call, Kind())
            self._add(kind.tool, _outcome(fact, kind), 1)

    def _add(self, tool: str, outcome: str, number: int) -> None:
        if tool not in self._tools:
            tool = tool if len(self._tools) < MOST_TOOLS else OTHERS
            self._tools.add(tool)
        self.counts[tool, outcome] = self.counts.get((tool, outcome), 0) + number

    def packed(self) -> list[list[Any]]:
        """Everything, as a JSON value."""
        return [[tool, outcome, number] for (tool, outcome), number in self.counts.items()]

    @classmethod
    def unpacked(cls, value: list[list[Any]]) -> "Finished":
        """What `packed` made. Raises TypeError or ValueError if it did not make this."""
        found = cls()
        for tool, outcome, number in value:
            found._add(str(tool), str(outcome), int(number))
        return found


def _outcome(fact: bytes, kind: Kind) -> str:
    plain: Mapping[bytes, str] = {b"Answered": "answered", b"Unsent": "unreachable", b"Resolved": "settled"}
    if fact == b"Lost":
        return "in_doubt" if kind.acts else "unreachable"
    return plain.get(fact, "denied")
