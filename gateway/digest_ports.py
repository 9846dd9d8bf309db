"""What digests need from the world: to count questions so that all hosts agree, and to remember what a channel heard.

As `gateway.ports`, these are obligations; each is tested against every adapter. Nothing here is a fact: who forgets
all of it tells a digest twice, and nobody hears less.
"""

from typing import Protocol

from gateway.core.quota import Quota
from gateway.core.value import keyword_value


@keyword_value
class Entry:
    """A notice that its channel is to hear of in the digest."""

    call: str
    notice: str
    over: bool = False
    """The news is that the call is over; otherwise it is a question."""
    until: int = 0
    """When the time to decide is over, milliseconds."""


@keyword_value
class Digest:
    """How the digest of one group and channel stands."""

    number: int
    """Of the notice that was entered last here: the same each time that it is entered."""
    last: int
    """The highest number there is."""
    waiting: int
    """Calls that wait, as far as is known."""
    calls: tuple[str, ...]
    """The soonest to end of them."""
    ended: int
    over: tuple[str, ...]
    """Calls that are over and that no accepted digest has said so of."""
    covered: int = 0
    """The channel has heard of every notice up to that number."""
    id: str = ""
    """Of the last digest that was accepted."""
    status: int = 0
    receipt: str = ""
    began: int = 0
    """When the message that can be changed was said, milliseconds."""
    not_before: int = 0
    """When the next may be tried, milliseconds."""
    failures: int = 0
    """How often it was tried since the last one that was accepted."""


@keyword_value
class Told:
    """A digest that was accepted."""

    id: str
    status: int
    receipt: str
    began: int
    covered: int
    """The highest number there was when it was put together."""
    not_before: int
    gone: tuple[str, ...] = ()
    """Calls that were found to wait no more."""


class Digests(Protocol):
    """Each raises JournalUnavailable if nobody knows."""

    async def room(self, group: str, question: str, quota: Quota) -> bool:
        """True if this question is one of the `quota.most` that the group hears of by themselves within that time: it
        was before, or is from now on. Atomic over all hosts."""
        ...

    async def heard(self, digest: str, notice: str) -> tuple[str, int] | None:
        """Id and status of an accepted digest that the notice was told in; None if there is none."""
        ...

    async def enter(self, digest: str, entry: Entry, limit: int) -> Digest:
        """Note what the digest has to tell; then how it stands, with at most `limit` of each list. Atomic.

        Whatever is entered while a digest is put together has a number that this one does not cover.
        """
        ...

    async def leave(self, digest: str, call: str) -> None:
        """The call waits no more, and the channel hears of that otherwise."""
        ...

    async def told(self, digest: str, told: Told) -> None:
        """It was accepted. `covered` never falls."""
        ...

    async def failed(self, digest: str, not_before: int) -> None:
        """It was not."""
        ...
