"""Checkpoints that were kept elsewhere: what a log must still extend, whatever whoever holds its key would like.

A file has one signed note after another, as an anchor's file does; text between them is passed over only if it is
blank, or the beginning of a note of this ledger that a power cut has left without a signature. Nothing is believed
that the ledger's own key did not sign: a checkpoint that somebody else made up would accuse an honest log.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.deployment import DEPLOYMENT
from gateway.ledger.files import Damaged
from gateway.ledger.note import LONGEST_NOTE, BadNote, Verifier, open_checkpoint, read_checkpoint
from gateway.ledger.tiles import CHECKPOINT

LONGEST_LINE = LONGEST_NOTE
_SIGNED = re.compile(r"^— \S+ [A-Za-z0-9+/]{91}=$".encode(), re.MULTILINE)
"""A line with an Ed25519 signature, which with the key's id is 68 bytes."""


@dataclass(frozen=True, slots=True, order=True)
class Old:
    """What a log was once signed to be."""

    size: int
    root: bytes
    file: str
    offset: int
    """Of its note in that file."""


def old_checkpoints(paths: list[Path], verifier: Verifier) -> dict[str, list[Old]]:
    """By partition, the smallest first; each size and root once. Raises Damaged, which names the note.

    A path is a file of notes, or a directory: a copy of a ledger, with a checkpoint in the directory of each log.
    """
    found: dict[str, dict[tuple[int, bytes], Old]] = {}
    for path in paths:
        try:
            files = sorted(path.glob(f"[0-9][0-9]/{CHECKPOINT}")) if path.is_dir() else [path]
        except OSError as error:
            raise Damaged(path, 0, f"it cannot be read ({(error.strerror or str(error)).lower()})") from error
        if not files:
            raise Damaged(path, 0, f"no directory in it has a file {CHECKPOINT!r}")
        for file in files:
            for offset, note in _notes(file):
                if _torn(note, verifier):
                    continue
                partition, old = _opened(file, offset, note, verifier)
                found.setdefault(partition, {}).setdefault((old.size, old.root), old)
    return {partition: sorted(olds.values()) for partition, olds in found.items()}


def _torn(note: bytes, verifier: Verifier) -> bool:
    """It begins as a checkpoint of ours, and whoever appended it never came as far as a whole signature."""
    text, _, signatures = note.partition(b"\n\n")
    return text.startswith(f"{verifier.name}/".encode()) and not _SIGNED.search(signatures)


def _opened(file: Path, offset: int, note: bytes, verifier: Verifier) -> tuple[str, Old]:
    try:
        partition = read_checkpoint(note).origin.removeprefix(f"{verifier.name}/")
        if not (len(partition) == 2 and partition.isascii() and partition.isdigit() and partition <= DEPLOYMENT):
            raise BadNote(f"it is of the log {read_checkpoint(note).origin}, and the key is that of {verifier.name}")
        checkpoint = open_checkpoint(note, verifier.of(partition))
    except BadNote as error:
        raise Damaged(file, offset, f"this old checkpoint proves nothing: {error}") from error
    return partition, Old(checkpoint.size, checkpoint.root, str(file), offset)


def _notes(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every note in the file, and where it begins. Whatever follows a signature that is none begins the next note."""
    offset, begun, note = 0, 0, b""
    if path.exists() and not path.is_file():
        raise Damaged(path, 0, "it is not a file")
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                if note.count(b"\n\n") and not line.startswith("— ".encode()):
                    yield begun, note
                    note = b""
                if not note:
                    begun = offset
                offset += len(line)
                if note or line.strip():
                    note += line
                if len(note) > LONGEST_NOTE:
                    raise Damaged(path, begun, "what begins here is too long for a checkpoint")
    except OSError as error:
        raise Damaged(path, 0, f"it cannot be read ({(error.strerror or str(error)).lower()})") from error
    if note:
        yield begun, note
    elif not offset:
        raise Damaged(path, 0, "it is empty")
