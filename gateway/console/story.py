"""One call as a story, of its facts alone: who, for whom, what, how it ended; the picture; each fact in words.

Nothing of what was asked for is in it but what facts carry, so whoever may know that a call happened may read it. The
agent's words stay the agent's words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.console.drawing import NARROW, TONES, WIDE, Drawing, Lane, Tone, draw, placed
from gateway.core.call import Call
from gateway.core.facts import Admitted, Approved, Cancelled, Edited, Fact, Judged, Rejected, Resolved, Retracted
from gateway.core.lifecycle import recall
from gateway.core.outcomes import Became, became, outcome
from gateway.core.routes import Routes
from gateway.core.segments import after, begin, root_of, trace_of
from gateway.core.timeline import line
from gateway.core.times import moment, since


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a fact stands in the sealed log."""

    index: int
    hash: str
    """Of the leaf, hex."""


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    at: int
    clock: str
    since: str
    """After the beginning."""
    name: str
    says: str
    lane: Lane
    tone: Tone
    tone_says: str
    trace: str
    span: str
    """Root of the call in that trace."""
    leaf: Leaf | None
    """None: it is not sealed yet."""


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    call: Call
    begun: int
    ended: int
    """When the fact was written by which it ended; 0: it is not over."""
    became: Became
    policies: tuple[Policy, ...]
    """That decided last."""
    decision: str
    people: tuple[str, ...]
    """What each person who had a say did, in their order."""
    generations: tuple[str, ...]
    lines: tuple[Line, ...]
    wide: Drawing
    narrow: Drawing

    @property
    def unsealed(self) -> int:
        return sum(line.leaf is None for line in self.lines)


def story(facts: Sequence[Fact], leaves: Mapping[int, Leaf], routes: Routes, *, now: int) -> Story:
    """`leaves`: of the facts that are sealed, by their place in the call from 0. `facts` begins with the admission."""
    record = recall(facts)
    over = outcome(record)
    judged = next((fact for fact in reversed(facts) if isinstance(fact, Judged)), None)
    until = 0 if over else now
    return Story(
        call=record.call,
        begun=facts[0].at,
        ended=over.at if over else 0,
        became=became(record, {}, routes, now=now),
        policies=tuple(_policies(judged)),
        decision=judged.verdict.decision if judged else "",
        people=tuple(line(fact) for fact in facts if isinstance(fact, _SAID)),
        generations=tuple(dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged))),
        lines=tuple(_lines(facts, leaves)),
        wide=draw(facts, width=WIDE, now=until),
        narrow=draw(facts, width=NARROW, now=until),
    )


_SAID = (Approved, Edited, Rejected, Cancelled, Retracted, Resolved)


def _policies(judged: Judged | None) -> Iterator[Policy]:
    if judged is not None:
        reasons = dict(zip(judged.verdict.policies, judged.verdict.reasons, strict=False))
        names = (*judged.verdict.policies, *(item.policy for item in judged.verdict.requirements))
        yield from (Policy(name, reasons.get(name, "")) for name in dict.fromkeys(names))


def _lines(facts: Sequence[Fact], leaves: Mapping[int, Leaf]) -> Iterator[Line]:
    life = None
    for number, fact in enumerate(facts):
        life = begin([fact]) if life is None else after(life, fact)
        lane, tone = placed(fact)
        yield Line(
            number=number + 1, at=fact.at, clock=moment(fact.at), since=since(fact.at - facts[0].at),
            name=type(fact).__name__, says=line(fact), lane=lane, tone=tone, tone_says=TONES[tone],
            trace=trace_of(life.call, life.segment) if life else "",
            span=root_of(life.call, life.segment) if life else "", leaf=leaves.get(number),
        )  # fmt: skip


def is_whole(facts: Sequence[Fact]) -> bool:
    """True if the beginning is there, without which nothing can be told."""
    return bool(facts) and isinstance(facts[0], Admitted)
