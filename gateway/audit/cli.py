"""The auditor's commands, put together. Each has a file of its own beside this one; what they share is here.

They read files and nothing else, so they work on a copy of the ledger, on a machine that has never seen the gateway.
"""

from pathlib import Path
from typing import Annotated

import typer

from gateway.audit.reading import reading

HELP = (
    "Read and verify the record: the sealed ledger, which the gateway keeps in its data directory.\n\nThese commands "
    "need the ledger's files and nothing else. Copy the directory to a machine of your own and name it by --ledger; no "
    "gateway has to run, and none is asked."
)
LEDGER_HELP = "The directory with the sealed log, or a copy of it."
Ledger = Annotated[Path, typer.Option("--ledger", help=LEDGER_HELP)]
LEDGER = Path(".gateway/ledger")

audit = typer.Typer(help=HELP, no_args_is_help=True)
audit.registered_commands += reading.registered_commands


@audit.callback()
def begin() -> None:
    """What stands before every command."""
