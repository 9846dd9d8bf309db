"""What an answer to an OTLP request means: a yes, a no to what was sent, or that nobody is there to say either.

A 2xx from something that is not a collector (a login page, a load balancer) is not a yes, and neither is one that says
how much of it was rejected.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

REJECTIONS = frozenset({400, 413, 422})
"""Statuses about what was sent; all others are about who, where or when."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the collector made of a batch."""

    verdict: Literal["accepted", "rejected", "unavailable"]
    sentence: str = ""
    """Why not; or, of an accepted batch, the collector's warning."""
    retry_after: float = 0.0
    """Seconds that the collector asked us to wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By name in lower case, or in a mapping that does not mind."""
    content: bytes


def said(answer: Answer, things: str = "spans") -> Said:
    """`things`: what was sent, as the sentence calls it. Traces and metrics are answered in the same form."""
    status = answer.status
    if status in REJECTIONS:
        return Said("rejected", f"the collector answered {status} to these {things}")
    if not 200 <= status < 300:
        return Said("unavailable", f"the collector answered {status}", _retry_after(answer))
    partial = _partial_success(answer)
    if partial is None:
        kind = answer.headers.get("content-type", "no content type")
        return Said("unavailable", f"what answered {status} is not an OTLP collector ({kind}): check the endpoint")
    rejected, message = partial
    if rejected:
        return Said(
            "rejected", f"the collector rejected {rejected} of these {things}: {message or 'it gave no reason'}"
        )
    return Said("accepted", message)


def _partial_success(answer: Answer) -> tuple[int, str] | None:
    """How many spans were rejected and why; None if the body is not an OTLP answer. An empty one is a plain yes."""
    body = answer.content
    try:
        if body.lstrip()[:1] == b"{":  # JSON, whatever the content type: no OTLP message begins so
            partial = json.loads(body).get("partialSuccess") or {}
            rejected = partial.get("rejectedSpans") or partial.get("rejectedDataPoints") or 0
            return int(rejected), str(partial.get("errorMessage") or "")
        if body and answer.headers.get("content-type", "").startswith("text/"):
            return None
        found = ExportTraceServiceResponse.FromString(body).partial_success
        return found.rejected_spans, found.error_message
    except (DecodeError, ValueError, TypeError, AttributeError):
        return None


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    try:
        return max(float(text), 0.0) if text.isdigit() else max(_timestamp(text) - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _timestamp(text: str) -> float:
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
