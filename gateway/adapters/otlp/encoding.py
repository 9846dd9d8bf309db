"""Spans as the bytes of an OTLP request, in the classes of opentelemetry-proto.

The SDK's encoder makes two messages for every attribute of every span, which is most of the CPU of an export. In a
batch nearly all attributes are the same few, so here each is encoded once and remembered as bytes. Bytes of messages of
one type, one after the other, are the bytes of a message with the fields of all of them: protobuf promises that.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

from gateway import __version__
from gateway.core.attributes import SCHEMA_URL
from gateway.core.spans import SpanValue

REMEMBERED = 8_192
"""Attributes, of some 100 bytes each."""
NANOSECONDS = 1_000_000
LOCAL = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
REMOTE = LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


def encoded(spans: Sequence[SpanValue], resource: Mapping[str, Any]) -> bytes:
    """One request. Raises ValueError if something in it is no text."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add(resource=_resource(resource))
    of_scope = of_resource.scope_spans.add(
        scope=InstrumentationScope(name="policy-gateway", version=__version__), schema_url=SCHEMA_URL
    )
    for span in spans:
        made = of_scope.spans.add(
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent),
            name=span.name,
            kind=Span.SPAN_KIND_CLIENT if span.kind == "client" else Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=span.start_ms * NANOSECONDS,
            end_time_unix_nano=span.end_ms * NANOSECONDS,
            flags=REMOTE if span.parent_is_remote else LOCAL,
            status=Status(code=Status.STATUS_CODE_ERROR if span.status == "error" else Status.STATUS_CODE_UNSET),
        )
        for link in span.links:
            made.links.add(trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id), flags=LOCAL)
        attributes = [_attribute(name, value) for name, value in span.attributes.items()]
        made.MergeFromString(b"".join(attributes))
    return bytes(request.SerializeToString())


@lru_cache(maxsize=REMEMBERED, typed=True)  # True and 1 are equal
def _attribute(name: str, value: Any) -> bytes:
    """A span with nothing but this attribute."""
    return bytes(Span(attributes=[KeyValue(key=name, value=_any(value))]).SerializeToString())


def _resource(attributes: Mapping[str, Any]) -> Resource:
    return Resource(attributes=[KeyValue(key=name, value=_any(value)) for name, value in attributes.items()])


def _any(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case _:
            return AnyValue(array_value=ArrayValue(values=map(_any, value)))
