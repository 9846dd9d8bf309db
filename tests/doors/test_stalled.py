"""A request that does not arrive is given up, whatever part of it is missing; one that does is never disturbed."""

import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.doors.protocol import StrictProtocol
from gateway.doors.stalled import MESSAGE_SECONDS, Stalled
from tests.doors.test_protocol import CHUNKED, HOST, Behind
from tests.gateway_process import eventually
from tests.processes import PATIENCE_SECONDS


@dataclass(eq=False)
class Fake:
    awaited: int = 1
    given_up: list[float] = field(default_factory=list)

    def give_up(self, seconds: float) -> None:
        self.given_up.append(seconds)


def test_what_stays_unfinished_for_too_long_is_given_up():
    stalled, one, other = Stalled(), Fake(), Fake(awaited=0)
    stalled.look([one, other], 100.0)
    stalled.look([one, other], 100.0 + MESSAGE_SECONDS - 0.1)
    assert one.given_up == []
    stalled.look([one, other], 100.0 + MESSAGE_SECONDS)
    assert (one.given_up, other.given_up) == ([MESSAGE_SECONDS], [])


def test_the_next_request_of_a_connection_has_time_of_its_own():
    stalled, one = Stalled(), Fake()
    stalled.look([one], 0.0)
    one.awaited = 2
    stalled.look([one], MESSAGE_SECONDS)
    assert one.given_up == []


def test_a_new_connection_has_time_of_its_own_wherever_it_lies_in_memory():
    stalled, gone = Stalled(), Fake()
    stalled.look([gone], 0.0)
    assert next(iter(stalled._since))[0] is gone  # kept alive by being remembered, so nobody else gets its place


def test_one_that_would_not_be_closed_is_asked_again_only_after_as_long():
    stalled, one = Stalled(), Fake()
    for at in (0.0, MESSAGE_SECONDS, MESSAGE_SECONDS + 5, 2 * MESSAGE_SECONDS):
        stalled.look([one], at)
    assert len(one.given_up) == 2


def test_a_connection_that_is_gone_is_forgotten():
    stalled = Stalled()
    stalled.look([Fake()], 0.0)
    stalled.look([], 1.0)
    assert not stalled._since


@pytest.fixture(scope="module")
def behind():
    made = Behind()
    yield made
    made.close()


HALVES = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: gate",
    "a head without its body": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nab",
    "chunks without an end": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\r\nab\r\n",
    "half a second head": b"GET / HTTP/1.1\r\n" + HOST + b"\r\nGET / HT",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
def test_a_request_that_does_not_arrive_is_answered_408_and_closed(behind, half):
    with socket.create_connection(behind.address, timeout=PATIENCE_SECONDS) as client:
        client.sendall(half)
        connection = found(behind, client)
        eventually_awaits(connection, half)
        stalled, now = Stalled(), time.monotonic()
        for at in (now, now + MESSAGE_SECONDS):
            connection.loop.call_soon_threadsafe(stalled.look, [connection], at)
        data = b""
        while part := client.recv(65536):
            data += part
    last = data[data.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 408 ") and b"too-slow" in last


def test_between_two_requests_nothing_is_awaited(behind):
    with socket.create_connection(behind.address, timeout=PATIENCE_SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        eventually(lambda: found(behind, client).awaited == 0)


def found(behind, client):
    def accepted():
        return [each for each in list(behind.server.server_state.connections) if each.client == client.getsockname()]

    return eventually(accepted, "the server never saw the connection")[0]


def eventually_awaits(connection, half: bytes) -> None:
    wanted = 1 + half.count(b" / HT")
    eventually(lambda: connection.awaited == wanted, f"it never awaits {wanted}")


def test_a_request_that_waits_for_its_answer_is_not_closed_for_the_next_one(behind):
    """uvicorn stops reading while a pipelined request waits, so the rest of that may be late by our own doing."""
    behind.release.clear()
    with socket.create_connection(behind.address, timeout=PATIENCE_SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\nGET / HT")
        connection = found(behind, client)
        eventually_awaits(connection, HALVES["half a second head"])
        stalled, now = Stalled(), time.monotonic()
        for at in (now, now + MESSAGE_SECONDS):
            connection.loop.call_soon_threadsafe(stalled.look, [connection], at)
        looked = threading.Event()
        connection.loop.call_soon_threadsafe(looked.set)
        assert looked.wait(PATIENCE_SECONDS)
        behind.release.set()
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"TP/1.1\r\n" + HOST + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_what_was_answered_before_it_came_whole_is_only_closed():
    """As a 401 that needs no body: a second answer would be taken for that of the next request."""
    wire: list[object] = []
    connection: Any = StrictProtocol.__new__(StrictProtocol)
    connection.pipeline = deque()
    connection.cycle = SimpleNamespace(response_started=True, response_complete=True, more_body=True)
    connection.transport = SimpleNamespace(write=wire.append, close=lambda: wire.append("closed"))
    connection.give_up(MESSAGE_SECONDS)
    assert wire == ["closed"]
