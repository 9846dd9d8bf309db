"""A log that this host sealed and has lost, made anew from the stream in Redis while that still has what is missing.

A disk was replaced, or an older copy of the directory was put back: nobody else has the log, but what was sealed since
may still wait to be trimmed. So it is gone on from where the copy was signed, or else from the beginning. The tree that
comes of it is compared with the sealed root before a file is written, so what is put into the directory is what was
there, byte for byte. It is never done for a log that another host sealed: that host has it, and two halves of a log
would be worse than a sentence.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from gateway.core.sealed import BEGINNING
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.growing import Tip, grow, load
from gateway.ledger.note import BadNote, Verifier, open_checkpoint
from gateway.ledger.seals import Seals
from gateway.ledger.standing import RawEntry, entry_of, standing
from gateway.ledger.unsealable import NotHere
from gateway.ledger.writing import LedgerDirectory

log = logging.getLogger("gateway.ledger")

AT_ONCE = 4096
"""Entries."""


Beginning = tuple[Tip, str]
"""A log, and its last entry."""


async def restore(seals: Seals, directory: LedgerDirectory, missing: NotHere, verifier: Verifier) -> None:
    """Have the log in the directory. Raises `missing` if the stream has not got all that it lacks; OSError."""
    empty = not any(directory.path.glob("[0-9][0-9]"))
    beginnings = [*await asyncio.to_thread(_of_copy, directory, missing, verifier), (Tip(), BEGINNING)]
    for beginning in beginnings:
        if await _grown(seals, missing, beginning, None) == missing.root:
            await _grown(seals, missing, beginning, directory)
            if empty:
                log.warning(
                    "the sealed log was not in %r, where this host had it, and is made anew there from the stream: is "
                    "that directory mounted? Kept copies that were in it (payloads) are not made anew",
                    str(directory.path),
                )
            return
    raise missing


def _of_copy(directory: LedgerDirectory, missing: NotHere, verifier: Verifier) -> list[Beginning]:
    """What the directory's own checkpoint was signed for, if that is there."""
    files = LogFiles(directory.path / missing.partition)
    try:
        note = files.note()
        if note is None:
            return []
        checkpoint = open_checkpoint(note, verifier.of(missing.partition))
        files.size = checkpoint.size
        tip, [last] = load(files), files.leaves(checkpoint.size - 1)
        return [(tip, entry_of(last))] if tip.root == checkpoint.root else []
    except (Damaged, BadNote):
        return []


async def _grown(seals: Seals, missing: NotHere, beginning: Beginning, directory: LedgerDirectory | None) -> bytes:
    """Root of the log when the stream's facts behind its beginning are put there, as many as were sealed. Their files
    are written if there is a directory for them."""
    (tip, place), name = beginning, missing.partition
    async for entries in _entries(seals, name, place):
        leaves, files = list[bytes](), dict[str, bytes]()
        for entry in entries:
            some, long = standing(name, entry)
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


async def _entries(seals: Seals, name: str, place: str) -> AsyncIterator[list[RawEntry]]:
    while name in (found := (await seals.waiting({name: place}, AT_ONCE))[0]):
        yield found[name]
        place = found[name][-1][0].decode()
