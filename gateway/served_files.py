"""A copy of the files that serve, for a process that starts while somebody's edit is broken.

A broken edit changes nothing for the processes that run; without this, one that dies meanwhile could not come back.
The copy is made of files that were loaded without a mistake, by this run of the gateway and no earlier one: `forget` is
called before anything starts, because an old policy that comes back silently is a gate that stands open.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.core.deployment import LoadedFile

SERVED = "serving"
"""Its name in the data directory."""


@dataclass(frozen=True, slots=True)
class ServedFiles:
    directory: Path
    """Ours alone, in the data directory."""

    def forget(self) -> None:
        """Nothing has served yet. Raises OSError."""
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def keep(self, generation: str, files: Iterable[LoadedFile], *parents: Path) -> bool:
        """Copy what a generation was made of, from below any of `parents`, unless it is there.

        False if the files are no longer those that were loaded: then nothing is kept. Raises OSError.
        """
        place = self.directory / generation
        if not place.exists():
            draft = self.directory / f"{generation}.{os.getpid()}"
            shutil.rmtree(draft, ignore_errors=True)
            for directory in (self.directory.parent, self.directory, draft):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                if not all(_copied(file, parents, draft) for file in files):
                    return False
                if not place.exists():
                    draft.rename(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        self._point_at(generation)
        return True

    def found(self) -> Path | None:
        """Where the copy is, laid out as the files were; None if there is none."""
        try:
            place = self.directory / (self.directory / "current").read_text()
        except OSError:
            return None
        return place if place.is_dir() else None

    def _point_at(self, generation: str) -> None:
        draft = self.directory / f"current.{os.getpid()}"
        draft.write_text(generation)
        draft.replace(self.directory / "current")


def _copied(file: LoadedFile, parents: tuple[Path, ...], to: Path) -> bool:
    for parent in parents:
        try:
            data = (parent / file.name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == file.sha256:
            (to / file.name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (to / file.name).write_bytes(data)
            return True
    return False
