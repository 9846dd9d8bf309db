"""An answer on its way to the agent, and what an identical request under another key meets. Real processes."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.gateway_process import eventually, key_of
from tests.gateway_world import SECRET, slug, world
from tests.killing_relay import killing
from tests.processes import PATIENCE_SECONDS
from tests.scripted_upstream import after, answer, fresh, resets, streams
from tests.valkey_server import Valkey

LARGE = {"GATEWAY_KEPT_ANSWER_LIMIT": "16MiB"}
"""More than the system takes in for somebody who does not read."""


def patient(routes):
    """Long enough for two calls to be under way at once: the second waits for signs of life of the first's worker."""
    routes["systems"]["slow"]["timeout"] = "6s"


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two workers whose journal is behind a relay that can kill the one which writes something."""
    folder = Path(tmp_path_factory.mktemp("v", numbered=True))
    valkey = Valkey(folder).start()
    try:
        with (
            killing(valkey.path, folder / "relay") as relay,
            world(workers=2, settings=LARGE | {"GATEWAY_REDIS_URL": relay.url}, change=patient) as scene,
        ):
            yield scene, relay, valkey
    finally:
        valkey.kill()


def met(valkey):
    """Sets of calls that an identical request meets."""
    return [sorted(valkey.command("SMEMBERS", key)) for key in valkey.command("KEYS", "*:executing:*")]


def test_an_answer_that_died_with_its_worker_is_there_for_the_retry_under_a_new_key(two):
    """SIGKILL after the answer is durable and before its first byte leaves: nobody can write down that it got lost."""
    scene, relay, _ = two
    eventually(lambda: len(scene.gateway.pids("worker")) == 2)
    to = fresh("pay")
    relay.victims_write = b'"type":"Answered"'
    with pytest.raises(httpx.TransportError):
        scene.pay(to, key="a" + to)
    assert relay.killed[-1:] and relay.killed[-1] not in scene.gateway.pids("worker")

    def retry():
        try:
            return scene.pay(to, key="b" + to)
        except httpx.TransportError:
            return None

    found = eventually(retry)
    assert found.status_code == 200 and found.headers["idempotent-replayed"] == "true"
    assert len(scene.upstream.seen(to)) == 1
    assert scene.timeline(found.headers["gateway-call"])[3:6] == ["Answered", "Attached", "Abandoned"]
    eventually(lambda: "Delivered" in scene.timeline(found.headers["gateway-call"]))
    assert scene.pay(to, key="c" + to).headers["gateway-call"] != found.headers["gateway-call"]
    assert len(scene.upstream.seen(to)) == 2


def test_an_answer_that_was_handed_over_leaves_nothing_to_meet(two):
    """So the same, meant again under a new key, waits for nobody, whichever worker gets it."""
    scene, _, valkey = two
    eventually(lambda: len(scene.gateway.pids("worker")) == 2)
    to = fresh("pay")
    same, others = list[float](), list[float]()
    for number in range(20):
        for took, whom in ((same, to), (others, fresh("pay"))):
            begun = time.monotonic()
            assert scene.pay(whom, key=f"{number}{whom}", connection="close").status_code == 200
            took.append(time.monotonic() - begun)
    # Two signs of life that are waited for take half a second at least, and half of them are another worker's.
    assert sorted(same)[15] < sorted(others)[15] + 0.45
    assert len(scene.upstream.seen(to)) == 20
    eventually(lambda: met(valkey) == [])


@contextmanager
def slow_reader(scene, to, key):
    """A connection that has asked for a payment, and takes in little of what comes back."""
    host, port = scene.gateway.agents.removeprefix("http://").split(":")
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(PATIENCE_SECONDS)
        line.connect((host, int(port)))
        body = json.dumps({"to": to, "amount": 10})
        fields = (
            "POST /bank/payments HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key_of('bot')}",
            "Content-Type: application/json", f"Content-Length: {len(body)}", f"Idempotency-Key: {key}", "", body,
        )  # fmt: skip
        line.sendall("\r\n".join(fields).encode())
        assert line.recv(12) == b"HTTP/1.1 200"
        yield line


def abandoned(scene, valkey):
    """Whether the one call that is met is known to have been left."""
    [[call]] = met(valkey)
    return "Abandoned" in scene.timeline(call.decode())


def test_an_agent_that_goes_away_in_the_middle_of_its_answer_gets_it_when_it_asks_again(two):
    """It is still met while it is on its way."""
    scene, _, valkey = two
    to, long = fresh("pay"), b"x" * 16_000_000
    scene.upstream.will(to, answer(200, long, [("content-type", "text/plain")]))
    with slow_reader(scene, to, "a" + to):
        time.sleep(0.3)
        assert [len(calls) for calls in met(valkey)] == [1]
        assert not abandoned(scene, valkey)
    eventually(lambda: abandoned(scene, valkey))
    found = scene.pay(to, key="b" + to)
    assert (found.status_code, found.content) == (200, long)
    assert len(scene.upstream.seen(to)) == 1
    eventually(lambda: met(valkey) == [])


@pytest.mark.parametrize("whole", [True, False])
def test_a_streamed_answer_is_handed_over_when_all_of_it_has_left(two, whole):
    scene, _, valkey = two
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, streams("text/event-stream", [(None, b"data: 1\n\n"), (go, b"data: 2\n\n")]))
    with slow_reader(scene, to, "a" + to) as line:
        time.sleep(0.3)
        assert [len(calls) for calls in met(valkey)] == [1]
        if whole:
            go.set()
            told = b""
            while not told.endswith(b"\r\n0\r\n\r\n"):
                told += line.recv(4096)
    go.set()
    if whole:
        eventually(lambda: met(valkey) == [])
    else:
        eventually(lambda: abandoned(scene, valkey))
        assert slug(scene.pay(to, key="b" + to)) == "answer-not-kept"
        assert len(scene.upstream.seen(to)) == 1
        valkey.command("DEL", *valkey.command("KEYS", "*:executing:*"))


def test_an_answer_that_is_withheld_is_told_and_leaves_nothing_to_meet(two):
    scene, _, valkey = two
    to = fresh("pay")
    scene.upstream.will(to, answer(200, {"ok": 1}, [("x-echo", SECRET)]))
    assert slug(scene.pay(to, key="a" + to)) == "credential-echoed"
    eventually(lambda: met(valkey) == [])


def test_a_deployment_between_two_payments_takes_neither_for_the_other(two):
    """Whoever hands an answer over says so before it ends; else the next would get that answer instead of acting."""
    scene, _, _ = two
    to = fresh("pay")
    calls = []
    for number in range(2):
        found = scene.pay(to, key=f"{number}{to}")
        scene.gateway.restart()
        assert "idempotent-replayed" not in found.headers
        calls.append(found.headers["gateway-call"])
    assert len(set(calls)) == 2 == len(scene.upstream.seen(to))


def test_of_several_doubts_each_is_met_until_it_is_settled(two):
    """Two identical calls side by side, both in doubt: an identical request finds the one, and then the other."""
    scene, _, valkey = two
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, *[after(go, resets())] * 2)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(scene.pay, to, key=f"{number}{to}", system="slow") for number in range(2)]
        eventually(lambda: len(scene.upstream.seen(to)) == 2)
        go.set()
        assert {slug(one.result()) for one in both} == {"outcome-unknown"}
    scene.upstream.will(to, answer(200, {"id": 3}))
    assert [len(calls) for calls in met(valkey)] == [2]

    operator, settle = scene.person("operator"), {"outcome": "did-not-act", "note": "not in the ledger"}
    found = []
    for number in range(2):
        doubt = scene.pay(to, key=f"retry{number}{to}", system="slow")
        assert slug(doubt) == "outcome-unknown"
        found.append(doubt.json()["call"])
        eventually(lambda: operator.post(f"/calls/{found[-1]}/resolve", json=settle).is_success)
    assert len(set(found)) == 2 and len(scene.upstream.seen(to)) == 2
    assert scene.pay(to, key="new" + to, system="slow").status_code == 200
    eventually(lambda: met(valkey) == [])
