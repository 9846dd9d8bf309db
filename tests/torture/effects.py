"""A system of record that misbehaves at random and knows the truth: what it did, for which order, on which request.

One asyncio server in the test's own process. It acts (or not), then answers, resets, cuts, stalls or says 503. What
it did is counted when it did it, so whatever the gateway's record says can be held against it. It never lies to the
test; it lies to the gateway all the time.
"""

import asyncio
import json
import random
import socket
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.torture.wire import Message, read_message

MOODS = {
    "ok": 50, "slow": 14, "reset before": 6, "reset after": 7, "busy 503 before": 5, "late 504 after": 5,
    "throttled": 5, "cut after": 3, "hangs, then acts": 3, "closes after": 3,
}  # fmt: skip
"""How often, out of a hundred, it is in which mood."""
ACTS_BEFORE_ANSWERING = {"ok", "slow", "reset after", "late 504 after", "cut after", "closes after"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request that reached the system."""

    order: str
    tool: str
    span: str
    """The span id of its `traceparent`: follows from call and claim, so it tells which claim it was sent under."""
    key: str
    """The idempotency key that the gateway sent."""
    at: int
    """Milliseconds since the epoch."""
    mood: str


@dataclass
class EffectSystem:
    seed: int
    timeout_seconds: float
    """How long the gateway waits; `hangs, then acts` acts after that."""
    arrivals: list[Arrival] = field(default_factory=list)
    executions: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    """By order: every time that the effect really happened."""
    moods: Counter[str] = field(default_factory=Counter)
    calm: bool = False
    """Only good moods from now on."""
    _done: dict[str, bytes] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _random: random.Random = field(init=False)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    async def start(self) -> str:
        """The URL."""
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def outages(self, goes_on: Callable[[], bool]) -> None:
        """Now and then nobody listens at all: connections are refused."""
        dice = random.Random(f"{self.seed} outages")
        while goes_on():
            await asyncio.sleep(dice.uniform(1.0, 3.0))
            assert self._server is not None
            port = self._server.sockets[0].getsockname()[1]
            self._server.close()
            for writer in list(self._open):
                if dice.random() < 0.5:
                    writer.transport.abort()
            await asyncio.sleep(dice.uniform(0.05, 0.3))
            self._server = await asyncio.start_server(self._connection, "127.0.0.1", port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._open.add(writer)
        try:
            while (request := await read_message(reader)) is not None:
                if not await self._serve(request, writer):
                    break
        except (OSError, EOFError):
            pass
        finally:
            self._open.discard(writer)
            self._connections.discard(task)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _serve(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        method, target = request.first.split(" ")[:2]
        if method == "GET":
            await _answer(writer, 200, json.dumps({"item": target, "n": self._random.random()}).encode())
            return True
        told = json.loads(request.body)
        [mood] = ["ok"] if self.calm else self._random.choices([*MOODS], [*MOODS.values()])
        self.moods[mood] += 1
        arrival = Arrival(
            order=told["order"], tool=target.strip("/"), span=request.headers.get("traceparent", "-" * 3).split("-")[2],
            key=request.headers.get("idempotency-key", ""), at=time.time_ns() // 1_000_000, mood=mood,
        )  # fmt: skip
        self.arrivals.append(arrival)
        await asyncio.sleep(self._random.uniform(0.1, 0.7) if mood == "slow" else self._random.uniform(0, 0.03))
        if mood == "hangs, then acts":
            await asyncio.sleep(self.timeout_seconds * 1.4)
        if mood == "reset before":
            return _reset(writer)
        if mood == "throttled":
            await _answer(writer, 429, b'{"slow": "down"}')
            return True
        if mood == "busy 503 before":
            await _answer(writer, 503, b'{"busy": true}')
            return True
        return await self._act(arrival, mood, writer)

    async def _act(self, arrival: Arrival, mood: str, writer: asyncio.StreamWriter) -> bool:
        if arrival.key and arrival.key in self._running:
            await _answer(writer, 409, b'{"same key": "still running"}')
            return True
        body = self._done.get(arrival.key) if arrival.key else None
        if body is None:
            self._running.add(arrival.key)
            if arrival.key:
                await asyncio.sleep(self._random.uniform(0, 0.05))
            self.executions[arrival.order].append(arrival)
            number = sum(map(len, self.executions.values()))
            body = json.dumps({"effect": number, "order": arrival.order, "at": time.time_ns()}).encode()
            if arrival.key:
                self._done[arrival.key] = body
            self._running.discard(arrival.key)
        match mood:
            case "reset after":
                return _reset(writer)
            case "closes after":
                return False
            case "late 504 after":
                await _answer(writer, 504, b"<h1>Gateway Timeout</h1>")
            case "cut after":
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n" + body
                )
                await writer.drain()
                return False
            case _:
                await _answer(writer, 200, body)
        return True


async def _answer(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> bool:
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
