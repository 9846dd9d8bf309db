"""Sends finished spans to an OpenTelemetry collector, once, and says what the collector made of them.

The SDK's exporter does the talking, so the standard OTEL_* variables mean what they mean elsewhere. It cannot be
believed, though (opentelemetry-exporter-otlp-proto-http 1.45.2, read and tested): it calls 3xx a success, and does not
look at the body of a 2xx, in which a collector says how many spans it rejected. So `_Witness`, the HTTP session we
give it, keeps what the collector really answered, and that decides. A 2xx from something that is not a collector (a
login page, a load balancer) is not a yes either.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gateway import __version__
from gateway.core.attributes import SCHEMA_URL
from gateway.core.spans import SpanValue

# The library logs every attempt. We log once that traces wait, and once that they flow again.
logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)

REJECTIONS = frozenset({400, 413, 422})
"""Statuses about what was sent; all others are about who, where or when."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Said:
    """What the collector made of a batch."""

    verdict: Literal["accepted", "rejected", "unavailable"]
    sentence: str = ""
    """Why not; or, of an accepted batch, the collector's warning."""
    retry_after: float = 0.0
    """Seconds that the collector asked us to wait."""


def configured() -> bool:
    """True if the environment names a collector. Raises ValueError if it asks for what the gateway does not do."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {name.strip() for name in os.environ.get("OTEL_TRACES_EXPORTER", "").split(",")} - {""}
    if exporters == {"none"}:
        return False
    if exporters - {"otlp"}:
        raise ValueError(f"OTEL_TRACES_EXPORTER is {','.join(sorted(exporters))!r}: use otlp, none, or leave it out")
    endpoint = _setting("ENDPOINT")
    if not endpoint:
        return bool(exporters)  # asked for by name: the standard's default address
    place = urlsplit(endpoint)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise ValueError("OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL, such as http://localhost:4318")
    protocol = _setting("PROTOCOL")
    if protocol not in ("", "http/protobuf"):
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: traces are exported as http/protobuf only")
    for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        path = _setting(name)
        if path and not Path(path).is_file():
            raise ValueError(f"OTEL_EXPORTER_OTLP_{name} is {path!r}: there is no such file")
    return True


class Collector:
    """Used by one thread at a time. `export` blocks: OTEL_EXPORTER_OTLP_TIMEOUT seconds (10), if nothing trickles."""

    def __init__(self) -> None:
        self._host = urlsplit(_setting("ENDPOINT")).hostname or "localhost"
        self._witness = _Witness()
        # A proxy from the environment is for the way out. Many laptops have one and forget to exempt loopback.
        self._witness.trust_env = self._host not in LOOPBACK
        self._exporter = OTLPSpanExporter(session=self._witness)
        self._resource = _resource()
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
        said = _said(answer)
        if said.verdict == "accepted" and result is not SpanExportResult.SUCCESS:
            return Said("unavailable", "the exporter gave up")
        return said

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


class _Witness(requests.Session):
    """Remembers what really came back, because the exporter keeps it to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        self.attempts = 0
        self.answer: requests.Response | None = None
        self.failure = ""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.attempts += 1
        self.answer = None
        try:
            self.answer = super().send(request, **options)
        except Exception as error:
            self.failure = type(error).__name__
            raise
        return self.answer


def _said(answer: requests.Response) -> Said:
    status = answer.status_code
    if status in REJECTIONS:
        return Said("rejected", f"the collector answered {status} to these spans")
    if not 200 <= status < 300:
        return Said("unavailable", f"the collector answered {status}", _retry_after(answer))
    partial = _partial_success(answer)
    if partial is None:
        kind = answer.headers.get("content-type", "no content type")
        return Said("unavailable", f"what answered {status} is not an OTLP collector ({kind}): check the endpoint")
    rejected, message = partial
    if rejected:
        return Said("rejected", f"the collector rejected {rejected} of these spans: {message or 'it gave no reason'}")
    return Said("accepted", message)


def _partial_success(answer: requests.Response) -> tuple[int, str] | None:
    """How many spans were rejected and why; None if the body is not an OTLP answer. An empty one is a plain yes."""
    body = answer.content
    try:
        if body.lstrip()[:1] == b"{":  # JSON, whatever the content type: no OTLP message begins so
            partial = json.loads(body).get("partialSuccess") or {}
            return int(partial.get("rejectedSpans") or 0), str(partial.get("errorMessage") or "")
        if body and answer.headers.get("content-type", "").startswith("text/"):
            return None
        found = ExportTraceServiceResponse.FromString(body).partial_success
        return found.rejected_spans, found.error_message
    except (DecodeError, ValueError, TypeError, AttributeError):
        return None


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get("retry-after", "")
    try:
        return max(float(text), 0.0) if text.isdigit() else max(_timestamp(text) - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _timestamp(text: str) -> float:
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _context(trace_id: str, span_id: str, *, remote: bool = False) -> SpanContext:
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _resource() -> Resource:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, over our own name."""
    ours = Resource({SERVICE_NAME: "policy-gateway", SERVICE_VERSION: __version__})
    found = Resource.create()
    named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return found.merge(ours) if not named else ours.merge(found)


def _setting(name: str) -> str:
    """The variable for traces, or else the one for all signals."""
    specific = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "")
    return (specific or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")).strip()
