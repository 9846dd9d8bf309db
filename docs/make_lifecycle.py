"""Writes the generated part of docs/lifecycle.md: `.venv/bin/python docs/make_lifecycle.py`. A test compares.

Nothing is drawn here. Three calls (an effect, an effect that may be repeated, a read) are led through everything that
`gateway.core.lifecycle` lets happen: `next_step` says what a drive appends, people and late answers come whenever
they may, and time and configuration move. What is printed is what was reached, so a change of the code that changes a
call's life changes the page or fails the test.
"""
# ruff: noqa: INP001 - a script beside the page that it writes

import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.core import facts, timeline
from gateway.core.call import Call
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Attached,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Judged,
    Lost,
    Notified,
    Recorded,
    Rejected,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Unsent,
    Viewed,
    Withdrawn,
)  # fmt: skip
from gateway.core.lifecycle import Ask, Claim, Climb, Expire, Finish, Forfeit, Judge, Send, Wait, next_step
from gateway.core.record import Record, after, begin, without_unused_allow
from gateway.core.verdict import Requirement, Verdict

PAGE = Path(__file__).parent / "lifecycle.md"
BEGIN, END = (
    "<!-- lifecycle:begin (written by docs/make_lifecycle.py; edits here are lost) -->",
    "<!-- lifecycle:end -->",
)

TICK = 6_000
"""Longer than every pause between sends, so that time moves in few steps."""
LEASE, EXPIRE, KEEPS, LAST = TICK, 2 * TICK, 8 * TICK, 4 * TICK
TODAY, TOMORROW = "today", "tomorrow"
FINANCE = Requirement("finance", "large", "text")

_CALL = Call(
    id="07" + "ab" * 10, agent="a", system="s", tool="s.t", effect="write", method="POST", resource="", fingerprint="f",
    match="m", key="k", key_given=True,
)  # fmt: skip
KINDS = {
    "effect": _CALL,
    "repeatable": replace(_CALL, repeatable=True, keeps_ms=KEEPS),
    "read": replace(_CALL, effect="read", method="GET"),
}
GATEWAY, SENDER, PEOPLE, AGENT = "the gateway", "the drive that sent", "a person", "the agent"
ENDS = ("answered", "denied", "unreachable", "settled")
QUIET = (
    Attached(key="other", keep=1),
    Notified(notice="n", attempt=1, status=200, done=True),
    Ended(length=0, sha256="", whole=True),
    Abandoned(),
    Delivered(),
    Reminded(group="finance", notices=()),
    Escalated(group="finance", to=("cfo",), notices=()),
    Reported(kind="call.finished", notices=()),
    Recorded(part="input", how="redacted", digest="d", size=1, keep=1),
    Viewed(by="ann", via="token", fingerprint="f"),
)
"""Facts that must change no state; `explore` checks it in every state."""


@dataclass(frozen=True)
class Moment:
    record: Record | None
    now: int = 0
    today: str = TODAY
    untold: frozenset[str] = frozenset()
    """Claims whose drive has not written what came of them."""

    @property
    def state(self) -> str:
        return timeline.state(without_unused_allow(self.record)) if self.record else ""

    def then(self, *pending: Fact) -> "Moment":
        record, untold = self.record, self.untold
        for fact in pending:
            timed = isinstance(fact, Claimed | Lost | Asked)
            stamped = replace(fact, at=self.now if timed else 0)
            record = (
                begin(stamped) if record is None and isinstance(stamped, Admitted) else after(_known(record), stamped)
            )
            untold = untold | {fact.token} if isinstance(fact, Claimed) else untold
        return replace(self, record=replace(_known(record), version=1), untold=untold)


Arrow = tuple[str, str, str, str]
"""From state, what one append says, who writes it, to state."""


@dataclass
class Walk:
    call: Call
    arrows: set[Arrow] = field(default_factory=set)
    seen: set[Moment] = field(default_factory=set)

    def explore(self) -> set[Arrow]:
        edge = {Moment(None)}
        while edge:
            self.seen |= edge
            edge = {found for moment in edge for found in self.nexts(moment)} - self.seen
        return self.arrows

    def nexts(self, moment: Moment) -> Iterator[Moment]:
        record = moment.record
        if record is None:
            first = Admitted(call=self.call)
            yield from self.drives(moment, begin(first), (first,))
            return
        for fact in QUIET:
            assert moment.then(fact).state == moment.state, f"{type(fact).__name__} changes the state {moment.state}"
        if moment.now < LAST:
            yield replace(moment, now=moment.now + TICK)
        if moment.today == TODAY:
            yield replace(moment, today=TOMORROW)
        yield from self.drives(moment, without_unused_allow(record), ())
        for token in sorted(moment.untold):
            for fact in (Answered(token=token, status=200), Lost(token=token, error=""), Unsent(token=token, error="")):
                told = replace(moment, untold=moment.untold - {token})
                yield self.append(told, SENDER, fact)
        yield from self.others(moment, without_unused_allow(record))

    def drives(self, moment: Moment, record: Record, pending: tuple[Fact, ...]) -> Iterator[Moment]:
        """What one drive gathers, up to the append before it touches the world or has nothing more to do."""
        step = next_step(record, now=moment.now, me="", today=moment.today)
        shape = "g" if record.edits else "f"
        match step:
            case Judge():
                for verdict in VERDICTS if moment.today == TODAY else (*VERDICTS, HOLD_BY_AN_EDIT):
                    fact = Judged(verdict=verdict, generation=moment.today, fingerprint=shape)
                    yield from self.drives(moment, after(record, fact), (*pending, fact))
            case Ask(requirements):
                fact = Asked(fingerprint=shape, requirements=requirements, notices=(), expire=EXPIRE, at=moment.now)
                yield from self.drives(moment, after(record, fact), (*pending, fact))
            case Climb():
                raise AssertionError("no question of this walk has a ladder")
            case Expire():
                yield self.append(moment, GATEWAY, *pending, Expired())
            case Forfeit(token):
                yield self.append(moment, GATEWAY, *pending, Lost(token=token, error=""))
            case Claim():
                token = f"t{len(record.tokens) + 1}"
                yield self.append(moment, GATEWAY, *pending, Claimed(token=token, fingerprint=shape, lease=LEASE))
            case Send():
                for fact in (Answered(token="", status=200), Lost(token="", error=""), Unsent(token="", error="")):
                    yield self.append(moment, GATEWAY, *pending, fact)
            case Wait() | Finish() if pending:
                yield self.append(moment, GATEWAY, *pending)

    def others(self, moment: Moment, record: Record) -> Iterator[Moment]:
        """What `gateway.decisions` lets people and the agent say."""
        if moment.state == "held" and record.asked:
            if not record.votes:
                vote = Approved(by="ann", group="finance", fingerprint="f", requirements=(FINANCE,), via="token")
                yield self.append(moment, PEOPLE, vote)
            yield self.append(moment, PEOPLE, Rejected(by="ann", group="finance", fingerprint="f", via="token"))
            if not record.edits and not record.votes and moment.today == TODAY:
                yield self.append(moment, PEOPLE, EDIT)
        if record.votes and not record.tokens and record.answer is None and record.refusal is None:
            yield self.append(moment, PEOPLE, Retracted(by="ann", group="finance", via="token"))
        step = next_step(record, now=moment.now, me="", today=moment.today)
        if record.asked and record.claim is None and not record.doubts and not isinstance(step, Finish):
            yield self.append(moment, AGENT, Withdrawn())
            yield self.append(moment, PEOPLE, Cancelled(by="olga", via="token"))
        in_doubt = isinstance(step, Finish) and isinstance(step.outcome, Lost) and record.call.acts
        if in_doubt and record.latest is not None and moment.now >= record.latest.at + record.latest.lease:
            for acted in (True, False):
                yield self.append(moment, PEOPLE, Resolved(by="olga", acted=acted))

    def append(self, moment: Moment, who: str, *pending: Fact) -> Moment:
        found = moment.then(*pending)
        self.arrows.add((moment.state, ", ".join(map(_said, pending)), who, found.state))
        return found


EDIT = Edited(by="ann", group="finance", before="f", fingerprint="g", changed=("amount",), via="token")
VERDICTS = (
    Verdict(decision="allow"),
    Verdict(decision="hold", requirements=(FINANCE,)),
    Verdict(decision="deny", code="no-permit"),
)


HOLD_BY_AN_EDIT = Verdict(decision="hold", requirements=(Requirement("legal", "new", "text"),))
"""A forbid that was added while the call waited: its group has not been asked yet."""


def _known(record: Record | None) -> Record:
    assert record is not None, "a call begins with its admission"
    return record


def _said(fact: Fact) -> str:
    match fact:
        case Judged(verdict=verdict):
            return f"Judged {verdict.decision}"
        case Resolved(acted=acted):
            return "Resolved acted" if acted else "Resolved did not act"
    return type(fact).__name__


# --- The page ---------------------------------------------------------------------------------------------------------


def generated() -> str:
    """The text between the markers."""
    walks = {kind: Walk(call) for kind, call in KINDS.items()}
    arrows = {kind: walk.explore() for kind, walk in walks.items()}
    moments = sum(len(walk.seen) for walk in walks.values())
    parts = [
        BEGIN, f"<!-- {moments} reachable situations were visited -->", "### An effect", diagram(arrows["effect"]),
        "### A read", diagram(arrows["read"]), "### Every append", table(arrows), "### Every fact", vocabulary(), END,
    ]  # fmt: skip
    return "\n\n".join(parts)


def diagram(arrows: set[Arrow]) -> str:
    """Mermaid, without the appends that leave a call where it is."""
    labels: dict[tuple[str, str], set[str]] = {}
    for begun, said, _, then in arrows:
        if begun != then:
            labels.setdefault((begun, then), set()).add(said.removeprefix("Admitted, "))
    states = sorted({state for pair in labels for state in pair if " " in state})
    lines = ["stateDiagram-v2", *(f'    state "{state}" as {_id(state)}' for state in states)]
    for (begun, then), said in sorted(labels.items(), key=lambda item: (_order(item[0][0]), _order(item[0][1]))):
        lines.append(f"    {_id(begun)} --> {_id(then)}: {' / '.join(sorted(said))}")
    reached = {then for _, then in labels}
    lines += [f"    {state} --> [*]" for state in ENDS if state in reached]
    return "\n".join(["```mermaid", *lines, "```"])


def table(arrows: dict[str, set[Arrow]]) -> str:
    rows = sorted({arrow for found in arrows.values() for arrow in found}, key=_place)
    lines = ["| state | what one append says | by | then | for |", "|---|---|---|---|---|"]
    for arrow in rows:
        begun, said, who, then = arrow
        kinds = [kind for kind in KINDS if arrow in arrows[kind]]
        whose = "all" if len(kinds) == len(KINDS) else ", ".join(kinds)
        lines.append(f"| {begun or '*new*'} | {said} | {who} | {then} | {whose} |")
    return "\n".join(lines)


def _place(arrow: Arrow) -> tuple[int, str, int, str]:
    begun, said, who, then = arrow
    return _order(begun), said, _order(then), who


def vocabulary() -> str:
    lines = ["| fact | what it says | state |", "|---|---|---|"]
    quiet = {type(fact) for fact in QUIET}
    for kind in typing.get_args(facts.Fact):
        said = " ".join((inspect.getdoc(kind) or "").split())
        lines.append(f"| {kind.__name__} | {said} | {'never changes it' if kind in quiet else ''} |")
    return "\n".join(lines)


ORDER = ("", "judging", "held", "executing", "in doubt", "answered", "denied", "unreachable", "settled")


def _order(state: str) -> int:
    return ORDER.index(state)


def _id(state: str) -> str:
    return state.replace(" ", "_") or "[*]"


def written(page: str) -> str:
    """The page with its generated part made anew."""
    before, _, rest = page.partition(BEGIN)
    return before + generated() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
