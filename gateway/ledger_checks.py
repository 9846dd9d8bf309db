"""What is wrong with the places that the ledger needs, as far as can be seen without making or connecting to anything.

`gateway check` and every start look here, so that a wrong key or a directory that is not mounted is one sentence before
the first call, and not a gateway that stops effects at night. An anchor that is away is a note and no mistake: a start
may not depend on somebody else's machine. Whoever seals looks again, all the time.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.config.mistakes import Mistake
from gateway.config.references import Lines, value_of
from gateway.core.ledger_settings import AnchorFile, SharedDirectory
from gateway.core.routes import Routes
from gateway.ledger.place import Place, Unusable

Where = tuple[str | int, ...]


def ledger_mistakes(routes: Routes, data: Path, environ: Mapping[str, str], path: Path | None = None) -> list[Mistake]:
    """Key, directory, store and anchors; each mistake on the line of routes.yaml that names what is wrong, if one does.

    `path`: of routes.yaml. A secret that is missing is said by `references.missing_secrets`.
    """
    lines, ledger = Lines(path), routes.ledger
    place = Place.of(ledger, data)
    found = [
        *_of_directory(place),
        *_of_store(routes, place),
        *_of_anchors(routes, place, away=False),
        *_of_key(routes, place, environ),
    ]
    return sorted(lines.at(("ledger", *where)).mistake(sentence) for where, sentence in found)


def _of_directory(place: Place) -> Iterator[tuple[Where, str]]:
    if place.directory.exists() and not place.directory.is_dir():
        yield ("directory",), f"the ledger cannot be kept in {str(place.directory)!r}: it is not a directory"
    elif why := _unwritable(place.directory):
        yield ("directory",), f"the ledger cannot be kept in {str(place.directory)!r}: {why}"


def _of_key(routes: Routes, place: Place, environ: Mapping[str, str]) -> Iterator[tuple[Where, str]]:
    given, missing = value_of(routes.ledger.key, environ) if routes.ledger.key else ("", "")
    if missing:
        return
    try:
        if place.key is None or place.key.exists() or place.logs():
            place.look(given)
    except Unusable as error:
        yield ("key",), str(error)[:1].lower() + str(error)[1:].removesuffix(".")


def _of_store(routes: Routes, place: Place) -> Iterator[tuple[Where, str]]:
    if not isinstance(store := routes.ledger.store, SharedDirectory):
        return
    where, root = ("store", "directory"), Path(store.path)
    if not root.is_dir():
        yield where, f"there is no directory {str(root)!r} for the ledger's store: mount it, or make it"
    elif _within(root, place.directory) or _within(place.directory, root):
        yield where, "the ledger's store must be another place than its directory"
    elif why := _unwritable(root):
        yield where, f"the ledger's store {str(root)!r} cannot be used: {why}"


def away_anchors(routes: Routes, data: Path, path: Path | None = None) -> list[Mistake]:
    """Anchors that cannot be appended to now. They get what they lack once they can, and nothing waits for them."""
    lines = Lines(path)
    found = _of_anchors(routes, Place.of(routes.ledger, data), away=True)
    return sorted(lines.at(("ledger", *where)).mistake(sentence) for where, sentence in found)


def _of_anchors(routes: Routes, place: Place, *, away: bool) -> Iterator[tuple[Where, str]]:
    """Those that never can be one, or those that are away."""
    for position, anchor in enumerate(routes.ledger.anchors):
        if isinstance(anchor, AnchorFile):
            file = Path(anchor.path)
            sentence = _away(file) if away else _never(file, place)
            if sentence:
                yield ("anchors", position, "file"), sentence


def _never(file: Path, place: Place) -> str:
    if _within(file, place.directory):
        return "an anchor must be elsewhere than the ledger itself: who can change the one could change both"
    return f"the anchor {str(file)!r} is not a file" if file.exists() and not file.is_file() else ""


def _away(file: Path) -> str:
    if not file.parent.is_dir():
        return f"there is no directory {str(file.parent)!r} for the anchor: mount it, or make it"
    why = _unwritable(file if file.exists() else file.parent)
    return f"checkpoints cannot be appended to {str(file)!r}: {why}" if why else ""


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _unwritable(path: Path) -> str:
    """Why nothing can be made or written there; empty if it can, as far as permissions say."""
    nearest = next(part for part in (path, *path.absolute().parents) if part.exists() or part.is_symlink())
    if nearest != path and not nearest.is_dir():
        return f"{str(nearest)!r} is not a directory"
    if not os.access(nearest, os.W_OK | (os.X_OK if nearest.is_dir() else 0)):
        return f"{str(nearest)!r} cannot be written; make it writable"
    return ""
