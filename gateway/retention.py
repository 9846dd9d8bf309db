"""Copies for the record on their way out of the journal, and out of the world once their time is over.

A copy is written down elsewhere first and leaves the journal afterwards, so dying at any moment costs a repetition and
never a copy. What somebody erases meanwhile stays erased. One steward at a time does this.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.payload_store import LedgerFolder, PayloadStore
from gateway.adapters.redis.copies import RedisCopies
from gateway.adapters.store import open_store
from gateway.core.ledger_settings import LedgerSettings
from gateway.core.secret_reference import SecretReference
from gateway.ledger.store import StoreUnavailable
from gateway.ports import JournalUnavailable
from gateway.trouble import Trouble

ROUND_SECONDS = 1.0
BATCH = 100
"""Calls of one partition in one round."""
RETIRE_MS = 3_600_000
"""How often it is looked whose time is over. Days are, so this is at most an hour late."""
LEASE_MS = 30_000

log = logging.getLogger("gateway.retention")

Lease = Callable[[str, int], Coroutine[Any, Any, bool]]


def payload_store(
    settings: LedgerSettings, directory: Path, read: Callable[[SecretReference], str], ca_file: Path | None = None
) -> PayloadStore:
    """Where copies are: in the ledger's store if it has one, else in its directory."""
    if settings.store is not None:
        return PayloadStore(open_store(settings.store, read, ca_file))
    return PayloadStore(LedgerFolder(directory))


@dataclass(slots=True)
class Retention:
    copies: RedisCopies
    store: PayloadStore
    clock: Callable[[], int]
    """Milliseconds since the epoch: the journal's."""
    _retired: int = field(default=0)
    """When it was last looked whose time is over."""

    async def round(self) -> int:
        """Move what is there; how many calls that were. Raises StoreUnavailable or JournalUnavailable."""
        if self.clock() >= self._retired + RETIRE_MS:
            await self.retire()
        calls = await self.copies.calls(BATCH)
        for call in calls:
            await self.move(call)
        return len(calls)

    async def move(self, call: str) -> None:
        """The copies of this call, from the journal to the store."""
        found = await self.copies.of(call)
        for copy in found:
            await asyncio.to_thread(self.store.put, copy)
        if await self.copies.erased([call]):
            for copy in found:
                await asyncio.to_thread(self.store.forget, copy)
        await self.copies.moved(call, found)

    async def retire(self) -> None:
        """Destroy what was kept for its time."""
        now = self.clock()
        for day in await asyncio.to_thread(self.store.retire, now):
            log.info("copies that were kept until %s are destroyed", day)
        self._retired = now


async def retain(retention: Retention, lease: Lease) -> None:
    """Do it again and again, for as long as the process lives."""
    trouble = Trouble(
        log=log, level=logging.ERROR, bad="copies for the record stay in the journal: the payload store does not take "
        "them", good="the payload store takes copies for the record again", reminds=True,
    )  # fmt: skip
    while True:
        try:
            moved = await retention.round() if await lease("payloads", LEASE_MS) else 0
            trouble.is_over()
        except JournalUnavailable:
            moved = 0  # `duties.beat` says so
        except StoreUnavailable as error:
            moved = 0
            trouble.lasts(str(error))
        except Exception:
            moved = 0
            log.exception("keeping copies for the record failed in an unknown way; it is tried again")
        await asyncio.sleep(ROUND_SECONDS if moved < BATCH else 0.0)
