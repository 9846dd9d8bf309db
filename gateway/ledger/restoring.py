"""A log that this host sealed and has lost, made anew from the stream in Redis while that still has all of it.

A disk was replaced, or an older copy of the directory was put back: nobody else has the log, but every fact that was
sealed may still wait to be trimmed. The tree that they make is compared with the sealed root before a file is written,
so what is put into the directory is what was there, byte for byte. It is never done for a log that another host sealed:
that host has it, and two halves of a log would be worse than a sentence.
"""

import asyncio
from collections.abc import AsyncIterator

from gateway.core.sealed import BEGINNING
from gateway.ledger.growing import Tip, grow
from gateway.ledger.seals import Seals
from gateway.ledger.standing import RawEntry, standing
from gateway.ledger.unsealable import NotHere
from gateway.ledger.writing import LedgerDirectory

AT_ONCE = 4096
"""Entries."""


async def restore(seals: Seals, directory: LedgerDirectory, missing: NotHere) -> None:
    """Have the log in the directory. Raises `missing` if the stream has not got all of it; OSError."""
    if await _grown(seals, missing, None) != missing.root:
        raise missing
    await _grown(seals, missing, directory)


async def _grown(seals: Seals, missing: NotHere, directory: LedgerDirectory | None) -> bytes:
    """Root of the first so many facts of the stream. Their files are written if there is a directory for them."""
    tip, name = Tip(), missing.partition
    async for entries in _entries(seals, name):
        leaves, files = list[bytes](), dict[str, bytes]()
        for entry in entries:
            some, long = standing(entry)
            leaves += some
            files |= long
        grown = grow(tip, leaves[: missing.size - tip.size])
        tip = grown.tip
        if directory is not None:
            written = {f"{name}/{path}": data for path, data in (files | grown.files).items()}
            await asyncio.to_thread(directory.put, written)
        if tip.size == missing.size:
            break
    return tip.root


async def _entries(seals: Seals, name: str) -> AsyncIterator[list[RawEntry]]:
    place = BEGINNING
    while name in (found := (await seals.waiting({name: place}, AT_ONCE))[0]):
        yield found[name]
        place = found[name][-1][0].decode()
