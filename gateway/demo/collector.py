"""A trace collector: receives OTLP over HTTP with protobuf, remembers spans, finds those of one call.

Which attribute carries the call's id is the gateway's business; here a trace belongs to a call if any of its spans
has the id as the value of any attribute. Exporting may repeat (a crash repeats, nothing is lost), so spans are kept
by their id.
"""

import gzip
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from rich.text import Text
from rich.tree import Tree

OF_THE_CALL = ("gateway.decision", "gateway.approval.groups", "gateway.policy.ids", "gateway.outcome")
OF_THE_EXCHANGE = ("server.address", "server.port", "http.response.status_code")
"""What is shown of a root and of a client span; docs/traces.md has all attributes."""
QUIET = 1.0
"""Seconds without a new span of a call after which its trace is taken to be complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    """Both in nanoseconds since the epoch."""
    failed: bool
    client: bool
    """An exchange with another system."""
    attributes: Mapping[str, str]
    events: tuple[str, ...]
    links: tuple[str, ...]
    """Traces that this span continues."""


class Collector:
    def __init__(self) -> None:
        self._lock = Lock()
        self._spans: dict[tuple[str, str], Span] = {}

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        request = ExportTraceServiceRequest.FromString(plain)
        found = [_span(raw) for group in request.resource_spans for scope in group.scope_spans for raw in scope.spans]
        with self._lock:
            self._spans.update({(span.trace, span.id): span for span in found})
        return 200, "application/x-protobuf", ExportTraceServiceResponse().SerializeToString()

    def spans_of(self, call: str) -> list[Span]:
        with self._lock:
            spans = list(self._spans.values())
        traces = {span.trace for span in spans if call in span.attributes.values()}
        return sorted((span for span in spans if span.trace in traces), key=lambda span: (span.start, span.end))

    def wait_for(self, call: str, seconds: float) -> list[Span]:
        """The spans of that call once no more have come for a while; empty if none came in time."""
        deadline, seen, since = time.monotonic() + seconds, 0, time.monotonic()
        while time.monotonic() < deadline:
            count = len(self.spans_of(call))
            if count != seen:
                seen, since = count, time.monotonic()
            if seen and time.monotonic() - since > QUIET:
                break
            time.sleep(0.05)
        return self.spans_of(call)


def _span(raw: trace_pb2.Span) -> Span:
    return Span(
        trace=raw.trace_id.hex(),
        id=raw.span_id.hex(),
        parent=raw.parent_span_id.hex(),
        name=raw.name,
        start=raw.start_time_unix_nano,
        end=raw.end_time_unix_nano,
        failed=raw.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        client=raw.kind == trace_pb2.Span.SPAN_KIND_CLIENT,
        attributes={pair.key: _value(pair.value) for pair in raw.attributes},
        events=tuple(event.name for event in raw.events),
        links=tuple(link.trace_id.hex() for link in raw.links),
    )


def _value(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return ", ".join(_value(item) for item in value.array_value.values)
    return str(getattr(value, kind)) if kind else ""


def draw(spans: list[Span]) -> list[Tree]:
    """One tree per trace, oldest first, a line per span. A span whose parent is not ours (the agent's) is a root."""
    ours = {span.id for span in spans}
    trees: list[Tree] = []
    for root in (span for span in spans if span.parent not in ours):
        tree = Tree(Text(f"trace {root.trace}", style="dim"), guide_style="dim")
        _branch(tree, root, spans, OF_THE_CALL)
        trees.append(tree)
    return trees


def _branch(tree: Tree, span: Span, spans: list[Span], told: tuple[str, ...]) -> None:
    branch = tree.add(_label(span))
    known = [f"{name} = {span.attributes[name]}" for name in told if name in span.attributes]
    if span.client:
        branch.label = Text.assemble(_label(span), ("  " + "  ".join(known), "not bold dim"))
    else:
        for line in known:
            branch.add(Text(line, style="dim"))
    for child in (other for other in spans if other.parent == span.id and other.trace == span.trace):
        _branch(branch, child, spans, OF_THE_EXCHANGE if child.client else ())


def _label(span: Span) -> Text:
    label = Text(span.name, style="bold red" if span.failed else "bold")
    if span.end > span.start:  # what happened at one moment has no duration
        label.append(f"  {(span.end - span.start) / 1e6:,.1f} ms", style="not bold cyan")
    for event in span.events:
        label.append(f"  {event}", style="not bold magenta")
    for link in span.links:
        label.append(f"  continues {link[:8]}", style="not bold yellow")
    return label
