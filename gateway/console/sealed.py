"""The sealed log of this host as the page needs it: found by its index, read from its files, and proven.

Reading is work for a thread, one at a time; the page waits and the process goes on. The index only says where to look:
what is told of a call comes from its leaves, and what is proven is proven against the signed checkpoint. Nothing here
ever writes to the log.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway.console.rows import Row
from gateway.console.searching import Wanted
from gateway.console.story import Leaf
from gateway.core.deployment import NAME
from gateway.core.facts import Fact
from gateway.core.leaf import read_leaf
from gateway.core.story import Erasure
from gateway.ledger.evidence import Evidence, NotThere, current, erasures, facts_of_call, faults, gather
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.gist import Gist
from gateway.ledger.index import Filters, Index
from gateway.ledger.note import Verifier
from gateway.tasks import spawn

T = TypeVar("T")

CAUGHT_UP = 20_000
"""Leaves that are read into the index in one go, about half a second's work. What is more is read in the background."""

log = logging.getLogger("gateway.console")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is sealed of one call or grant."""

    evidence: Evidence
    facts: tuple[Fact, ...]
    """Of a call."""
    leaves: Mapping[int, Leaf]
    """By the place of the fact in the call."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of verifying what is sealed of one call or grant, here and now."""

    origin: str
    """Of the log of its partition."""
    size: int
    root: str
    """Hex."""
    proven: int
    """Facts."""
    faults: tuple[str, ...]
    """Sentences; empty if everything is as it must be."""


@dataclass(frozen=True, slots=True)
class Results:
    rows: tuple[Row, ...]
    behind: int
    """Facts of the log that the index does not have yet, at least."""


@dataclass(slots=True)
class SealedLog:
    """Every method raises Damaged if the files are not what they must be."""

    ledger: Path
    verifier: Verifier
    """Of the whole ledger."""
    _index: Index | None = None
    _catching_up: bool = False
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "sealed-log"))
    """The only one that touches the index, also if whoever waits for it goes away meanwhile."""

    async def ends(self, ahead: Mapping[str, int]) -> dict[str, str]:
        """Of those of the given partitions whose log has fewer facts here than that: the entry that its last one came
        in; empty if there is none."""
        return await asyncio.to_thread(_ends, self.ledger, ahead)

    async def find(self, wanted: Wanted, limit: int, before: str = "") -> Results:
        """Calls that are sealed, newest first, at most `limit`; behind `before`, which is one's begin and id."""
        results = await self._alone(lambda index: _find(index, wanted, limit, before))
        if results.behind and not self._catching_up:
            self._catching_up = True
            spawn(self._catch_up(), "read the sealed log into its index")
        return results

    async def of(self, name: str) -> Sealed | None:
        """What is sealed of that call or grant; None if nothing is."""
        return await self._alone(lambda index: _sealed(self.ledger, index, name))

    async def erasures(self, call: str) -> tuple[Erasure, ...]:
        """Of copies that were kept of that call, by the deployment's log."""
        return await asyncio.to_thread(_erasures, self.ledger, call)

    async def prove(self, sealed: Sealed) -> Proof:
        return await asyncio.to_thread(_prove, sealed.evidence, self.verifier)

    async def _catch_up(self) -> None:
        """Until the index has all of the log; between two steps whoever searches has the turn."""
        try:
            read = CAUGHT_UP
            while read >= CAUGHT_UP:
                read = await self._alone(lambda index: index.catch_up(CAUGHT_UP))
        except Damaged as error:
            log.warning("the sealed log cannot be read into its index: %s", error)
        finally:
            self._catching_up = False

    async def _alone(self, work: Callable[[Index], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_index, work)

    def _with_index(self, work: Callable[[Index], T]) -> T:
        if self._index is None:
            self._index = Index.open(self.ledger)
        return work(self._index)


def _ends(ledger: Path, ahead: Mapping[str, int]) -> dict[str, str]:
    found = {}
    for name, size in ahead.items():
        log = LogFiles.open(ledger, name)
        if log.size < size:
            found[name] = read_leaf(next(log.leaves(log.size - 1))).entry if log.size else ""
    return found


def _find(index: Index, wanted: Wanted, limit: int, before: str) -> Results:
    read = index.catch_up(CAUGHT_UP)
    filters = Filters(
        beginning=wanted.call, agent=wanted.agent, tool=wanted.tool, system=wanted.system, resource=wanted.resource,
        outcome=wanted.outcome, person=wanted.person, policy=wanted.policy, user=wanted.user, run=wanted.run,
        since=wanted.since, until=wanted.until,
    )  # fmt: skip
    rows = tuple(map(_row, index.find(filters, limit, before)))
    return Results(rows, index.behind() if read >= CAUGHT_UP else 0)


def _row(gist: Gist) -> Row:
    return Row(
        call=gist.id, begun=gist.begun, changed=gist.last, agent=gist.agent, user=gist.user, run=gist.run,
        tool=gist.tool, resource=gist.resource, effect=gist.effect, state=gist.outcome, last="",
        facts=len(gist.leaves), policies=tuple(gist.policies), people=tuple(gist.people),
    )  # fmt: skip


def _sealed(ledger: Path, index: Index, name: str) -> Sealed | None:
    index.catch_up(CAUGHT_UP)
    gist = index.get(name)
    try:
        evidence = gather(ledger, name, gist.leaves[0] if gist and gist.leaves else 0)
    except NotThere:
        return None
    leaves = {each.leaf().position: Leaf(each.index, each.hash.hex()) for each in current(evidence)}
    return Sealed(evidence, facts_of_call(evidence), leaves)


def _erasures(ledger: Path, call: str) -> tuple[Erasure, ...]:
    try:
        return tuple(erasure for erasure, _ in erasures(gather(ledger, NAME), call))
    except NotThere:
        return ()


def _prove(evidence: Evidence, verifier: Verifier) -> Proof:
    found = tuple(faults(evidence, verifier))
    checkpoint = evidence.checkpoint
    return Proof(checkpoint.origin, checkpoint.size, checkpoint.root.hex(), len(evidence.facts), found)
