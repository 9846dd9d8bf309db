"""Sends finished spans to an OpenTelemetry collector, once, and says what the collector made of them.

The SDK's exporter does the talking, so the standard OTEL_* variables mean what they mean elsewhere; what came of it
`answers` tells.
"""

import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gateway import __version__
from gateway.adapters.otlp import environment
from gateway.adapters.otlp.answers import Said, Witness, said
from gateway.core.attributes import SCHEMA_URL
from gateway.core.spans import SpanValue

# The library logs every attempt. We log once that traces wait, and once that they flow again.
logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)


class Collector:
    """Used by one thread at a time. `export` blocks: OTEL_EXPORTER_OTLP_TIMEOUT seconds (10), if nothing trickles."""

    def __init__(self) -> None:
        self._host = environment.host("TRACES")
        self._witness = Witness(self._host)
        self._exporter = OTLPSpanExporter(session=self._witness)
        self._resource = environment.resource()
        self._scope = InstrumentationScope("policy-gateway", __version__, SCHEMA_URL)
        self._closed = False

    def export(self, spans: Sequence[SpanValue]) -> Said:
        """Send these spans; retries of transient failures included, all within the time-out."""
        self._witness.forget()
        result = self._exporter.export([self._readable(span) for span in spans])
        if self._closed:
            return Said("unavailable", "the gateway is stopping")
        if self._witness.attempts == 0:
            return Said("rejected", "these spans cannot be encoded, or are too large for one request")
        answer = self._witness.answer
        if answer is None:
            return Said("unavailable", f"no answer from the collector at {self._host} ({self._witness.failure})")
        found = said(answer)
        if found.verdict == "accepted" and result is not SpanExportResult.SUCCESS:
            return Said("unavailable", "the exporter gave up")
        return found

    def close(self) -> None:
        """Ends a running `export` early: its waiting, not its socket."""
        self._closed = True
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: SpanValue) -> ReadableSpan:
        links = [Link(_context(link.trace_id, link.span_id)) for link in span.links]
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent, remote=span.parent_is_remote) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            links=links,
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if span.status == "error" else StatusCode.UNSET),
            start_time=span.start_ms * 1_000_000,  # nanoseconds
            end_time=span.end_ms * 1_000_000,
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str, *, remote: bool = False) -> SpanContext:
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
