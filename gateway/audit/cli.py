"""The auditor's commands, put together. Each has a file of its own beside this one; what they share is here.

They read files and nothing else, so they work on a copy of the ledger, on a machine that has never seen the gateway.
"""

from pathlib import Path
from typing import Annotated

import typer

from gateway.audit.key import key
from gateway.audit.reading import reading

HELP = (
    "Read and verify the record: the sealed ledger, which the gateway keeps in its data directory.\n\nThese commands "
    "need the ledger's files and nothing else. Copy the directory to a machine of your own and name it by --ledger; no "
    "gateway has to run, and none is asked."
)
LEDGER_HELP = "The directory with the sealed log, or a copy of it."
Ledger = Annotated[Path, typer.Option("--ledger", help=LEDGER_HELP)]
LEDGER = Path(".gateway/ledger")
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY|FILE",
        help="The ledger's verifier key, `name+hash+base64`, or a file with it. Get it from somebody who does not run "
        "the gateway. Default: the public half of the signing key beside the ledger, which trusts the host.",
    ),
]
Olds = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Checkpoints that were kept elsewhere: a file of signed notes, such as an anchor's, or an old copy of the "
        "ledger. Proves that today's logs extend every one of them. May be given several times.",
    ),
]
Roots = Annotated[bool, typer.Option("--roots", help="Also print the size and root of each log.")]

audit = typer.Typer(help=HELP, no_args_is_help=True)
audit.command("key")(key)
audit.registered_commands += reading.registered_commands


@audit.callback()
def begin() -> None:
    """What stands before every command."""


@audit.command()
def verify(ledger: Ledger = LEDGER, key: Key = None, checkpoint: Olds = None, roots: Roots = False) -> None:
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
