"""`gateway audit key`: the one line that an auditor needs beside the files of the ledger.

It must never print the private key: whoever has that can sign a record that never happened.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

ROUTES, DATA = Path("routes.yaml"), Path(".gateway")


def key(
    routes: Annotated[
        Path, typer.Option("--routes", help="routes.yaml, or a directory of such files, which may name another key.")
    ] = ROUTES,
    data: Annotated[Path, typer.Option("--data", help="The gateway's data directory, where its key is.")] = DATA,
) -> None:
    """Print the verifier key: what an auditor checks every signature of the record with.

    Run it where the gateway runs, and give the line to the auditor by a way of your own. It is public, and it is the
    same for as long as the log lives; who got it early need not trust you later.
    """
    from gateway.ledger.place import Unusable

    try:
        print(_verifier(routes, data))
    except Unusable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error


def _verifier(routes: Path, data: Path) -> str:
    """Raises Unusable."""
    from gateway.adapters.secrets import Secrets
    from gateway.config.routes_file import load_routes
    from gateway.core.ledger_settings import LedgerSettings
    from gateway.ledger.place import Place, Unusable
    from gateway.ports import SecretMissing

    settings = LedgerSettings()
    if routes.exists():
        loaded, mistakes = load_routes(routes, os.environ)
        if loaded is None:
            raise Unusable("\n".join(map(str, mistakes)))
        settings = loaded.ledger
    try:
        given = Secrets().read(settings.key) if settings.key else ""
    except SecretMissing as error:
        raise Unusable(f"The ledger's signing key cannot be read: {error}.") from error
    return str(Place.of(settings, data).signer(given).verifier)
