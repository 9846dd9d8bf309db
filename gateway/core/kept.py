"""A copy that is kept for the record: what it is called in the journal, and where it lies in the payload store.

Both follow from the fact that speaks of it, so whoever has the fact finds the copy, and nothing else leads to one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core.facts import Recorded
from gateway.core.recording import KEPT

FOLDER = "payloads"


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy as the journal has it."""

    call: str
    part: str
    at: int
    """When it was written, milliseconds since the epoch."""
    keep: int
    """Milliseconds."""
    sealed: bytes = b""

    @property
    def field(self) -> str:
        """The name of the payload field that it is sealed for."""
        return f"{KEPT}{self.part}.{self.keep}"

    @property
    def path(self) -> str:
        """Below the ledger's directory, or in the store."""
        return f"{FOLDER}/{day_of(self.at + self.keep)}/{self.call[:2]}/{self.call}.{self.part}.{self.at}"


def kept_as(call: str, fact: Recorded) -> Kept:
    """Where the copy is that this fact speaks of."""
    return Kept(call, fact.part, fact.at, fact.keep)


def day_of(milliseconds: int) -> str:
    """The day in UTC, `2027-12-31`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
