"""What of a call, or of a standing grant, can be searched for: read from its leaves one after the other, and from as
little of each as is needed. Pure.

A million facts are read in seconds only because most of them are never decoded: how a call ended is plain from a few,
and `outcome_of` says when it is not. It must never be what a proof or a story is told from; those decode everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.codec import UnreadableFact, decode
from gateway.core.leaf import NotALeaf, read_leaf
from gateway.core.record import recall
from gateway.core.timeline import state

UNREADABLE = "unreadable"
"""Outcome of what a newer gateway wrote, or somebody damaged."""
STANDING, REVOKED = "given", "revoked"
"""Outcomes of a grant. That its time is over is no fact."""
NEUTRAL = frozenset(
    (
        "Attached", "Notified", "Reminded", "Escalated", "Reported", "Ended", "Abandoned", "Delivered", "Recorded",
        "Viewed",
    )
)  # fmt: skip
"""Facts that leave the state of a call as it is."""
ABOUT_CALL = ("agent", "user", "run", "system", "tool", "effect", "resource")

Plain = Mapping[str, Any]
"""A leaf as the JSON that it is."""


@dataclass(slots=True)
class Gist:
    """One call or grant, as it can be searched for."""

    id: str
    kind: Literal["call", "grant"]
    begun: int = 0
    """Milliseconds since the epoch."""
    last: int = 0
    """Of the latest fact."""
    agent: str = ""
    user: str = ""
    run: str = ""
    system: str = ""
    tool: str = ""
    effect: str = ""
    resource: str = ""
    """What it is about, as a person may have changed it."""
    outcome: str = ""
    """By `timeline.state`; of a grant, given or revoked."""
    status: int = 0
    """Of the system's answer; 0: there is none."""
    people: list[str] = field(default_factory=list)
    """Who decided, took part in deciding, cancelled or settled; and for whom they did. Not who only looked."""
    resources: list[str] = field(default_factory=list)
    """All that it ever was about: what the agent asked about, and what people made of that."""
    policies: list[str] = field(default_factory=list)
    """Those that determined a verdict, or matched in shadow."""
    leaves: list[int] = field(default_factory=list)
    """Indexes in the log of its partition."""

    def tell(self, index: int, plain: Plain) -> None:
        """One more leaf. Raises KeyError, TypeError or AttributeError if it is none."""
        fact = plain["fact"]
        self.leaves.append(index)
        self.last = number(plain["at"])
        if not self.begun:
            self.begun = self.last
        match fact.get("type"):
            case "Admitted":
                for name in ABOUT_CALL:
                    setattr(self, name, text(fact["call"].get(name)))
                add(self.resources, (self.resource,))
            case "Edited" if now := text(fact.get("resource")):
                self.resource = now
                add(self.resources, (now,))
            case "Judged":
                verdict = fact["verdict"]
                add(self.policies, verdict.get("policies", ()))
                add(self.policies, verdict.get("shadow", ()))
            case "Answered":
                self.status = number(fact["status"])
            case "Granted":
                self.agent, self.tool = text(fact["agent"]), text(fact["tool"])
                self.system = self.tool.partition(".")[0]
                self.outcome = self.outcome or STANDING
                add(self.policies, (fact["requirement"]["policy"],))
            case "Revoked":
                self.outcome = REVOKED
        if (by := fact.get("by")) and fact.get("type") != "Viewed":
            add(self.people, (by, fact.get("on_behalf")))


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """What fits into a column; 0 for anything else."""
    return value if type(value) is int and abs(value) < 1 << 63 else 0


def add(to: list[str], names: Iterable[object]) -> None:
    to += [name for name in dict.fromkeys(map(text, names)) if name and name not in to]


def quick_outcome(before: str, told: Sequence[Plain]) -> str:
    """How a call stands after these facts, if that is plain without the facts before; empty if it is not.

    `before` is how it stood, empty if there was nothing.
    """
    if before == "answered":
        return before
    types = [text(fact.get("type")) for fact in told]
    if "Answered" in types:
        return "answered"  # whatever else happens: nothing follows that takes it back
    if before and all(map(NEUTRAL.__contains__, types)):
        return before
    if not before and types == ["Admitted", "Judged"]:
        decision = text(told[1]["verdict"].get("decision"))
        return {"allow": "judging", "hold": "held", "deny": "denied"}.get(decision, "")
    return ""


def outcome_of(leaves: Iterable[bytes]) -> str:
    """How a call stands after all its leaves, by the state machine itself."""
    try:
        return state(recall(decode(read_leaf(leaf).envelope) for leaf in leaves))
    except (NotALeaf, UnreadableFact, ValueError):
        return UNREADABLE
