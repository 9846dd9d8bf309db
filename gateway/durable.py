"""Files that a power cut leaves whole or not at all: written aside, forced to the disk, and only then given their name.

Everybody who keeps something beside Redis writes it so. It must never let half of a file be found under its name.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write(path: Path, data: bytes, mode: int) -> None:
    """Create the file, which must not be there. Its bytes are on the disk when this returns, its name only once its
    folder is settled. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def settle(folder: Path) -> None:
    """What was made, renamed and removed in the folder is on the disk when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path, data: bytes, mode: int) -> None:
    """The whole file, on the disk when this returns; nothing happens if it is there. Raises OSError."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(draft, data, mode)
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename never over a file that somebody made meanwhile
    finally:
        draft.unlink(missing_ok=True)
    settle(path.parent)
