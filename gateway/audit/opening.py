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
from gateway.audit.verify import KEY_FILE, CannotVerify, find_key
from gateway.config.durations import seconds
from gateway.ledger.evidence import NotThere
from gateway.ledger.files import Damaged, is_ledger
from gateway.ledger.index import Filters, Index
from gateway.ledger.note import Verifier

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
        fail(f"There is no ledger at {str(ledger)!r}: name the directory with the sealed log by --ledger.")
    return ledger


def verifier_of(key: str, ledger: Path | None = None) -> Verifier | None:
    """Who must have signed; without `key`, whoever has the signing key beside the ledger; None if that is not there.

    Ends the command if it is no key.
    """
    if not key and (ledger is None or not (ledger.absolute().parent / KEY_FILE).exists()):
        return None
    try:
        return find_key((ledger or Path()).absolute(), key)[0]
    except CannotVerify as error:
        fail(f"{error}.")


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
    *, agent: str, tool: str, system: str, outcome: str, person: str, policy: str, user: str, run: str, since: str,
    until: str,
) -> Filters:  # fmt: skip
    """What the options say. Raises typer.BadParameter."""
    at = now()
    return Filters(
        agent=agent, tool=tool, system=system, outcome=outcome.replace("-", " "), person=person, policy=policy,
        user=user, run=run, since=moment_of(since, at), until=moment_of(until, at),
    )  # fmt: skip
