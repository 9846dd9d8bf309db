"""A second place for every file of the sealed log, which hosts share: a directory of a network, or any S3 API.

Paths are those below the ledger's directory: `07/tile/0/000.p/17`, `07/checkpoint`. What is there is never trusted:
whoever takes over a log from here verifies it against a root that Redis or a signature vouches for.
"""

from collections.abc import Iterable
from typing import Protocol


class StoreUnavailable(Exception):
    """The store did not do it, or whether it did is unknown; the message is a clause that says why."""


class Store(Protocol):
    """Blocking, and called from several threads at once. Everything may be repeated. All raise StoreUnavailable."""

    def put(self, path: str, data: bytes) -> None:
        """Create or replace. Durable, and seen by every host, when it returns; nobody ever sees half of it."""
        ...

    def get(self, path: str) -> bytes | None:
        """None if there is no such file."""
        ...

    def list(self, prefix: str) -> Iterable[str]:
        """The paths of all files below the folder `prefix`, in no order."""
        ...

    def delete(self, path: str) -> None:
        """Nothing happens if there is no such file."""
        ...
