"""Telling open pages that something has changed. They then ask for what they show; nothing of a call is told here.

One loop per process looks at the ends of the ledger, however many pages are open, and rests while none is. Whoever
has the first line of a stream hears of everything that happens from then on; what happened before that, since the page
was drawn or while its stream was broken, it asks for when the stream opens. A page without a stream asks every now and
then by itself, so losing all of this loses only time.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Attached,
    Claimed,
    Delivered,
    Ended,
    Fact,
    Judged,
    Lost,
    Notified,
    Resolved,
    Unsent,
)
from gateway.ports import JournalUnavailable
from gateway.tasks import spawn

LOOK_SECONDS = 0.5
BREATH_SECONDS = 0.5
"""Between two messages to one page: whatever happens in between is told by the second."""
HEARTBEAT_SECONDS = 15.0
"""Shorter than what proxies allow a silent connection."""
MOST_PAGES = 100
"""Open at once, per process. Each keeps a connection."""
MOST_ENTRIES = 200
"""Of one partition, between two looks. When there are more, every page is told."""
NO_QUESTION = (Admitted, Attached, Claimed, Unsent, Lost, Answered, Ended, Abandoned, Delivered, Notified, Resolved)
"""Facts that do not change what waits for whom; every other fact may."""
EVERYTHING = ""
"""What an inbox watches, instead of a call."""
ANYTHING = "*"
"""What somebody watches who wants to see every call: whatever happens."""

log = logging.getLogger("gateway.console")


class Entry(Protocol):
    """`gateway.adapters.redis.ledger.LedgerEntry`."""

    @property
    def id(self) -> str: ...
    @property
    def call(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def facts(self) -> tuple[Fact, ...]: ...


class Ledger(Protocol):
    """`gateway.adapters.redis.ledger.RedisLedger`."""

    async def ends(self) -> dict[str, str]: ...
    async def read(self, partition: str, after: str, limit: int) -> Sequence[Entry]: ...


class TooManyPages(Exception):
    """As many pages as this process serves are open already."""


@dataclass(eq=False, slots=True)
class _Page:
    call: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Live:
    ledger: Ledger
    _pages: set[_Page] = field(default_factory=set)
    _ends: dict[str, str] | None = None
    """How far the ledger was when it was last looked at; None while nobody looks."""
    _watching: bool = False
    _closed: bool = False

    def close(self) -> None:
        """End every stream: the process is about to stop, and a stream would keep it waiting."""
        self._closed = True
        for page in self._pages:
            page.changed.set()

    def open(self, call: str, alive: Callable[[], Awaitable[bool]]) -> AsyncGenerator[str]:
        """The stream of one page, as server-sent events, for as long as `alive` says so. Raises TooManyPages."""
        if len(self._pages) >= MOST_PAGES:
            raise TooManyPages
        page = _Page(call)
        self._pages.add(page)
        if not self._watching:
            self._watching = True
            spawn(self._watch(), "watch for open pages")
        return self._stream(page, alive)

    async def _stream(self, page: _Page, alive: Callable[[], Awaitable[bool]]) -> AsyncGenerator[str]:
        try:
            if self._ends is None:
                await self._look_if_possible()  # or what happens before the first look would be told to nobody
            yield "retry: 5000\n\n"
            asked = time.monotonic()
            while not self._closed:
                changed = await _within(page.changed, HEARTBEAT_SECONDS)
                if not changed or time.monotonic() - asked >= HEARTBEAT_SECONDS:
                    asked = time.monotonic()
                    if not await alive():
                        return
                if not changed:
                    yield ": still here\n\n"
                elif not self._closed:
                    page.changed.clear()
                    yield "event: changed\ndata: \n\n"
                    await asyncio.sleep(BREATH_SECONDS)
        finally:
            self._pages.discard(page)

    async def _watch(self) -> None:
        try:
            while self._pages and not self._closed:
                await self._look_if_possible()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._ends, self._watching = None, False

    async def _look_if_possible(self) -> None:
        try:
            await self.look()
        except JournalUnavailable as error:
            log.debug("the journal is away, so open pages hear of nothing: %s", error)

    async def look(self) -> None:
        """Tell the pages that what happened since the last look concerns them."""
        ends = await self.ledger.ends()
        before, self._ends = self._ends, ends
        for partition in ends if before is not None else ():
            if before is not None and ends[partition] != before.get(partition):
                entries = await self.ledger.read(partition, before.get(partition, ""), MOST_ENTRIES)
                self._tell(entries)

    def _tell(self, entries: Sequence[Entry]) -> None:
        many = len(entries) >= MOST_ENTRIES
        calls = {entry.call for entry in entries}
        inbox = any(map(_asks, entries))
        for page in self._pages:
            if many or page.call in calls or page.call == ANYTHING or (page.call == EVERYTHING and inbox):
                page.changed.set()


def _asks(entry: Entry) -> bool:
    """True if it may change what waits for somebody. A verdict with the admission is one on a call nobody waits for."""
    return any(not isinstance(fact, (*NO_QUESTION, Judged)) or (isinstance(fact, Judged) and entry.position > 0)
               for fact in entry.facts)  # fmt: skip


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
