"""`gateway audit verify`: the record, verified from its files alone, and said so that a person knows what was shown.

It must never say "verified" of anything that was not read, and always say whose key it was verified under and who
vouches for that key.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from gateway.approvals_asking import fail
from gateway.audit.opening import no_ledger
from gateway.audit.parallel import Killed, each_log
from gateway.audit.trust import NO_KEY, NoKey, Trusted, trusted
from gateway.core.times import iso
from gateway.ledger.files import FORMAT, Damaged, is_ledger, read_file
from gateway.ledger.old_checkpoints import Old, old_checkpoints
from gateway.ledger.place import FORMAT_LINE, VERSION
from gateway.ledger.verifying import Fault, Settled, Verified, settled, verify_log

WHAT = "every signature, leaf and tile, their order, and that the life of every call can have happened."
LONGEST_LINE = 4096


class CannotVerify(Exception):
    """There is nothing to verify, or nothing to verify it by; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was verified, and what came of it."""

    key: Trusted
    logs: Sequence[Verified]
    together: Settled
    olds: Mapping[str, Sequence[Old]]

    @property
    def faults(self) -> list[Fault]:
        return [fault for log in self.logs for fault in log.faults] + list(self.together.faults)

    @property
    def facts(self) -> int:
        return sum(log.size for log in self.logs)


def verify(ledger: Path, key: str, checkpoints: Sequence[Path], *, roots: bool) -> None:
    """`gateway audit verify`. Raises typer.Exit with 1 unless everything holds."""
    begun = time.monotonic()
    try:
        report = verified(ledger, key, checkpoints)
    except CannotVerify as error:
        fail(error)
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
    typer.echo(f"\nVerified: {WHAT if report.facts else 'there is nothing in it.'}")


# --- What is verified -------------------------------------------------------------------------------------------------


def verified(ledger: Path, key: str, checkpoints: Sequence[Path]) -> Report:
    """Every log below `ledger`, and all of them together. Raises CannotVerify."""
    if not is_ledger(ledger):
        raise CannotVerify(no_ledger(ledger))
    _look_at_format(ledger)
    try:
        by = trusted(key, ledger)
        if by is None:
            raise CannotVerify(NO_KEY)
        olds = old_checkpoints(list(checkpoints), by.verifier)
        logs = each_log("verifying", ledger, verify_log, lambda name: (by.verifier, tuple(olds.get(name, ()))))
    except (NoKey, Killed) as error:
        raise CannotVerify(str(error)) from error
    except Damaged as error:
        raise CannotVerify(f"The old checkpoints cannot be read: {error}.") from error
    return Report(key=by, logs=logs, together=settled(ledger, logs), olds=olds)


def _look_at_format(ledger: Path) -> None:
    """A copy may lack the file. Raises CannotVerify if another version wrote the ledger."""
    try:
        line, _, version = read_file(ledger / FORMAT, LONGEST_LINE).decode("ascii", "replace").strip().rpartition(" ")
    except FileNotFoundError:
        return
    except Damaged as error:
        raise CannotVerify(f"The format of this ledger cannot be read: {error}.") from error
    if (line, version) != (FORMAT_LINE, str(VERSION)):
        raise CannotVerify(
            f"{ledger / FORMAT} does not say that this is a ledger of format {VERSION}, which this version knows: "
            "verify it with the version of the gateway that wrote it."
        )


# --- What is said -----------------------------------------------------------------------------------------------------


def summary(report: Report, seconds: float) -> list[str]:
    """What was read, line by line. Not whether it holds."""
    logs, together = report.logs, report.together
    there = [log for log in logs if log.size]
    known = [log for log in logs if log.last]
    when = f", from {iso(min(log.first for log in known))} to {iso(max(log.last for log in known))}" if known else ""
    lines = [
        f"Key     {report.key.verifier}",
        f"        {report.key.vouched}.",
        f"Facts   {report.facts:,} are signed for"
        if report.faults
        else f"Facts   {report.facts:,} about {sum(log.calls for log in logs):,} calls{when}",
        f"Logs    {len(there)} of {len(logs)} have leaves",
    ]
    if not report.faults:
        lines.append(f"Digest  {digest(logs)}")
        lines.append("        over sizes and roots of all logs: who verified the same record has the same digest.")
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
