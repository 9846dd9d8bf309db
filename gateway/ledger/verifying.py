"""Verifying a ledger from its files alone: that nothing was changed, left out, added or put in another order since it
was signed, and that what it says can have happened.

One log is verified by `verify_log`, alone and with memory for its calls only, so several can be at once; `settled` then
decides what takes more than one log to know. Files are read as an enemy may have made them. Nothing raises: whatever is
wrong becomes a `Fault` with the place of the first byte, and a log is read no further than its first one.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.deployment import DEPLOYMENT
from gateway.core.one_line import visible
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.merkle import EMPTY, Tree
from gateway.ledger.note import BadNote, Checkpoint, Verifier, open_checkpoint
from gateway.ledger.old_checkpoints import Old
from gateway.ledger.sealed import RETRIES, RETRY_SECONDS, Bundle, DamagedLeaf, SealedLog
from gateway.ledger.stories import Mention, Story, Wrong
from gateway.ledger.tiles import CHECKPOINT

NO_CHECKPOINT = (
    "it is missing, so nobody vouches for the leaves of this log: somebody removed it, or the first leaves were just "
    "being sealed; then it is there when you verify again"
)
LAG_MS = 300_000
"""Each log is sealed for itself. What one says may be this much newer than what another one has of the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong, and where."""

    partition: str
    file: str
    offset: int
    """The first byte that is not as it must be, as near as it can be told."""
    why: str
    index: int = -1
    """Of the leaf; -1 if it is about no leaf."""
    name: str = ""
    """Of the call, or the grant, that the leaf is about, if that can be read."""

    def __str__(self) -> str:
        leaf = f", leaf {self.index} of log {self.partition}" if self.index >= 0 else f", log {self.partition}"
        about = f" ({self.name})" if self.name else ""
        return visible(f"{self.file}, byte {self.offset}{leaf}{about}: {self.why}")


@dataclass(slots=True, kw_only=True)
class Verified:
    """What came of one log."""

    partition: str
    size: int = 0
    root: bytes = EMPTY
    calls: int = 0
    grants: int = 0
    first: int = 0
    """When the first fact was written, and the last: milliseconds since the epoch."""
    last: int = 0
    extended: int = 0
    """How many old checkpoints it was found to extend."""
    faults: list[Fault] = field(default_factory=list)
    generations: dict[str, Mention] = field(default_factory=dict)
    begins_again: dict[str, int] = field(default_factory=dict)
    goes_back: list[int] = field(default_factory=list)
    loaded: frozenset[str] = frozenset()
    recorded_since: int = 0
    losses: int = 0


Progress = Callable[[int], None]
"""Told of how many more leaves were read."""


def verify_log(
    ledger: Path, partition: str, verifier: Verifier, olds: Sequence[Old] = (), progress: Progress = lambda _: None
) -> Verified:
    """Everything that this log alone can show. `olds`: what it was signed to be before, the smallest first."""
    found = Verified(partition=partition)
    try:
        sealed = _opened(ledger / partition, partition, verifier)
        if sealed is not None:
            found.size, found.root = sealed.checkpoint.size, sealed.checkpoint.root
            _read(found, sealed, olds, progress)
        elif any(old.size for old in olds):
            found.faults.append(_not_extended(partition, olds[-1], "the log is not there"))
    except Damaged as damage:
        found.faults.append(_fault(partition, damage))
    return found


def _opened(directory: Path, partition: str, verifier: Verifier) -> SealedLog | None:
    """The log as its checkpoint says, if the key signed that; None if there is none. Raises Damaged."""
    files = LogFiles(directory)
    note = _checkpoint_of(files)
    if note is None:
        if directory.is_symlink() or (directory / "tile").exists():
            raise Damaged(directory / CHECKPOINT, 0, NO_CHECKPOINT)
        return None
    try:
        checkpoint = open_checkpoint(note, verifier.of(partition))
    except BadNote as error:
        raise Damaged(directory / CHECKPOINT, 0, str(error)) from error
    files.size = checkpoint.size
    return SealedLog(files, checkpoint, note)


def _checkpoint_of(files: LogFiles) -> bytes | None:
    """The signed note; None if there is none. The first one of a log is written after its first leaves."""
    for _ in range(RETRIES):
        if (note := files.note()) is not None or not (files.directory / "tile").exists():
            return note
        time.sleep(RETRY_SECONDS)
    return files.note()


def _read(found: Verified, sealed: SealedLog, olds: Sequence[Old], progress: Progress) -> None:
    """Raises Damaged."""
    story = Story(found.partition, sealed.files.long)
    history = _History(found, [old for old in olds if old.size], sealed.checkpoint)
    possible = True
    try:
        for bundle in sealed.bundles():
            history.compare(sealed.tree, bundle)
            possible = possible and _tell(found, story, bundle)
            progress(len(bundle.places))
    finally:
        found.calls, found.grants = len(story.calls), len(story.grants)
        found.first, found.last, found.losses = story.first, story.last, story.losses
        found.generations, found.begins_again = story.generations, story.begins_again
        found.goes_back = story.goes_back
        found.loaded, found.recorded_since = frozenset(story.loaded), story.recorded_since
    history.close()
    if story.begins_again and not found.faults:
        again = Story(found.partition, sealed.files.long, again=frozenset(story.begins_again))
        for bundle in SealedLog(sealed.files, sealed.checkpoint, sealed.note).bundles():
            if not _tell(found, again, bundle):
                return


def _tell(found: Verified, story: Story, bundle: Bundle) -> bool:
    """False if a leaf says what it cannot; that is noted."""
    for number, (start, end) in enumerate(bundle.places):
        index, leaf = bundle.first + number, bundle.data[start:end]
        try:
            story.tell(index, leaf)
        except (Wrong, Damaged) as wrong:
            place, offset = (wrong.place, wrong.offset) if isinstance(wrong, Damaged) else (bundle.path, start)
            why = wrong.why if isinstance(wrong, Damaged) else str(wrong)
            name = _name_in(leaf)
            fault = Fault(partition=found.partition, file=str(place), offset=offset, why=why, index=index, name=name)
            found.faults.append(fault)
            return False
    return True


def _name_in(leaf: bytes) -> str:
    """What a leaf that may be anything says that it is about, as far as it can be shown."""
    for about in (b"call", b"grant"):
        _, found, rest = leaf[:4096].partition(b'"%b":"' % about)
        name = rest.partition(b'"')[0]
        if found and name.isascii() and name.decode().isprintable() and len(name) < 100:
            return f"{about.decode()} {name.decode()}"
    return ""


@dataclass(slots=True)
class _History:
    """Old checkpoints, each held against the tree of its size: it must have the root that was signed then."""

    found: Verified
    waiting: list[Old]
    checkpoint: Checkpoint
    _forked: bool = False

    def compare(self, tree: Tree, bundle: Bundle) -> None:
        while self.waiting and self.waiting[0].size <= tree.size + len(bundle.hashes) and not self._forked:
            old = self.waiting.pop(0)
            if tree.append(bundle.hashes[: old.size - tree.size]).root == old.root:
                self.found.extended += 1
            else:
                self._forked = True
                why = f"its first {old.size} leaves are not those that were signed then: its history was rewritten"
                self.found.faults.append(_not_extended(self.found.partition, old, why))

    def close(self) -> None:
        if self.waiting and not self._forked:
            why = (
                f"it has only {self.checkpoint.size} leaves, not the {self.waiting[0].size} of then: it was rolled back"
            )
            self.found.faults.append(_not_extended(self.found.partition, self.waiting[0], why))


def _not_extended(partition: str, old: Old, why: str) -> Fault:
    return Fault(
        partition=partition, file=old.file, offset=old.offset,
        why=f"today's log {partition} does not extend this old checkpoint of {old.size} leaves: {why}",
    )  # fmt: skip


def _fault(partition: str, damage: Damaged) -> Fault:
    index, name = (damage.index, _name_in(damage.leaf)) if isinstance(damage, DamagedLeaf) else (-1, "")
    return Fault(
        partition=partition, file=str(damage.place), offset=damage.offset, why=damage.why, index=index, name=name
    )  # fmt: skip


# --- All logs together ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What takes more than one log to know."""

    faults: tuple[Fault, ...] = ()
    early: int = 0
    """Generations that verdicts name, of before generations were recorded."""
    late: int = 0
    """Generations that verdicts name, and the deployment's log may not have yet."""
    begin_again: int = 0
    """Calls and grants whose facts the journal had lost, and wrote again differently."""


def settled(ledger: Path, logs: Iterable[Verified]) -> Settled:
    """Hold the logs against each other."""
    logs = list(logs)
    newest = max((log.last for log in logs), default=0)
    loaded = {generation for log in logs for generation in log.loaded}
    since = max((log.recorded_since for log in logs), default=0)
    losses = sum(log.losses for log in logs)
    there = any(log.size for log in logs if log.partition == DEPLOYMENT)
    faults, early, late = [], set(), set()
    for log in logs:
        for generation, mention in log.generations.items():
            if generation in loaded:
                continue
            if there and since and mention.last < since + LAG_MS:
                early.add(generation)
            elif there and mention.first > newest - LAG_MS:
                late.add(generation)
            else:
                why = f"its verdict names generation {generation}, of which log {DEPLOYMENT} does not know"
                why += "" if there else ": nothing of that log is there, and no gateway seals a verdict before it"
                faults.append(_at_leaf(ledger, log, mention.index, f"call {mention.name}", why))
                break
        if log.begins_again and not losses:
            name, index = next(iter(log.begins_again.items()))
            why = f"{name} begins again here, and no person ever acknowledged that the journal lost anything"
            faults.append(_at_leaf(ledger, log, index, name, why))
        for index in log.goes_back[losses:][:1]:  # a restored server may number on from where it stands, once
            why = "its append stands behind one which came later, and no person acknowledged a loss that explains it"
            faults.append(_at_leaf(ledger, log, index, "", why))
    again = sum(len(log.begins_again) for log in logs)
    return Settled(faults=tuple(faults), early=len(early), late=len(late), begin_again=again)


def _at_leaf(ledger: Path, log: Verified, index: int, name: str, why: str) -> Fault:
    files = LogFiles(ledger / log.partition, log.size)
    try:
        path, _, places = files.bundle(index // 256)
        file, offset = str(path), places[index % 256][0]
    except Damaged as damage:
        file, offset = str(damage.place), damage.offset
    return Fault(partition=log.partition, file=file, offset=offset, why=why, index=index, name=name)
