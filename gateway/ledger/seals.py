"""The part that Redis has in sealing, as sealing needs it: the lease, how far each log is sealed, and what waits to be.

The lease saves work and proves nothing: what keeps two stewards from signing two logs is that a root is signed only
after it was compared and set.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from gateway.ledger.standing import RawEntry


class Change(NamedTuple):
    """Of how far one log is sealed."""

    before: bytes
    """The text that stands."""
    after: bytes
    """The one that shall."""
    end: str = ""
    """An entry that the stream's next one must come after; empty: any."""
    seam: str = ""
    """Where a restored stream goes on, as `core.sealed.Seam.text`; empty: it is none."""


class Seals(Protocol):
    """Redis. Everything may be repeated. All raise what the journal raises when it is away."""

    async def states(self, partitions: tuple[str, ...]) -> dict[str, tuple[bytes, str]]:
        """Of each partition: the text of how far it is sealed, and the last entry that its stream gave out."""
        ...

    async def seal(self, changes: Mapping[str, Change], lease: int) -> set[str]:
        """Compare and set. Returns the partitions where something else stands, or a higher lease was there."""
        ...

    async def waiting(self, after: Mapping[str, str], most: int) -> tuple[dict[str, list[RawEntry]], bool]:
        """Entries behind those, about `most` in all; and whether these are all."""
        ...

    async def free(self, holder: str) -> bool:
        """Whether nobody at another place has the lease."""
        ...

    async def take(self, holder: str, milliseconds: int, above: int) -> int:
        """The number of our lease, or 0 if somebody else has it."""
        ...

    async def release(self, holder: str) -> None:
        """Let somebody else have it at once."""
        ...

    async def sealer(self) -> str:
        """Who sealed last, and where, for people; empty if nobody did."""
        ...

    async def say_sealer(self, who: str) -> None: ...

    async def acknowledged(self) -> int:
        """When a person last said that a loss is known, milliseconds; 0: never."""
        ...

    async def abandoned(self) -> set[str]:
        """What anchors have, as `Anchored.text`, and the log never will, since a person acknowledged its loss."""
        ...

    async def abandon(self, texts: Collection[str]) -> None: ...

    async def report_loss(self, sentence: str, written: int) -> None:
        """Stop every process until a person says that this is known. `written`: when what is missing was, at last."""
        ...
