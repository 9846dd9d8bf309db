"""What the files of anchors say that was signed here: the one witness that is not put back with a backup.

Journal, log and high-water mark of one host lie in one directory, so whoever restores that from an older state has
nothing in it that remembers more. An anchor's file does, being elsewhere. It is read before the log is taken up; what
comes last in it of each log is what the log must go on from.

An anchor may be away, or hang: nobody waits for it longer than `PATIENCE_SECONDS`, and it is read once it is back.
Until then nothing may be appended to it, or the evidence would be covered by what was signed since.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.deployment import LOGS
from gateway.ledger.note import BadNote, Checkpoint, Verifier, open_checkpoint

PATIENCE_SECONDS = 3.0
AT_ONCE_SECONDS = 0.05
AGAIN_SECONDS = 10.0
"""Between two attempts at one that is away."""
MOST_BYTES = 256 * 1024
"""Read of a file, from its end: a thousand notes. If anything was signed since a backup, the last ones are of that."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """The last checkpoint of one log that is in one anchor."""

    partition: str
    checkpoint: Checkpoint
    path: Path
    at: int
    """When something was last appended there, milliseconds since the epoch."""

    @property
    def text(self) -> str:
        return f"{self.partition} {self.checkpoint.size} {self.checkpoint.root.hex()}"


def nowhere() -> Sequence[Path]:
    """Nothing is anchored in a file."""
    return ()


@dataclass(slots=True)
class AnchorFiles:
    wanted: Callable[[], Sequence[Path]] = nowhere
    """Those of today's routes."""
    found: dict[Path, tuple[Anchored, ...]] = field(default_factory=dict)
    """What was read of each that could be."""
    away: set[Path] = field(default_factory=set)
    """Those that could not be, when it was last tried."""
    clock: Callable[[], float] = time.monotonic
    _reads: dict[Path, "asyncio.Future[tuple[Anchored, ...]]"] = field(default_factory=dict)
    _due: float = 0.0

    def known(self, path: Path) -> bool | None:
        """Whether what that file has was read; None: it was not tried yet."""
        return True if path in self.found else False if path in self.away else None

    def besides(self, abandoned: Collection[str]) -> dict[str, list[Anchored]]:
        """By partition what was read, but for these texts of it."""
        found: dict[str, list[Anchored]] = {}
        for note in itertools.chain.from_iterable(self.found.values()):
            if note.text not in abandoned:
                found.setdefault(note.partition, []).append(note)
        return found

    async def look(self, verifier: Verifier, *, anew: bool) -> bool:
        """Read all of them; without `anew` those that could not be read yet, without waiting for them. Whether anything
        was read; `found` has it."""
        wanted = self.wanted()
        self.found = {path: notes for path, notes in self.found.items() if path in wanted and not anew}
        lacking = [path for path in wanted if path not in self.found]
        if not anew and self.clock() < self._due:
            lacking = [path for path in lacking if path not in self.away]
        if not lacking:
            return False
        self._due = self.clock() + AGAIN_SECONDS
        for path in lacking:
            if path not in self._reads:  # one that hangs is not read a second time meanwhile
                reading = asyncio.get_running_loop().run_in_executor(None, read_anchor, path, verifier)
                self._reads[path] = reading
        done, _ = await asyncio.wait(self._reads.values(), timeout=PATIENCE_SECONDS if anew else AT_ONCE_SECONDS)
        for path in [path for path, reading in self._reads.items() if reading in done]:
            if (reading := self._reads.pop(path)).exception() is None:
                self.found[path] = reading.result()
        self.away = {path for path in wanted if path not in self.found}
        return any(path in self.found for path in lacking)


def read_anchor(path: Path, verifier: Verifier) -> tuple[Anchored, ...]:
    """The last note of each log that this key signed; of nobody else's. Raises OSError if it is away."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(status.st_size - MOST_BYTES, 0))
            data = file.read(MOST_BYTES)
    except FileNotFoundError:
        path.parent.stat()  # a new file in a directory that is there
        return ()
    found: dict[str, Anchored] = {}
    for note in reversed([*_notes(data)]):
        origin = note.partition(b"\n")[0].decode("utf-8", "replace")
        partition = origin.removeprefix(f"{verifier.name}/")
        if partition in LOGS and partition not in found:
            try:
                checkpoint = open_checkpoint(note, verifier.of(partition))
            except BadNote:
                continue
            found[partition] = Anchored(partition, checkpoint, path, round(status.st_mtime * 1000))
    return tuple(found.values())


def _notes(data: bytes) -> Iterator[bytes]:
    """As `anchors.append` writes them: three lines, an empty one, signatures, an empty one."""
    parts = data.split(b"\n\n")
    for text, signatures in itertools.pairwise(parts):
        if signatures.startswith("— ".encode()):
            yield text.lstrip(b"\n") + b"\n\n" + signatures + b"\n"
