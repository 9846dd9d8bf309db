"""Copies that are kept for the record, beside the sealed log: one encrypted file each, below the day on which it goes.

    payloads/2027-12-31/07/<call>.input.<milliseconds>

The day comes first, so that keeping to a time means removing old days and never looking into a file. A file is what the
journal had, as it was sealed there: whoever has no key reads nothing, and nothing of a copy can stand in the place of
another. With a store that hosts share, copies are there and nowhere else, so that what is erased is erased everywhere.
It must never return from `put` before the file is durable.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gateway import durable
from gateway.core.kept import FOLDER, Kept, day_of
from gateway.ledger.store import Store, StoreUnavailable
from gateway.payload_ports import Cipher

MODE, FOLDER_MODE = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class PayloadStore:
    """Blocking. Everything may be repeated. Raises StoreUnavailable."""

    home: Store

    def put(self, copy: Kept) -> None:
        self.home.put(copy.path, copy.sealed)

    def read(self, copy: Kept, cipher: Cipher) -> bytes | None:
        """Salt and copy; None if it is not there (any more). Raises Unreadable."""
        sealed = self.home.get(copy.path)
        return None if sealed is None else cipher.open(copy.call, copy.field, sealed)

    def forget(self, copy: Kept) -> None:
        self.home.delete(copy.path)

    def of(self, calls: Iterable[str]) -> Iterator[str]:
        """Paths of all copies of these calls."""
        wanted = set(calls)
        return (path for path in self.home.list(FOLDER) if path.rpartition("/")[2].partition(".")[0] in wanted)

    def erase(self, calls: Iterable[str]) -> int:
        """Destroy all copies of these calls; how many there were."""
        paths = list(self.of(calls))
        for path in paths:
            self.home.delete(path)
        return len(paths)

    def retire(self, now: int) -> list[str]:
        """Destroy what has been kept for its time; the days that were removed."""
        today = day_of(now)
        gone = [day for day in self._days() if day < today]
        for day in gone:
            for path in list(self.home.list(f"{FOLDER}/{day}")):
                self.home.delete(path)
        return gone

    def _days(self) -> list[str]:
        """On which something goes. In a directory nothing but their names is looked at."""
        if isinstance(self.home, LedgerFolder):
            names = self.home.names(FOLDER)
        else:
            names = {path.split("/")[1] for path in self.home.list(FOLDER)}
        return sorted(filter(_is_day, names))


def _is_day(name: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(name).isoformat() == name
    return False


@dataclass(frozen=True, slots=True)
class LedgerFolder:
    """The ledger's own directory as a `Store`; days that become empty are removed. Readable by the gateway alone."""

    root: Path

    def put(self, path: str, data: bytes) -> None:
        target = self.root / path
        draft = target.with_name(f".{secrets.token_hex(8)}")
        try:
            self._make(target.parent)
            durable.write(draft, data, MODE)
            draft.replace(target)
            durable.settle(target.parent)
        except OSError as error:
            raise _failed("written", target, error) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def get(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed("read", self.root / path, error) from error

    def names(self, folder: str) -> set[str]:
        """What is directly in it."""
        try:
            return {entry.name for entry in (self.root / folder).iterdir()}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise _failed("listed", self.root / folder, error) from error

    def list(self, prefix: str) -> Iterable[str]:
        try:
            found = sorted(path for path in (self.root / prefix).rglob("*") if path.is_file())
        except OSError as error:
            raise _failed("listed", self.root / prefix, error) from error
        return [str(path.relative_to(self.root)) for path in found if not path.name.startswith(".")]

    def delete(self, path: str) -> None:
        target = self.root / path
        try:
            target.unlink(missing_ok=True)
            for folder in (target.parent, target.parent.parent):
                with suppress(OSError):
                    folder.rmdir()  # only if nothing else is in it
                    durable.settle(folder.parent)
        except OSError as error:
            raise _failed("destroyed", target, error) from error

    def _make(self, folder: Path) -> None:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            with suppress(FileExistsError):
                each.mkdir(mode=FOLDER_MODE)
            durable.settle(each.parent)


def _failed(what: str, path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"{str(path)!r} cannot be {what} ({(error.strerror or str(error)).lower()})")
