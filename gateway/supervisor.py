"""`gateway serve`: the parent of all other processes. It binds, starts, restarts and stops; it never sees a request.

    supervisor --- embedded Valkey      (only without GATEWAY_REDIS_URL; stopped last)
               --- worker 0 .. N-1      (the agents' port)
               --- steward              (the control plane's port)

Every child may be killed at any time and is started again: at once, then with pauses. The supervisor itself may be
killed too: its children end with it, and the next start finds the ports free and the data directory unlocked.

The ports are bound here, before any child starts, for three reasons: a port in use is one sentence and not a crash
loop; a connection that arrives while a worker restarts waits in the queue instead of being refused; and all workers
accept from *one* queue. (One SO_REUSEPORT socket per worker would spread connections more evenly, but strand those in
the queue of a worker that is dead, slow or stuck, and let any process of the same user take a share of the agents'
connections, so a second gateway on the port would go unnoticed.)
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.adapters.embedded import EmbeddedValkey
from gateway.children import CannotStart, Child, Hopeless, Launch
from gateway.data_directory import prepare_data
from gateway.duty import CONFIGURATION_MISTAKE, JOURNAL_UNREACHABLE, VARIABLE, Duty, Role
from gateway.first_look import forget
from gateway.ledger.place import Place, Unusable
from gateway.listening import bind, shown
from gateway.payload_keys import PayloadKeysMistake, ensure_keys
from gateway.served_files import SERVED, ServedFiles
from gateway.tasks import spawn

log = logging.getLogger("gateway.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run."""

    agents: str
    """Where agents connect, `host:port`."""
    control: str
    """Where approvers and operators connect, `host:port`."""
    workers: int
    worker: tuple[str, ...]
    """The command of a data-plane worker. It finds its Duty in the environment."""
    steward: tuple[str, ...]
    """The command of the steward, likewise."""
    data: Path
    redis_url: str = ""
    """Empty: start the embedded server in the data directory."""
    ledger: Place | None = None
    """Where the sealed record is kept; what is not there yet is made before any child starts. None: nowhere."""
    makes_payload_keys: bool = False
    """The deployment's are in the data directory; at the first start they are made there."""
    grace_seconds: float = 25.0
    """What children get to end after SIGTERM (GATEWAY_SHUTDOWN_GRACE)."""
    secure: bool = False
    """The listeners speak TLS; only for the line that says where they are."""
    document: Mapping[str, object] = field(default_factory=dict)
    """Passed on to every child in its Duty; JSON."""


Say = Callable[[str, int], None]
"""A sentence for whoever reads the log, and its level."""


def say_in_log(sentence: str, level: int) -> None:
    """As everything else in this process is said, with the time: see `gateway.logs`."""
    log.log(level, "%s", sentence)


class Supervisor:
    """One run of `gateway serve`. `run` returns the exit code: 0 stopped as asked, 1 could not start."""

    def __init__(self, plan: Plan, say: Say = say_in_log) -> None:
        self.plan = plan
        self.addresses: tuple[str, str] = ("", "")
        """Where the agents' port and the control plane really listen, once bound."""
        self._say = say
        self._agents: list[socket.socket] = []
        self._control: list[socket.socket] = []
        self._valkey: EmbeddedValkey | None = None
        self._children: list[Child] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._asked_to_stop = asyncio.Event()
        self._impatient = asyncio.Event()
        self._terminal = sys.stdin is not None and sys.stdin.isatty()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, in an event loop of its own, from the main thread."""
        return asyncio.run(self.serve())

    async def serve(self) -> int:
        """The same in a running event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        starting = spawn(self._start(), "start", expected=(CannotStart,))
        asked = spawn(self._asked_to_stop.wait(), "wait for a signal")
        try:
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                await asyncio.wait({asked, *self._keeping}, return_when=asyncio.FIRST_COMPLETED)
            self._say("Stopping: running calls may end first.", logging.INFO)
            return 0 if asked.done() else 1  # a task that keeps a child ended by itself: a defect, and it is logged
        except CannotStart as error:
            self._say(str(error), logging.ERROR)
            return 1
        finally:
            await _cancel(starting, asked)
            await self._end()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End everything in order. Asked a second time: end the children at once, which loses nothing either."""
        if self._asked_to_stop.is_set():
            self._impatient.set()
        self._asked_to_stop.set()

    def reload(self) -> None:
        """SIGHUP: the children load their configuration anew. If the terminal is gone, it meant that instead."""
        if self._terminal and not sys.stdin.isatty():
            self.stop()
            return
        for child in self._children:
            if child.ready.is_set():  # before that it reads the configuration anyway, and the signal would kill it
                child.signal(signal.SIGHUP)

    async def _start(self) -> None:
        self._agents = bind(self.plan.agents)
        self._control = bind(self.plan.control)
        scheme = "https" if self.plan.secure else "http"
        self.addresses = (shown(self._agents[0]), shown(self._control[0]))
        redis_url = self.plan.redis_url or await self._start_valkey()  # the children start while it loads its files
        self._make_keys()
        try:
            ServedFiles(self.plan.data / SERVED).forget()
            forget(self.plan.data)
        except OSError as error:
            raise CannotStart(
                f"What an earlier run left, {error.filename or str(self.plan.data / SERVED)!r}, cannot be removed "
                f"({(error.strerror or str(error)).lower()}): remove it."
            ) from error
        self._children = [self._child("worker", number, redis_url) for number in range(self.plan.workers)]
        self._children.append(self._child("steward", 0, redis_url))
        self._keeping += [child.start() for child in self._children]
        if self._valkey is not None:
            await self._valkey.wait_ready()
        await self._all_ready()
        where = "an embedded Valkey in " + str(self.plan.data) if self._valkey else "the Redis of GATEWAY_REDIS_URL"
        problems = [problem for child in self._children for problem in child.problems]
        state = "is up, but not ready" if problems else "is ready"
        workers = f"{self.plan.workers} worker{'' if self.plan.workers == 1 else 's'}"
        self._say(
            f"The gateway {state}: agents at {scheme}://{self.addresses[0]}, control plane at "
            f"{scheme}://{self.addresses[1]}, {workers}, journal in {where}, version {__version__}.",
            logging.INFO,
        )
        if problems:
            told = "effects are not possible until this is repaired (GET /readyz): " + " ".join(problems)
            self._say(told, logging.ERROR)

    async def _start_valkey(self) -> str:
        self._valkey = EmbeddedValkey(self.plan.data)
        self._keeping.append(await self._valkey.start())
        notice = same_user_notice(os.getuid(), os.getpid(), self._valkey.socket)
        if notice:
            self._say(notice, logging.WARNING)
        return self._valkey.url

    def _make_keys(self) -> None:
        """Before any child needs them, and once: no two of them may make different ones. Raises CannotStart."""
        try:
            if self.plan.makes_payload_keys or self.plan.ledger is not None:
                prepare_data(self.plan.data)
            if self.plan.makes_payload_keys:
                ensure_keys(self.plan.data)
            if self.plan.ledger is not None:
                self.plan.ledger.make()
        except (PayloadKeysMistake, Unusable) as mistake:
            raise CannotStart(str(mistake)) from mistake

    async def _all_ready(self) -> None:
        """Return when every child is ready. Raises CannotStart if one never can be."""
        ready = spawn(self._wait_for_all(), "wait until ready")
        try:
            await asyncio.wait({ready, *self._keeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._keeping:
                if task.done() and (error := task.exception()) is not None:
                    why = error.why if isinstance(error, Hopeless) else ""
                    raise CannotStart(
                        f"The gateway cannot start: {why or f'{error}; see what it said above.'}"
                    ) from error
        finally:
            await _cancel(ready)

    async def _wait_for_all(self) -> None:
        for child in self._children:
            await child.ready.wait()

    def _child(self, role: Role, number: int, redis_url: str) -> Child:
        name = f"worker {number}" if role == "worker" else "the steward"

        async def launch() -> Launch:
            return self._launch(role, number, redis_url)

        return Child(name, launch, hopeless=lambda code: code in (CONFIGURATION_MISTAKE, JOURNAL_UNREACHABLE))

    def _launch(self, role: Role, number: int, redis_url: str) -> Launch:
        ours, theirs = socket.socketpair()
        listeners = self._agents if role == "worker" else self._control
        duty = Duty(
            role=role,
            number=number,
            listen=tuple(listener.fileno() for listener in listeners),
            line=theirs.fileno(),
            redis_url=redis_url,
            document=self.plan.document,
        )
        return Launch(
            argv=self.plan.worker if role == "worker" else self.plan.steward,
            environment={**os.environ, VARIABLE: duty.encode()},
            inherited=duty.listen,
            handed_over=(theirs.detach(),),
            line=ours,
        )

    async def _end(self) -> None:
        """Ports, then workers and steward, then Valkey: whoever still has something to record can record it."""
        for listener in (*self._agents, *self._control):
            listener.close()
        hurry = spawn(self._kill_when_impatient(), "wait for impatience")
        try:
            await asyncio.gather(*(child.stop(self.plan.grace_seconds) for child in self._children))
        finally:
            await _cancel(hurry)
            if self._valkey is not None:
                await self._valkey.stop()

    async def _kill_when_impatient(self) -> None:
        await self._impatient.wait()
        for child in self._children:
            child.signal(signal.SIGKILL)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def same_user_notice(uid: int, pid: int, path: Path) -> str:
    """The warning that agents must not run as the gateway's user; empty where nobody else runs as that user.

    That is so in a container (process 1), and for system users, which nobody logs in as (1 to 999 by convention).
    """
    last_system_user = 999
    if pid == 1 or 0 < uid <= last_system_user:
        return ""
    return (
        f"Every process of user {uid} can write to the journal at {path}, and so can approve any call. Never "
        "run an agent as this user: give the gateway a user of its own."
    )


def default_workers() -> int:
    """One per core that this process may use, counting a container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)
