"""Handing an answer out: what is believed to have left must have left."""

import asyncio

import pytest

from gateway.doors import exchange
from gateway.doors.exchange import BrokenOff, respond
from gateway.doors.protocol import HIGH_WATER


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (HIGH_WATER, 1), (HIGH_WATER + 1, 2)])
def test_a_large_answer_is_over_only_with_a_second_part_which_waits_for_the_first(size, parts):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(respond(send, 200, [(b"a", b"b")], b"x" * size))
    head, *bodies = sent
    assert head == {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
    assert b"".join(body["body"] for body in bodies) == b"x" * size
    assert [body.get("more_body", False) for body in bodies] == [True, False][-parts:]


@pytest.mark.parametrize("size", [HIGH_WATER + 1, 2 * HIGH_WATER + 1, 2 * HIGH_WATER + 2, 1024 * 1024])
def test_an_agent_that_reads_slowly_has_the_same_time_for_every_part(monkeypatch, size):
    """Each part is larger than what may stay behind, so the next one waits for it, however long all of them take."""
    sent, limits = [], []

    def limit(seconds):
        limits.append(seconds)
        return timeout(seconds)

    async def send(message):
        sent.append(message)

    timeout = asyncio.timeout
    monkeypatch.setattr(asyncio, "timeout", limit)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    asyncio.run(respond(send, 200, [], body))
    *parts, last = [message["body"] for message in sent[1:]]
    assert b"".join(parts) == body and last == b""
    assert all(HIGH_WATER < len(part) <= 2 * HIGH_WATER + 2 for part in parts)
    assert limits == [exchange.STALLED_SECONDS] * (len(parts) + 1)


def test_an_agent_that_never_reads_a_large_answer_is_given_up_and_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setattr(exchange, "STALLED_SECONDS", 0.01)

    async def send(message):
        if message.get("body") == b"":
            await asyncio.sleep(60)

    async def story():
        with pytest.raises(BrokenOff):
            await asyncio.wait_for(respond(send, 200, [], b"x" * (HIGH_WATER + 1)), 5)

    asyncio.run(story())
    assert [record.getMessage() for record in caplog.records] == [
        "an answer broke off: nothing of it was read for 0.01 seconds"
    ]
