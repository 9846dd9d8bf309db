"""A lean load client on uvloop: prepared bytes out, just enough of each answer read to know that it is whole.

Used where wrk is missing, and for paced load, which wrk cannot do. It prints one line of JSON.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import random
import re
import time
from collections import deque
from pathlib import Path
from typing import Any, NoReturn, cast

import uvloop

from bench.load import COUNTER

CLOCK_MONOTONIC = 1
TFD_NONBLOCK = os.O_NONBLOCK
TFD_TIMER_ABSTIME = 1
# Answers that are still out when the time is over get this long.
GRACE_SECONDS = 10.0
GRACE_POLLS = 1000


class Template:
    """Requests that differ in their counter only."""

    def __init__(self, request: bytes) -> None:
        self._parts = request.split(COUNTER.encode())
        self._count = 0

    def next(self) -> bytes:
        if len(self._parts) == 1:
            return self._parts[0]
        self._count += 1
        return (b"%012d" % self._count).join(self._parts)


class Load:
    """All connections, and what they saw."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.idle: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        """When requests should have gone out for which no connection was free."""
        self.latencies: list[float] = []
        self.failed = self.broken = self.out = 0
        self.closed_loop = False
        self.running = True

    def begin(self, connection: "Connection", due: float) -> None:
        self.out += 1
        connection.due = due
        connection.transport.write(self.template.next())

    def due_now(self, due: float) -> None:
        if self.idle:
            self.begin(self.idle.popleft(), due)
        else:
            self.waiting.append(due)

    def answered(self, connection: "Connection", status: bytes) -> None:
        now = time.perf_counter()
        self.out -= 1
        self.latencies.append(now - connection.due)
        if status >= b"400":
            self.failed += 1
        if self.closed_loop and self.running:
            self.begin(connection, now)
        elif self.waiting:
            self.begin(connection, self.waiting.popleft())
        else:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    _length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

    def __init__(self, load: Load) -> None:
        self.load, self.buffer, self.due = load, b"", 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has its methods but not its type

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        head = buffer.find(b"\r\n\r\n") + 4
        if head < 4:
            return
        length = self._length.search(buffer, 0, head)
        if len(buffer) >= head + int(length[1]) if length else buffer.endswith(b"\r\n0\r\n\r\n"):
            self.buffer = b""
            self.load.answered(self, buffer[9:12])

    def connection_lost(self, exc: Exception | None) -> None:
        if self.load.running:
            self.load.broken += 1


async def closed(load: Load, connections: list[Connection], seconds: float) -> float:
    """The next request goes out when the answer came. Returns the seconds this took."""
    load.closed_loop = True
    began = time.perf_counter()
    for connection in connections:
        load.begin(connection, time.perf_counter())
    await asyncio.sleep(seconds)
    load.running = False
    return time.perf_counter() - began


async def paced(load: Load, connections: list[Connection], seconds: float, rate: float) -> float:
    """Requests go out at random moments (a Poisson process), whatever became of those before."""
    load.idle.extend(connections)
    loop, timer, done = asyncio.get_running_loop(), Timer(), asyncio.Event()
    began = due = time.perf_counter()
    draw = random.Random(1).expovariate  # the same moments in every run

    def tick() -> None:
        nonlocal due
        timer.clear()
        while due <= time.perf_counter():
            load.due_now(due)
            due += draw(rate)
        if due - began > seconds:
            done.set()
        else:
            timer.set(due)

    loop.add_reader(timer.descriptor, tick)
    timer.set(due)
    await done.wait()
    loop.remove_reader(timer.descriptor)
    return time.perf_counter() - began


class Timer:
    """timerfd: an event loop's own timers round to milliseconds, more than what is to be measured."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, moment: float) -> None:
        """Become readable at that moment of time.perf_counter (CLOCK_MONOTONIC on Linux)."""
        whole = int(moment)
        value = (ctypes.c_long * 4)(0, 0, whole, int((moment - whole) * 1e9))
        self._libc.timerfd_settime(self.descriptor, TFD_TIMER_ABSTIME, value, None)

    def clear(self) -> None:
        try:
            os.read(self.descriptor, 8)
        except BlockingIOError:
            return


def _fail(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> NoReturn:
    print(context["message"], repr(context.get("exception")), flush=True)
    os._exit(1)  # a load that goes on half broken would be measured


async def run(arguments: argparse.Namespace, request: bytes) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_fail)
    load = Load(Template(request))
    connections = []
    for _ in range(arguments.connections):
        _, connection = await loop.create_connection(lambda: Connection(load), "127.0.0.1", arguments.port)
        connections.append(connection)
    gc.collect()
    gc.freeze()
    if arguments.rate:
        seconds = await paced(load, connections, arguments.seconds, arguments.rate)
    else:
        seconds = await closed(load, connections, arguments.seconds)
    requests = len(load.latencies)
    for _ in range(GRACE_POLLS):
        if load.out or load.waiting:
            await asyncio.sleep(GRACE_SECONDS / GRACE_POLLS)
    load.running = False
    found = sorted(load.latencies) or [0.0]
    return {
        "requests": requests if not arguments.rate else len(load.latencies),
        "seconds": seconds,
        "failed": load.failed,
        "broken": load.broken + load.out + len(load.waiting),
        "p50_ms": found[len(found) // 2] * 1e3,
        "p99_ms": found[int(len(found) * 0.99)] * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Closed-loop or paced load from prepared bytes.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--template", required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=0.0)
    arguments = parser.parse_args()
    found = uvloop.run(run(arguments, Path(arguments.template).read_bytes()))
    print("RESULT", json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
