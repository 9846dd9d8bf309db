"""One call as a story, of its facts alone: who, for whom, what, how it ended; the picture; each fact in words.

Nothing of what was asked for is in it but what facts carry, so whoever may know that a call happened may read it. The
agent's words stay the agent's words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.console.drawing import NARROW, TONES, WIDE, Drawing, Lane, Tone, draw, placed
from gateway.console.searching import policies
from gateway.core import story as telling
from gateway.core.call import Call
from gateway.core.facts import Admitted, Fact
from gateway.core.outcomes import Became, became, outcome
from gateway.core.record import recall
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
class Story:
    call: Call
    begun: int
    ended: int
    """When the fact was written by which it ended; 0: it is not over."""
    became: Became
    sections: tuple[telling.Section, ...]
    """The whole of it in plain words, as `gateway audit show` tells it."""
    policies: tuple[str, ...]
    """That had a part in any verdict."""
    lines: tuple[Line, ...]
    wide: Drawing
    narrow: Drawing

    @property
    def unsealed(self) -> int:
        return sum(line.leaf is None for line in self.lines)


def story(
    facts: Sequence[Fact],
    leaves: Mapping[int, Leaf],
    routes: Routes,
    *,
    now: int,
    erasures: Sequence[telling.Erasure] = (),
) -> Story:
    """`leaves`: of the facts that are sealed, by their place in the call from 0. `facts` begins with the admission.
    `erasures`: of copies that were kept of it."""
    record = recall(facts)
    over = outcome(record)
    until = 0 if over else now
    return Story(
        call=record.call,
        begun=facts[0].at,
        ended=over.at if over else 0,
        became=became(record, {}, routes, now=now),
        sections=telling.story(facts, erasures),
        policies=tuple(dict.fromkeys(policies(facts))),
        lines=tuple(_lines(facts, leaves)),
        wide=draw(facts, width=WIDE, now=until),
        narrow=draw(facts, width=NARROW, now=until),
    )


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
