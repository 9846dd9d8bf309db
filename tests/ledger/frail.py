"""What sealing relies on, made to fail: a disk that loses what was not synced, a Redis and a store that lose replies.

`Fate` counts every act of any of them. The n-th one fails, before or after its effect, and from then on everything
does, as for a process that died; or it fails alone, as when a disk is full for a moment.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.leaf import entry_order
from gateway.core.sealed import read_sealed
from gateway.ledger.seals import Change
from gateway.ledger.store import StoreUnavailable
from gateway.ledger.writing import Disk


class Died(BaseException):
    """The process is gone. Nothing may catch this."""


@dataclass
class Fate:
    at: int = -1
    """Number of the act that fails; -1: none."""
    effect: bool = False
    """Whether it happens all the same."""
    deadly: bool = True
    name: str = ""
    """The first act of that name instead."""
    meanwhile: Callable[[], None] | None = None
    """What others do while the process stands still before that act, which then does not fail."""
    acts: list[str] = field(default_factory=list)
    died: bool = False

    def meet(self, name: str, error: Exception, act: Callable[[], Any]) -> Any:
        if self.died:
            raise Died(name)
        self.acts.append(name)
        if self.name == name and self.at < 0:
            self.at = len(self.acts) - 1
        if len(self.acts) - 1 != self.at:
            return act()
        if self.meanwhile is not None:
            self.meanwhile()
            return act()
        if self.effect:
            act()
        self.died = self.deadly
        raise Died(name) if self.deadly else error


@dataclass
class FrailDisk(Disk):
    """Files in a real directory; `lose_power` leaves there only what was synced, in a name that was synced."""

    root: Path
    fate: Fate
    durable: dict[Path, dict[str, bytes | None]] = field(default_factory=dict)
    """By folder, what is in it: bytes, or None for a folder."""
    contents: dict[Path, bytes] = field(default_factory=dict)
    """Of files that have been synced, by the name that they have now."""

    def _act(self, name: str, act: Callable[[], None]) -> None:
        self.fate.meet(name, OSError(28, "No space left on device"), act)

    def write(self, path: str, data: bytes) -> None:
        def act() -> None:
            Path(path).write_bytes(data)  # it loses what it shall by itself, so the real disk need not turn
            self.contents[Path(path)] = data

        self._act(f"write {_kind(path)}", act)

    def rename(self, old: str, new: str) -> None:
        def act() -> None:
            super(FrailDisk, self).rename(old, new)
            self.contents[Path(new)] = self.contents.pop(Path(old))

        self._act(f"rename {_kind(new)}", act)

    def make(self, folder: str) -> None:
        self._act("make", lambda: super(FrailDisk, self).make(folder))

    def sync(self, folder: str) -> None:
        def act() -> None:
            there = Path(folder).iterdir()
            self.durable[Path(folder)] = {path.name: None if path.is_dir() else self.contents[path] for path in there}

        self._act(f"sync {_kind(folder)}", act)

    def remove(self, path: str) -> None:
        self._act("remove", lambda: super(FrailDisk, self).remove(path))

    def remove_folder(self, folder: str) -> None:
        self._act("remove folder", lambda: super(FrailDisk, self).remove_folder(folder))

    def lose_power(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.contents.clear()
        self._restore(self.root)

    def _restore(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, data in self.durable.get(folder, {}).items():
            if data is None:
                self._restore(folder / name)
            else:
                (folder / name).write_bytes(data)
                self.contents[folder / name] = data


def _kind(path: str) -> str:
    parts = Path(path).parts
    names = [part for part in parts if part in ("entries", "long", "drafts", "checkpoint")]
    return names[-1] if names else "tile" if "tile" in parts else "folder"


@dataclass
class FrailStore:
    fate: Fate
    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, path: str, data: bytes) -> None:
        self._act("put", lambda: self.files.update({path: data}))

    def get(self, path: str) -> bytes | None:
        found: bytes | None = self._act("get", lambda: self.files.get(path))
        return found

    def list(self, prefix: str) -> list[str]:
        found: list[str] = self._act("list", lambda: [path for path in self.files if path.startswith(f"{prefix}/")])
        return found

    def delete(self, path: str) -> None:
        self._act("delete", lambda: self.files.pop(path, None))

    def _act(self, name: str, act: Callable[[], Any]) -> Any:
        return self.fate.meet(name, StoreUnavailable("it is away"), act)


def _entry(seam: str) -> tuple[int, int]:
    return entry_order(seam.partition(" ")[0])


class Away(Exception):
    """As JournalUnavailable."""


@dataclass
class Redis:
    """The data, which outlives every process."""

    streams: dict[str, list[tuple[bytes, dict[bytes, bytes]]]] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    sealed: dict[str, bytes] = field(default_factory=dict)
    seams: dict[str, list[str]] = field(default_factory=dict)
    holder: str = ""
    until: float = 0.0
    number: int = 0
    said: str = ""
    acknowledged_at: int = 0
    loss: tuple[str, int] = ("", 0)
    abandoned: set[str] = field(default_factory=set)

    def add(self, partition: str, entry: bytes, fields: dict[bytes, bytes]) -> None:
        self.streams.setdefault(partition, []).append((entry, fields))
        self.ends[partition] = entry.decode()


@dataclass
class FrailSeals:
    """As `adapters.redis.seals`, with which `tests.contracts.test_seals` compares it."""

    redis: Redis
    fate: Fate
    clock: Callable[[], float]

    def _act(self, name: str, act: Callable[[], Any]) -> Any:
        return self.fate.meet(name, Away(name), act)

    async def states(self, partitions: tuple[str, ...]) -> dict[str, tuple[bytes, str]]:
        it = self.redis
        return {name: (it.sealed.get(name, b""), it.ends.get(name, "0-0")) for name in partitions}

    async def seal(self, changes: dict[str, Change], lease: int) -> set[str]:
        def act() -> set[str]:
            refused = set()
            for name, (before, after, stream, seam) in changes.items():
                now = self.redis.sealed.get(name, b"")
                if now != after:
                    if now != before or (now and read_sealed(now).lease > lease):
                        refused.add(name)
                        continue
                    self.redis.sealed[name] = after
                if stream and entry_order(stream) > entry_order(self.redis.ends.get(name, "0-0")):
                    self.redis.ends[name] = stream
                if seam:
                    kept = [it for it in self.redis.seams.get(name, ()) if _entry(it) < _entry(seam)]
                    self.redis.seams[name] = [*kept, seam]
            return refused

        return self._act("seal", act) if changes else set()

    async def waiting(self, after: dict[str, str], most: int) -> tuple[dict[str, list[Any]], bool]:
        found, everything = {}, True
        for name, place in after.items():
            later = [it for it in self.redis.streams.get(name, ()) if entry_order(it[0].decode()) > entry_order(place)]
            everything &= len(later) <= most
            if later:
                found[name] = later[:most]
        return found, everything

    async def free(self, holder: str) -> bool:
        it = self.redis
        return it.holder.split(" ")[0] == holder.split(" ", maxsplit=1)[0] or it.until <= self.clock()

    async def take(self, holder: str, milliseconds: int, above: int) -> int:
        def act() -> int:
            it = self.redis
            if it.holder.split(" ")[0] != holder.split(" ", maxsplit=1)[0] and it.until > self.clock():
                return 0
            if it.holder != holder or it.number < above:
                it.number = max(it.number, above) + 1
            it.holder, it.until = holder, self.clock() + milliseconds / 1000
            return it.number

        number: int = self._act("take", act)
        return number

    async def release(self, holder: str) -> None:
        if self.redis.holder == holder:
            self.redis.until = 0.0

    async def sealer(self) -> str:
        return self.redis.said

    async def say_sealer(self, who: str) -> None:
        self.redis.said = who

    async def acknowledged(self) -> int:
        return self.redis.acknowledged_at

    async def abandoned(self) -> set[str]:
        return {*self.redis.abandoned}

    async def abandon(self, texts: list[str]) -> None:
        self._act("abandon", lambda: self.redis.abandoned.update(texts))

    async def report_loss(self, sentence: str, written: int) -> None:
        self.redis.loss = sentence, written
