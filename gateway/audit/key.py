"""`gateway audit key`: the one line that an auditor needs beside the files of the ledger.

It must never print the private key: whoever has that can sign a record that never happened.
"""

import sys
from pathlib import Path

import typer

from gateway.audit.configured import DATA, Data, Routes, ledger_of


def key(routes: Routes = None, data: Data = DATA) -> None:
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


def _verifier(routes: Path | None, data: Path) -> str:
    """Raises Unusable."""
    from gateway.adapters.secrets import Secrets
    from gateway.ledger.place import Place, Unusable
    from gateway.ports import SecretMissing

    settings = ledger_of(routes, data)
    try:
        given = Secrets().read(settings.key) if settings.key else ""
    except SecretMissing as error:
        raise Unusable(f"The ledger's signing key cannot be read: {error}.") from error
    return str(Place.of(settings, data).signer(given).verifier)
