"""How far the log of one partition is sealed, as Redis has it under `{p}:sealed`.

This is what makes a root the only one of its size: a checkpoint is signed only for what was compared and set here.
"""

import re
from dataclasses import dataclass

BEGINNING = "0-0"
"""The entry before the first one of any stream."""
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


def read_sealed(text: bytes) -> Sealed:
    """Raises UnreadableSeal."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UnreadableSeal(f"{text[:100]!r} is not how far a log is sealed")
    lease, size, root, entry = found.groups()
    return Sealed(int(lease), int(size), bytes.fromhex(root.decode()), entry.decode())
