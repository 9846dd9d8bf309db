"""`gateway audit verify`: the record, verified from its files alone, and said so that a person knows what was shown.

Logs are verified in parallel, one process per core, if there is enough to do. It must never say "verified" of anything
that was not read, and always say whose key it was verified under and who vouches for that key.
"""

import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.core.times import iso
from gateway.ledger.files import Damaged, LogFiles, read_file
from gateway.ledger.note import BadKey, Verifier, read_signer, read_verifier
from gateway.ledger.old_checkpoints import Old, old_checkpoints
from gateway.ledger.verifying import PARTITIONS, Fault, Settled, Verified, settled, verify_log

ALONE = 20_000
"""Leaves. Below, starting processes takes longer than verifying."""
SHOW_AFTER_SECONDS = 1.0
LONGEST_KEY = 4096
KEY_FILE = "ledger.key"
"""The signing key, beside the ledger in the data directory."""


class CannotVerify(Exception):
    """There is nothing to verify, or nothing to verify it by; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was verified, and what came of it."""

    verifier: Verifier
    trust: str
    """Who vouches for the key."""
    logs: Sequence[Verified]
    together: Settled
    olds: Mapping[str, Sequence[Old]]

    @property
    def faults(self) -> list[Fault]:
        return [fault for log in self.logs for fault in log.faults] + list(self.together.faults)

    @property
    def facts(self) -> int:
        return sum(log.size for log in self.logs)


def verify(ledger: Path, key: str | None, checkpoints: Sequence[Path], *, roots: bool) -> None:
    """`gateway audit verify`. Raises typer.Exit with 1 unless everything holds."""
    begun = time.monotonic()
    try:
        report = verified(ledger, key, checkpoints)
    except CannotVerify as error:
        typer.echo(f"cannot verify: {error}", err=True)
        raise typer.Exit(1) from None
    for line in summary(report, time.monotonic() - begun):
        typer.echo(line)
    if roots:
        for log in report.logs:
            typer.echo(f"  {log.partition}  {log.size:>12,}  {log.root.hex()}")
    if report.faults:
        wrong = {fault.partition for fault in report.faults}
        count = f"{len(wrong)} log{'' if len(wrong) == 1 else 's'} ({', '.join(sorted(wrong))})"
        typer.echo(f"\nNOT VERIFIED. Something is wrong in {count}:", err=True)
        for fault in report.faults:
            typer.echo(f"- {fault}", err=True)
        raise typer.Exit(1)
    typer.echo("\nVerified." if report.facts else "\nVerified: there is nothing in it.")


# --- What is verified, and by whose key -------------------------------------------------------------------------------


def find_key(ledger: Path, given: str | None) -> tuple[Verifier, str]:
    """The key, and who vouches for it. Raises CannotVerify."""
    if given is not None:
        path = Path(given)
        text = given if "+" in given and not path.exists() else _text(path)
        try:
            return read_verifier(text), "given by --key"
        except BadKey as error:
            raise CannotVerify(f"--key {given if path.exists() else 'KEY'}: {error}") from error
    path = ledger.parent / KEY_FILE
    try:
        return read_signer(_text(path)).verifier, (
            f"the public half of {path}. This trusts the host: whoever runs it could have signed another record. An "
            "auditor gives --key"
        )
    except BadKey as error:
        raise CannotVerify(f"{path}: {error}") from error


def _text(path: Path) -> str:
    try:
        return read_file(path, LONGEST_KEY).decode()
    except FileNotFoundError:
        raise CannotVerify(f"there is no key at {path}; name the ledger's verifier key by --key") from None
    except Damaged as error:
        raise CannotVerify(str(error)) from error
    except UnicodeDecodeError:
        raise CannotVerify(f"{path} is not a key in text form") from None


def verified(ledger: Path, key: str | None, checkpoints: Sequence[Path]) -> Report:
    """Every log below `ledger`, and all of them together. Raises CannotVerify."""
    verifier, trust = find_key(ledger, key)
    if not ledger.is_dir():
        raise CannotVerify(f"there is no directory {ledger}; name the one with the sealed log by --ledger")
    try:
        olds = old_checkpoints(list(checkpoints), verifier)
    except Damaged as error:
        raise CannotVerify(str(error)) from error
    sizes = {partition: _size(ledger, partition) for partition in PARTITIONS}
    largest_first = sorted(PARTITIONS, key=sizes.__getitem__, reverse=True)
    tasks = [(ledger, name, verifier, tuple(olds.get(name, ()))) for name in largest_first]
    total, cores = sum(sizes.values()), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    logs = _alone(tasks, total) if total < ALONE else _together(tasks, total, cores)
    logs.sort(key=lambda log: log.partition)
    return Report(verifier=verifier, trust=trust, logs=logs, together=settled(ledger, logs), olds=olds)


def _size(ledger: Path, partition: str) -> int:
    """As its checkpoint claims, for the order of the work alone."""
    try:
        return LogFiles.open(ledger, partition).size
    except Damaged:
        return 0


# --- In parallel ------------------------------------------------------------------------------------------------------

Task = tuple[Path, str, Verifier, tuple[Old, ...]]


def _alone(tasks: Sequence[Task], total: int) -> list[Verified]:
    with _shown(total) as show:
        return [verify_log(*task, show) for task in tasks]


_read: "Synchronized[int] | None" = None
"""In a worker: how many leaves all of them have read."""


def _begin(read: "Synchronized[int]") -> None:
    global _read  # noqa: PLW0603 - what a pool gives its processes can be kept nowhere else
    _read = read


def _worked(task: Task) -> Verified:
    def progress(leaves: int) -> None:
        assert _read is not None
        with _read.get_lock():
            _read.value += leaves

    return verify_log(*task, progress)


def _together(tasks: Sequence[Task], total: int, workers: int) -> list[Verified]:
    context = multiprocessing.get_context("spawn")
    read = context.Value("Q", 0)
    with (
        _shown(total) as show,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(read,)) as pool,
    ):
        waiting: set[Future[Verified]] = {pool.submit(_worked, task) for task in tasks}
        every, shown = list(waiting), 0
        while waiting:
            _, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            now = read.value
            show(now - shown)
            shown = now
        try:
            return [future.result() for future in every]
        except BrokenProcessPool as error:
            raise CannotVerify("a process that was verifying was killed; is there enough memory?") from error


@dataclass(slots=True)
class _Bar:
    """Nothing is drawn for what takes less than a second, and nothing at all unless somebody looks."""

    total: int
    console: Console
    begun: float
    done: int = 0
    bar: Progress | None = None

    def __call__(self, leaves: int) -> None:
        self.done += leaves
        if self.bar is None and self.console.is_terminal and time.monotonic() - self.begun > SHOW_AFTER_SECONDS:
            columns = TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.add_task("leaves", total=self.total)
            self.bar.start()
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.done)


@contextmanager
def _shown(total: int) -> Iterator[_Bar]:
    bar = _Bar(total, Console(file=sys.stderr), time.monotonic())
    try:
        yield bar
    finally:
        if bar.bar is not None:
            bar.bar.stop()


# --- What is said -----------------------------------------------------------------------------------------------------


def summary(report: Report, seconds: float) -> list[str]:
    """What was read, line by line. Not whether it holds."""
    logs, together = report.logs, report.together
    there = [log for log in logs if log.size]
    known = [log for log in logs if log.last]
    when = f", from {iso(min(log.first for log in known))} to {iso(max(log.last for log in known))}" if known else ""
    lines = [
        f"Key     {report.verifier}",
        f"        {report.trust}.",
        f"Facts   {report.facts:,} about {sum(log.calls for log in logs):,} calls{when}",
        f"Logs    {len(there)} of {len(logs)} have leaves",
        f"Digest  {digest(logs)}",
        "        over sizes and roots of all logs: who verified the same record has the same digest.",
    ]
    if report.olds:
        extended, wanted = sum(log.extended for log in logs), sum(map(len, report.olds.values()))
        lines.append(f"Before  today's logs extend {extended:,} of {wanted:,} older checkpoints")
    else:
        lines.append("Before  not compared: --checkpoint FILE proves that nothing was rewritten since FILE was made")
    notes = {
        together.early: "generation(s) served before generations were recorded",
        together.late: "generation(s) are so new that the fact of their loading is not sealed yet: verify again",
        together.begin_again: "call(s) begin again, as the journal had lost facts of theirs; the loss was acknowledged",
    }
    lines += [f"Note    {count:,} {what}" for count, what in notes.items() if count]
    return [*lines, f"Time    {seconds:.1f} s"]


def digest(logs: Sequence[Verified]) -> str:
    """One value for the whole record."""
    lines = [f"{log.partition} {log.size} {log.root.hex()}\n" for log in logs if log.size]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
