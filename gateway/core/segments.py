"""How a call's life is cut into traces, and the ids that follow from it.

A call lives in *segments*: it runs until it pauses (a hold, a doubt) or ends, and sleeps until something wakes it: a
vote, its expiry, a re-send, a late answer, a settlement, a replay. Each segment is a trace of its own. The first one
continues the agent's trace if it sent a valid `traceparent`; the agent's trace is over when the call is resumed hours
later, so the others have derived ids, and the root of each links to the root before it.

Every id follows from the call alone, so it does not matter who computes it, when, or how often. Changing FORMAT, or
what wakes and what closes, makes a repeated export differ from the first: do it only with a release note.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from gateway.core.call import Call, joined
from gateway.core.facts import (
    Admitted,
    Answered,
    Approved,
    Asked,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Expired,
    Fact,
    Judged,
    Lost,
    Previewed,
    Rejected,
    Resolved,
    Retracted,
    Unsent,
    Withdrawn,
)

FORMAT = b"gateway-span-1"
"""First part of every derived id."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


@dataclass(frozen=True, slots=True)
class SpanContext:
    """Ids in lower-case hex: 32 and 16 digits."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Sending:
    """One claim: the right to send once, and where in the call's traces it was taken."""

    token: str
    number: int
    """1 for the first, more for re-sends."""
    at: int
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Where a call stands after some of its facts, as far as its traces are concerned."""

    call: Call
    segment: int = 0
    open: bool = False
    opened_at: int = 0
    judged: Judged | None = None
    """In this segment."""
    asked_at: int = 0
    answered_at: int = 0
    sendings: tuple[Sending, ...] = ()
    known: frozenset[str] = frozenset()
    """Tokens of claims whose result is known."""

    def sending(self, token: str) -> Sending | None:
        return next((sending for sending in self.sendings if sending.token == token), None)


def begin(facts: Iterable[Fact]) -> Life | None:
    """Where a call stands that has these facts, oldest first; None if its admission is not among them."""
    iterator = iter(facts)
    first = next(iterator, None)
    if not isinstance(first, Admitted):
        return None
    life = after(Life(call=first.call), first)
    for fact in iterator:
        life = after(life, fact)
    return life


def after(life: Life, fact: Fact) -> Life:
    """Fold one more fact into `life`."""
    if not life.open and _wakes(fact):
        life = replace(life, segment=life.segment + 1, open=True, opened_at=fact.at, judged=None)
    match fact:
        case Judged():
            life = replace(life, judged=fact)
        case Asked():
            life = replace(life, asked_at=life.asked_at or fact.at)
        case Claimed():
            sending = Sending(fact.token, len(life.sendings) + 1, fact.at, life.segment)
            life = replace(life, sendings=(*life.sendings, sending))
        case Answered() | Unsent() | Lost():
            life = replace(life, known=life.known | {fact.token}, answered_at=fact.at)
        case _:
            pass
    return replace(life, open=False) if _closes(fact) else life


def outgoing_traceparent(facts: Iterable[Fact], token: str) -> str:
    """What a send under this claim tells the system: the id that its client span will have once it is known.

    `facts`: all facts of the call up to and including the claim, or up to the allow of a read (its token is empty).
    """
    life = begin(facts)
    if life is None:
        raise ValueError("the first fact of a call is its admission")
    sending = life.sending(token)
    return traceparent_in(life.call, sending.segment if sending else life.segment, token)


def traceparent_in(call: Call, segment: int, token: str) -> str:
    """The same where the segment is known: a call that never slept is in its first."""
    return f"00-{trace_of(call, segment)}-{derived(8, call.id, 'send', token)}-01"


def parse_traceparent(text: str) -> SpanContext | None:
    """The agent's trace and span, if the header is valid by W3C Trace Context; version 00 takes nothing further."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or (text.startswith("00") and found[3]):
        return None
    return SpanContext(found[1], found[2])


def agent_context(call: Call, segment: int) -> SpanContext | None:
    """The agent's span that a segment continues, if it does."""
    return parse_traceparent(call.traceparent) if segment == 1 and call.traceparent else None


def trace_of(call: Call, segment: int) -> str:
    agent = agent_context(call, segment)
    return agent.trace_id if agent else _derived_often(16, call.id, "trace", str(segment))


def root_of(call: Call, segment: int) -> str:
    return _derived_often(8, call.id, "root", str(segment))


def traces_of(facts: Iterable[Fact]) -> tuple[SpanContext, ...]:
    """Every trace in which a call is, oldest first: its trace id, and the id of the root span of this call in it.

    So the facts alone lead to the traces; each span leads back by `gateway.call.id` and `gateway.ledger.*`. Empty if
    the call's admission is not the first of `facts`.
    """
    life = begin(facts)
    if life is None:
        return ()
    numbers = range(1, life.segment + 1)
    return tuple(SpanContext(trace_of(life.call, number), root_of(life.call, number)) for number in numbers)


def derived(size: int, *parts: str) -> str:
    """`size` bytes in hex that follow from these parts and from nothing else."""
    return hashlib.sha256(joined([FORMAT, *map(str.encode, parts)])).digest()[:size].hex()


_derived_often = lru_cache(maxsize=4096)(derived)
"""Every span of a segment names its trace and its root."""


def _wakes(fact: Fact) -> bool:
    """After a pause or an end, this begins a new segment. Anything else belongs to the one before."""
    match fact:
        case Judged():
            return fact.verdict.decision != "hold"  # judged again, by a new generation, and still held: sleeps on
        case Admitted() | Approved() | Retracted() | Edited() | Claimed() | Resolved():
            return True
        case Rejected() | Expired() | Withdrawn() | Cancelled() | Unsent() | Lost() | Answered():
            return True
        case _:
            return False


def _closes(fact: Fact) -> bool:
    """A segment ends here: the call waits for people, or is over as far as anybody knows."""
    match fact:
        case Judged():
            return fact.verdict.decision != "allow"
        case Previewed():
            return fact.again and bool(fact.changed or fact.failed)  # what was approved waits again
        case Rejected() | Expired() | Withdrawn() | Cancelled() | Resolved():
            return True
        case Unsent() | Lost() | Answered() | Delivered():
            return True
        case _:
            return False
