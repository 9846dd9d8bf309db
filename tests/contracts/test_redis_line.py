"""The line to a server that misbehaves: everybody hears their own reply, or that the line broke. Never another's."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

import gateway.adapters.redis.line as line_module
from gateway.adapters.redis.connecting import client, maker
from gateway.adapters.redis.line import Line, LineBroken, LineRefused, ScriptMissing
from tests.processes import PATIENCE_SECONDS, until

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = b"%1\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n"


async def nothing(_ask) -> None:
    pass


def against(folder, script: Script, story) -> int:
    """Run a story against a server that says what the script says. Returns how many connections it took."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while b"WANTED" not in (said := await reader.read(65536)):
                if not said:
                    return
                # redis-py introduces itself in several commands; answer each.
                writer.write(b"".join(HELLO if b"HELLO" in part else b"+OK\r\n" for part in said.split(b"*")[1:]))
            await script(reader, writer)
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_unix_server(serve, folder / "s")
        line = Line(maker(f"unix://{folder / 's'}"), nothing)
        try:
            await story(line)
        finally:
            await line.close()
            server.close()
            await asyncio.sleep(0)

    asyncio.run(run())
    return connections


def saying(*parts: bytes, then: float = 60) -> Script:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        await asyncio.sleep(then)

    return script


async def three(line: Line) -> list[object]:
    """Three commands of three callers, in one batch."""
    return await asyncio.gather(*(line.call("WANTED", str(n)) for n in range(3)), return_exceptions=True)


def test_replies_go_to_their_callers_in_order_however_they_are_cut(tmp_path):
    async def story(line):
        assert await three(line) == [b"one", 2, [b"three"]]

    assert against(tmp_path, saying(b"$3\r\no", b"ne\r\n:2", b"\r\n*1\r\n$5\r\nthree\r\n"), story) == 1


def test_a_push_message_is_nobodys_reply(tmp_path):
    async def story(line):
        assert await three(line) == [1, 2, 3]

    against(tmp_path, saying(b":1\r\n>2\r\n+invalidate\r\n+x\r\n:2\r\n:3\r\n"), story)


def test_an_error_reply_is_one_callers_error_and_the_line_goes_on(tmp_path):
    async def story(line):
        one, two, three_ = await three(line)
        assert (one, three_) == (1, 3)
        assert type(two) is LineRefused and "nope" in str(two)

    assert against(tmp_path, saying(b":1\r\n-ERR nope\r\n:3\r\n"), story) == 1


def test_a_missing_script_is_told_from_other_errors(tmp_path):
    async def story(line):
        with pytest.raises(ScriptMissing):
            await line.call("WANTED")

    against(tmp_path, saying(b"-NOSCRIPT No matching script.\r\n"), story)


@pytest.mark.parametrize("said", [b"", b":1\r\n", b":1\r\n$9\r\nhal"], ids=["nothing", "one reply", "half a reply"])
def test_when_the_server_hangs_up_nobody_waits_and_nobody_hears_a_wrong_reply(tmp_path, said):
    async def story(line):
        for own, reply in enumerate(await three(line), start=1):
            assert reply == own or isinstance(reply, LineBroken)
        assert isinstance((await three(line))[2], LineBroken)  # and again, on another connection

    assert against(tmp_path, saying(said, then=0), story) == 2


def test_garbage_breaks_the_line(tmp_path):
    async def story(line):
        for own, reply in enumerate(await three(line), start=1):
            assert reply == own or isinstance(reply, LineBroken)

    against(tmp_path, saying(b":1\r\nHTTP/1.1 400 Bad Request\r\n\r\n"), story)


def test_after_a_silence_a_late_reply_is_not_taken_for_the_next_one(tmp_path, monkeypatch):
    """redis-py's own timeout returns None and leaves the late reply for the next command."""
    monkeypatch.setattr(line_module, "REPLY_SECONDS", 0.05)
    connection = 0

    async def script(reader, writer):
        nonlocal connection
        connection += 1
        if connection == 1:
            await asyncio.sleep(0.15)
            writer.write(b"+the late reply to the first\r\n")
        else:
            writer.write(b"+its own\r\n")
        await asyncio.sleep(60)

    async def story(line):
        with pytest.raises(LineBroken):
            await line.call("WANTED", "first")
        monkeypatch.undo()
        assert await line.call("WANTED", "second") == b"its own"

    assert against(tmp_path, script, story) == 2


def test_closing_leaves_nobody_waiting(tmp_path):
    async def story(line):
        waiting = [asyncio.create_task(line.call("WANTED")) for _ in range(3)]
        await asyncio.sleep(0.02)
        waiting.append(asyncio.create_task(line.call("WANTED")))
        await asyncio.sleep(0)
        await line.close()
        heard = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in heard] == [LineBroken] * 4

    against(tmp_path, saying(b"", then=60), story)


def test_a_reply_that_is_nobodys_goes_to_nobody(tmp_path):
    async def story(line):
        async def post(what):
            line.post("WANTED", what)

        called = [line.call("WANTED", str(number)) for number in range(3)]
        one, _, two, _, three_ = await asyncio.gather(called[0], post("done"), called[1], post("refused"), called[2])
        assert (one, two, three_) == (1, 2, 3)

    assert against(tmp_path, saying(b":1\r\n+OK\r\n:2\r\n-ERR nope\r\n:3\r\n"), story) == 1


def test_a_command_that_was_posted_leaves_by_itself(tmp_path):
    arrived = asyncio.Event()

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        writer.write(b"+OK\r\n")
        await asyncio.sleep(60)

    async def story(line):
        line.post("WANTED")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await arrived.wait()

    assert against(tmp_path, script, story) == 1


def test_what_was_posted_on_a_line_that_broke_goes_with_the_next_batch_and_not_before(tmp_path):
    connection = 0

    async def script(reader, writer):
        nonlocal connection
        connection += 1
        if connection == 2:
            await asyncio.sleep(0.01)
            writer.write(b"+OK\r\n:7\r\n")
            await asyncio.sleep(60)

    async def story(line):
        line.post("WANTED", "posted")
        await until(lambda: connection == 1)
        await asyncio.sleep(0.1)
        assert connection == 1  # nobody else wants anything of the server
        assert await line.call("WANTED", "called") == 7

    assert against(tmp_path, script, story) == 2


def test_nobody_gets_through_when_the_introduction_fails(tmp_path):
    async def refuse(_ask) -> None:
        raise LineBroken("this is not the server I knew")

    async def story(line):
        line.on_connect = refuse
        heard = await three(line)
        assert [str(error).count("not the server I knew") for error in heard] == [1, 1, 1]

    against(tmp_path, saying(b":1\r\n:2\r\n:3\r\n"), story)


def test_sentinels_that_know_no_such_master_are_one_sentence_and_no_objects():
    async def run() -> None:
        line = Line(maker("redis+sentinel://127.0.0.1:1,127.0.0.1:2/payments"), nothing)
        try:
            with pytest.raises(LineBroken) as caught:
                await line.call("PING")
        finally:
            await line.close()
        places = "127.0.0.1:1, 127.0.0.1:2"
        assert str(caught.value) == f"no Sentinel of {places} answers and knows a master called 'payments'"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://127.0.0.1:1/2", Redis),
        ("unix:///tmp/none.sock", Redis),
        ("redis+sentinel://u:p@127.0.0.1:1,127.0.0.1:2/main", Redis),
        ("redis+cluster://127.0.0.1:1", RedisCluster),
    ],
)
def test_every_form_of_the_address_has_a_client(url, kind):
    async def main():
        made = client(url)
        assert isinstance(made, kind)
        if isinstance(made, Redis):
            assert isinstance(made.connection_pool, SentinelConnectionPool) is url.startswith("redis+sentinel")
        await made.aclose()

    asyncio.run(main())
