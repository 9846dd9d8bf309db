"""The engine's world: a clock, a journal and a system of record that break on demand, and count what really happened.

`World.live` runs one life of one process; whatever was not written dies with it. The journal's and the system's
faults are values, so a test says which write or send breaks, and how, and the world does the rest.
"""

import asyncio
import atexit
import dataclasses
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.adapters.memory_journal import MemoryJournal
from gateway.core.approval import Decision, may_vote, shown
from gateway.core.call import Request
from gateway.core.facts import Approved, Fact, Rejected
from gateway.core.lifecycle import Finish, Outcome, Wait, next_step
from gateway.core.record import Record, recall
from gateway.core.routes import System, Tool
from gateway.engine import Driven, Engine
from gateway.errors.base import GatewayError
from gateway.life import Life, Requester
from gateway.ports import Append, Appended, Conflict, JournalUnavailable
from gateway.sending import Limits
from gateway.tasks import cancel_all
from tests.company import HOLDING, NIGHT, REFUND, Generation, admission

JOURNALS: list[MemoryJournal] = []
"""Of the test that runs: when it is over, every life in them is looked at (`tests/conftest.py`)."""

# --- Things that break ----------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process died here."""


@dataclass
class Fault:
    """The next append that carries a fact of this type goes wrong."""

    fact: type
    how: str
    """`crash`, `unavailable` or `conflict` (another writer was first)."""
    persists: bool = False
    times: int = 1


@dataclass(slots=True)
class BreakableJournal(MemoryJournal):
    faults: list[Fault] = field(default_factory=list)
    down: bool = False
    """Nothing can be read or written."""
    other_writer: Callable[[Append], Awaitable[None]] | None = None

    async def append(self, append: Append) -> Appended:
        self._reachable()
        for fault in self.faults:
            if fault.times and any(isinstance(fact, fault.fact) for fact in append.facts):
                fault.times -= 1
                return await self._broken(append, fault)
        return await MemoryJournal.append(self, append)

    async def _broken(self, append: Append, fault: Fault) -> Appended:
        if fault.how == "conflict":
            await asyncio.sleep(0)
            raise Conflict(append.call)
        if fault.persists:
            await MemoryJournal.append(self, append)
        if fault.how == "crash":
            raise Crash
        raise JournalUnavailable("the reply was lost")

    async def facts(self, call: str) -> list[Fact]:
        self._reachable()
        return await MemoryJournal.facts(self, call)

    async def length(self, call: str) -> int:
        self._reachable()
        return await MemoryJournal.length(self, call)

    async def payload(self, call: str) -> Mapping[str, bytes]:
        self._reachable()
        return await MemoryJournal.payload(self, call)

    def _reachable(self) -> None:
        if self.down:
            raise JournalUnavailable("the journal is away")


@dataclass
class FakeReply:
    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    body: bytes = b'{"id":"re_1"}'
    closed: bool = False
    broken: BaseException | None = None

    async def read(self, limit: int) -> bytes | None:
        if self.broken is not None:
            raise self.broken
        return self.body if len(self.body) <= limit else None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body
        if self.broken is not None:
            raise self.broken

    async def close(self) -> None:
        self.closed = True


@dataclass
class Behaviour:
    """What the system does with one request."""

    acts: bool = True
    raises: BaseException | None = None
    status: int = 200
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """Something that happens while the request is on its way."""
    reply: FakeReply | None = None


@dataclass
class Stripe:
    """A system that counts. A repeatable tool acts once per key, however often the key is sent."""

    script: list[Behaviour] = field(default_factory=list)
    """What it does with the next requests; afterwards it is well."""
    effects: list[bytes] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    sends: int = 0
    last_extra: tuple[tuple[str, str], ...] = ()

    async def send(
        self, system: System, wanted: Tool, request: Request, extra: tuple[tuple[str, str], ...]
    ) -> FakeReply:
        self.sends += 1
        self.last_extra = extra
        behaviour = self.script.pop(0) if self.script else Behaviour()
        await asyncio.sleep(0)
        if behaviour.meanwhile is not None:
            await behaviour.meanwhile()
        if behaviour.acts and wanted.acts:
            self._act(wanted, request, extra)
        if behaviour.raises is not None:
            raise behaviour.raises
        return behaviour.reply or FakeReply(behaviour.status)

    def _act(self, wanted: Tool, request: Request, extra: tuple[tuple[str, str], ...]) -> None:
        key = dict(extra).get(wanted.send_key.lower(), "") if wanted.send_key else ""
        if not key or key not in self.keys:
            self.effects.append(request.body)
        self.keys.add(key)


RUNNER = asyncio.Runner()
"""One loop for all lives: making one for each would be most of the work. `live` ends every task of a life."""
atexit.register(RUNNER.close)


async def settle() -> None:
    """Let everything that runs in the background come to rest."""
    for _ in range(40):
        await asyncio.sleep(0)


# --- The world ------------------------------------------------------------------------------------------------------


@dataclass
class World:
    now: int = NIGHT
    generation: Generation = field(default_factory=Generation)
    upstream: Stripe = field(default_factory=Stripe)
    journal: BreakableJournal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = BreakableJournal(self.clock)
        JOURNALS.append(self.journal)

    def clock(self) -> int:
        return self.now

    @property
    def effects(self) -> int:
        return len(self.upstream.effects)

    def engine(self) -> Engine:
        return Engine(
            journal=self.journal, upstream=self.upstream, generation=lambda: self.generation, limits=Limits()
        )  # fmt: skip

    async def ask(self, wanted: Tool = REFUND, *, requester: Requester | None = None, **how: Any) -> Driven:
        """One request of an agent."""
        admitted = admission(wanted, routes=self.generation.routes, **how)
        return await self.engine().begin(admitted, self.generation, requester or Requester())

    def live(self, story: Callable[[], Awaitable[Any]], *, lingers: bool = True) -> Any:
        """One life of one process. A crash or an error is a value. What it left running goes on only if it lingers."""

        async def life() -> Any:
            try:
                return await story()
            finally:
                if lingers and sys.exc_info()[0] is not Crash:
                    await settle()
                await cancel_all()

        try:
            return RUNNER.run(life())
        except Crash:
            return Crash
        except (GatewayError, JournalUnavailable) as error:
            return error

    async def load(self, call: str) -> Life:
        life = await self.engine().load(call)
        assert life is not None
        return life

    async def vote(self, call: str, by: str = "ann", *, approve: bool = True) -> None:
        """A person says yes or no to what is asked now; nobody drives the call on."""
        engine = self.engine()
        life = await self.load(call)
        decision = Decision(
            approve=approve, by=by, group="finance", fingerprint=shown(life.record, "finance"), via="token"
        )
        asked = may_vote(life.record, decision, self.generation.routes, now=self.now).requirements
        print_ = life.record.asked_fingerprint
        if approve:
            life.add(Approved(by=by, group="finance", fingerprint=print_, requirements=asked, via="token", at=self.now))
        else:
            life.add(Rejected(by=by, group="finance", fingerprint=print_, via="token", at=self.now))
        await engine.flush(life)

    def restart(self, *, later: int = 0) -> None:
        """Another process, `later` milliseconds on; only what was written survives."""
        self.now += later
        self.journal.faults, self.journal.down = [], False
        self.upstream.script = []

    def record(self, call: str) -> Record:
        return recall(RUNNER.run(MemoryJournal.facts(self.journal, call)))

    def outcome(self, call: str) -> Outcome | None:
        """How the call ended, if it has."""
        step = next_step(self.record(call), now=self.now, me="", today=self.generation.digest)
        return step.outcome if isinstance(step, Finish) else None

    def kinds(self, call: str) -> list[str]:
        """Names of the facts of a call, in order."""
        return [type(fact).__name__ for fact in self.facts(call)]

    def facts(self, call: str) -> list[Fact]:
        return [dataclasses.replace(fact, at=0) for fact in RUNNER.run(MemoryJournal.facts(self.journal, call))]

    @property
    def calls(self) -> list[str]:
        return list(self.journal.calls)

    def steward(self, *, hours: int = 30) -> None:
        """What happens without a request: everything that becomes due is driven on, until nothing moves any more."""
        end = self.now + hours * 3_600_000
        while True:
            waiting = sorted(self.journal.due_times.items(), key=lambda item: item[1])
            if not waiting or waiting[0][1] > end:
                return
            call, due = waiting[0]
            self.now = max(self.now, due)
            before = len(self.journal.calls[call]), due

            self.live(partial(self.engine().unattended, call))
            if (len(self.journal.calls[call]), self.journal.due_times.get(call)) == before:
                self.journal.due_times[call] = self.now + 3_600_000  # as the steward does: look again in an hour


def held(world: World | None = None, **how: Any) -> tuple[World, str]:
    """A world in which one call waits for finance, and that call."""
    world = world or World(generation=HOLDING)
    life, step = world.live(partial(world.ask, **how))
    assert isinstance(step, Wait)
    return world, life.record.call.id
