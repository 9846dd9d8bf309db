"""One piece of work on every log of a ledger, on every core, with a bar for whoever waits.

Processes are started only for what takes longer than starting them. Nothing is drawn for what takes less than a second,
and nothing at all unless standard error is a terminal.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.core.deployment import LOGS
from gateway.ledger.files import Damaged, LogFiles

ALONE = 20_000
"""Leaves. Below, starting processes takes longer than reading them."""
SHOW_AFTER_SECONDS = 1.0

T = TypeVar("T")
Told = Callable[[int], None]
"""Told of how many more leaves were read."""
Work = Callable[..., T]
"""`work(ledger, partition, *more, progress)`, a function of a module, since another process has to find it."""


class Killed(Exception):
    """A process that was reading is gone."""


def each_log(what: str, ledger: Path, work: Work[T], more: Callable[[str], tuple[Any, ...]]) -> list[T]:
    """What `work` gives for each log, in their order. `more(partition)`: its further arguments. Raises Killed."""
    sizes = {partition: _size(ledger, partition) for partition in LOGS}
    tasks = {name: (ledger, name, *more(name)) for name in sorted(LOGS, key=sizes.__getitem__, reverse=True)}
    total = sum(sizes.values())
    with _shown(what, total) as show:
        done = _alone(work, tasks, show) if total < ALONE else _together(work, tasks, show)
    return [done[name] for name in LOGS]


def _size(ledger: Path, partition: str) -> int:
    """As its checkpoint claims, for the order of the work alone."""
    try:
        return LogFiles.open(ledger, partition).size
    except Damaged:
        return 0


def _alone(work: Work[T], tasks: dict[str, tuple[Any, ...]], show: Told) -> dict[str, T]:
    return {name: work(*task, show) for name, task in tasks.items()}


def _together(work: Work[T], tasks: dict[str, tuple[Any, ...]], show: Told) -> dict[str, T]:
    context = multiprocessing.get_context("spawn")
    read = context.Value("Q", 0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_begin, initargs=(read,)) as pool:
        futures: dict[str, Future[T]] = {name: pool.submit(_worked, work, task) for name, task in tasks.items()}
        waiting, shown = set(futures.values()), 0
        while waiting:
            _, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            now = read.value
            show(now - shown)
            shown = now
        try:
            return {name: future.result() for name, future in futures.items()}
        except BrokenProcessPool as error:
            raise Killed("A process that was reading was killed: is there enough memory?") from error


_read: "Synchronized[int] | None" = None
"""In a process of the pool: how many leaves all of them have read."""


def _begin(read: "Synchronized[int]") -> None:
    global _read  # noqa: PLW0603 - what a pool gives its processes can be kept nowhere else
    _read = read


def _worked(work: Work[T], task: tuple[Any, ...]) -> T:
    def progress(leaves: int) -> None:
        assert _read is not None
        with _read.get_lock():
            _read.value += leaves

    return work(*task, progress)


@dataclass(slots=True)
class _Bar:
    what: str
    total: int
    console: Console
    begun: float
    done: int = 0
    bar: Progress | None = None

    def __call__(self, leaves: int) -> None:
        self.done += leaves
        if self.bar is None and self.console.is_terminal and time.monotonic() - self.begun > SHOW_AFTER_SECONDS:
            columns = TextColumn(self.what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.add_task("leaves", total=self.total)
            self.bar.start()
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.done)


@contextmanager
def _shown(what: str, total: int) -> Iterator[_Bar]:
    bar = _Bar(what, total, Console(file=sys.stderr), time.monotonic())
    try:
        yield bar
    finally:
        if bar.bar is not None:
            bar.bar.stop()
