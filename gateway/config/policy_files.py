"""Which files below the policies' directory are policies, and what there could be one and cannot be looked at.

A forbid that is passed over without a word is a gate that stands open. So linked directories are entered, and whatever
cannot be read is a mistake, never an empty place. Loading and watching use this one walk: what serves is what is
watched. Only hidden names are passed over: Kubernetes keeps the real files of a mounted folder in one beside its links.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.config.mistakes import Mistake

SUFFIX = ".cedar"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFiles:
    """What a walk found."""

    files: tuple[Path, ...]
    """Regular files, sorted."""
    directories: tuple[Path, ...]
    """Every directory that was looked into, links resolved; each once."""
    mistakes: tuple[Mistake, ...]
    """Where a policy could be that this process cannot see."""


def policy_files(directory: Path) -> PolicyFiles:
    """All *.cedar below a directory, at any depth, through links too; a directory that is reached twice counts once."""
    files: list[Path] = []
    mistakes: list[Mistake] = []
    visited: dict[Path, None] = {}

    def unreadable(error: OSError) -> None:
        why = (error.strerror or "unknown error").lower()
        sentence = f"the directory cannot be read ({why}), so its policies would not count; make it readable"
        mistakes.append(Mistake(str(error.filename or directory), 0, sentence))

    for place, below, names in os.walk(directory, followlinks=True, onerror=unreadable):
        real = Path(os.path.realpath(place))
        if real in visited:  # a link to where we have been, perhaps above: once is enough, and a loop has no end
            below.clear()
            continue
        visited[real] = None
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in below + [name for name in names if not name.startswith(".")]:
            path = Path(place, name)
            if name.endswith(SUFFIX) and path.is_file():
                files.append(path)
            elif why := _mistaken(path):
                mistakes.append(Mistake(str(path), 0, why))
    return PolicyFiles(files=tuple(sorted(files)), directories=tuple(visited), mistakes=tuple(sorted(mistakes)))


def _mistaken(path: Path) -> str:
    """Why a name that is no policy file should not stand there; empty if it may."""
    try:
        path.stat()
    except OSError as error:  # a link to nowhere: perhaps to a folder of policies that is not mounted
        return f"this cannot be read: {(error.strerror or 'unknown error').lower()}; repair or remove it"
    if path.name.endswith(SUFFIX):
        return "this is not a regular file, so no policy can be read from it; rename or remove it"
    return ""
