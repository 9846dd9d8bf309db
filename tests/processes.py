"""What tests ask that start processes, kill them, and listen on ports: how long to wait, who is gone, what is free.

A test waits for a sign and never for a moment, so how long it would wait matters only when it fails. It is the same
everywhere, and long: on a machine that has nothing to give, seconds pass between two lines of Python.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 120.0
"""Something that must happen has happened long before this; a test that waits in vain fails."""
PORTS = range(15_000, 32_000)
"""Below those that kernels give to outgoing connections and to whoever binds port 0, so nobody takes one unasked."""
_given: set[int] = set()
_kept: list[socket.socket] = []


def gone(pid: int | None) -> bool:
    """The process has ended, even if nobody has waited for it yet."""
    assert pid is not None, "it never ran"
    try:
        os.kill(pid, 0)
        return Path("/proc").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.005)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens; every call gives another one."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def refused_port() -> int:
    """A port of 127.0.0.1 that refuses connections for as long as the tests run: it is ours, and nobody listens."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    _kept.append(taken)
    port: int = taken.getsockname()[1]
    return port
