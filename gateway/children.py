"""Child processes that are started again whenever they die, and that never outlive their parent.

Used by the supervisor for workers and steward, and by the embedded server. Two ties hold a child to its parent:

- on Linux a wrapper of a few lines asks the kernel for a signal when the parent dies, then becomes the command. It is
  a program and not a `preexec_fn`, because Python code between fork and exec can deadlock in a process with threads;
- everywhere, a child that speaks holds one end of a *line*, a socket pair. The child writes `ready` into it once, or
  why it never will be, and reads end-of-file from it when the parent is gone.

Never start a child from a thread other than the main one: the kernel's signal follows the *thread* that forked.
Never put a secret into an argument list, which every user of the machine can read: that is what `environment` is for.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import IO

from gateway.tasks import spawn

log = logging.getLogger("gateway.children")

READY = b"ready\n"

# Bytes read at once of what a child says; problems may come in several pieces.
MOST_HEARD = 4096

# What a child said is read at once when it has ended; this is for a line that somebody else still holds.
LAST_WORDS_SECONDS = 1.0

# After this long, a death is a new event and not part of a crash loop.
HEALTHY_SECONDS = 10.0
# The second death in a row waits this long, and each further one twice as long as the one before ...
FIRST_PAUSE_SECONDS = 0.1
# ... up to this: long enough that a crash loop costs nothing, short enough that nobody waits for a repaired cause.
LONGEST_PAUSE_SECONDS = 5.0

# 1 is PR_SET_PDEATHSIG. The parent may have died before the call: then nobody would send the signal, so we leave.
# Python ignores SIGPIPE and SIGXFSZ, and what is ignored stays ignored across exec: both go back to their default.
_TIE = """\
import ctypes, os, signal, sys
parent, number = int(sys.argv[1]), int(sys.argv[2])
if ctypes.CDLL(None, use_errno=True).prctl(1, number, 0, 0, 0) != 0:
    sys.exit("prctl(PR_SET_PDEATHSIG): " + os.strerror(ctypes.get_errno()))
if os.getppid() != parent:
    sys.exit("the parent process is gone")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of a child."""

    argv: tuple[str, ...]
    """The program, as an absolute path, and its arguments."""
    environment: Mapping[str, str] | None = None
    """The whole environment; None: this process's own."""
    inherited: tuple[int, ...] = ()
    """File descriptors the child gets under the same numbers; they stay open here."""
    handed_over: tuple[int, ...] = ()
    """The same, but closed here once the child has them (or could not be started)."""
    line: socket.socket | None = None
    """Our end of the child's line, closed when the child has ended. None: the child is silent."""
    output: IO[bytes] | None = None
    """Where its stdout and stderr go, closed here once the child has it; None: where ours go."""
    umask: int = -1
    """The child's file mode mask; -1: ours."""
    dies_with: int = signal.SIGKILL
    """The signal that the kernel sends it when this process dies (Linux)."""


class CannotStart(Exception):
    """Something that must be there before a process can start is not. The message is a sentence for the user."""


class Hopeless(Exception):
    """The child ended before it was ever ready, in a way that starting it again cannot cure."""

    def __init__(self, name: str, how: str, why: str = "") -> None:
        super().__init__(f"{name} {how}")
        self.name = name
        self.why = why
        """Its own sentence about that, if it left one on its line."""
        self.how = how
        """`ended with exit code 78`, or why it could not be started at all."""


class Child:
    """One child process, started again whenever it ends, until `stop`. It never gives up on one that was ready once."""

    def __init__(
        self,
        name: str,
        prepare: Callable[[], Awaitable[Launch]],
        *,
        hopeless: Callable[[int | None], bool] = lambda _: False,
        explain: Callable[[], str] = str,
    ) -> None:
        """`prepare` is awaited before every start; an OSError or CannotStart from it is a start that failed.

        `hopeless` says of an exit code before the first readiness (None: it could not be started) that trying again is
        useless. `explain` is asked after a process ended and may answer with why.
        """
        self.name = name
        self.starts = 0
        self.ready = asyncio.Event()
        """Set while the present process is ready; whoever waits for it must also watch the task of `keep`."""
        self.problems: tuple[str, ...] = ()
        """Sentences of the present process, once it is ready, about why the gateway is not."""
        self._prepare, self._hopeless, self._explain = prepare, hopeless, explain
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._once_ready = False
        self._last_words = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the present process; None between two."""
        return self._process.pid if self._process else None

    def start(self) -> asyncio.Task[None]:
        """Keep the child running in a task, which raises Hopeless if the first start cannot succeed."""
        self._task = spawn(self._keep(), f"keep {self.name}", expected=(Hopeless,))
        return self._task

    def mark_ready(self) -> None:
        """The present process is ready, as seen by somebody who asked it."""
        self._once_ready = True
        self.ready.set()

    def signal(self, number: int) -> None:
        """Send a signal to the present process, if there is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self, grace_seconds: float) -> bool:
        """SIGTERM, then SIGKILL after the grace. False if it had to be killed. Afterwards nothing is running."""
        self._stopping.set()
        if self._task is None:
            return True
        self.signal(signal.SIGTERM)
        _, running = await asyncio.wait({self._task}, timeout=grace_seconds)
        if running:
            log.warning("%s did not stop within %g seconds and is killed", self.name, grace_seconds)
            self.signal(signal.SIGKILL)
            await asyncio.wait({self._task})
        return not running

    async def _keep(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code, how = await self._run_once()
            if self._stopping.is_set():
                return
            if not self._once_ready and self._hopeless(code):
                raise Hopeless(self.name, how, self._last_words)
            deaths = 1 if time.monotonic() - began >= HEALTHY_SECONDS else deaths + 1
            pause = pause_after(deaths)
            log.error("%s %s; starting it again %s", self.name, how, f"in {pause:g} seconds" if pause else "now")
            await _set_within(self._stopping, pause)

    async def _run_once(self) -> tuple[int | None, str]:
        """Start the process and wait for its end: its exit code (None: it could not be started), and how that was."""
        try:
            process, line = await self._start()
        except (OSError, CannotStart) as error:
            return None, f"cannot be started: {error}"
        code = await self._wait(process, line)
        why = self._explain()
        return code, f"{ending(code)}: {why}" if why else ending(code)

    async def _wait(self, process: asyncio.subprocess.Process, line: socket.socket | None) -> int:
        self._process, self._last_words = process, ""
        if self._stopping.is_set():
            process.terminate()  # `stop` came while it was being started and could not reach it
        listening = spawn(self._listen(line), f"line of {self.name}") if line else None
        try:
            code = await process.wait()
            if listening is not None:  # what it said last may still be on the way
                await asyncio.wait({listening}, timeout=LAST_WORDS_SECONDS)
            return code
        finally:
            if process.returncode is None:  # we are being cancelled: nothing may be left behind
                process.kill()
                await process.wait()
            self.ready.clear()
            self._process = None
            if listening is not None and line is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                line.close()

    async def _start(self) -> tuple[asyncio.subprocess.Process, socket.socket | None]:
        launch = await self._prepare()
        self.starts += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *tied(launch.argv, launch.dies_with),
                env=None if launch.environment is None else dict(launch.environment),
                pass_fds=(*launch.inherited, *launch.handed_over),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=launch.output,
                stderr=launch.output,
                umask=launch.umask,
                process_group=0,  # Ctrl-C reaches only the parent, which stops its children in order
            )
        except BaseException:
            if launch.line is not None:
                launch.line.close()
            raise
        finally:
            for descriptor in launch.handed_over:
                os.close(descriptor)
            if launch.output is not None:
                launch.output.close()
        return process, launch.line

    async def _listen(self, line: socket.socket) -> None:
        line.setblocking(False)
        heard = b""
        while not f"\n{heard.decode(errors='replace')}".endswith(f"\n{READY.decode()}"):
            more = await asyncio.get_running_loop().sock_recv(line, MOST_HEARD)
            if not more:
                self._last_words = " ".join(heard.decode(errors="replace").split())
                return
            heard += more
        self.problems = tuple(heard.decode(errors="replace").splitlines()[:-1])
        self.mark_ready()


def tied(argv: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The command that runs `argv` in a process which gets the signal `number` when this process dies."""
    if not sys.platform.startswith("linux"):
        return argv
    return (sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), str(int(number)), *argv)


def pause_after(deaths: int) -> float:
    """Seconds to wait before the next start, after that many short lives in a row: at once after the first."""
    if deaths <= 1:
        return 0.0
    doublings = min(deaths - 2, 16)  # beyond, 2**n only grows past the longest pause
    return float(min(FIRST_PAUSE_SECONDS * 2**doublings, LONGEST_PAUSE_SECONDS))


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
