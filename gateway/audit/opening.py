"""From options to what they name: the ledger, the key, the calls; and how what is wrong is said.

Whatever cannot be done ends the command with one sentence on standard error and exit code 1.
"""

import re
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import typer

from gateway.approvals_asking import fail
from gateway.audit.options import WHEN
from gateway.audit.trust import NoKey, Trusted, trusted
from gateway.config.durations import seconds
from gateway.core.times import iso
from gateway.ledger.evidence import NotThere
from gateway.ledger.files import Damaged, is_ledger
from gateway.ledger.index import Filters, Index

STEP = 50_000
"""Facts between two looks at how far it is."""
Result = TypeVar("Result")


def moment_of(text: str, now: int) -> int:
    """Milliseconds since the epoch; 0 of nothing. Raises typer.BadParameter."""
    if not text:
        return 0
    if re.fullmatch(r"[0-9]+(ms|s|m|h|d)", text):
        try:
            return now - round(seconds(text) * 1000)
        except ValueError as error:
            raise typer.BadParameter(f"a duration {error}") from error
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write {WHEN}") from error
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def now() -> int:
    return round(time.time() * 1000)


def the_ledger(ledger: Path) -> Path:
    """The directory, if it is one. Ends the command otherwise."""
    if not is_ledger(ledger):
        fail(no_ledger(ledger))
    return ledger


def no_ledger(path: Path) -> str:
    """The sentence about a directory without a sealed log."""
    inside = path / "ledger"
    cure = f"did you mean --ledger {inside}?" if is_ledger(inside) else "name the directory that has one by --ledger."
    return f"There is no sealed log in {str(path)!r}: {cure}"


def key_of(given: str, ledger: Path | None = None) -> Trusted | None:
    """By whose key it is proved; None if nobody gave one and none is beside the ledger. Ends the command if it is no
    key."""
    try:
        return trusted(given, ledger)
    except NoKey as error:
        fail(error)


def sound(read: Callable[[], Result]) -> Result:
    """What `read` gives. What is wrong with the log ends the command."""
    try:
        return read()
    except NotThere as error:
        fail(error)
    except Damaged as error:
        fail(f"The log is damaged: {error}. `gateway audit verify` looks at all of it.")


def caught_up(ledger: Path, *, afresh: bool) -> Index:
    """The index of all that is sealed. A person sees how far it is. Ends the command if the log is damaged."""
    try:
        return _caught_up(Index.open(ledger, afresh=afresh))
    except sqlite3.OperationalError as error:
        fail(f"The index beside the log cannot be used now ({error}): try again, or give --afresh.")


def _caught_up(index: Index) -> Index:
    left = sound(index.behind)
    while read := sound(lambda: index.catch_up(STEP)):
        left -= read
        if left > 0 and sys.stderr.isatty():
            print(f"Reading the log: {left} facts to go ...", end="\r", file=sys.stderr, flush=True)
    return index


def filters(  # noqa: PLR0913 - one for each option
    *, agent: str, tool: str, system: str, resource: str, outcome: str, person: str, policy: str, user: str, run: str,
    since: str, until: str,
) -> Filters:  # fmt: skip
    """What the options say. Raises typer.BadParameter."""
    at = now()
    first, end = moment_of(since, at), moment_of(until, at)
    if first and end and end <= first:
        raise typer.BadParameter(f"--until ({iso(end)}) is not after --since ({iso(first)}): nothing can be between.")
    return Filters(
        agent=agent, tool=tool, system=system, resource=resource, outcome=outcome, person=person, policy=policy,
        user=user, run=run, since=first, until=end,
    )  # fmt: skip
