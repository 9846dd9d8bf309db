"""What the supervisor tells a child arrives as it was said; what cannot be understood is one sentence."""

import asyncio
import json
import socket

import pytest

from gateway.children import READY
from gateway.duty import VARIABLE, Duty, NoDuty, read_duty
from tests.processes import PATIENCE_SECONDS


def duty(line, listen=()):
    return Duty(
        role="worker", number=3, listen=listen, line=line, redis_url="redis://u:pw@h", document={"routes": "r.yaml"}
    )


def test_what_is_encoded_is_read():
    assert read_duty({VARIABLE: duty(5, (7, 8)).encode()}) == duty(5, (7, 8))


def test_a_process_without_a_supervisor_is_told_what_to_run():
    with pytest.raises(NoDuty, match="run `gateway serve` instead"):
        read_duty({})


def test_an_unknown_role_is_refused():
    told = json.loads(duty(5).encode())
    with pytest.raises(NoDuty, match="'sweeper'"):
        read_duty({VARIABLE: json.dumps({**told, "role": "sweeper"})})


def test_a_child_says_ready_and_hears_when_the_supervisor_is_gone():
    async def main():
        ours, theirs = socket.socketpair()
        with theirs:
            child = duty(theirs.fileno())
            child.ready()
            assert ours.recv(100) == READY
            watching = asyncio.ensure_future(child.orphaned())
            ours.send(b"something of a later version")
            done, _ = await asyncio.wait({watching}, timeout=0.05)
            assert not done
            ours.close()
            await asyncio.wait_for(watching, PATIENCE_SECONDS)
            child.ready()  # nobody listens, and that is no error

    asyncio.run(main())


def test_a_supervisor_that_died_with_unread_words_is_gone_too():
    async def main():
        ours, theirs = socket.socketpair()
        with theirs:
            child = duty(theirs.fileno())
            child.ready()
            ours.close()  # with `ready` unread, the kernel says "connection reset" and not end-of-file
            await asyncio.wait_for(child.orphaned(), PATIENCE_SECONDS)

    asyncio.run(main())


def test_the_sockets_are_those_that_were_bound():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (copy,) = duty(0, (listener.detach(),)).sockets()
        with copy:
            assert copy.getsockname()[0] == "127.0.0.1"
            assert copy.family == socket.AF_INET
