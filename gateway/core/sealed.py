"""How far the log of one partition is sealed, as Redis has it under `{p}:sealed`, and the seams of its stream.

This is what makes a root the only one of its size: a checkpoint is signed only for what was compared and set here.

A stream that was restored from an older state has less than the log. Once a person knows, it is sealed on behind all
that is in the log, so at that entry the stream and the log go apart: `{p}:seam` says where, for whoever counts leaves
by counting entries.
"""

import re
from dataclasses import dataclass

BEGINNING = "0-0"
"""The entry before the first one of any stream."""
_SEAM = re.compile(rb"(\d{1,20}-\d{1,20}) (\d{1,18}) (\d{1,18})")
_TEXT = re.compile(rb"(\d{1,15}) (\d{1,18}) ([0-9a-f]{64}) (\d{1,20}-\d{1,20})")


class UnreadableSeal(ValueError):
    """The text is none that a gateway of this version wrote."""


@dataclass(frozen=True, slots=True)
class Sealed:
    lease: int
    """Number of the lease under which it was written; a holder with a lower one may not write any more."""
    size: int
    """Leaves in the log."""
    root: bytes
    entry: str
    """The last entry of the stream that is in the log: what follows it waits to be sealed."""

    @property
    def text(self) -> bytes:
        return f"{self.lease} {self.size} {self.root.hex()} {self.entry}".encode()


@dataclass(frozen=True, slots=True)
class Seam:
    """After this entry the log has leaves that the stream lost."""

    entry: str
    """The last one of the stream that was in the log; BEGINNING: none was."""
    before: int
    """How many leaves the log has up to and with that entry."""
    after: int
    """How many it has before the first leaf of the stream's next entry."""

    @property
    def text(self) -> str:
        return f"{self.entry} {self.before} {self.after}"


def read_seams(text: bytes) -> tuple[Seam, ...]:
    """Of one stream, the first one first. Raises UnreadableSeal."""
    found = []
    for line in text.splitlines():
        if (seam := _SEAM.fullmatch(line)) is None:
            raise UnreadableSeal(f"{line[:100]!r} is not where a stream was restored")
        found.append(Seam(seam[1].decode(), int(seam[2]), int(seam[3])))
    return tuple(found)


def read_sealed(text: bytes) -> Sealed:
    """Raises UnreadableSeal."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UnreadableSeal(f"{text[:100]!r} is not how far a log is sealed")
    lease, size, root, entry = found.groups()
    return Sealed(int(lease), int(size), bytes.fromhex(root.decode()), entry.decode())
