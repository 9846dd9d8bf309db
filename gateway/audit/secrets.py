"""`gateway audit secrets`: whether anything in the record looks like a credential.

Facts carry digests and never payload, so there should be none; but agents give reasons in their own words, systems
give errors in theirs, and people comment. What is found is named by its place and kind, and never printed: what is in
the log is there for ever, so the cure is to revoke it. Nothing is verified here: `gateway audit verify` does that.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import typer

from gateway.approvals_asking import fail
from gateway.audit.opening import the_ledger
from gateway.audit.parallel import Killed, each_log
from gateway.core.credentials import credentials_in
from gateway.core.one_line import visible
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.tiles import WIDTH


@dataclass(frozen=True, slots=True)
class Finding:
    partition: str
    index: int
    name: str
    """What the leaf is about."""
    where: str
    """The field."""
    what: str

    def __str__(self) -> str:
        return visible(f"log {self.partition}, leaf {self.index} ({self.name}), {self.where}: {self.what}")


@dataclass(slots=True)
class Scanned:
    """What came of one log."""

    leaves: int = 0
    findings: list[Finding] = field(default_factory=list)
    damage: str = ""


MOST_SHOWN = 1000
"""Findings of one log: who has more has one cause."""


def secrets(ledger: Path) -> None:
    """Raises typer.Exit with 1 if there is anything, or if not all could be read."""
    try:
        logs = each_log("searching", the_ledger(ledger), scan, lambda _: ())
    except Killed as error:
        fail(error)
    findings = [finding for log in logs for finding in log.findings]
    for finding in findings:
        typer.echo(str(finding))
    for log in logs:
        if log.damage:
            typer.echo(f"not read: {visible(log.damage)}; see gateway audit verify", err=True)
    typer.echo(f"{sum(log.leaves for log in logs):,} facts searched, {len(findings):,} look like a credential.")
    if findings:
        typer.echo(
            "None is shown. Nothing can be taken out of the log: revoke each at the system that gave it.", err=True
        )
    if findings or any(log.damage for log in logs):
        raise typer.Exit(1)


def scan(ledger: Path, partition: str, progress: Callable[[int], None]) -> Scanned:
    found = Scanned()
    try:
        files = LogFiles.open(ledger, partition)
        for index, leaf in enumerate(files.leaves()):
            if len(found.findings) < MOST_SHOWN:
                _scan(found, files, partition, index, leaf)
            found.leaves += 1
            if found.leaves % WIDTH == 0:
                progress(WIDTH)
    except Damaged as damage:
        found.damage = str(damage)
    progress(found.leaves % WIDTH)
    return found


def _scan(found: Scanned, files: LogFiles, partition: str, index: int, leaf: bytes) -> None:
    plain = _read(leaf)
    if isinstance(plain, dict) and isinstance(digest := plain.get("digest"), str) and "fact" not in plain:
        with suppress(ValueError):  # not even the name of a file; then the leaf itself is searched
            plain = _read(files.long(digest))
    named = plain if isinstance(plain, dict) else {}
    name = next((f"{about} {named[about]}" for about in ("call", "grant", "gateway") if about in named), "unreadable")
    name = "a name that is not shown" if any(credentials_in(name)) else name
    for where, text in _texts(plain):
        for what in credentials_in(text):
            found.findings.append(Finding(partition, index, name, where, what))


def _read(leaf: bytes) -> Any:
    """What the leaf says, or its text if it is none."""
    try:
        return orjson.loads(leaf)
    except ValueError:
        return leaf.decode("utf-8", "replace")


def _texts(plain: Any) -> Iterator[tuple[str, str]]:
    """Every text in it and where: values, and names that no gateway would have written."""
    waiting: list[tuple[str, Any]] = [("", plain)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, dict):
            for name, item in value.items():
                yield f"a name in {where or 'the leaf'}", name
                shown = "?" if any(credentials_in(name)) else name
                waiting.append((f"{where}.{shown}" if where else shown, item))
        elif isinstance(value, list):
            waiting += [(f"{where}[{place}]", item) for place, item in enumerate(value)]
