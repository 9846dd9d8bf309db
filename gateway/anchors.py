"""The duty of anchoring: every changed checkpoint goes to those whom routes.yaml names, so that nobody can write the
log anew without their noticing.

It reads the checkpoints from the directory and never is in the way of sealing. To a file nothing is appended before
whoever seals has held against the log what is in it (`ledger.anchored`). An anchor that refuses gets the newest
checkpoints again and again until it takes them. That it lags is said in the log, and in `lag`; it stops nothing: the
log itself is whole.
"""

import asyncio
import errno
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.adapters.channels import Post
from gateway.adapters.store import ReadSecret
from gateway.core.anchoring import changed, message
from gateway.core.ledger_settings import Anchor, AnchorFile, AnchorWebhook
from gateway.generations import Generations
from gateway.ledger.files import Damaged, read_file
from gateway.ledger.note import LONGEST_NOTE, BadNote, read_checkpoint
from gateway.ledger.place import Place
from gateway.ledger.tiles import CHECKPOINT
from gateway.ports import SecretMissing
from gateway.trouble import Trouble

LOOK_SECONDS = 1.0
LONGEST_PAUSE = 300.0
"""Seconds between two attempts at an anchor that refuses, at most."""

log = logging.getLogger("gateway.anchors")


class NotTaken(Exception):
    """An anchor did not take the checkpoints, or whether it did is unknown; the message is a clause."""


@dataclass(slots=True)
class Standing:
    """How far one anchor is."""

    delivered: dict[str, bytes] = field(default_factory=dict)
    due: float = 0.0
    """When it may be given the next ones, by our clock."""
    failures: int = 0
    waits_since: float | None = None
    """Since when it lacks checkpoints that it could not be given."""
    trouble: Trouble = field(
        default_factory=lambda: Trouble(
            log=log, level=logging.WARNING, bad="an anchor of the ledger lags", good="the anchor has every checkpoint",
            reminds=True,
        )
    )  # fmt: skip


@dataclass(slots=True)
class Anchors:
    directory: Path
    """Of the ledger."""
    wanted: Callable[[], Sequence[Anchor]]
    """Those of today's routes."""
    read: ReadSecret
    post: Post
    seals: Callable[[], bool]
    """Whether this steward is the one that seals; another one anchors what it seals."""
    knows: Callable[[Path], bool | None]
    """Whether what a file has was held against the log, so that more may be appended; None: it was not tried yet."""
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    _known: dict[str, Standing] = field(default_factory=dict)

    @property
    def lag(self) -> float:
        """For how many seconds the anchor that lacks checkpoints longest lacks them; 0: none does."""
        waiting = [standing.waits_since for standing in self._known.values() if standing.waits_since is not None]
        return self.clock() - min(waiting) if waiting else 0.0

    async def run(self) -> None:
        while True:
            try:
                await self.round()
            except Exception:
                log.exception("anchoring failed in an unknown way; it is tried again")
            await asyncio.sleep(LOOK_SECONDS)

    async def round(self) -> None:
        """Give every anchor that is due what it lacks. One that stalls keeps no other one waiting."""
        anchors = {_name(anchor): anchor for anchor in self.wanted()} if self.seals() else {}
        self._known = {name: self._known.get(name) or Standing() for name in anchors}
        due = [name for name in anchors if self._known[name].due <= self.clock()]
        if due:
            notes = await asyncio.to_thread(self._notes)
            await asyncio.gather(*(self._give(anchors[name], self._known[name], notes) for name in due))

    def _notes(self) -> dict[str, bytes]:
        """The checkpoints as they are now; a damaged one is for whoever seals to say."""
        found = {}
        for place in sorted(self.directory.glob(f"[0-9][0-9]/{CHECKPOINT}")):
            try:
                note = read_file(place, LONGEST_NOTE)
                read_checkpoint(note)
            except (Damaged, BadNote, FileNotFoundError):
                continue
            found[place.parent.name] = note
        return found

    async def _give(self, anchor: Anchor, standing: Standing, notes: dict[str, bytes]) -> None:
        new = changed(notes, standing.delivered)
        if not new or (isinstance(anchor, AnchorFile) and self.knows(Path(anchor.path)) is None):
            return
        try:
            await (self._append(anchor, new) if isinstance(anchor, AnchorFile) else self._post(anchor, new))
        except NotTaken as error:
            standing.failures += 1
            standing.due = self.clock() + min(2.0**standing.failures, LONGEST_PAUSE)
            standing.waits_since = self.clock() if standing.waits_since is None else standing.waits_since
            standing.trouble.lasts(str(error))
            return
        standing.delivered |= new
        standing.failures, standing.waits_since = 0, None
        standing.due = self.clock() + anchor.every_seconds
        standing.trouble.is_over()

    def _append(self, anchor: AnchorFile, notes: dict[str, bytes]) -> Awaitable[None]:
        if not self.knows(Path(anchor.path)):
            raise NotTaken(f"{anchor.path!r} cannot be read, and what it has must be known before it gets more")
        return asyncio.to_thread(append, Path(anchor.path), b"".join(note + b"\n" for note in notes.values()))

    async def _post(self, anchor: AnchorWebhook, notes: dict[str, bytes]) -> None:
        origin = read_checkpoint(next(iter(notes.values()))).origin.rpartition("/")[0]
        now = self.now()
        body = message(notes, origin, round(now * 1000))
        try:
            secret = self.read(anchor.secret)
        except SecretMissing as error:
            raise NotTaken(f"the secret of the webhook is missing: {error}") from error
        name = f"anchor_{hashlib.sha256(b''.join(notes.values())).hexdigest()[:32]}"  # the same over all attempts
        done = await self.post(anchor.url, secret, name, body, int(now))
        if not done.done:
            raise NotTaken(f"the webhook did not take the checkpoints: {done.error}")


def append(path: Path, notes: bytes) -> None:
    """Durably, and all of it or nothing. Raises NotTaken.

    What a power cut left of an earlier note is ended first, so that it spoils no other.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                notes = b"\n\n" + notes
            if os.write(descriptor, notes) < len(notes):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise NotTaken(f"checkpoints cannot be appended to {str(path)!r} ({why})") from error


def anchoring(
    generations: Generations, data: Path, seals: Callable[[], bool], knows: Callable[[Path], bool | None],
    read: ReadSecret, post: Post,
) -> Anchors:  # fmt: skip
    """The duty, of a steward whose data directory is `data`."""
    directory = Place.of(generations.current.routes.ledger, data).directory
    return Anchors(directory, lambda: generations.current.routes.ledger.anchors, read, post, seals, knows)


def _name(anchor: Anchor) -> str:
    """What tells it from the others while the process lives."""
    return hashlib.sha256(repr(anchor).encode()).hexdigest()
