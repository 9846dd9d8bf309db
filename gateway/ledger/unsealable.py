"""What can be wrong with the sealed log, as sentences for whoever has to repair it."""

from pathlib import Path

from gateway.ledger.store import StoreUnavailable


class Unsealable(Exception):
    """The record cannot be kept as it must be. The message is sentences, the last of which says what to do."""

    def __init__(self, sentence: str, *, hard: bool = True) -> None:
        super().__init__(sentence)
        self.hard = hard
        """Effects stop at once. Otherwise something is away that may come back by itself."""


class NotHere(Unsealable):
    """A log that was sealed is neither in the directory nor in a store."""

    def __init__(self, sentence: str, *, partition: str, size: int, root: bytes) -> None:
        super().__init__(sentence, hard=False)
        self.partition = partition
        self.size = size
        self.root = root


class Lost(Unsealable):
    """Redis has less than was sealed, or signed."""

    def __init__(self, sentence: str, written: int) -> None:
        super().__init__(sentence)
        self.written = written
        """When the last entry that is missing was written, milliseconds since the epoch."""


def forgotten(what: str, written: int) -> Lost:
    """By Redis alone."""
    return Lost(
        f"{what}: it was restored from an older state, replaced, or failed over to a replica that lacked it. "
        "Effects are stopped. If the loss is known, POST /journal/acknowledge-loss as an operator",
        written,
    )


def rewound(partition: str, size: int, anchor: Path, anchored: int, written: int) -> Lost:
    """By Redis and by the log."""
    return Lost(
        f"the anchor {str(anchor)!r} was given a checkpoint of {anchored} facts of partition {partition}, and the "
        f"sealed log, which has {size}, does not go on from it: log and journal were restored from an older state. "
        "Effects are stopped, and nothing is sealed. If there is a newer copy of the ledger's directory anywhere, stop "
        "the gateway and put that in place: it has what is missing. If there is none, POST /journal/acknowledge-loss "
        "as an operator once the loss is known; that checkpoint will never fit the log again",
        written,
    )


def unwritable(directory: Path, error: OSError) -> Unsealable:
    why = (error.strerror or str(error)).lower()
    return Unsealable(f"The sealed log cannot be kept in {str(directory)!r} ({why}): make room or make it writable.")


def unavailable(error: StoreUnavailable) -> Unsealable:
    return Unsealable(
        f"The ledger's store is unavailable: {error}. Nothing is sealed until it is back, or ledger.store is removed.",
        hard=False,
    )
