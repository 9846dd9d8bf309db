"""What a collector really answered. The SDK's exporters keep it to themselves, and cannot be believed.

They (opentelemetry-exporter-otlp-proto-http 1.45.2, read and tested) call 3xx a success, and do not look at the body of
a 2xx, in which a collector says how much it rejected. So `Witness`, the HTTP session that they are given, keeps the
answer, and `said` decides. A 2xx from something that is not a collector (a login page, a load balancer) is not a yes.
"""

import json
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

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


class Witness(requests.Session):
    """Remembers what really came back, because the exporter keeps it to itself."""

    def __init__(self, host: str) -> None:
        super().__init__()
        # A proxy from the environment is for the way out. Many laptops have one and forget to exempt loopback.
        self.trust_env = host not in LOOPBACK
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


def said(answer: requests.Response, things: str = "spans") -> Said:
    """`things`: what was sent, as the sentence calls it. Traces and metrics are answered in the same form."""
    status = answer.status_code
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
