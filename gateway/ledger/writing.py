"""Files of the log that are whole and durable, or not there: drafts, fsync, rename, fsync of the directory.

Everything is written as a draft in one directory beside the logs and renamed to its place, so a reader sees a file of
the log as it will be for ever, or none, whenever and wherever this process dies. What a crash leaves are drafts, and
files of a longer tree than was sealed: both harm nobody, and the next holder of the lease sweeps the former away.

It must never write into a file that has its name already, and never say that it is done before the disk said so.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from gateway.durable import settle
from gateway.ledger.tiles import WIDTH

T = TypeVar("T")

DRAFTS = "drafts"
MODE, FOLDER_MODE = 0o640, 0o750
"""Readable by the group too, so that an auditor need be neither root nor the gateway. The data directory is 0700."""
AT_ONCE = 16
"""Files whose fsync is awaited at the same time: the disk then needs few turns for all of them."""
WORTH_A_THREAD = 8
"""Files, or folders. A thread costs as much as writing one, and all that wake up at once each want a turn of the
processor before a worker, which waits, has its next one."""


class Disk:
    """The acts of which durable writing consists. A test may let each of them fail before or after its effect."""

    def write(self, path: Path, data: bytes) -> None:
        """Create the file with these bytes, on the disk when this returns."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, old: Path, new: Path) -> None:
        """Atomically; on the disk only after `sync` of the folder."""
        old.rename(new)

    def make(self, folder: Path) -> None:
        """One folder, if it is not there; on the disk only after `sync` of the one that holds it."""
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def sync(self, folder: Path) -> None:
        """What was made, renamed and removed in the folder is on the disk when this returns."""
        settle(folder)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_folder(self, folder: Path) -> None:
        """Only if it is empty."""
        folder.rmdir()


class Swept(Exception):
    """Somebody removed our drafts, who therefore has the lease now."""


@dataclass(slots=True)
class LedgerDirectory:
    """The directory of all logs, for the one process that writes. Not for two threads at once."""

    path: Path
    holder: str
    """What tells our drafts from those of any other process."""
    disk: Disk = field(default_factory=Disk)
    at_once: int = AT_ONCE
    _made: set[Path] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.at_once, "ledger")

    def put(self, files: Mapping[str, bytes], allowed: Callable[[], None] = lambda: None) -> None:
        """All of these are durable when this returns; if it raises, any of them may be. Raises OSError or Swept.

        `allowed` is asked between drafts and names; what it raises leaves everything as it was.
        """
        if not files:
            return
        folders = {(self.path / name).parent for name in files}
        made = self._make(folders | {self.path / DRAFTS})
        drafts = {name: self.path / DRAFTS / f"{self.holder}-{next(self._numbers)}" for name in files}
        self._each(lambda name: self.disk.write(drafts[name], files[name]), files, WORTH_A_THREAD)
        try:
            allowed()
        except Exception:
            for draft in drafts.values():
                self.disk.remove(draft)
            raise
        try:
            for name, draft in drafts.items():
                self.disk.rename(draft, self.path / name)
        except FileNotFoundError as error:
            raise Swept from error
        self._each(self._sync, folders | {folder.parent for folder in made}, WORTH_A_THREAD)
        self._made |= made

    def tidy(self, names: Collection[str], kept: Collection[str]) -> None:
        """Remove partial tiles and bundles that longer ones have superseded, and whatever was left beside them.

        `names` are paths such as `07/tile/0/001.p/17`, `kept` those that still count. Only space is at stake, so
        what cannot be removed stays.
        """
        widths = {(self.path / name).parent: int((self.path / name).name) for name in kept}
        for folder in {(self.path / name).parent for name in names}:
            width = widths.get(folder, WIDTH)
            with suppress(OSError):
                for found in list(folder.iterdir()):
                    # Never a wider one: if we were frozen, somebody else's log may rest on it by now.
                    if found.name.isdecimal() and int(found.name) < width:
                        self.disk.remove(found)
                if width == WIDTH:
                    self._made.discard(folder)
                    self.disk.remove_folder(folder)

    def sweep(self) -> None:
        """Remove all drafts, also those of a process that is stopped in the middle: then it cannot go on. OSError."""
        folder = self.path / DRAFTS
        for draft in list(folder.iterdir()) if folder.is_dir() else ():
            self.disk.remove(draft)

    def doubt(self) -> None:
        """Something failed: look anew which folders there are."""
        self._made.clear()

    def in_parallel(self, act: Callable[[str], T], names: Iterable[str]) -> list[T]:
        """For what waits elsewhere, such as for a store. What `act` returned, in order; raises what it raised."""
        return self._each(act, names)

    def _sync(self, folder: Path) -> None:
        try:
            self.disk.sync(folder)
        except PermissionError:
            if folder != self.path.parent:  # that need not be readable, and the start made the directory in it long ago
                raise

    def _make(self, folders: Iterable[Path]) -> set[Path]:
        """Make folders and what they are in; which are durable only when those that hold them are synced."""
        wanted = {folder for folder in folders if folder not in self._made}
        wanted |= {part for folder in wanted for part in folder.parents if part.is_relative_to(self.path)}
        made = wanted - self._made
        for folder in sorted(made):  # the outer ones first
            self.disk.make(folder)
        return made

    def _each(self, act: Callable[[Any], T], items: Iterable[Any], least: int = 1) -> list[T]:
        """Do it to all of them, some at a time; when this returns or raises, nothing is under way any more.

        Each thread gets at least so many, if there are, and where one is enough it is this one.
        """
        listed = list(items)
        portion = max(-(-len(listed) // self.at_once), least)
        if len(listed) <= portion:
            return [act(item) for item in listed]
        under_way = [
            self._pool.submit(lambda some: [act(item) for item in some], listed[start : start + portion])
            for start in range(0, len(listed), portion)
        ]
        wait(under_way)
        return [result for each in under_way for result in each.result()]
