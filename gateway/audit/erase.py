"""`gateway audit erase`: destroy what was kept of calls before its time, at somebody's word.

Facts and their digests stay, and so does the tree: what is destroyed was never in it. With the bytes goes the salt, so
the digests that stay tell nobody what the bytes were. That it was done is a fact of the deployment's own log, written
first: whoever dies in between finds it there, and erasing again ends it.
"""

import asyncio
import getpass
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.adapters.payload_store import PayloadStore
    from gateway.adapters.redis.journal import RedisJournal
    from gateway.core.facts import Fact

ROUTES, DATA = Path("routes.yaml"), Path(".gateway")
MOST = 1_000_000
"""Calls that one erasure may be about."""
CHUNK = 1000
"""Entries of a partition that are read at a time."""
ID_LENGTH = 24
"""Characters of a call's id."""
IN_ONE_FACT = 500
"""Calls that one fact names."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose payloads."""

    user: str = ""
    agent: str = ""
    call: str = ""

    def fits(self, call: str, agent: str, user: str | None) -> bool:
        wanted = ((self.user, user or ""), (self.agent, agent), (self.call, call))
        return all(not name or name == found for name, found in wanted)


def erase(
    reason: Annotated[
        str, typer.Option(help="Why; it becomes part of the record, so do not name whoever is to be forgotten.")
    ],
    user: Annotated[str, typer.Option(help="Of calls on behalf of this user.", show_default=False)] = "",
    call: Annotated[str, typer.Option(help="Of this call, by its whole id.", show_default=False)] = "",
    agent: Annotated[str, typer.Option(help="Of calls of this agent.", show_default=False)] = "",
    by: Annotated[
        str, typer.Option(help="Who says so, for the record.", show_default="user and host that run this")
    ] = "",
    routes: Annotated[Path, typer.Option("--routes", help="routes.yaml, which says where the ledger is.")] = ROUTES,
    data: Annotated[Path, typer.Option("--data", help="The gateway's data directory.")] = DATA,
) -> None:
    """Destroy what was kept of calls: copies for the record, and the payload of those that are over.

    The facts stay, with digests that nobody can guess from, and the log stays verifiable. Run it on a host of the
    gateway, while it runs; it may be repeated.
    """
    from gateway.approvals_asking import fail
    from gateway.ledger.store import StoreUnavailable
    from gateway.ports import JournalUnavailable
    from gateway.reading import NothingToShow

    if not (user or call or agent):
        fail("Say whose payloads: --user, --call or --agent.")
    if not reason.strip():
        fail("Say why by --reason: it becomes part of the record.")
    who = by or f"{getpass.getuser()} on {socket.gethostname()}"
    try:
        told = asyncio.run(_erase(Whom(user, agent, call), reason, who, routes, data))
    except NothingToShow as error:
        fail(f"Nothing was erased: {str(error).rstrip('.')}.")
    except (JournalUnavailable, StoreUnavailable) as error:
        fail(f"Not everything is erased: {error}. Repair that, and erase again.")
    print(told, file=sys.stderr)


async def _erase(whom: Whom, reason: str, by: str, routes: Path, data: Path) -> str:
    from gateway.adapters.redis.copies import RedisCopies
    from gateway.adapters.redis.deployment import RedisDeployment
    from gateway.adapters.redis.journal import RedisJournal
    from gateway.cli import _journal_url
    from gateway.core.deployment import Erased
    from gateway.reading import NothingToShow

    journal = RedisJournal.open(_journal_url(data))
    try:
        directory, store = _places(routes, data)
        found = await _calls(whom, directory, journal)
        over = [name for name, ended in found.items() if ended]
        if not found and whom.call:
            raise NothingToShow(f"no call {whom.call!r} is known; give the whole id, of {ID_LENGTH} characters")
        if not found:
            return "There is nothing to erase: no such call is known."
        listed = sorted(found)
        for start in range(0, len(listed), IN_ONE_FACT):
            calls = tuple(listed[start : start + IN_ONE_FACT])
            await RedisDeployment(journal).note(Erased(by=by, reason=reason, calls=calls))
        copies = RedisCopies(journal)
        for name, ended in found.items():
            await copies.erase(name, payload=ended)
        destroyed = await asyncio.to_thread(store.erase, listed)
        return _told(len(listed), len(listed) - len(over), destroyed)
    finally:
        await journal.close()


def _told(calls: int, still_open: int, copies: int) -> str:
    said = f"Erased: payloads of {calls} call{'' if calls == 1 else 's'}, {copies} of them copies in the payload store."
    if not still_open:
        return said
    return f"{said} {still_open} of the calls are not over: what they need to go on is destroyed when they are."


def _places(routes: Path, data: Path) -> "tuple[Path, PayloadStore]":
    """The ledger's directory, and where copies are."""
    from gateway.adapters.secrets import Secrets
    from gateway.config.routes_file import load_routes
    from gateway.core.ledger_settings import LedgerSettings
    from gateway.ledger.place import Place
    from gateway.reading import NothingToShow
    from gateway.retention import payload_store

    settings = LedgerSettings()
    if routes.exists():
        loaded, mistakes = load_routes(routes, os.environ)
        if loaded is None:
            raise NothingToShow("; ".join(map(str, mistakes)))
        settings = loaded.ledger
    directory = Place.of(settings, data).directory
    return directory, payload_store(settings, directory, Secrets().read)


async def _calls(whom: Whom, ledger: Path, journal: "RedisJournal") -> dict[str, bool]:
    """The calls that it is about, and whether each is over: those in the sealed log, and those in the journal, where
    the latest are not sealed yet."""
    names = {*await asyncio.to_thread(_in_log, whom, ledger), *await _in_journal(whom, journal)}
    found = {}
    for name in sorted(names):
        facts = await journal.facts(name)
        found[name] = not facts or _over(facts)
    return found


def _in_log(whom: Whom, ledger: Path) -> list[str]:
    from gateway.ledger.index import Filters, Index

    if not ledger.is_dir():
        return []
    index = Index.open(ledger)
    try:
        index.catch_up()
        one = index.get(whom.call) if whom.call else None
        gists = [one] if one else [] if whom.call else index.find(Filters(agent=whom.agent, user=whom.user), MOST)
        return [gist.id for gist in gists if whom.fits(gist.id, gist.agent, gist.user)]
    finally:
        index.close()


async def _in_journal(whom: Whom, journal: "RedisJournal") -> list[str]:
    from gateway.adapters.redis.ledger import RedisLedger
    from gateway.core.call import PARTITION_NAMES, partition_of

    ledger, found = RedisLedger(journal), []
    agents = [f"{partition_of(whom.agent):02d}"] if whom.agent else PARTITION_NAMES
    places = {name: "" for name in agents if whom.call[:2] in ("", name)}
    while places and (stretches := await ledger.stretches(places, CHUNK)):
        for stretch in stretches.values():
            found += [name for name, facts in stretch.entries if _begins(whom, name, facts)]
        places = {name: stretch.last for name, stretch in stretches.items()}
    return found


def _begins(whom: Whom, call: str, facts: bytes) -> bool:
    """True if these facts are the beginning of such a call."""
    from gateway.core.codec import decode
    from gateway.core.facts import Admitted

    if b'"type":"Admitted"' not in facts:
        return False
    first = decode(facts.split(b"\n")[0])
    return isinstance(first, Admitted) and whom.fits(call, first.call.agent, first.call.user)


def _over(facts: "list[Fact]") -> bool:
    """Nothing of it is needed to go on."""
    from gateway.core.facts import Lost
    from gateway.core.lifecycle import Finish, next_step
    from gateway.core.record import recall

    record = recall(facts)
    today = record.judged.generation if record.judged else ""
    step = next_step(record, now=0, me="", today=today)
    return isinstance(step, Finish) and not (isinstance(step.outcome, Lost) and record.call.acts)
