"""A Redis Cluster of two real nodes behind one line."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.line import LineBroken, LineRefused
from tests.gateway_process import eventually
from tests.processes import free_port

HALF = 8191


@pytest.fixture
def nodes(own_valkey: Any) -> Iterator[tuple[Any, Any]]:
    """The first serves the lower half of the slots, the second the upper."""
    kind = type(own_valkey)
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        made = [kind(Path(name) / str(number), options()) for number in range(2)]
        try:
            for node in made:
                node.start()
            made[0].command("CLUSTER", "ADDSLOTSRANGE", 0, HALF)
            made[1].command("CLUSTER", "ADDSLOTSRANGE", HALF + 1, 16383)
            made[0].command("CLUSTER", "MEET", "127.0.0.1", port(made[1]), option(made[1], "--cluster-port"))
            for node in made:
                eventually(lambda node=node: agrees(node), "the cluster does not form")  # type: ignore[misc]
            yield made[0], made[1]
        finally:
            for node in made:
                node.kill()


def options() -> tuple[str, ...]:
    return (
        "--port", str(free_port()), "--bind", "127.0.0.1", "--cluster-enabled", "yes",
        "--cluster-port", str(free_port()), "--cluster-node-timeout", "30000",
    )  # fmt: skip


def option(node: Any, name: str) -> str:
    found: str = node.options[node.options.index(name) + 1]
    return found


def port(node: Any) -> str:
    return option(node, "--port")


def agrees(node: Any) -> bool:
    info = str(node.command("CLUSTER", "INFO")).replace("'", "").replace(": ", ":")
    return "cluster_state:ok" in info and "cluster_known_nodes:2" in info


def partitions() -> tuple[str, str]:
    """One partition of the lower half, one of the upper."""
    low = next(f"{p:02d}" for p in range(64) if key_slot(f"{p:02d}".encode()) <= HALF)
    high = next(f"{p:02d}" for p in range(64) if key_slot(f"{p:02d}".encode()) > HALF)
    return low, high


def run(node: Any, story: Any) -> None:
    async def whole() -> None:
        journal = RedisJournal.open(f"redis+cluster://127.0.0.1:{port(node)}")
        try:
            await journal.learn_time()
            await story(journal)
        finally:
            await journal.close()

    asyncio.run(whole())


def test_every_command_finds_its_node_and_replies_come_in_order(nodes: Any) -> None:
    low, high = partitions()

    async def story(journal: RedisJournal) -> None:
        names = [f"{{{partition}}}:x" for partition in (low, high, high, low, high)]
        replies = await journal.line.calls(*(("APPEND", name, "1") for name in names))
        assert replies == [1, 1, 2, 2, 3]

    run(nodes[0], story)
    assert nodes[0].command("GET", f"{{{low}}}:x") == b"11"
    assert nodes[1].command("GET", f"{{{high}}}:x") == b"111"


def test_an_error_is_the_reply_of_its_own_command_only(nodes: Any) -> None:
    low, high = partitions()

    async def story(journal: RedisJournal) -> None:
        first, second, third = await journal.line.calls(
            ("SET", f"{{{low}}}:x", "text"), ("INCR", f"{{{low}}}:x"), ("INCR", f"{{{high}}}:x")
        )
        assert first in (b"OK", "OK")
        assert isinstance(second, Exception)
        assert third == 1
        with pytest.raises(LineRefused):
            await journal.line.call("INCR", f"{{{low}}}:x")

    run(nodes[0], story)


def test_waitaof_goes_to_the_node_and_connection_that_wrote(nodes: Any) -> None:
    """A node of its own fsyncs what that connection wrote: one local, no replicas."""
    _, high = partitions()

    async def story(journal: RedisJournal) -> None:
        wrote, synced = await journal.line.calls(("SET", f"{{{high}}}:x", "1"), ("WAITAOF", "1", "0", "60000"))
        assert (wrote in (b"OK", "OK"), list(synced)) == (True, [1, 0])

    run(nodes[0], story)


def test_slots_that_move_are_found_again(nodes: Any) -> None:
    """While they move, whoever asks is told that the line is broken, and may ask again."""
    low, _ = partitions()

    async def story(journal: RedisJournal) -> None:
        assert await journal.line.call("INCR", f"{{{low}}}:before") == 1
        target = nodes[1].command("CLUSTER", "MYID")
        nodes[0].command("DEL", f"{{{low}}}:before")
        for node in (nodes[1], nodes[0]):
            node.command("CLUSTER", "SETSLOT", key_slot(low.encode()), "NODE", target)
        assert await ask_again(journal, "INCR", f"{{{low}}}:after") == 1

    run(nodes[0], story)
    assert nodes[1].command("GET", f"{{{low}}}:after") == b"1"


async def ask_again(journal: RedisJournal, *command: Any) -> Any:
    async with asyncio.timeout(60):
        while True:
            try:
                return await journal.line.call(*command)
            except LineBroken:
                await asyncio.sleep(0.05)
