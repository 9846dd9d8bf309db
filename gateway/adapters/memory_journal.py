"""The journal's contract, kept in memory: for tests and for reading. It says in Python what append.lua says in Lua."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.codec import decode, encode, envelope
from gateway.core.facts import Fact
from gateway.core.pointers import RECALL_MS, Pointer
from gateway.core.quota import COUNTED
from gateway.core.recording import KEPT
from gateway.ports import (
    BEAT_MS,
    Append,
    Appended,
    Conflict,
    Revoked,
    Suspended,
    Taken,
    TooManyQuestions,
    TooMuchStored,
)


@dataclass(slots=True)
class MemoryJournal:
    clock: Callable[[], int]
    """Milliseconds since the epoch."""
    calls: dict[str, list[bytes]] = field(default_factory=dict)
    payloads: dict[str, dict[str, bytes]] = field(default_factory=dict)
    copies: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """What is kept for the record, until it is moved to the payload store."""
    pointers: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Pointer to (call, the time it ends)."""
    executing: dict[str, tuple[set[str], int | None]] = field(default_factory=dict)
    """Calls that were sent and whose answer nobody was seen to get, by match digest, and until when they are met."""
    asked: dict[str, dict[str, int]] = field(default_factory=dict)
    """Calls that an agent had people asked about, and when."""
    owners: dict[str, str] = field(default_factory=dict)
    """Whose call it is."""
    held: dict[str, int] = field(default_factory=dict)
    """Calls that wait for people, and when their time is over."""
    beats: dict[str, int] = field(default_factory=dict)
    due_times: dict[str, int] = field(default_factory=dict)
    notices: dict[tuple[str, str], int] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)
    ledger: list[tuple[str, list[bytes]]] = field(default_factory=list)
    loss: str = ""
    ends: dict[str, int] = field(default_factory=dict)
    """When facts and payload of an ended call leave."""

    async def append(self, append: Append) -> Appended:
        await asyncio.sleep(0)  # let other writers in, as a network would
        have = self._have(append.call)
        if len(have) != append.expected:
            seen = have[append.expected].partition(b",")[2] if len(have) > append.expected else b""
            if seen.startswith(f'"by":"{append.token}"'.encode()):
                return Appended(decode(have[append.expected]).at, "")
            raise Conflict(append.call)
        if append.guarded and append.agent in self.suspended:
            raise Suspended(append.agent)
        for pointer in append.upkeep.pointers:
            holder = self._holder(pointer)
            if pointer.mode in ("take", "test") and holder not in (None, append.call):
                raise Taken((str(holder),), pointer.kind)
            if pointer.mode in ("join", "look") and (others := self._others(pointer, append)):
                raise Taken(tuple(others), pointer.kind)
            if pointer.mode == "need" and holder is None:
                raise Revoked
            if pointer.mode == "count":
                self._count(pointer)
            if pointer.mode == "store":
                self._store(pointer, append)
        now = self.clock()
        written = [envelope(encode(fact), now, append.token) for fact in append.facts]
        self.calls[append.call], self.owners[append.call] = have + written, append.agent
        self.ledger.append((append.call, written))
        self._keep_up(append, now)
        return Appended(now, f"{now}-{len(self.ledger)}")

    def _keep_up(self, append: Append, now: int) -> None:
        given = append.payload or {}
        if copies := {name: data for name, data in given.items() if name.startswith(KEPT)}:
            self.copies[append.call] = self.copies.get(append.call, {}) | copies
        fields = self.payloads.get(append.call, {}) | {name: it for name, it in given.items() if name not in copies}
        self.payloads[append.call] = {name: data for name, data in fields.items() if data}
        self.ends.pop(append.call, None)
        if append.upkeep.expire_in is not None:
            self.ends[append.call] = now + append.upkeep.expire_in
        self.due_times.pop(append.call, None)
        if append.upkeep.due_in is not None:
            self.due_times[append.call] = now + append.upkeep.due_in
        for notice, delay in append.notices:
            self.notices.pop((append.call, notice), None)
            if delay is not None:
                self.notices[append.call, notice] = now + delay
        for pointer in append.upkeep.pointers:
            self._point(pointer, append.call, now)

    def _point(self, pointer: Pointer, call: str, now: int) -> None:
        holder, end = self._holder(pointer), None if pointer.ttl is None else now + pointer.ttl
        match pointer.mode:
            case "free" if holder == call:
                del self.pointers[self._name(pointer)]
            case "take" | "hold" if holder in (None, call):
                self.pointers[self._name(pointer)] = call, end
            case "join" | "stay":
                self._join(pointer, call, end)
            case "leave":
                self.leave(call, pointer.name)
            case "count":
                self.asked.setdefault(pointer.name, {})[call] = now
            case "wait":
                self.held.setdefault(call, end or now)
            case "over":
                self.held.pop(call, None)

    def _join(self, pointer: Pointer, call: str, end: int | None) -> None:
        before, ends = self._sent(pointer.name)
        if others := before - {call}:
            end = None if end is None or ends is None else max(end, ends)
        self.executing[pointer.name] = others | {call}, end

    def _sent(self, match: str) -> tuple[set[str], int | None]:
        calls, end = self.executing.get(match, (set(), None))
        return (set(), None) if end is not None and self.clock() >= end else (calls, end)

    def _others(self, pointer: Pointer, append: Append) -> list[str]:
        """Who else was sent, and is not in hands that were seen at work."""
        return sorted(self._sent(pointer.name)[0] - {append.call, *append.beside})

    def _count(self, pointer: Pointer) -> None:
        window, now = pointer.ttl or 0, self.clock()
        lately = sorted(at for at in self.asked.get(pointer.name, {}).values() if at > now - window)
        if (over := len(lately) - pointer.most) >= 0:
            raise TooManyQuestions(lately[over] + window - now)

    def _store(self, pointer: Pointer, append: Append) -> None:
        mine = self.payloads.get(append.call, {})
        given = {name: it for name, it in (append.payload or {}).items() if not name.startswith(KEPT)}
        more = _counted(mine | given) - _counted(mine)
        now = self.clock()
        others = {
            call: _counted(self.payloads.get(call, {}))
            for call, agent in self.owners.items()
            if agent == pointer.name and self.ends.get(call, now + 1) > now
        }
        if pointer.most and more > 0 and more + sum(others.values()) > pointer.most:
            ends = [self.ends[call] for call, size in others.items() if call in self.ends and size]
            raise TooMuchStored(min(ends) - now if ends else 0)

    def _have(self, call: str) -> list[bytes]:
        if call in self.ends and self.clock() >= self.ends[call]:
            del self.calls[call], self.payloads[call], self.ends[call]
        return self.calls.get(call, [])

    def _name(self, pointer: Pointer) -> str:
        return f"{pointer.kind}:{pointer.name}"

    def _holder(self, pointer: Pointer) -> str | None:
        call, end = self.pointers.get(self._name(pointer), (None, None))
        return None if end is not None and self.clock() >= end else call

    async def facts(self, call: str) -> list[Fact]:
        return [decode(data) for data in self._have(call)]

    async def length(self, call: str) -> int:
        return len(self._have(call))

    async def payload(self, call: str) -> Mapping[str, bytes]:
        return dict(self.payloads.get(call, {})) if self._have(call) else {}

    async def touch(self, call: str, agent: str, pointer: str, milliseconds: int) -> None:  # noqa: ARG002
        holder, end = self.pointers.get(f"key:{pointer}", (None, None))
        if holder == call and end is not None and self.clock() < end:
            self.pointers[f"key:{pointer}"] = call, self.clock() + milliseconds
            if call in self.ends:
                self.ends[call] = max(self.ends[call], self.clock() + milliseconds + RECALL_MS)

    def leave(self, call: str, match: str) -> None:
        calls, end = self._sent(match)
        self.executing[match] = calls - {call}, end
        if calls <= {call}:
            self.executing.pop(match, None)

    async def met(self, call: str, match: str) -> bool:
        return call in self._sent(match)[0]

    async def beat(self, worker: str) -> None:
        self.beats[worker] = self.clock()

    async def last_beat(self, worker: str) -> int:
        last = self.beats.get(worker, 0)
        return last if self.clock() < last + BEAT_MS else 0

    def now(self) -> int:
        return self.clock()

    async def due(self, limit: int) -> list[str]:
        now = self.clock()
        ready = sorted((time, call) for call, time in self.due_times.items() if time <= now)
        return [call for _, call in ready[:limit]]

    async def rearm(self, call: str, milliseconds: int) -> None:
        now = self.clock()
        if call in self.due_times and self.due_times[call] <= now:
            self.due_times[call] = now + milliseconds

    async def forget(self, call: str) -> None:
        self.due_times.pop(call, None)

    async def outbox(self, limit: int) -> list[tuple[str, str]]:
        now = self.clock()
        ready = sorted((time, key) for key, time in self.notices.items() if time <= now)
        return [key for _, key in ready[:limit]]

    async def postpone(self, call: str, notice: str, milliseconds: int) -> None:
        if (call, notice) in self.notices:
            self.notices[call, notice] = self.clock() + milliseconds

    async def discard(self, call: str, notice: str) -> None:
        self.notices.pop((call, notice), None)


def _counted(payload: Mapping[str, bytes]) -> int:
    return sum(size for data in payload.values() if (size := len(data)) >= COUNTED)
