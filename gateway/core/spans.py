"""What happened to a call, as spans. Facts in, spans out; docs/traces.md shows what that looks like to a reader.

The ledger is the record and a trace is its publication: it may be late and it may be repeated, but it must not be
different the second time. So a span is computed from an entry of the ledger and the facts before it, never from what
an exporter remembers. The rules:

 1. Every fact is exactly one short span, `gateway.<fact>`. Nobody keeps a span open while a person thinks.
 2. Every segment of a call (see `segments`) has one root, `execute_tool <tool>`, emitted with the fact that closes it.
 3. What was sent to the system is a client span, from the claim to its result. Its id is derived from the claim, so
    that it could be named in the request's `traceparent` before anybody knew the result.

This file must never read a clock or draw a random number, and lets nothing out but through `fact_attributes`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.core import attributes as names
from gateway.core.call import Call
from gateway.core.fact_attributes import (
    Attributes,
    Value,
    clean,
    of_call,
    of_exchange,
    of_fact,
    of_judging,
    of_outcome,
)
from gateway.core.facts import Admitted, Answered, Ended, Fact, Lost, Unsent
from gateway.core.segments import Life, SpanContext, after, agent_context, begin, derived, root_of, trace_of

Origin = Callable[[str, str], str]
"""(generation, system) -> `https://api.stripe.com`, or empty if that generation is no longer known."""


class Entry(Protocol):
    """One append, as the ledger keeps it."""

    @property
    def id(self) -> str: ...
    @property
    def call(self) -> str: ...
    @property
    def position(self) -> int:
        """How many facts the call had before."""
        ...

    @property
    def facts(self) -> tuple[Fact, ...]: ...
    @property
    def index(self) -> int:
        """Number of the first fact's leaf in the sealed log of the partition."""
        ...

    @property
    def leaves(self) -> tuple[str, ...]:
        """The hash of each fact's leaf, in hex."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanValue:
    """One finished span. Times are milliseconds of the journal's clock since the epoch."""

    trace_id: str
    span_id: str
    parent: str = ""
    """Span id in the same trace; empty for a root."""
    parent_is_remote: bool = False
    """The parent is the agent's span, not ours."""
    name: str
    kind: Literal["internal", "client"] = "internal"
    start_ms: int
    end_ms: int
    attributes: Mapping[str, Value]
    links: tuple[SpanContext, ...] = ()

    @property
    def status(self) -> Literal["unset", "error"]:
        return "error" if names.ERROR_TYPE in self.attributes else "unset"


def unknown_origin(generation: str, system: str) -> str:  # noqa: ARG001 - an Origin
    return ""


def spans_of(entry: Entry, before: Sequence[Fact] | None, origin: Origin = unknown_origin) -> tuple[SpanValue, ...]:
    """The spans of one entry, given all facts of its call before it; None if those are gone.

    Whoever computes them, whenever, gets the same. Without the facts before, the entry's own are still exported, in a
    trace without a root, marked `gateway.history = missing`.
    """
    return spans_after(entry, begin(before or ()), origin)[0]


def spans_after(
    entry: Entry, life: Life | None, origin: Origin = unknown_origin
) -> tuple[tuple[SpanValue, ...], Life | None]:
    """The same for whoever knows where the call stood before the entry; and where it stands after it.

    `life` is nothing but the facts before, folded (`segments.begin`): knowing it saves reading them again.
    """
    first = next(iter(entry.facts), None)
    if isinstance(first, Admitted):
        life = Life(call=first.call)
    if life is None:
        return tuple(_orphan(entry, index, fact) for index, fact in enumerate(entry.facts)), None
    spans: list[SpanValue] = []
    for index, fact in enumerate(entry.facts):
        then = after(life, fact)
        spans.append(_span(entry, index, life, then, origin))
        if not then.open and (life.open or then.segment > life.segment):
            spans.append(_root(entry, index, then))
        life = then
    return tuple(spans), life


def _span(entry: Entry, index: int, life: Life, then: Life, origin: Origin) -> SpanValue:
    """The span of one fact, below the root of its segment. `life` is before the fact, `then` after it."""
    fact, call, segment = entry.facts[index], then.call, then.segment
    start, name, span_id = fact.at, _name(fact), _fact_id(entry, index)
    kind: Literal["internal", "client"] = "internal"
    found = of_fact(fact, fact.at - then.asked_at if then.asked_at else 0)
    if isinstance(fact, Answered | Unsent | Lost):
        sending = then.sending(fact.token)
        if sending is not None:
            segment, start = sending.segment, sending.at
        if fact.token not in life.known:  # a second result of one claim (forfeited, then answered) needs another id
            span_id = derived(8, call.id, "send", fact.token)
        where = origin(then.judged.generation, call.system) if then.judged else ""
        found |= of_exchange(call, sending.number if sending else 1, where)
        kind, name = "client", str(found[names.HTTP_REQUEST_METHOD]).replace("_OTHER", "HTTP")
    if isinstance(fact, Ended):
        start = then.answered_at
    return SpanValue(
        trace_id=trace_of(call, segment),
        span_id=span_id,
        parent=root_of(call, segment),
        name=name,
        kind=kind,
        start_ms=min(start, fact.at),
        end_ms=fact.at,
        attributes=clean(_place(entry, index, segment) | _identity(call) | found),
    )


def _root(entry: Entry, index: int, life: Life) -> SpanValue:
    """The segment as a whole, from the fact that opened it to the fact that closed it."""
    fact, call, segment = entry.facts[index], life.call, life.segment
    agent = agent_context(call, segment)
    judged = of_judging(life.judged) if life.judged else {}
    found = _place(entry, index, segment) | _identity(call) | of_call(call) | judged | of_outcome(fact, call)
    before = SpanContext(trace_of(call, segment - 1), root_of(call, segment - 1))
    return SpanValue(
        trace_id=trace_of(call, segment),
        span_id=root_of(call, segment),
        parent=agent.span_id if agent else "",
        parent_is_remote=agent is not None,
        name=f"execute_tool {call.tool}",
        start_ms=min(life.opened_at, fact.at),
        end_ms=fact.at,
        attributes=clean(found),
        links=(before,) if segment > 1 else (),
    )


def _orphan(entry: Entry, index: int, fact: Fact) -> SpanValue:
    return SpanValue(
        trace_id=derived(16, entry.call, "trace", "orphans"),
        span_id=_fact_id(entry, index),
        name=_name(fact),
        start_ms=fact.at,
        end_ms=fact.at,
        attributes=clean(_place(entry, index, 0) | of_fact(fact, 0) | {names.HISTORY: "missing"}),
    )


def _place(entry: Entry, index: int, segment: int) -> Attributes:
    """Where in the ledger the reader finds what this span publishes."""
    return {
        names.CALL_ID: entry.call,
        names.FACT: type(entry.facts[index]).__name__,
        names.LEDGER_PARTITION: int(entry.call[:2]),
        names.LEDGER_ENTRY: entry.id,
        names.LEDGER_POSITION: entry.position + index,
        names.LEDGER_INDEX: entry.index + index,
        names.LEDGER_LEAF: entry.leaves[index],
        names.SEGMENT: segment,
    }


def _identity(call: Call) -> Attributes:
    return {names.GEN_AI_TOOL_NAME: call.tool, names.GEN_AI_AGENT_NAME: call.agent}


def _name(fact: Fact) -> str:
    return f"gateway.{type(fact).__name__.lower()}"


def _fact_id(entry: Entry, index: int) -> str:
    return derived(8, entry.call, entry.id, str(index))
