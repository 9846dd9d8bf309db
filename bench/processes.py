"""Processes under measurement: starting them on one processor, and reading what they and their descendants consumed.

Linux only: it reads /proc. It ends only processes that it started itself.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench import ROOT

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
END_SECONDS = 20.0
# A tree that uses less than this of a processor for this long has done what it was asked.
QUIET_SHARE, QUIET_SECONDS = 0.06, 0.5
QUIET_LIMIT_SECONDS = 30.0


class BenchError(Exception):
    """The measurement cannot be made; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc, at one moment."""

    pid: int
    parent: int
    seconds: float
    """User and system time so far, that of ended and waited-for children included."""


@dataclass(slots=True)
class Running:
    """A process that we started, with the log it writes."""

    popen: subprocess.Popen[bytes]
    log: Path
    name: str
    started: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait_until_answers(self, port: int, path: str, seconds: float = 20.0) -> float:
        """Seconds from the start until that path answered 200."""
        deadline, last = time.monotonic() + seconds, "no answer"
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise BenchError(f"{self.name} ended with exit code {self.popen.returncode}:\n{self.tail()}")
            try:
                status, body = ask(port, "GET", path, timeout=2.0)
            except (OSError, HTTPException) as error:
                last = str(error)
            else:
                if status == 200:
                    return time.monotonic() - self.started
                last = f"{status} {body[:200].decode(errors='replace')}"
            time.sleep(0.01)
        raise BenchError(f"{self.name} was not ready after {seconds:g} s ({last}):\n{self.tail()}")


def ask(
    port: int,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10.0,
) -> tuple[int, bytes]:
    """One request to a local port: status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def running(
    name: str, command: Sequence[str], cpu: int | None, home: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a command on one processor (None: any), in a session of its own; afterwards nothing of it is left."""
    log = home / f"{name}.log"
    # A user's interpreter writes .pyc files; without them every start would compile.
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with log.open("ab") as output, on_cpu(cpu) if cpu is not None else nullcontext():
        popen = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(popen, log, name)
    finally:
        _end(popen)


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.terminate()
    with suppress(subprocess.TimeoutExpired):
        popen.wait(END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)  # the session is ours: whoever is left in it was left behind
    popen.wait()


@contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """What is started inside is born on that processor, so none of its threads ever ran elsewhere."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, cpu: int) -> None:
    """Move a running process, with all of its threads, to a processor."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that just ended
            os.sched_setaffinity(int(task.name), {cpu})


def tree(root: int) -> dict[int, Process]:
    """A process and all of its descendants, by pid."""
    everything = {process.pid: process for process in _all()}
    children: dict[int, list[int]] = {}
    for process in everything.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, wave = {}, [root]
    while wave:
        pid = wave.pop()
        if pid in everything:
            found[pid] = everything[pid]
            wave += children.get(pid, [])
    return found


def _all() -> Iterator[Process]:
    for entry in os.listdir("/proc"):  # noqa: PTH208  names are all that is needed
        if entry.isdigit():
            with suppress(OSError):  # it ended meanwhile
                # The second field is the name in parentheses and may contain anything, parentheses included.
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                ticks = sum(map(int, fields[11:15]))
                yield Process(int(entry), int(fields[1]), ticks / TICKS_PER_SECOND)


def seconds(root: int) -> float:
    """Processor time that a whole process tree has used so far."""
    return sum(process.seconds for process in tree(root).values())


def wait_until_quiet(root: int) -> float:
    """Wait until the tree has nothing left to do; the seconds that took, or the limit if it never became quiet."""
    began = time.monotonic()
    while (now := time.monotonic()) - began < QUIET_LIMIT_SECONDS:
        before = seconds(root)
        time.sleep(QUIET_SECONDS)
        if seconds(root) - before <= QUIET_SHARE * QUIET_SECONDS:
            return now - began
    return QUIET_LIMIT_SECONDS


def busy_seconds() -> float:
    """Processor time that this whole machine has used since it started, idling and waiting excluded."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Memory:
    """Mebibytes of one process: resident, and its share of what it shares."""

    resident: float
    proportional: float


def memory(pid: int) -> Memory:
    """The process's memory now."""
    found = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return Memory(*(int(found[name].split()[0]) / 1024 for name in ("Rss", "Pss")))
