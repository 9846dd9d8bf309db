"""Whoever speaks to the control plane is recognised in exactly one way."""

import json
import socket

import pytest

from tests.gateway_process import token_of
from tests.gateway_world import world
from tests.scripted_upstream import fresh


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


def talk(url: str, data: bytes) -> tuple[bytes, bytes]:
    """The status line, and everything else that comes back for these bytes until the connection ends."""
    host, port = url.removeprefix("http://").split(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=15) as line:
        line.sendall(data)
        while more := line.recv(65536):
            found += more
    status, _, rest = found.partition(b"\r\n")
    return status, rest


TWICE = {
    "two hosts": "Host: a.example",
    "two people": f"Authorization: Bearer {token_of('second')}",
    "two content types": "Content-Type: text/plain",
    "two codings": "Transfer-Encoding: gzip, chunked",
}


@pytest.mark.parametrize("more", TWICE.values(), ids=TWICE)
def test_a_vote_that_could_be_read_in_two_ways_is_no_vote(scene, more):
    call = scene.hold(fresh("pay"))
    fingerprint = scene.approvers.notice(call).data["fingerprint"]
    body = json.dumps({"call": call, "approval": "finance", "decision": "approve", "fingerprint": fingerprint}).encode()
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if "gzip" in more else body
    lines = [
        f"POST /approvals/{call}/decision HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token_of('lead')}",
        "Content-Type: application/json", *([] if "gzip" in more else [f"Content-Length: {len(body)}"]), more, "", "",
    ]  # fmt: skip
    status, rest = talk(scene.gateway.control, "\r\n".join(lines).encode() + framed)
    assert b" 400 " in status and b"ambiguous-request" in rest and b"connection: close" in rest.lower()
    assert scene.state(call) == "held"


def test_without_a_host_only_the_old_http_is_answered(scene):
    """In which health checks are still written."""
    assert b" 400 " in talk(scene.gateway.control, b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")[0]
    assert b" 200 " in talk(scene.gateway.control, b"GET /livez HTTP/1.0\r\n\r\n")[0]
