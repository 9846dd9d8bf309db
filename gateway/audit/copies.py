"""What is kept of a call beside the log, decrypted for whoever has the payload keys, and held against its digest in
the log. It is shown only to somebody who names the keys: copies are what the facts leave out.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.payload_store import LedgerFolder, PayloadStore
from gateway.core.facts import Fact, Recorded
from gateway.core.kept import kept_as
from gateway.core.legible import legible
from gateway.core.one_line import visible
from gateway.core.payload import unpack_answer
from gateway.core.story import Erasure, erasure_of
from gateway.ledger.store import StoreUnavailable
from gateway.payload_keys import PayloadKeysMistake, read_keys
from gateway.payload_ports import KeyMissing, Unreadable

LONGEST = 4000
"""Characters of a copy that are shown; of a longer one its size and digest are."""
ABSENT = "it is not here: its time is over, it was removed from these files, or it is in the store that the hosts share"


class CannotDecrypt(Exception):
    """The keys cannot be read. The message is a sentence."""


class Shown(NamedTuple):
    """One copy."""

    part: str
    text: str
    """What is kept; empty if it cannot be shown."""
    why: str
    """Why it cannot be shown."""
    wrong: bool = False
    """It is not what the log has the digest of."""


def copies(
    ledger: Path, call: str, facts: Sequence[Fact], keys: Path, erasures: Sequence[Erasure] = ()
) -> Iterator[Shown]:
    """Of every fact that speaks of a copy, the copy. Raises CannotDecrypt."""
    try:
        cipher = PayloadCipher(read_keys("", keys))
    except PayloadKeysMistake as error:
        raise CannotDecrypt(str(error)) from error
    store = PayloadStore(LedgerFolder(ledger))
    for fact in facts:
        if isinstance(fact, Recorded):
            found = _shown(store, cipher, call, fact)
            erasure = erasure_of(fact, erasures)
            yield found._replace(why=f"it was {erasure}") if found.why == ABSENT and erasure else found


def _shown(store: PayloadStore, cipher: PayloadCipher, call: str, fact: Recorded) -> Shown:
    if fact.how == "digest":
        return Shown(fact.part, "", fact.why)
    try:
        kept = store.read(kept_as(call, fact), cipher)
    except (StoreUnavailable, KeyMissing) as error:
        return Shown(fact.part, "", visible(str(error)))
    except Unreadable as error:
        return Shown(fact.part, "", visible(str(error)), wrong=True)
    if kept is None:
        return Shown(fact.part, "", ABSENT)
    if hashlib.sha256(kept).hexdigest() != fact.digest or len(kept) < fact.size:
        return Shown(fact.part, "", "it is not what the log has the digest of", wrong=True)
    return Shown(fact.part, _text(fact, kept[len(kept) - fact.size :]), "")


def _text(fact: Recorded, data: bytes) -> str:
    """What a person can read of it, on one line that no terminal obeys."""
    status = ""
    if fact.part == "output" and fact.how == "full":
        answer = unpack_answer(data)
        status, data = f"status {answer.status}, ", answer.body
    shown, left_out = legible(data.decode("utf-8", "backslashreplace"), LONGEST)
    return f"{status}{shown}" + (f" ({left_out})" if left_out else "")
