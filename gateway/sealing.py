"""Sealing as a duty of the steward: made of its parts, and done again and again, whatever goes wrong in between.

The routes say where the ledger is when the steward starts; another place or key needs a restart, as other ports do.
"""

import asyncio
import logging
import os
import secrets
import time
from pathlib import Path

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.seals import RedisSeals
from gateway.adapters.secrets import Secrets
from gateway.adapters.store import open_store
from gateway.core.ledger_settings import LedgerSettings
from gateway.ledger.place import Place
from gateway.ledger.sealing import Sealer
from gateway.ledger.writing import LedgerDirectory
from gateway.ports import JournalUnavailable
from gateway.trouble import Trouble

ROUND_SECONDS = 0.5
"""Between the beginnings of two rounds, so that a checkpoint is younger than a second under any load."""
PAUSE_SECONDS = 1.0
"""After a round that failed."""

log = logging.getLogger("gateway.sealing")


def sealer_of(settings: LedgerSettings, data: Path, journal: RedisJournal, secret: Secrets) -> Sealer:
    """Raises Unusable if there is no key, SecretMissing if it cannot be read, OSError if there is no directory."""
    place = Place.of(settings, data)
    signer = place.signer(secret.read(settings.key) if settings.key is not None else "")
    chance, host, found = secrets.token_hex(8), os.uname().nodename, place.directory.stat()
    return Sealer(
        RedisSeals(journal),
        LedgerDirectory(place.directory, chance),
        signer,
        holder=f"{host}:{found.st_dev}:{found.st_ino} {chance}",
        who=f"{host} (in {str(place.directory)!r})",
        store=open_store(settings.store, secret.read) if settings.store is not None else None,
    )


async def seal(sealer: Sealer) -> None:
    """Seal what is journalled, at least every second, for as long as the process lives."""
    trouble = Trouble(
        log=log, level=logging.ERROR, bad="the record is not sealed", good="the record is sealed again", reminds=True
    )
    while True:
        began = time.monotonic()
        try:
            await sealer.round()
        except JournalUnavailable:
            pass  # `duties.beat` says so
        except Exception as error:
            log.exception("sealing failed in an unknown way; it is tried again")
            sealer.doubt(
                f"Sealing failed in an unknown way ({type(error).__name__}); the log of the steward says more."
            )
        trouble.lasts(sealer.problem) if sealer.problem else trouble.is_over()
        rest = ROUND_SECONDS - (time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS if sealer.problem else 0.0 if sealer.behind else max(rest, 0.0))
