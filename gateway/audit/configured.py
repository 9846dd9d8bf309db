"""Where a gateway of this host keeps its record, for the two commands that are run beside it: `key` and `erase`.

They need what routes.yaml says under `ledger` and nothing else of it, so whoever runs them needs none of the values
that the rest takes from the service's environment. Nobody has to name the file either: a gateway keeps a copy of what
it serves in its data directory, and that is asked first, because a file may have been edited since.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.core.ledger_settings import LedgerSettings

HERE = Path("routes.yaml")
DATA = Path(".gateway")
Routes = Annotated[
    Path | None,
    typer.Option(
        "--routes", metavar="PATH", show_default="what the gateway in --data serves, else routes.yaml here",
        help="routes.yaml, or a directory of such files, whose `ledger` says where the record is. Nothing else in it "
        "is looked at.",
    ),
]  # fmt: skip
Data = Annotated[Path, typer.Option("--data", help="The gateway's data directory.")]


def ledger_of(routes: Path | None, data: Path) -> "LedgerSettings":
    """What is configured. Raises Unusable, also if a file that was named is not there."""
    from gateway.config.routes_file import load_ledger
    from gateway.core.ledger_settings import LedgerSettings
    from gateway.ledger.place import Unusable

    path = routes or _served(data) or (HERE if HERE.exists() else None)
    if path is None:
        return LedgerSettings()
    settings, mistakes = load_ledger(path, os.environ)
    if mistakes:
        raise Unusable("\n".join(map(str, mistakes)))
    return settings


def _served(data: Path) -> Path | None:
    """The copy of routes.yaml, or of the directory of such files, that the gateway in `data` serves or served last."""
    from gateway.served_files import SERVED, ServedFiles

    place = ServedFiles(data / SERVED).found()
    files = sorted(place.rglob("*.yaml")) if place is not None else []
    return None if not files else files[0] if len(files) == 1 else files[0].parent
