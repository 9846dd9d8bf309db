"""The journal in Redis or Valkey: `append.lua` is the contract, this file packs its arguments and reads its answers.

A lost reply is retried with the same token until patience ends; the script answers `ok` for a token it has seen.
It must never report an append as done that the server did not confirm, and must never lose the memory of how far
each partition's ledger had come: a server that comes back with less (an old backup, a failover that forgot) stops
all appends until a person says that the loss is known.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.redis import suspensions
from gateway.adapters.redis.cluster import ClusterLine
from gateway.adapters.redis.command import APPEND, command_of, keys, pointer_key
from gateway.adapters.redis.connecting import maker
from gateway.adapters.redis.high_water import ACKNOWLEDGED, HighWater, Memory
from gateway.adapters.redis.line import (
    Elsewhere,
    Line,
    LineBroken,
    LineRefused,
    Reply,
    ScriptMissing,
    refusal,
)
from gateway.adapters.redis.payloads import opened
from gateway.adapters.redis.scripts import REARM, TOUCH
from gateway.core.call import PARTITION_NAMES
from gateway.core.codec import decode
from gateway.core.deployment import LOGS
from gateway.core.facts import Fact
from gateway.core.latency import Latency
from gateway.core.pointers import RECALL_MS
from gateway.payload_ports import Cipher
from gateway.ports import (
    BEAT_MS,
    Append,
    Appended,
    Conflict,
    JournalUnavailable,
    Revoked,
    Suspended,
    Taken,
    TooFewReplicas,
    TooManyQuestions,
    TooMuchStored,
)

PATIENCE_SECONDS = 3.0
"""How long an append is retried before its caller hears `unavailable`: a server restarts in less."""
RETRY_SECONDS = 0.05
REPLICA_MS = 1000
"""How long a claim waits for replicas to have it on disk."""
HEED_SECONDS = 1.0
"""How often somebody who is stopped by a loss looks whether it is acknowledged."""
DEPLOYMENT_KEY = "gateway:deployment-key"
UNSEALED = "gateway:unsealed"
"""Why the record cannot be sealed, and so no effect may happen."""


@dataclass(slots=True)
class RedisJournal:
    line: Line | ClusterLine
    replicas: int = 0
    """How many replicas must have a claim on disk before an unrepeatable effect (`WAITAOF 1 N`)."""
    memory: Memory = field(default_factory=Memory)
    cipher: Cipher = field(default_factory=PayloadCipher)
    """Between payload and Redis, both ways."""
    weakness: str = ""
    """Why no effect may rely on this server: it may forget what it acknowledges. Whoever looks at it sets this."""
    unsealed: str = ""
    """Why no effect would be in the sealed record; whoever seals says it, and `heed` hears it."""
    appending: Latency = field(default_factory=Latency)
    """How long callers wait for an append that succeeds, retries included."""
    _offset: float = 0.0
    """The server's clock minus our monotonic one, seconds."""
    _last_now: int = 0
    _heeded: float = -math.inf

    @classmethod
    def open(
        cls, url: str, *, replicas: int = 0, high_water: HighWater | None = None, cipher: Cipher | None = None
    ) -> "RedisJournal":
        """A journal at `url`. Connects at first use. Without a cipher it keeps payload in plain, and reads no other."""
        cluster = url.startswith("redis+cluster://")
        line: Line | ClusterLine = ClusterLine(url, _unconnected) if cluster else Line(maker(url), _unconnected)
        journal = cls(line=line, replicas=replicas, memory=Memory(high_water), cipher=cipher or PayloadCipher())
        line.on_connect = journal.on_connect
        return journal

    async def on_connect(self, ask: Callable[..., Awaitable[Reply]]) -> None:
        """Load the script, learn the time, and see that nothing acknowledged is missing."""
        await ask("SCRIPT", "LOAD", APPEND)
        self._learn_time(await ask("TIME"))
        self.memory.refresh()
        known = self.loss
        for partition in list(self.highest):
            try:
                found = await ask("XREVRANGE", _ledger(partition), "+", "-", "COUNT", "1")
            except Elsewhere:
                continue
            self.memory.compare(partition, _entry_id(found[0][0]) if found else (0, 0))
        if self.loss and not known:
            # What is queued was meant for the server that had everything: nobody gets through this time.
            raise LineBroken(self.loss)

    @property
    def highest(self) -> dict[str, tuple[int, int]]:
        """Per partition the last entry of the ledger that was acknowledged."""
        return self.memory.highest

    @property
    def loss(self) -> str:
        """Why appends are stopped, or empty."""
        return self.memory.loss

    # --- Journal ---------------------------------------------------------------------------------------------

    async def append(self, append: Append) -> Appended:
        if append.guarded and (why := self.weakness or self.unsealed):
            raise JournalUnavailable(why)
        command = command_of(append, self.cipher)
        began = time.monotonic()
        while True:
            if self.loss:
                await self._stop_unless_acknowledged()
            try:
                alone = not (append.replicated and self.replicas)
                reply = await (self.line.call(*command) if alone else self._replicated(append, command))
                done = self._understand(append, reply)
                self.appending.add(time.monotonic() - began)
                return done
            except LineBroken as error:
                if time.monotonic() - began >= PATIENCE_SECONDS:
                    raise JournalUnavailable(str(error)) from error
                await asyncio.sleep(RETRY_SECONDS)
            except ScriptMissing:
                await self.ask("SCRIPT", "LOAD", APPEND)
            except LineRefused as error:
                raise JournalUnavailable(str(error)) from error

    async def _stop_unless_acknowledged(self) -> None:
        if time.monotonic() - self._heeded >= HEED_SECONDS:
            await self.heed()
        if self.loss:
            raise JournalUnavailable(self.loss)

    async def _replicated(self, append: Append, command: tuple[Any, ...]) -> Reply:
        waitaof = ("WAITAOF", "1", str(self.replicas), str(REPLICA_MS))
        reply, synced = await self.line.calls(command, waitaof)
        if isinstance(reply, Exception):
            raise refusal(reply)
        if reply[:1] == [b"ok"] and not reply[2]:
            # Written before its reply was lost. WAITAOF waits only for what this connection wrote, so write something.
            _, synced = await self.line.calls(("SET", "{" + append.call[:2] + "}:synced", "1"), waitaof)
        if reply[0] == b"ok" and (isinstance(synced, Exception) or synced[0] < 1 or synced[1] < self.replicas):
            have = str(synced) if isinstance(synced, Exception) else f"{synced[1]} of {self.replicas} replicas"
            raise TooFewReplicas(f"the claim is on disk on too few replicas ({have}), so nothing was sent")
        return reply

    def _understand(self, append: Append, reply: list[Any]) -> Appended:
        word = reply[0]
        if word == b"ok":
            _, at, entry, last = reply
            self.memory.remember(append.call[:2], _entry_id(last))
            self._offset = max(self._offset, at / 1000 - time.monotonic())
            return Appended(at, entry.decode())
        if word == b"conflict":
            raise Conflict(append.call)
        if word == b"suspended":
            raise Suspended(append.agent)
        if word == b"taken":
            _, call, position = reply
            raise Taken(tuple(call.decode().split()), append.upkeep.pointers[position - 1].kind)
        if word == b"revoked":
            raise Revoked
        if word == b"full":
            raise TooManyQuestions(reply[1])
        if word == b"stored":
            raise TooMuchStored(reply[1])
        raise JournalUnavailable(f"append.lua answered {reply!r}")

    async def facts(self, call: str) -> list[Fact]:
        found = await self.ask("LRANGE", keys(call, "")[0], "0", "-1")
        return [decode(data) for data in found]

    async def length(self, call: str) -> int:
        """How many facts the call has: cheap, for whoever waits for a change."""
        return int(await self.ask("LLEN", keys(call, "")[0]))

    async def payload(self, call: str) -> Mapping[str, bytes]:
        found = await self.ask("HGETALL", keys(call, "")[3])
        items = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return await opened(self, call, {name.decode(): value for name, value in items})

    async def touch(self, call: str, agent: str, pointer: str, milliseconds: int) -> None:
        facts, _, _, payload, *_ = keys(call, "")
        longer = str(milliseconds + RECALL_MS)
        pointer, stored = pointer_key(call[:2], "key", pointer), pointer_key(call[:2], "stored", agent)
        await self.ask("EVAL", TOUCH, "4", pointer, facts, payload, stored, call, str(milliseconds), longer)

    def leave(self, call: str, match: str) -> None:
        self.line.post("SREM", pointer_key(call[:2], "executing", match), call)

    async def met(self, call: str, match: str) -> bool:
        return bool(await self.ask("SISMEMBER", pointer_key(call[:2], "executing", match), call))

    async def beat(self, worker: str) -> None:
        await self.ask("SET", _beat(worker), str(self.now()), "PX", str(BEAT_MS))

    async def last_beat(self, worker: str) -> int:
        return int(await self.ask("GET", _beat(worker)) or 0)

    def now(self) -> int:
        estimate = round((time.monotonic() + self._offset) * 1000)
        self._last_now = max(self._last_now, estimate)
        return self._last_now

    # --- Timers ----------------------------------------------------------------------------------------------

    async def due(self, limit: int) -> list[str]:
        return [member.decode() for member in await self._ready("due", limit)]

    async def rearm(self, call: str, milliseconds: int) -> None:
        await self.ask("EVAL", REARM, "1", keys(call, "")[2], call, str(milliseconds))

    async def forget(self, call: str) -> None:
        await self.ask("ZREM", keys(call, "")[2], call)

    async def outbox(self, limit: int) -> list[tuple[str, str]]:
        found = [member.decode().partition(" ") for member in await self._ready("outbox", limit)]
        return [(call, notice) for call, _, notice in found]

    async def postpone(self, call: str, notice: str, milliseconds: int) -> None:
        await self.ask("ZADD", keys(call, "")[5], "XX", str(self.now() + milliseconds), f"{call} {notice}")

    async def discard(self, call: str, notice: str) -> None:
        await self.ask("ZREM", keys(call, "")[5], f"{call} {notice}")

    async def _ready(self, name: str, limit: int) -> list[bytes]:
        """Oldest first over all partitions, so that a busy one cannot starve the others."""
        now = str(self.now())
        commands = [
            ("ZRANGEBYSCORE", f"{{{p}}}:{name}", "-inf", now, "WITHSCORES", "LIMIT", "0", str(limit))
            for p in PARTITION_NAMES
        ]
        replies = await self.ask_all(*commands)
        ready = sorted((score, member) for reply in replies for member, score in reply)
        return [member for _, member in ready[:limit]]

    # --- Agents ----------------------------------------------------------------------------------------------

    async def suspend(self, agent: str, by: str) -> None:
        """From the moment this returns, no claim and no disclosure of this agent is written anywhere."""
        await self.ask("SET", suspensions.key_of(agent), suspensions.pack(suspensions.Suspension(by, self.now())))

    async def readmit(self, agent: str) -> None:
        await self.ask("DEL", suspensions.key_of(agent))

    async def suspended(self, agents: Collection[str]) -> set[str]:
        """Which of these are suspended now."""
        listed = list(agents)
        replies = await self.ask_all(*(("EXISTS", suspensions.key_of(agent)) for agent in listed)) if listed else []
        return {agent for agent, found in zip(listed, replies, strict=True) if found}

    async def suspensions(self, agents: Collection[str]) -> dict[str, suspensions.Suspension]:
        """Which of these are suspended now, by whom and since when."""
        listed = list(agents)
        return suspensions.read(
            listed, await self.ask_all(*(("GET", suspensions.key_of(name)) for name in listed)) if listed else []
        )

    # --- The server ------------------------------------------------------------------------------------------

    async def deployment_key(self, fresh: bytes) -> bytes:
        """The key of match digests, the same for every process and host; `fresh` becomes it if there is none."""
        await self.ask("SET", DEPLOYMENT_KEY, fresh, "NX")
        found: bytes = await self.ask("GET", DEPLOYMENT_KEY)
        return found

    async def learn_time(self) -> None:
        self._learn_time(await self.ask("TIME"))

    async def acknowledge_loss(self) -> None:
        """An operator knows that acknowledged records are missing; every process may go on."""
        await self.heed()
        await self.ask("SET", ACKNOWLEDGED, str(self.memory.acknowledgement(self.now())))
        await self.heed()

    async def heed(self) -> None:
        """Hear of losses that others found or people acknowledged, and of sealing. Raises JournalUnavailable."""
        self._heeded = time.monotonic()
        await self.memory.heed(self.ask)
        self.unsealed = (await self.ask("GET", UNSEALED) or b"").decode()

    async def keep_high_water(self) -> None:
        """Remember on disk how far the ledger is, unless something is missing. Raises JournalUnavailable, OSError."""
        await self.heed()
        replies = await self.ask_all(*(("XREVRANGE", _ledger(name), "+", "-", "COUNT", "1") for name in LOGS))
        ends = {name: _entry_id(found[0][0]) for name, found in zip(LOGS, replies, strict=True) if found}
        if self.memory.file is not None and not self.loss:
            await asyncio.to_thread(self.memory.file.write, ends)

    async def ask(self, *command: Any) -> Reply:
        """The reply to a command that may safely be repeated by its caller. Raises JournalUnavailable."""
        try:
            return await self.line.call(*command)
        except (LineBroken, LineRefused) as error:
            raise JournalUnavailable(str(error)) from error

    async def ask_all(self, *commands: tuple[Any, ...]) -> list[Reply]:
        try:
            replies = await self.line.calls(*commands)
        except LineBroken as error:
            raise JournalUnavailable(str(error)) from error
        for reply in replies:
            if isinstance(reply, Exception):
                raise JournalUnavailable(str(reply)) from reply
        return replies

    def remember(self, partition: str, entry: bytes) -> None:
        """That the ledger of this partition goes at least so far, also by what is not a call."""
        self.memory.remember(partition, _entry_id(entry))

    async def close(self) -> None:
        await self.line.close()

    def _learn_time(self, reply: list[bytes]) -> None:
        seconds, microseconds = (int(part) for part in reply)
        self._offset = seconds + microseconds / 1e6 - time.monotonic()


async def _unconnected(_: Callable[..., Awaitable[Reply]]) -> None:
    raise LineBroken("not open")


def _beat(worker: str) -> str:
    return f"gateway:beat:{worker}"


def _ledger(partition: str) -> str:
    return "{" + partition + "}:ledger"


def _entry_id(entry: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition(b"-")
    return int(milliseconds), int(sequence)
