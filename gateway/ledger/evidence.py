"""What proves what is told of one call or grant: its leaves as they stand in the log, where they stand, the hashes that
lead from each to a root, and the checkpoint in which that root was signed.

`gather` reads it from a log, `faults` checks it with nothing but a verifier key, whoever made it: the same check serves
what is shown of a log here and a receipt that came by mail. What it cannot prove is that nothing *follows* the last of
these facts, or that the log is whole: that takes the log itself, and `gateway audit verify`.
"""

import copy
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.core.codec import UnreadableFact
from gateway.core.deployment import DEPLOYMENT, NAME, Erased
from gateway.core.facts import Fact
from gateway.core.grants import is_grant_id, partition_in
from gateway.core.leaf import Leaf, NotALeaf, read_leaf, short
from gateway.core.lives import Life
from gateway.core.one_line import quoted
from gateway.core.said import GrantLife, Impossible
from gateway.core.story import Erasure
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.finding import about
from gateway.ledger.merkle import inclusion, leaf_hash, verify_inclusion
from gateway.ledger.note import BadNote, Checkpoint, Verifier, open_checkpoint, read_checkpoint
from gateway.ledger.tiles import CHECKPOINT

MOST_PATH = 64
"""Hashes on the way from a leaf to the root: more than any tree has."""


class NotThere(Exception):
    """There is nothing of that name in this log. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class Proven:
    """One fact, and the way from it to the root."""

    index: int
    """Of its leaf in the log of its partition."""
    data: bytes
    """The whole leaf; what stands in the log for it is `short(data)`."""
    path: tuple[bytes, ...]

    @property
    def hash(self) -> bytes:
        return leaf_hash(short(self.data))

    def leaf(self) -> Leaf:
        """Raises NotALeaf."""
        return read_leaf(self.data)


@dataclass(frozen=True, slots=True)
class Evidence:
    name: str
    """Of the call or grant; `deployment` for facts about neither."""
    note: bytes
    """The signed checkpoint."""
    facts: tuple[Proven, ...]

    @property
    def partition(self) -> str:
        return partition_of_name(self.name)

    @property
    def checkpoint(self) -> Checkpoint:
        """Raises BadNote."""
        return read_checkpoint(self.note)


def partition_of_name(name: str) -> str:
    """Of the log in which facts of that name stand; empty if it is the name of nothing."""
    if name == NAME:
        return DEPLOYMENT
    if is_grant_id(name):
        return partition_in(name)
    return name[:2] if name[:2].isdecimal() and name[:2] < DEPLOYMENT else ""


def gather(ledger: Path, name: str, first: int = 0, only: Collection[int] | None = None) -> Evidence:
    """All facts of that call or grant, from leaf `first` on; `only` those leaves, if given.

    Raises NotThere and Damaged.
    """
    partition = partition_of_name(name)
    if not partition or not (ledger / partition).is_dir():
        raise NotThere(
            f"There is no log {partition or 'for such a name'} in {ledger}, in which {quoted(name)} would stand."
        )
    log = LogFiles(ledger / partition)
    note = log.note()
    if note is None:
        raise NotThere(f"Log {partition} has no checkpoint: nothing in it is sealed yet.")
    log.size = _size(log, note)  # of this very checkpoint, though a newer one may be written meanwhile
    found = [(index, leaf) for index, leaf in about(log, name, first) if only is None or index in only]
    if not found:
        raise NotThere(f"There is no {quoted(name)} in log {partition}, which has {log.size} facts.")
    facts = tuple(Proven(index, _bytes(log, index), inclusion(index, log.size, log.hash_of)) for index, _ in found)
    return Evidence(name, note, facts)


def _size(log: LogFiles, note: bytes) -> int:
    try:
        return read_checkpoint(note).size
    except BadNote as error:
        raise Damaged(log.directory / CHECKPOINT, 0, str(error)) from error


def _bytes(log: LogFiles, index: int) -> bytes:
    data = next(log.leaves(index, index + 1))
    leaf = read_leaf(data)
    return log.long(leaf.digest) if leaf.digest else data


def current(evidence: Evidence) -> tuple[Proven, ...]:
    """The facts that count, oldest first.

    A journal that came back with less than it had, after a person acknowledged that, writes on from where it stands:
    then a fact has the place of an earlier one, and takes it, with all that followed.
    """
    found: list[Proven] = []
    for fact in evidence.facts:
        found[fact.leaf().position :] = [fact]
    return tuple(found)


def facts_of_call(evidence: Evidence) -> tuple[Fact, ...]:
    """What happened to the call. Raises NotALeaf and UnreadableFact."""
    return tuple(fact for each in current(evidence) if isinstance(fact := each.leaf().fact(), Fact))


def erasures(deployment: Evidence, call: str) -> tuple[tuple[Erasure, Evidence], ...]:
    """What the deployment's log says of copies of that call being destroyed, oldest first, and what proves each.

    Raises NotALeaf.
    """
    found = []
    for each in deployment.facts:
        with suppress(UnreadableFact):
            fact = each.leaf().fact()
            if isinstance(fact, Erased) and call in fact.calls:
                proof = Evidence(NAME, deployment.note, (each,))
                found.append((Erasure(fact.at, fact.by, fact.reason, each.index), proof))
    return tuple(found)


def faults(evidence: Evidence, verifier: Verifier | None) -> Iterator[str]:
    """Everything that is wrong with it, as sentences; nothing if it proves what it says.

    `verifier` is the key of the whole ledger. Without one, nobody says who signed the checkpoint.
    """
    try:
        checkpoint = evidence.checkpoint
        if verifier is not None:
            open_checkpoint(evidence.note, verifier.of(evidence.partition))
    except BadNote as error:
        yield f"The checkpoint is not signed as it must be: {error}."
        return
    if not checkpoint.origin.endswith(f"/{evidence.partition}"):
        yield f"The checkpoint is of log {checkpoint.origin}, in which {evidence.name} cannot stand."
    last = -1
    for fact in evidence.facts:
        if fact.index <= last:
            yield f"Leaf {fact.index} stands behind leaf {last}."
        last = fact.index
        path = fact.path if len(fact.path) <= MOST_PATH else ()
        if not verify_inclusion(fact.hash, fact.index, checkpoint.size, path, checkpoint.root):
            yield f"Leaf {fact.index} is not in the log that was signed: its bytes, place or proof were changed."
    yield from _life(evidence)


def _life(evidence: Evidence) -> Iterator[str]:
    """Whether the leaves are what the gateway writes, all of them from the first on, and could have happened.

    What was written on from an earlier place is told from how it stood there.
    """
    calls, grants = [Life()], [GrantLife()]
    told = 0
    for each in evidence.facts:
        try:
            leaf = each.leaf()
            fact = leaf.fact()
        except (NotALeaf, UnreadableFact) as error:
            yield f"Leaf {each.index} cannot be read: {error}."
            return
        if leaf.name != evidence.name:
            yield f"Leaf {each.index} is about {leaf.name}, not about {evidence.name}."
            return
        if leaf.position > told and leaf.about != "gateway":
            yield f"Fact {told} of {evidence.name} is missing: leaf {each.index} is its fact {leaf.position}."
            return
        told = leaf.position + 1
        try:
            if leaf.about == "grant":
                grant = grants[leaf.position].tell(fact)  # type: ignore[arg-type] # it decodes to nothing else
                grants[told:] = [grant]
            elif leaf.about == "call":
                life = copy.copy(calls[leaf.position])
                life.tell(fact, leaf.entry)  # type: ignore[arg-type] # the same of a call
                calls[told:] = [life]
        except Impossible as no:
            yield f"Leaf {each.index}, {type(fact).__name__}, cannot have happened then: {no}."
            return


def superseded(evidence: Evidence) -> int:
    """How many of its facts the journal had lost when it wrote on."""
    return len(evidence.facts) - len(current(evidence))
