"""What standing grants need from the world: where they are kept, and who writes and evaluates their text.

As `gateway.ports`, these are obligations; each is tested against every adapter. Neither may ever let a call through by
itself: they say what was granted, and `gateway.judging` weighs it.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.core.grants import Grant, GrantFact, Terms
from gateway.core.verdict import Question


class Grants(Protocol):
    """Standing grants, durable beside the journal: their facts, and their text while they may be used."""

    async def write(self, fact: GrantFact, *, expected: int, until: int, text: str) -> None:
        """Append `fact` to its grant, and to the ledger. When it returns, it is durable, and from then on a claim that
        needs the grant is refused (Revoked) by every process unless `text` was given and `until` has not come.

        `expected`: how many facts the writer has read; anything else is a Conflict, and nothing was written. Raises
        JournalUnavailable if nobody knows; the same may be written again after reading.
        """
        ...

    async def read(self, grant: str) -> Grant | None:
        """The grant as it is now, its text empty once it is over. None if it is unknown, or over for KEPT_MS."""
        ...

    async def index(self, *, since: int) -> dict[str, int]:
        """How many facts each grant has that ends later than `since` (milliseconds), revoked ones included."""
        ...


class Granting(Protocol):
    """Writes standing grants, and says which of them match a call; for the routes of one generation."""

    def text(self, question: Question, terms: Terms, *, policy: str, grant: str) -> str:
        """The permit that is like the call of `question`, except for `terms`. Raises NotGrantable.

        `policy`: the `@id` of the forbid whose requirement it meets; `grant`: its own.
        """
        ...

    def matching(self, question: Question, grants: Sequence[Grant]) -> tuple[Grant, ...]:
        """Those whose text matches. Total: one that cannot be evaluated does not match. Never blocks."""
        ...
