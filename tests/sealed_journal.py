"""Whether the sealed logs hold exactly what the journal's streams do, seen from outside: files against Redis."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.seals import RedisSeals
from gateway.core.deployment import LOGS
from gateway.core.leaf import leaves_of, short
from gateway.ledger.files import LogFiles
from gateway.ledger.merkle import Tree, leaf_hash
from gateway.ledger.note import Verifier, open_checkpoint, read_signer
from tests.processes import PATIENCE_SECONDS


def verifier_of(data: Path) -> Verifier:
    return read_signer((data / "ledger.key").read_text()).verifier


async def streams(journal: RedisJournal) -> dict[str, list[bytes]]:
    """By partition the leaves that its stream stands for, in order."""
    found, seals, places = dict[str, list[bytes]](), RedisSeals(journal), dict.fromkeys(LOGS, "0-0")
    everything = False
    while not everything:
        some, everything = await seals.waiting(places, 5000)
        for name, entries in some.items():
            places[name] = entries[-1][0].decode()
            found.setdefault(name, []).extend(leaf for entry in entries for leaf in leaves_of(*entry))
    return found


async def all_sealed(url: str, ledger: Path, verifier: Verifier) -> int:
    """Wait until the logs have caught up, and hold them against the streams; how many facts those have.

    What is still being journalled, a delivery or the word of a steward that has just started, is waited for too.
    """
    journal, deadline = RedisJournal.open(url), time.monotonic() + PATIENCE_SECONDS
    try:
        while _sizes(ledger, wanted := await streams(journal)) != dict(_counts(wanted)):
            assert time.monotonic() < deadline, f"sealed: {_sizes(ledger, wanted)}, journalled: {dict(_counts(wanted))}"
            await asyncio.sleep(0.05)
    finally:
        await journal.close()
    for name, leaves in wanted.items():
        log = LogFiles.open(ledger, name)
        stands = [short(leaf) for leaf in leaves]
        assert list(log.leaves()) == stands, f"partition {name} of the log is not what its stream is"
        note = log.note()
        assert note is not None
        checkpoint = open_checkpoint(note, verifier.of(name))
        root = Tree().append(map(leaf_hash, stands)).root
        assert (checkpoint.size, checkpoint.root, log.tree().root) == (len(leaves), root, root)
    return sum(map(len, wanted.values()))


def _sizes(ledger: Path, names: dict[str, list[bytes]]) -> dict[str, int]:
    return {name: LogFiles.open(ledger, name).size for name in names}


def _counts(wanted: dict[str, list[bytes]]) -> Iterator[tuple[str, int]]:
    for name, leaves in wanted.items():
        yield name, len(leaves)
