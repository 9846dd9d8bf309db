"""The demo is played, whole; and its collector draws what it was sent."""

import io
import re
import subprocess
import sys
from dataclasses import replace

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2
from rich.console import Console

from gateway.demo.approver import Approver, authentic, new_secret, signature
from gateway.demo.collector import Collector, Span, draw
from gateway.demo.listener import listening
from gateway.demo.transcript import Transcript
from gateway.wire import webhook
from tests.gateway_process import environment

ROOT = Span(
    trace="a" * 32, id="01", parent="", name="execute_tool s.t", start=0, end=28_000_000, failed=False, client=False,
    attributes={"gateway.decision": "allow", "gateway.outcome": "answered", "gateway.ledger.entry": "1-0"},
    events=(), links=("b" * 32,),
)  # fmt: skip
JUDGED = replace(ROOT, id="02", parent="01", name="gateway.judged", links=())
POST = replace(
    JUDGED, id="03", name="POST", client=True,
    attributes={"server.address": "api.example", "http.response.status_code": "200", "gateway.fact": "Answered"},
)  # fmt: skip


def test_the_story_is_true_from_beginning_to_end():
    played = subprocess.run(
        [sys.executable, "-m", "gateway", "demo"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stderr == ""
    chapters = [int(number) for number in re.findall(r"^ ?(\d+)  [A-Z]", played.stdout, re.MULTILINE)]
    assert chapters == list(range(1, 12))
    assert "✗" not in played.stdout and "NO " not in played.stdout
    assert len(played.stdout.splitlines()) < 156, "three screens; nobody reads more"
    assert not re.search(r"[ \t]$", played.stdout, re.MULTILINE), "blanks at the end of a line"
    assert " 0.0 ms" not in played.stdout and "gateway.judged\n" in played.stdout
    assert played.stdout.count("fingerprint") == 1, "two values of one name would look like a contradiction"
    trace = played.stdout.split("10  The same call")[1]
    assert "gateway.decision = hold" in trace and "http.response.status_code = 200" in trace
    assert not re.search(r"sk_test_\w{9}|gk_\w{9}", played.stdout), "a credential in the transcript"


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_whoever_watches_decides_on_the_page(decision):
    """A browser that is a script: it signs in with the token of the transcript, and posts the form of the card."""
    command = [sys.executable, "-u", "-m", "gateway", "demo", "--open"]
    with subprocess.Popen(
        command, env=environment(BROWSER="true %s"), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as played:
        assert played.stdout is not None
        told = ""
        for line in played.stdout:
            told += line
            if re.search(r"^ +gp_\S+$", line):
                break
        visit(re.findall(r"(http://\S+/inbox/\S+)", told)[-1], told.split()[-1], decision)
        told += played.stdout.read()
    assert played.returncode == 0, told
    assert ("You said yes, and the gateway made the refund" in told) == (decision == "approve")
    assert ("You said no, and nothing was refunded" in told) == (decision == "reject")


def visit(address: str, token: str, decision: str) -> None:
    origin = address.partition("/inbox")[0]
    with httpx.Client(
        base_url=origin, trust_env=False, timeout=60, headers={"origin": origin}, follow_redirects=True
    ) as browser:
        assert browser.post("/login", data={"token": token, "next": address.removeprefix(origin)}).status_code == 200
        card = browser.get(address)
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', card.text))
        action = re.search(r'<form[^>]* action="(/inbox/[^"]+)"', card.text)
        assert action is not None and "70.00" in card.text, card.text
        assert browser.post(action[1], data=fields | {"decision": decision, "reason": "Seen."}).status_code == 200


def drawn(spans: list[Span]) -> str:
    console = Console(file=io.StringIO(), width=120)
    for tree in draw(spans):
        console.print(tree)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_trace_is_drawn_with_a_line_per_span_and_few_attributes():
    lines = drawn([ROOT, JUDGED, POST]).splitlines()
    assert len(lines) == 6
    assert "execute_tool s.t  28.0 ms  continues bbbbbbbb" in lines[1]
    assert "gateway.decision = allow" in lines[2] and "gateway.outcome = answered" in lines[3]
    assert lines[4].strip().endswith("gateway.judged  28.0 ms"), "no attributes of what is neither root nor exchange"
    assert "server.address = api.example  http.response.status_code = 200" in lines[5]
    assert "ledger" not in drawn([ROOT, JUDGED, POST])


def test_a_span_below_a_span_of_the_agent_is_a_root():
    assert "trace " + "a" * 32 in drawn([replace(ROOT, parent="99")])


def test_the_collector_keeps_a_span_that_comes_twice_once_and_knows_an_exchange():
    raw = trace_pb2.Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="POST", kind=trace_pb2.Span.SPAN_KIND_CLIENT)
    raw.attributes.add(key="gateway.call.id").value.string_value = "07ab"
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(raw)
    collector = Collector()
    for _ in range(2):
        assert collector.receive({}, request.SerializeToString())[0] == 200
    (span,) = collector.spans_of("07ab")
    assert span.client and span.trace == "01" * 16


def test_the_approver_agrees_with_the_gateway_about_signatures():
    secret, body = new_secret(), b'{"type": "approval.requested"}'
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": "1000",
        "webhook-signature": webhook.sign(secret, "m", 1000, body),
    }
    assert authentic(secret, headers, body, 1000.0)
    assert not authentic(secret, headers, body + b" ", 1000.0)
    assert not authentic(secret, headers, body, 1400.0)
    assert signature(secret, "m", 1000, body) == headers["webhook-signature"]


def test_the_approver_turns_a_forged_notice_away():
    approver = Approver(new_secret(), new_secret())
    forged = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    assert approver.receive(forged, b"{}")[0] == 401
    assert approver.forged == 1 and approver.next_notice(0.0) is None


@pytest.mark.parametrize("broken", [True, False])
def test_the_listener_is_silent_about_who_leaves_and_not_about_our_own_faults(capfd, broken):
    def receive(_headers, _body):
        if broken:
            raise ZeroDivisionError
        raise ConnectionResetError

    with listening(receive) as url, pytest.raises(httpx.TransportError):
        httpx.post(url, content=b"x", trust_env=False)
    assert ("ZeroDivisionError" in capfd.readouterr().err) == broken


def test_a_transcript_numbers_its_chapters():
    console = Console(file=io.StringIO(), width=100)
    transcript = Transcript(console)
    for title in ("One.", "Two."):
        transcript.chapter(title)
    assert isinstance(console.file, io.StringIO)
    assert re.findall(r"(\d)  (\w+)\.", console.file.getvalue()) == [("1", "One"), ("2", "Two")]
