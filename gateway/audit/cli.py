"""The auditor's commands, put together. Each has a file of its own beside this one; what they share is here.

They read files and nothing else, so they work on a copy of the ledger, on a machine that has never seen the gateway.
"""

import typer

from gateway.audit.erase import erase
from gateway.audit.key import key
from gateway.audit.options import LEDGER, Key, Ledger, Olds, Roots
from gateway.audit.reading import reading

HELP = (
    "Read and verify the record: the sealed ledger, which the gateway keeps in its data directory.\n\nThese commands "
    "need the ledger's files and nothing else. Copy the directory to a machine of your own and name it by --ledger; no "
    "gateway has to run, and none is asked. Two are for the gateway's own host: `key` reads its data directory, and "
    "`erase` needs it running."
)
audit = typer.Typer(help=HELP, no_args_is_help=True)
audit.command("key")(key)
audit.registered_commands += reading.registered_commands
audit.command("erase")(erase)


@audit.callback()
def begin() -> None:
    """What stands before every command."""


@audit.command()
def verify(ledger: Ledger = LEDGER, key: Key = "", checkpoint: Olds = None, roots: Roots = False) -> None:
    """Verify the whole record: signatures, every leaf and tile, order, and that every call's life can have happened.

    Ends with 0 if everything holds and with 1 if anything does not; then the first bad byte of each log is named.
    """
    from gateway.audit.verify import verify

    verify(ledger, key, checkpoint or [], roots=roots)


@audit.command()
def secrets(ledger: Ledger = LEDGER) -> None:
    """Search the record for anything that looks like a credential. Names places and never shows what is there.

    Ends with 1 if anything is found. Nothing is verified: see `gateway audit verify`.
    """
    from gateway.audit.secrets import secrets

    secrets(ledger)
