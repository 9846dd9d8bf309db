"""Where a log stands, before anything is appended to it: what Redis says, what the directory holds, what was signed.

Three witnesses and a fourth elsewhere, and each may be ahead of the others after a crash:
- the files, which are written first: more of them than Redis knows were never sealed, and are written over;
- `{p}:sealed` in Redis, which makes a root the only one of its size: its files must be here, or in the store;
- the checkpoint, which is written last: a missing one is signed now. One that is *ahead* of Redis is no crash of ours:
  Redis came back with less than it had acknowledged, and nothing goes on until a person knows of that;
- what an anchor has, which is older than that. What does not go on from it came back from a backup, Redis and log.

Whatever does not fit together raises `Unsealable` and touches nothing: whoever looks at it must find it as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.leaf import entry_order
from gateway.core.sealed import BEGINNING, Sealed, UnreadableSeal, read_sealed
from gateway.ledger.anchored import Anchored
from gateway.ledger.copying import fetch
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.growing import Tip, load
from gateway.ledger.merkle import EMPTY, tree_of
from gateway.ledger.note import BadNote, Checkpoint, Verifier, open_checkpoint
from gateway.ledger.standing import entry_of
from gateway.ledger.store import Store, StoreUnavailable
from gateway.ledger.tiles import CHECKPOINT
from gateway.ledger.unsealable import NotHere, Unsealable, forgotten, rewound, unavailable, unwritable
from gateway.ledger.writing import LedgerDirectory


@dataclass(frozen=True, slots=True)
class Known:
    """What Redis says of one partition."""

    text: bytes
    """`{p}:sealed`; empty if there is none."""
    sealed: Sealed | None
    end: str
    """The last entry that the stream gave out, also if it is trimmed; BEGINNING if there never was one."""


def known_of(states: Mapping[str, tuple[bytes, str]]) -> dict[str, Known]:
    """What `Seals.states` said. Raises Unsealable."""
    try:
        return {name: Known(text, read_sealed(text) if text else None, end) for name, (text, end) in states.items()}
    except UnreadableSeal as error:
        raise Unsealable(
            f"Redis says how far the log is sealed in words that this version does not know ({error}): a newer "
            "version of the gateway was here. Run that version."
        ) from error


@dataclass(frozen=True, slots=True)
class Found:
    """A log that may be appended to."""

    tip: Tip
    known: Known
    signed: int
    """Size of the checkpoint in the directory; 0: there is none."""
    stored: int
    """The same in the store."""
    adopt: bool
    """Redis lost what the log has, and a person knows; Redis has to be told where the log stands."""
    abandoned: tuple[Anchored, ...] = ()
    """What an anchor has and the log never will, and a person knows."""


@dataclass(slots=True)
class Finder:
    directory: LedgerDirectory
    verifier: Verifier
    """Of the whole ledger."""
    store: Store | None
    sealer: str
    """Who sealed last, and where: for sentences."""
    acknowledged: int
    """When a person last said that a loss is known, milliseconds since the epoch; 0: never."""
    anchored: Mapping[str, Sequence[Anchored]] = field(default_factory=dict)
    """By partition, what must be in the log too."""

    def find(self, partition: str, known: Known) -> Found:
        """Raises Unsealable."""
        try:
            return self._find(partition, known)
        except Damaged as error:
            raise Unsealable(
                f"The sealed log is damaged: {error}. Nothing is written to it any more; restore the directory "
                f"{str(self.directory.path)!r} from a copy. With ledger.store, move it away, and it is fetched."
            ) from error
        except OSError as error:
            raise unwritable(self.directory.path, error) from error
        except StoreUnavailable as error:
            raise unavailable(error) from error

    def _find(self, partition: str, known: Known) -> Found:
        here = self._opened(partition, LogFiles(self.directory.path / partition).note(), "the directory")
        stored = self.store.get(f"{partition}/{CHECKPOINT}") if self.store is not None else None
        there = self._opened(partition, stored, "the store")
        furthest = max(here, there, key=lambda checkpoint: checkpoint.size)
        sealed = known.sealed or Sealed(0, 0, EMPTY, BEGINNING)
        adopt = furthest.size > sealed.size
        size, root = (furthest.size, furthest.root) if adopt else (sealed.size, sealed.root)
        tip = self._held(partition, size, root, here)
        for old in (here, there, Checkpoint("", sealed.size, sealed.root)):
            self._extends(partition, tip, old)
        abandoned = tuple(note for note in self.anchored.get(partition, ()) if self._lacks(partition, tip, note))
        if adopt:
            [leaf] = LogFiles(self.directory.path / partition, size).leaves(size - 1)
            has = f"knows of {sealed.size}" if sealed.size else "does not know that anything was sealed"
            self._lost(entry_of(leaf), f"the sealed log of partition {partition} has {size} facts, but Redis {has}")
        elif entry_order(known.end) < entry_order(sealed.entry):
            adopt = True
            self._lost(
                sealed.entry,
                f"the log of partition {partition} is sealed up to entry {sealed.entry}, but the stream in Redis ends "
                f"at {known.end}",
            )
        return Found(tip, known, here.size, there.size, adopt, abandoned)

    def _opened(self, partition: str, note: bytes | None, where: str) -> Checkpoint:
        """What a checkpoint says that we signed; of size 0 if there is none."""
        verifier = self.verifier.of(partition)
        try:
            return open_checkpoint(note, verifier) if note is not None else Checkpoint(verifier.name, 0, EMPTY)
        except BadNote as error:
            raise Unsealable(
                f"The checkpoint of partition {partition} in {where} is not ours: {error}. Use the signing key that "
                "this log was begun with (ledger.key), or give this deployment a directory and a store of its own."
            ) from error

    def _held(self, partition: str, size: int, root: bytes, here: Checkpoint) -> Tip:
        """The right edge of exactly that tree, fetched from the store if the directory lacks it."""
        try:
            tip = load(LogFiles(self.directory.path / partition, size))
            if tip.root == root:
                return tip
            lacks = f"holds another tree of {size} leaves"
        except Damaged as error:
            lacks = f"lacks it ({error})"
        if self.store is not None:
            have = min(here.size, size)
            return fetch(self.directory, partition, self.store, have=have, size=size, root=root)
        if here.size >= size:
            raise Unsealable(
                f"The sealed log is damaged: {size} facts of partition {partition} were signed here, and the directory "
                f"{str(self.directory.path)!r} {lacks}. Nothing is written to it any more; restore it from a copy."
            )
        raise NotHere(
            f"The sealed log is not here: {self.sealer or 'another host'} sealed {size} facts of partition {partition}"
            f", and the directory {str(self.directory.path)!r} {lacks}. Start the gateway there, copy that directory "
            "here while no gateway runs, or let hosts share one (ledger.directory or ledger.store). "
            "If that is this host under another name or path, or is gone for good, put the newest copy of its "
            "directory here; what that lacks is made anew from Redis only where name and path are the same.",
            partition=partition, size=size, root=root,
        )  # fmt: skip

    def _extends(self, partition: str, tip: Tip, old: Checkpoint) -> None:
        """That the tree which is here goes on from what was once sealed or signed."""
        if not self._goes_on(partition, tip, old):
            raise Unsealable(
                f"The log of partition {partition} is forked: two trees of {old.size} leaves were sealed, and the log "
                "goes on from one of them. Nothing is written to it any more; find out who else seals with this key, "
                "and keep both directories."
            )

    def _lacks(self, partition: str, tip: Tip, note: Anchored) -> bool:
        """Whether that is so and a person knows. Raises Lost."""
        old = note.checkpoint
        if old.size <= tip.size and self._goes_on(partition, tip, old):
            return False
        if self.acknowledged < note.at:
            raise rewound(partition, tip.size, note.path, old.size, note.at)
        return True

    def _goes_on(self, partition: str, tip: Tip, old: Checkpoint) -> bool:
        if old.size == tip.size:
            return tip.root == old.root
        files = LogFiles(self.directory.path / partition, tip.size)
        return tree_of(old.size, files.hash_of).root == old.root

    def _lost(self, entry: str, what: str) -> None:
        """Fine only if a person said so since. Raises Lost."""
        written, _ = entry_order(entry)
        if self.acknowledged < written:
            raise forgotten(what, written)
