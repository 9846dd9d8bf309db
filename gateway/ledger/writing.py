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
    """The acts of which durable writing consists. A test may let each of them fail before or after its effect.

    Paths are strings: a round has a thousand of them, and making a `Path` costs as much as an act.
    """

    def write(self, path: str, data: bytes) -> None:
        """Create the file with these bytes, on the disk when this returns."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> None:
        """Atomically; on the disk only after `sync` of the folder."""
        os.rename(old, new)

    def make(self, folder: str) -> None:
        """One folder, if it is not there; on the disk only after `sync` of the one that holds it."""
        Path(folder).mkdir(mode=FOLDER_MODE, exist_ok=True)

    def sync(self, folder: str) -> None:
        """What was made, renamed and removed in the folder is on the disk when this returns."""
        settle(Path(folder))

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(path)

    def remove_folder(self, folder: str) -> None:
        """Only if it is empty."""
        os.rmdir(folder)


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
    _root: str = field(init=False)
    _made: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._root = str(self.path.absolute())  # so that it has a parent by name
        self._pool = ThreadPoolExecutor(self.at_once, "ledger")

    def put(self, files: Mapping[str, bytes], allowed: Callable[[], None] = lambda: None) -> None:
        """All of these are durable when this returns; if it raises, any of them may be. Raises OSError or Swept.

        `allowed` is asked between drafts and names; what it raises leaves everything as it was.
        """
        if not files:
            return
        places = {name: f"{self._root}/{name}" for name in files}
        folders = {*map(_parent, places.values())}
        made = self._make({*folders, f"{self._root}/{DRAFTS}"})
        drafts = {name: f"{self._root}/{DRAFTS}/{self.holder}-{next(self._numbers)}" for name in files}
        self._each(lambda name: self.disk.write(drafts[name], files[name]), files, WORTH_A_THREAD)
        try:
            allowed()
        except Exception:
            for draft in drafts.values():
                self.disk.remove(draft)
            raise
        try:
            for name, draft in drafts.items():
                self.disk.rename(draft, places[name])
        except FileNotFoundError as error:
            raise Swept from error
        self._each(self._sync, folders | {*map(_parent, made)}, WORTH_A_THREAD)
        self._made |= made

    def tidy(self, names: Collection[str], kept: Collection[str]) -> None:
        """Remove partial tiles and bundles that longer ones have superseded, and whatever was left beside them.

        `names` are paths such as `07/tile/0/001.p/17`, `kept` those that still count. Only space is at stake, so
        what cannot be removed stays.
        """
        widths = {_parent(name): int(name.rpartition("/")[2]) for name in kept}
        for part in {*map(_parent, names)}:
            width, folder = widths.get(part, WIDTH), f"{self._root}/{part}"
            with suppress(OSError):
                for found in os.listdir(folder):
                    # Never a wider one: if we were frozen, somebody else's log may rest on it by now.
                    if found.isdecimal() and int(found) < width:
                        self.disk.remove(f"{folder}/{found}")
                if width == WIDTH:
                    self._made.discard(folder)
                    self.disk.remove_folder(folder)

    def sweep(self) -> None:
        """Remove all drafts, also those of a process that is stopped in the middle: then it cannot go on. OSError."""
        folder = self.path / DRAFTS
        for draft in list(folder.iterdir()) if folder.is_dir() else ():
            self.disk.remove(str(draft))

    def doubt(self) -> None:
        """Something failed: look anew which folders there are."""
        self._made.clear()

    def in_parallel(self, act: Callable[[str], T], names: Iterable[str]) -> list[T]:
        """For what waits elsewhere, such as for a store. What `act` returned, in order; raises what it raised."""
        return self._each(act, names)

    def _sync(self, folder: str) -> None:
        try:
            self.disk.sync(folder)
        except PermissionError:
            # That need not be readable, and the start made the directory in it long ago.
            if folder != _parent(self._root):
                raise

    def _make(self, folders: Iterable[str]) -> set[str]:
        """Make folders and what they are in; which are durable only when those that hold them are synced."""
        made = set[str]()
        for wanted in folders:
            folder = wanted
            while folder not in self._made and folder not in made:
                made.add(folder)
                if folder == self._root:
                    break
                folder = _parent(folder)
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


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"
