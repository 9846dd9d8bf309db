"""From what somebody typed to what is proved: which call is meant, its evidence, and what is wrong with that."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.core.codec import UnreadableFact
from gateway.core.deployment import DEPLOYMENT, NAME, Loaded
from gateway.core.facts import Fact, Judged
from gateway.core.grants import PREFIX
from gateway.core.leaf import NotALeaf
from gateway.core.one_line import quoted
from gateway.core.story import Erasure
from gateway.ledger.evidence import Evidence, NotThere, erasures, facts_of_call, faults, gather, partition_of_name
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.finding import beginnings
from gateway.ledger.index import Index
from gateway.ledger.note import Verifier

ID_LENGTH = 24
"""Characters of a call's id."""
NEARLY_WHOLE = 20
"""Nobody types so many as the beginning of an id: it is looked for in the log itself, whatever an index says."""
SHORTEST = 4
"""Characters of an id, behind `grant-`, that may stand for the whole."""


@dataclass(frozen=True, slots=True)
class Found:
    """One call or grant, and that the generations which judged it were loaded."""

    evidence: Evidence
    loads: Mapping[str, Evidence]
    """By generation; of those that the deployment's log knows."""
    erasures: tuple[Erasure, ...]
    """Of copies that were kept of it, by the deployment's log."""
    problems: tuple[str, ...]
    """Everything that is wrong, as sentences."""
    facts: tuple[Fact, ...]
    """Of a call; none if they cannot be read, or if it is a grant."""
    generations: tuple[str, ...]
    """Under which it was judged."""
    behind: int
    """When the newest fact in its log was written, milliseconds since the epoch."""

    @property
    def is_grant(self) -> bool:
        return self.evidence.name.startswith(PREFIX)


def find(ledger: Path, typed: str, verifier: Verifier | None, *, afresh: bool = False) -> Found:
    """What is meant, proved as far as it goes. Raises NotThere and Damaged."""
    index = _index(ledger, afresh=afresh)
    name, first = _meant(ledger, typed, index)
    evidence = gather(ledger, name, first)
    if first and evidence.facts[0].leaf().position:  # the index was wrong: believe nothing of it
        evidence = gather(ledger, name)
    facts: tuple[Fact, ...] = ()
    with suppress(NotALeaf, UnreadableFact):
        facts = facts_of_call(evidence)
    generations = tuple(dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged)))
    deployment = _deployment(ledger) if facts else None
    loads = _loads(deployment, generations)
    problems = [*faults(evidence, verifier)]
    for generation, load in loads.items():
        problems += [f"Of generation {generation[:12]}: {problem}" for problem in faults(load, verifier)]
    erased = erasures(deployment, name) if deployment is not None else ()
    for erasure, proof in erased:
        where = f"Of the erasure in log {DEPLOYMENT}, leaf {erasure.leaf}"
        problems += [f"{where}: {problem}" for problem in faults(proof, verifier)]
    newest = _newest(ledger, evidence.partition)
    return Found(evidence, loads, tuple(each for each, _ in erased), tuple(problems), facts, generations, newest)


def _index(ledger: Path, *, afresh: bool) -> Index | None:
    """For a shorter way; without one the log is looked through."""
    if afresh:
        return None
    index = Index.open(ledger)
    with suppress(Damaged):
        index.catch_up()
        return index
    return None


def _meant(ledger: Path, typed: str, index: Index | None) -> tuple[str, int]:
    """The whole id, and where its first fact may be."""
    if index is not None and (known := index.get(typed)) is not None:
        return typed, known.leaves[0] if known.leaves else 0
    if len(typed.removeprefix(PREFIX)) < SHORTEST:
        raise NotThere(f"{quoted(typed)} is too short: give at least {SHORTEST} characters of the id.")
    found = index.beginning(typed, 3) if index is not None else _looked_for(ledger, typed)
    if len(found) > 1:
        such = f"{quoted(found[0])} and {quoted(found[1])}"
        raise NotThere(f"Several ids begin with {quoted(typed)}, such as {such}: give more of it.")
    if not found:
        if len(typed) >= NEARLY_WHOLE and partition_of_name(typed):
            return typed, 0
        raise NotThere(f"No call and no grant begins with {quoted(typed)} in {str(ledger)!r}.")
    known = index.get(found[0]) if index is not None else None
    return found[0], known.leaves[0] if known and known.leaves else 0


def _looked_for(ledger: Path, typed: str) -> list[str]:
    partition = typed.removeprefix(PREFIX)[:2]
    if not partition_of_name(partition) or not (ledger / partition).is_dir():
        return []
    return beginnings(LogFiles.open(ledger, partition), typed, 3)


def _deployment(ledger: Path) -> Evidence | None:
    """All facts about neither a call nor a grant, if there is a log of them."""
    with suppress(NotThere):
        return gather(ledger, NAME)
    return None


def _loads(deployment: Evidence | None, generations: tuple[str, ...]) -> dict[str, Evidence]:
    """Of each generation the fact that it was loaded, if the deployment's log has it."""
    found: dict[str, Evidence] = {}
    for each in deployment.facts if deployment is not None and generations else ():
        fact = each.leaf().fact()
        if deployment is not None and isinstance(fact, Loaded) and fact.generation in generations:
            found.setdefault(fact.generation, Evidence(NAME, deployment.note, (each,)))
    return found


def _newest(ledger: Path, partition: str) -> int:
    log = LogFiles.open(ledger, partition)
    last = next(log.leaves(log.size - 1)) if log.size else b""
    at = last.removeprefix(b'{"at":').partition(b",")[0]
    return int(at) if at.isdigit() else 0
