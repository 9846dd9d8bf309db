"""One connection per process, through which every command of the process is pipelined.

Commands that arrive while a batch is in flight leave together in the next one, so a busy process pays one system
call for many appends and an idle one pays no delay. redis-py makes, authenticates and heals the connection (TCP,
TLS, unix socket, Sentinel); this file only decides when to write and who gets which reply.

It must never repeat a command by itself: whoever asked knows whether repeating is safe.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from gateway.adapters.redis.connecting import CONNECT_SECONDS, Made, spoken
from gateway.tasks import spawn

REPLY_SECONDS = 5.0
"""A server that says nothing for this long is treated as gone. fsync on a busy disk takes far less."""


class LineBroken(Exception):
    """The connection failed; whether the command was executed is unknown."""


class LineRefused(Exception):
    """The server answered with an error: the command did nothing. Carries its text."""


class ScriptMissing(LineRefused):
    """The server does not know the script: it was flushed, or this is another node."""


class Elsewhere(LineRefused):
    """Another node of the cluster has these keys, or will in a moment."""


def refusal(error: Exception) -> LineRefused:
    """An error reply as an exception. redis-py cuts codes such as NOSCRIPT off the text, so the class has to tell."""
    text = str(error)
    if isinstance(error, NoScriptError | ScriptMissing) or text.startswith("NOSCRIPT "):
        return ScriptMissing(text)
    moving = (MovedError, AskError, TryAgainError, ClusterDownError, Elsewhere)
    if isinstance(error, moving) or text.startswith(("MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ")):
        return Elsewhere(text)
    return LineRefused(text)


Reply = Any
NOTHING_YET = object()
"""What the parser says when the reply is not there whole."""
Waiting = tuple[bytes, asyncio.Future[Reply] | None, int]
"""Packed commands, who waits, if anybody does, and how many replies they get."""
OnConnect = Callable[[Callable[..., Awaitable[Reply]]], Awaitable[None]]


@dataclass(slots=True)
class Line:
    """`call` may be used from any number of tasks of one event loop."""

    make: Made
    on_connect: OnConnect
    """Run on every fresh connection before any command, such as loading scripts. If it raises, nobody gets through."""
    _queue: list[Waiting] = field(default_factory=list)
    _unsure: list[Waiting] = field(default_factory=list)
    """Posted on a connection that broke. It goes with the next batch, and makes nobody connect again."""
    _idle: asyncio.Future[None] | None = None
    """What the pump waits for while there is nothing to send."""
    _connection: AbstractConnection | None = None
    _exchanging: "Exchange | None" = None
    _pump: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Reply:
        """The reply to one command. Raises LineBroken or LineRefused."""
        return await self._enqueue(hiredis.pack_command(command), 1)

    async def calls(self, *commands: tuple[Any, ...]) -> list[Reply]:
        """The replies to commands that travel together, one after another; an error reply is an item, not raised."""
        if len(commands) == 1:
            try:
                return [await self.call(*commands[0])]
            except LineRefused as error:
                return [error]
        packed = b"".join(hiredis.pack_command(command) for command in commands)
        replies: list[Reply] = await self._enqueue(packed, len(commands))
        return replies

    def post(self, *command: Any) -> None:
        """Send a command whose reply is nobody's. It may be executed twice; or never, if this process ends."""
        self._queue.append((hiredis.pack_command(command), None, 1))
        self._wake()

    def _enqueue(self, packed: bytes, replies: int) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.append((packed, future, replies))
        self._wake()
        return future

    def _wake(self) -> None:
        pump = self._pump
        if pump is None or pump.done():
            self._pump = spawn(self._run(), "redis line")
        idle = self._idle
        if idle is not None:
            self._idle = None
            if not idle.done():
                idle.set_result(None)

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait({self._pump})
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)  # a server that hangs must not hold us up

    async def _run(self) -> None:
        batch: list[Waiting] = []
        try:
            while True:
                if not self._queue:
                    self._idle = asyncio.get_running_loop().create_future()
                    await self._idle
                batch, self._queue, self._unsure = self._unsure + self._queue, [], []
                try:
                    if batch:
                        await self._exchange(batch)
                except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
                    await self._break(batch, error)
        except asyncio.CancelledError:
            await self._break([*batch, *self._queue], LineBroken("closing"))
            raise

    async def _exchange(self, batch: list[Waiting]) -> None:
        exchange = self._exchanging or await self._connect()
        replies = iter(await exchange.send([packed for packed, _, _ in batch], sum([count for *_, count in batch])))
        for _, future, count in batch:
            reply = next(replies) if count == 1 else [next(replies) for _ in range(count)]
            if future is None or future.done():
                continue
            if isinstance(reply, Exception):
                future.set_exception(refusal(reply))
            else:
                future.set_result(reply)

    async def _connect(self) -> "Exchange":
        connection = await self.make()
        async with asyncio.timeout(CONNECT_SECONDS + REPLY_SECONDS):
            return await self._introduce(connection)

    async def _introduce(self, connection: AbstractConnection) -> "Exchange":
        await connection.connect()  # type: ignore[no-untyped-call]

        async def ask(*command: Any) -> Reply:
            await connection.send_packed_command([hiredis.pack_command(command)], check_health=False)
            reply = await _read(connection)
            if isinstance(reply, Exception):
                raise refusal(reply)
            return reply

        try:
            await self.on_connect(ask)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection, self._exchanging = connection, Exchange.take_over(connection)
        return self._exchanging

    async def _break(self, batch: list[Waiting], error: Exception) -> None:
        connection, self._connection, self._exchanging = self._connection, None, None
        if connection is None:
            # Whoever queued up while we were connecting did not know what the connecting would find.
            batch, self._queue = [*batch, *self._queue], []
        self._unsure += [posted for posted in batch if posted[1] is None]
        for _, future, _ in batch:
            if future is not None and not future.done():
                future.set_exception(LineBroken(spoken(error)))
        if connection is not None:
            await connection.disconnect(nowait=True)


class Exchange(asyncio.Protocol):
    """Batches of commands out, batches of replies in, over a connection that redis-py made and introduced.

    redis-py reads one reply at a time, each with a task switch or two; here a whole batch costs one.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._parser = hiredis.Reader(notEnoughData=NOTHING_YET)
        self._replies: list[Reply] = []
        self._wanted = 0
        self._waiter: asyncio.Future[list[Reply]] | None = None
        self._lost: Exception | None = None

    @classmethod
    def take_over(cls, connection: AbstractConnection) -> "Exchange":
        """From now on this reads what the server says. redis-py has no public way to the transport; a test watches."""
        transport = connection._writer.transport  # type: ignore[union-attr]  # noqa: SLF001 - see above
        exchange = cls(transport)
        transport.set_protocol(exchange)
        return exchange

    async def send(self, packed: list[bytes], replies: int) -> list[Reply]:
        """Write commands and return that many replies. One batch at a time. Raises if the connection ends."""
        if self._lost is not None:
            raise self._lost
        loop = asyncio.get_running_loop()
        self._wanted, self._waiter = replies, loop.create_future()
        silence = loop.call_later(REPLY_SECONDS, self.connection_lost, TimeoutError("the server says nothing"))
        try:
            self._transport.write(b"".join(packed))
            return await self._waiter
        finally:
            silence.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        while (reply := self._parser.gets()) is not NOTHING_YET:
            if not isinstance(reply, hiredis.PushNotification):
                self._replies.append(reply)
        waited_for = self._wanted if self._waiter is not None and not self._waiter.done() else 0
        if len(self._replies) > waited_for:  # nobody asked for that: what comes next would go to the wrong command
            self._transport.abort()
        elif self._waiter is not None and waited_for and len(self._replies) == waited_for:
            replies, self._replies = self._replies, []
            self._waiter.set_result(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or LineBroken("the server closed the connection")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._lost)


async def _read(connection: AbstractConnection) -> Reply:
    """The next reply. Silence raises: with a `timeout` of its own, redis-py would return None and the reply that comes
    later would be taken for that of the next command."""
    try:
        return await connection.read_response(disconnect_on_error=False)
    except RedisError as error:
        if _is_reply(error):
            return error
        raise


def _is_reply(error: RedisError) -> bool:
    """redis-py raises error replies and broken connections alike; only the former leave the connection usable."""
    return isinstance(error, ResponseError)
