"""What a collector answers and what we make of it; and the standard OTEL_* variables, through real requests."""

import asyncio
import dataclasses
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from gateway.adapters.otlp.collector import Collector
from gateway.core.segments import SpanContext
from gateway.core.spans import SpanValue
from tests.adapters.otlp.receiver import PROTOBUF, YES, Receiver, partial, receiving

SPAN = SpanValue(
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7", parent="00f067aa0ba902b8",
    parent_is_remote=True, name="POST", kind="client", start_ms=1_763_633_000_123, end_ms=1_763_633_000_456,
    attributes={"gateway.call.id": "17ab", "gateway.policy.ids": ("p1", "p2"), "gateway.key.given": True,
                "http.response.status_code": 500, "error.type": "500"},
    links=(SpanContext("a" * 32, "b" * 16),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
    return monkeypatch


def export(judge=lambda spans: YES, spans=(SPAN,), **variables):
    """One export to a receiver that answers so; what the collector said and what it got."""
    with receiving() as receiver, pytest.MonkeyPatch.context() as patch:
        receiver.judge = judge
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        for name, value in variables.items():
            patch.setenv(name, value.format(url=receiver.url))
        return asyncio.run(post(spans)), receiver


async def post(spans, *, close_first=False):
    """One request with these spans, by a collector of its own."""
    collector = Collector()
    try:
        if close_first:
            await collector.close()
        return await collector.send(collector.encode(spans))
    finally:
        await collector.close()


def answering(status, headers=None, body=b""):
    return lambda spans: (status, headers or {}, body)


# --- What arrives ------------------------------------------------------------------------------------------------


def test_a_span_arrives_as_it_is():
    said, receiver = export()
    assert said.verdict == "accepted"
    (span,) = receiver.spans
    assert span.trace_id.hex() == SPAN.trace_id and span.span_id.hex() == SPAN.span_id
    assert span.parent_span_id.hex() == SPAN.parent and span.name == "POST" and span.kind == 3  # SPAN_KIND_CLIENT
    assert (
        span.start_time_unix_nano == 1_763_633_000_123_000_000 and span.end_time_unix_nano == 1_763_633_000_456_000_000
    )
    assert span.status.code == 2  # STATUS_CODE_ERROR
    found = {pair.key: pair.value for pair in span.attributes}
    assert found["gateway.call.id"].string_value == "17ab" and found["gateway.key.given"].bool_value is True
    assert [item.string_value for item in found["gateway.policy.ids"].array_value.values] == ["p1", "p2"]
    assert found["http.response.status_code"].int_value == 500
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [("a" * 32, "b" * 16)]
    assert span.flags & 0x200  # the parent is remote


def test_values_that_are_equal_and_of_another_kind_stay_of_their_kind():
    values: list[int | str] = [1, True, 0, False, "1"]
    _, receiver = export(spans=[dataclasses.replace(SPAN, attributes={"gateway.x": value}) for value in values])
    kinds = [span.attributes[0].value.WhichOneof("value") for span in receiver.spans]
    assert kinds == ["int_value", "bool_value", "int_value", "bool_value", "string_value"]


def test_the_resource_is_ours_unless_the_environment_names_another():
    _, receiver = export()
    assert receiver.resources[0]["service.name"] == "policy-gateway" and receiver.resources[0]["service.version"]
    assert receiver.scopes == [("policy-gateway", "https://opentelemetry.io/schemas/1.44.0")]
    _, receiver = export(OTEL_SERVICE_NAME="payments", OTEL_RESOURCE_ATTRIBUTES="deployment.environment=live")
    assert receiver.resources[0]["service.name"] == "payments"
    assert receiver.resources[0]["deployment.environment"] == "live"


def test_a_proxy_from_the_environment_does_not_stand_before_loopback():
    said, _ = export(HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1")
    assert said.verdict == "accepted"


def test_limits_on_attributes_do_not_thin_out_the_record():
    _, receiver = export(
        OTEL_ATTRIBUTE_COUNT_LIMIT="1", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="1", OTEL_SPAN_LINK_COUNT_LIMIT="0"
    )
    assert len(receiver.spans[0].attributes) == 5 and len(receiver.spans[0].links) == 1


# --- What the collector says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        YES,
        (202, PROTOBUF, b""),
        (200, {}, b""),
        (200, {"content-type": "text/plain"}, b""),
        (200, {"content-type": "application/json"}, b"{}"),
        (200, {"content-type": "text/plain"}, b'{"partialSuccess": {}}'),
        (200, {"content-type": "application/json"}, b'{"partialSuccess": {"rejectedSpans": "0"}}'),
    ],
)
def test_a_yes_is_a_yes(answer):
    assert export(lambda spans: answer)[0].verdict == "accepted"


@pytest.mark.parametrize(
    "answer",
    [
        partial(1, "attributes too long"),
        (
            200,
            {"content-type": "application/json"},
            b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "attributes too long"}}',
        ),
    ],
)
def test_a_yes_in_which_spans_were_rejected_is_a_no(answer):
    said, _ = export(lambda spans: answer)
    assert said.verdict == "rejected" and "attributes too long" in said.sentence


def test_a_warning_is_passed_on_with_the_yes():
    said, _ = export(lambda spans: partial(0, "deprecated"))
    assert (said.verdict, said.sentence) == ("accepted", "deprecated")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_no_to_what_was_sent_is_a_rejection(status):
    assert export(answering(status))[0].verdict == "rejected"


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 405, 429, 500, 502, 503, 504])
def test_any_other_no_is_about_the_collector_and_waits(status):
    said, _ = export(answering(status, {"location": "http://127.0.0.1:1/"}))
    assert said.verdict == "unavailable" and str(status) in said.sentence


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html"}, b"<html>Please log in</html>"),
        ({"content-type": "text/plain"}, b"accepted\n"),
        (PROTOBUF, b"\xff\xff"),
        ({}, b"<html>"),
        ({"content-type": "application/json"}, b"[]"),
        ({"content-type": "application/json"}, b"{broken"),
        ({"content-type": "application/json"}, b'{"partialSuccess": {"rejectedSpans": "many"}}'),
        ({"content-type": "application/json"}, b'{"partialSuccess": 7}'),
    ],
)
def test_a_200_from_something_that_is_not_a_collector_is_no_yes(headers, body):
    said, _ = export(answering(200, headers, body))
    assert said.verdict == "unavailable" and "check the endpoint" in said.sentence


def test_retry_after_is_passed_on():
    assert export(answering(429, {"retry-after": "120"}))[0].retry_after == 120.0
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 120))
    assert 100 < export(answering(503, {"retry-after": date}))[0].retry_after <= 120
    assert export(answering(503, {"retry-after": "soon"}))[0].retry_after == 0.0


def test_nobody_there_a_stall_and_a_hang_up_are_unavailable(environment):
    with receiving() as receiver:
        url = receiver.url
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    assert asyncio.run(post([SPAN])).verdict == "unavailable"
    assert export(lambda spans: None)[0].verdict == "unavailable"

    def stall(spans):
        time.sleep(0.6)
        return YES

    said, _ = export(stall, OTEL_EXPORTER_OTLP_TIMEOUT="0.4")
    assert said.verdict == "unavailable" and "none within 0.4 s" in said.sentence


def test_an_answer_that_comes_byte_by_byte_or_never_ends_is_bounded_as_a_whole(environment):
    """The time-out of an HTTP library is between two bytes."""

    def trickling(connection, headers):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n" + (b"\r\n" if headers else b""))
        for _ in range(900):  # until nobody listens any more
            connection.sendall(b"x-a: b\r\n" if not headers else b"x")
            time.sleep(0.05)

    environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.4")
    for headers in (True, False):
        with speaking(lambda connection, headers=headers: trickling(connection, headers)) as url:
            environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            began = time.monotonic()
            assert asyncio.run(post([SPAN])).verdict == "unavailable"
            assert time.monotonic() - began < 30

    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n")
        for _ in range(4000):
            connection.sendall(b"x" * 10_000)

    with speaking(endless) as url:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "20")
        assert asyncio.run(post([SPAN])).verdict == "unavailable"


@contextmanager
def speaking(say):
    """A server that reads what comes first and then does as it is told."""

    def serve():
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                say(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_spans_that_cannot_be_encoded_are_a_rejection_and_not_a_retry_for_ever():
    said, receiver = export(spans=[dataclasses.replace(SPAN, name="x\ud800")])
    assert said.verdict == "rejected" and receiver.requests == []


def test_a_sentence_names_the_host_and_no_credential():
    said, _ = export(OTEL_EXPORTER_OTLP_ENDPOINT="http://user:pass@127.0.0.1:1/key-123")
    assert "127.0.0.1" in said.sentence and "pass" not in said.sentence and "key-123" not in said.sentence


def test_closing_ends_a_wait_and_is_not_mistaken_for_a_rejection(environment):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    assert asyncio.run(post([SPAN], close_first=True)).verdict == "unavailable"


def test_the_receiver_of_these_tests_is_a_real_one():
    assert Receiver().judge([]) == YES
