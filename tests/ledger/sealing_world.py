"""A ledger that is sealed in a test: streams, a steward that can die, and what an outsider finds in the files."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.codec import encode, envelope
from gateway.core.facts import Expired, Lost
from gateway.core.leaf import leaves_of, short
from gateway.core.sealed import read_sealed
from gateway.ledger.anchored import AnchorFiles
from gateway.ledger.files import LogFiles
from gateway.ledger.merkle import Tree, leaf_hash
from gateway.ledger.note import Signer, open_checkpoint
from gateway.ledger.sealing import Sealer
from gateway.ledger.tiles import long_path
from gateway.ledger.writing import LedgerDirectory
from tests.ledger.frail import Fate, FrailDisk, FrailSeals, FrailStore, Redis
from tests.sealed_log import SIGNER

START = 1_795_168_800_000


@dataclass
class World:
    """One deployment. `steward` starts one process of it; what it wrote outlives that."""

    folder: Path
    with_store: bool = False
    redis: Redis = field(default_factory=Redis)
    fate: Fate = field(default_factory=Fate)
    now: float = 0.0
    begun: int = 0
    entries: int = 0
    signer: Signer = SIGNER
    anchor_files: tuple[Path, ...] = ()
    _leaves: dict[tuple[bytes, bytes], tuple[bytes, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.disk = FrailDisk(self.folder / "ledger", self.fate)
        self.store: Any = FrailStore(self.fate) if self.with_store else None

    def steward(self, place: str = "here", disk: FrailDisk | None = None) -> Sealer:
        self.begun += 1
        disk = disk or self.disk
        directory = LedgerDirectory(disk.root, f"draft{self.begun}", disk, at_once=1)
        clock = lambda: self.now  # noqa: E731
        seals: Any = FrailSeals(self.redis, self.fate, clock)
        return Sealer(seals, directory, self.signer, f"{place} {self.begun}", place, self.store, self.anchors(), clock)

    def anchors(self) -> AnchorFiles:
        return AnchorFiles(lambda: self.anchor_files, clock=lambda: self.now)

    def happens(self, partition: str, appends: int, facts: int = 1, text: str = "") -> None:
        """So many appends to the journal, of so many facts each."""
        for _ in range(appends):
            self.entries += 1
            at = START + self.entries
            some = [Lost(token=f"t{n}", error=text, at=at) if text else Expired(at=at) for n in range(facts)]
            joined = b"\n".join(envelope(encode(fact), at, f"{self.entries:016x}") for fact in some)
            call = f"{partition}{self.entries:020x}"
            about = b"gateway" if partition == "64" else b"call"
            fields = {about: call.encode(), b"from": b"0", b"facts": joined}
            self.redis.add(partition, b"%d-0" % at, fields)

    # --- What an outsider finds ---------------------------------------------------------------------------------

    def expected(self, partition: str, upto: str = "") -> list[bytes]:
        """The leaves that the stream stands for, up to that entry."""
        return [leaf for entry, leaves in self._by_entry(partition) for leaf in leaves if not upto or entry <= upto]

    def _by_entry(self, partition: str) -> Iterator[tuple[str, tuple[bytes, ...]]]:
        for entry, fields in self.redis.streams.get(partition, ()):
            key = entry, fields[b"facts"]
            if key not in self._leaves:
                self._leaves[key] = leaves_of(entry, fields)
            yield entry.decode(), self._leaves[key]

    def check(self, folder: Path | None = None) -> None:
        """What must be true at every instant, also in the middle of a crash."""
        folder = folder or self.disk.root
        for partition in self.redis.streams:
            log = LogFiles.open(folder, partition)
            text = self.redis.sealed.get(partition)
            sealed = read_sealed(text) if text else None
            assert log.size <= (sealed.size if sealed else 0), "a checkpoint of what Redis never accepted"
            self._check(partition, log, self.expected(partition)[: log.size])
            if sealed is not None:
                upto = self.expected(partition, sealed.entry)
                assert sealed.size == len(upto) and sealed.root == _root(upto)

    def _check(self, partition: str, log: LogFiles, expected: list[bytes]) -> None:
        assert list(log.leaves()) == [short(leaf) for leaf in expected]
        assert log.tree() == Tree().append(leaf_hash(short(leaf)) for leaf in expected)
        for leaf in expected:
            if short(leaf) != leaf:
                digest = short(leaf).partition(b'"digest":"')[2][:64].decode()
                assert log.long(digest) == leaf, long_path(digest)
        note = log.note()
        if note is not None:
            checkpoint = open_checkpoint(note, self.signer.verifier.of(partition))
            assert (checkpoint.size, checkpoint.root) == (len(expected), log.tree().root)

    def check_all(self, folder: Path | None = None) -> None:
        """Everything is sealed and signed, and nothing is left over."""
        self.check(folder)
        folder = folder or self.disk.root
        for partition in self.redis.streams:
            assert LogFiles.open(folder, partition).size == len(self.expected(partition))
        assert list((folder / "drafts").iterdir()) == []

    def check_store(self) -> None:
        """The store has every file of the directory's logs, and no checkpoint that it lacks tiles for."""
        assert self.store is not None
        folder = self.folder / "copy"
        for path, data in self.store.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        self.check(folder)


def _root(leaves: list[bytes]) -> bytes:
    return Tree().append(leaf_hash(short(leaf)) for leaf in leaves).root


def seal(steward: Sealer) -> int:
    return asyncio.run(steward.round())
