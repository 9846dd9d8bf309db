"""`gateway audit erase`: destroy what was kept of calls before its time, at somebody's word.

Facts and their digests stay, and so does the tree: what is destroyed was never in it. With the bytes goes the salt, so
the digests that stay tell nobody what the bytes were. That it was done is a fact of the deployment's own log, written
first: whoever dies in between finds it there, and erasing again ends it.
"""

import asyncio
import getpass
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.audit.configured import DATA, Data, Routes, ledger_of

if TYPE_CHECKING:
    from gateway.adapters.payload_store import PayloadStore
    from gateway.adapters.redis.copies import RedisCopies
    from gateway.adapters.redis.journal import RedisJournal
    from gateway.core.facts import Fact
    from gateway.reading import NothingToShow

MOST = 1_000_000
"""Calls that one erasure may be about."""
CHUNK = 1000
"""Entries of a partition that are read at a time."""
IN_ONE_FACT = 500
"""Calls that one fact names."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose payloads."""

    user: str = ""
    agent: str = ""
    resource: str = ""
    call: str = ""

    def fits(self, call: str, agent: str, user: str | None, *resources: str) -> bool:
        """`resources`: what the call is about, and all that it was about before people changed it."""
        wanted = ((self.user, user or ""), (self.agent, agent), (self.call, call))
        about = not self.resource or self.resource in resources
        return about and all(not name or name == found for name, found in wanted)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it."""

    known: int
    """Calls that fit."""
    still_open: int
    copies: int = 0
    """In the payload store, destroyed."""
    in_redis: int = 0
    """Calls of which Redis had something, destroyed."""

    def __str__(self) -> str:
        of = f"{self.known} call{'' if self.known == 1 else 's'}"
        said = f"Nothing is kept of {of} any more: nothing was erased."
        if self.copies or self.in_redis:
            copies = f"{self.copies} cop{'y' if self.copies == 1 else 'ies'} in the payload store"
            said = f"Erased, of {of}: {copies}, and what Redis had of {self.in_redis}."
        if not self.still_open:
            return said
        are = "call is" if self.still_open == 1 else "calls are"
        return f"{said} {self.still_open} {are} not over: what is needed to go on is destroyed when that has ended."


def erase(
    reason: Annotated[
        str, typer.Option(help="Why; it becomes part of the record, so do not name whoever is to be forgotten.")
    ],
    resource: Annotated[
        str, typer.Option(help="Of calls about this resource, such as Account/acme.", show_default=False)
    ] = "",
    call: Annotated[str, typer.Option(help="Of this call, by its whole id.", show_default=False)] = "",
    agent: Annotated[str, typer.Option(help="Of calls of this agent.", show_default=False)] = "",
    user: Annotated[str, typer.Option(help="Of calls on behalf of this user.", show_default=False)] = "",
    by: Annotated[
        str, typer.Option(help="Who says so, for the record.", show_default="user and host that run this")
    ] = "",
    routes: Routes = None,
    data: Data = DATA,
) -> None:
    """Destroy what was kept of calls: copies for the record, and the payload of those that are over.

    The facts stay, with digests that nobody can guess from, and the log stays verifiable. Run it on a host of the
    gateway, while it runs; it may be repeated.
    """
    from gateway.approvals_asking import fail
    from gateway.ledger.files import Damaged
    from gateway.ledger.place import Unusable
    from gateway.ledger.store import StoreUnavailable
    from gateway.ports import JournalUnavailable
    from gateway.reading import NothingToShow

    if not (resource or call or agent or user):
        fail("Say whose payloads: --resource, --call, --agent or --user.")
    if not reason.strip():
        fail("Say why by --reason: it becomes part of the record.")
    who = by or f"{getpass.getuser()} on {socket.gethostname()}"
    try:
        told = asyncio.run(_erase(Whom(user, agent, resource, call), reason, who, routes, data))
    except (NothingToShow, Unusable, Damaged) as error:
        fail(f"Nothing was erased: {str(error).rstrip('.')}.")
    except (JournalUnavailable, StoreUnavailable) as error:
        fail(f"Not everything is erased: {error}. Repair that, and erase again.")
    print(told, file=sys.stderr)


async def _erase(whom: Whom, reason: str, by: str, routes: Path | None, data: Path) -> Told:
    from gateway.adapters.redis.copies import RedisCopies
    from gateway.adapters.redis.deployment import RedisDeployment
    from gateway.adapters.redis.journal import RedisJournal
    from gateway.cli import _journal_url
    from gateway.core.deployment import Erased
    from gateway.ledger.store import StoreUnavailable
    from gateway.ports import JournalUnavailable
    from gateway.reading import NothingToShow

    journal = RedisJournal.open(_journal_url(data))
    try:
        directory, store = _places(routes, data)
        copies = RedisCopies(journal)
        try:
            found = await _calls(whom, directory, journal)
            in_redis, in_store = await _kept(found, copies, store)
        except (JournalUnavailable, StoreUnavailable) as error:
            raise NothingToShow(str(error)) from error
        if not found:
            raise _unknown(whom)
        listed = sorted(in_redis | in_store)
        for start in range(0, len(listed), IN_ONE_FACT):
            calls = tuple(listed[start : start + IN_ONE_FACT])
            await RedisDeployment(journal).note(Erased(by=by, reason=reason, calls=calls))
        for name in listed:
            await copies.erase(name, payload=found[name])
        destroyed = await asyncio.to_thread(store.erase, listed) if listed else 0
        return Told(len(found), sum(not ended for ended in found.values()), destroyed, len(in_redis))
    finally:
        await journal.close()


async def _kept(found: dict[str, bool], copies: "RedisCopies", store: "PayloadStore") -> tuple[set[str], set[str]]:
    """Of which of these calls Redis has something that is to be destroyed, and of which the payload store has copies.

    Redis is asked first: what is moved meanwhile is in the store before it leaves Redis.
    """
    in_redis = {name for name, ended in found.items() if await copies.has(name, payload=ended)}
    paths = await asyncio.to_thread(lambda: list(store.of(found)))
    return in_redis, {path.rpartition("/")[2].partition(".")[0] for path in paths}


def _unknown(whom: Whom) -> "NothingToShow":
    from gateway.audit.finding import ID_LENGTH
    from gateway.reading import NothingToShow

    if whom.call:
        return NothingToShow(f"no such call {whom.call!r} is known; give the whole id, of {ID_LENGTH} characters")
    named = {"agent": whom.agent, "user": whom.user, "resource": whom.resource}
    wanted = " and ".join(f"{what} {name!r}" for what, name in named.items() if name)
    return NothingToShow(f"no call of {wanted} is known; names have to be whole, as `gateway audit list` shows them")


def _places(routes: Path | None, data: Path) -> "tuple[Path, PayloadStore]":
    """The ledger's directory, and where copies are. Raises Unusable."""
    from gateway.adapters.secrets import Secrets
    from gateway.ledger.place import Place
    from gateway.retention import payload_store

    settings = ledger_of(routes, data)
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

    wanted = Filters(agent=whom.agent, user=whom.user, resource=whom.resource)
    if not ledger.is_dir():
        return []
    index = Index.open(ledger)
    try:
        index.catch_up()
        one = index.get(whom.call) if whom.call else None
        gists = [one] if one else [] if whom.call else index.find(wanted, MOST)
        return [gist.id for gist in gists if whom.fits(gist.id, gist.agent, gist.user, *gist.resources)]
    finally:
        index.close()


async def _in_journal(whom: Whom, journal: "RedisJournal") -> list[str]:
    from gateway.adapters.redis.ledger import RedisLedger
    from gateway.core.call import PARTITION_NAMES, partition_of
    from gateway.core.record import recall

    ledger, found, edited = RedisLedger(journal), [], []
    agents = [f"{partition_of(whom.agent):02d}"] if whom.agent else PARTITION_NAMES
    places = {name: "" for name in agents if whom.call[:2] in ("", name)}
    while places and (stretches := await ledger.stretches(places, CHUNK)):
        for stretch in stretches.values():
            found += [name for name, facts in stretch.entries if _begins(whom, name, facts)]
            edited += [name for name, facts in stretch.entries if _becomes(whom, facts)]
        places = {name: stretch.last for name, stretch in stretches.items()}
    for name in edited:
        if facts := await journal.facts(name):
            call = recall(facts).call
            found += [name] if whom.fits(name, call.agent, call.user, whom.resource) else []
    return found


def _begins(whom: Whom, call: str, facts: bytes) -> bool:
    """True if these facts are the beginning of such a call."""
    from gateway.core.codec import decode
    from gateway.core.facts import Admitted

    if b'"type":"Admitted"' not in facts:
        return False
    first = decode(facts.split(b"\n")[0])
    return isinstance(first, Admitted) and whom.fits(call, first.call.agent, first.call.user, first.call.resource)


def _becomes(whom: Whom, facts: bytes) -> bool:
    """True if a person made a call be about that resource."""
    from gateway.core.codec import decode
    from gateway.core.facts import Edited

    if not whom.resource or b'"type":"Edited"' not in facts:
        return False
    told = (decode(line) for line in facts.split(b"\n") if b'"type":"Edited"' in line)
    return any(isinstance(fact, Edited) and fact.resource == whom.resource for fact in told)


def _over(facts: "list[Fact]") -> bool:
    """Nothing of it is needed to go on."""
    from gateway.core.facts import Lost
    from gateway.core.lifecycle import Finish, next_step
    from gateway.core.record import recall

    record = recall(facts)
    today = record.judged.generation if record.judged else ""
    step = next_step(record, now=0, me="", today=today)
    return isinstance(step, Finish) and not (isinstance(step.outcome, Lost) and record.call.acts)
