"""What seals, made of its parts. `gateway.keeping` lets it work, again and again, whatever goes wrong in between.

The routes say where the ledger is when the steward starts; another place needs a restart, as other ports do.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.seals import RedisSeals
from gateway.adapters.store import ReadSecret, open_store
from gateway.core.ledger_settings import LedgerSettings
from gateway.ledger.anchored import AnchorFiles, nowhere
from gateway.ledger.place import Place, Unusable
from gateway.ledger.sealing import Sealer
from gateway.ledger.writing import LedgerDirectory
from gateway.ports import SecretMissing


def sealer_of(
    settings: LedgerSettings, data: Path, journal: RedisJournal, read: ReadSecret, ca_file: Path | None = None,
    anchors: Callable[[], Sequence[Path]] = nowhere,
) -> Sealer:  # fmt: skip
    """Raises Unusable if key and directory are not as they must be. Blocks. `ca_file`: more authorities, PEM.
    `anchors`: the files to which checkpoints are appended today."""
    place = Place.of(settings, data)
    try:
        signer = place.look(read(settings.key) if settings.key is not None else "")
        found = place.directory.stat()
    except SecretMissing as error:
        raise Unusable(f"The ledger's signing key is missing: {error}.") from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unusable(
            f"The ledger cannot be kept in {str(place.directory)!r} ({why}): put it back, or start the gateway anew."
        ) from error
    chance, host = secrets.token_hex(8), os.uname().nodename
    return Sealer(
        RedisSeals(journal),
        LedgerDirectory(place.directory, chance),
        signer,
        holder=f"{host}:{found.st_dev}:{found.st_ino} {chance}",
        who=f"{host} (in {str(place.directory)!r})",
        store=open_store(settings.store, read, ca_file) if settings.store is not None else None,
        anchors=AnchorFiles(anchors),
    )
