"""Options that several of the auditor's commands have. `opening` does with them what they say."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.errors.base import shortened

Ledger = Annotated[Path, typer.Option("--ledger", help="The directory with the sealed log, or a copy of it.")]
LEDGER = Path(".gateway/ledger")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs, instead of text for people.")]
_KEY = (
    "The ledger's verifier key, `name+hash+base64`, or a file with it. Get it from somebody who does not run the "
    "gateway. Default: "
)
Key = Annotated[
    str,
    typer.Option(
        "--key", metavar="KEY|FILE", show_default=False,
        help=f"{_KEY}the public half of the signing key beside the ledger, which trusts the host.",
    ),
]  # fmt: skip
ReceiptKey = Annotated[
    str,
    typer.Option(
        "--key", metavar="KEY|FILE", show_default=False,
        help=f"{_KEY}the key that the receipt itself names, which you then have to compare with one that you trust.",
    ),
]  # fmt: skip
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
Name = Annotated[str, typer.Argument(help="Id of a call or of a standing grant, or how it begins.", metavar="ID")]
PayloadKeys = Annotated[
    Path | None,
    typer.Option(
        "--payload-keys", metavar="FILE", show_default=False,
        help="Also print the copies that are kept of arguments and answers, decrypted with these keys (payload.keys).",
    ),
]  # fmt: skip
Afresh = Annotated[
    bool,
    typer.Option("--afresh", help="Do not use index.sqlite, which came with the ledger: read the whole log anew."),
]
Agent = Annotated[str, typer.Option(help="Calls of this agent.", metavar="NAME", show_default=False)]
Tool = Annotated[
    str, typer.Option(help="Calls of this tool, such as stripe.create_refund.", metavar="NAME", show_default=False)
]
System = Annotated[str, typer.Option(help="Calls to this system.", metavar="NAME", show_default=False)]
Resource = Annotated[
    str, typer.Option(help="Calls about this resource, such as Account/acme.", metavar="NAME", show_default=False)
]
OUTCOMES = (
    "answered", "denied", "unreachable", "in-doubt", "settled", "held", "executing", "judging", "unreadable",
)  # fmt: skip


def _outcome(typed: str) -> str:
    """As the index names it. Raises typer.BadParameter."""
    found = typed.strip().replace("_", "-").replace(" ", "-")
    if found and found not in OUTCOMES:
        raise typer.BadParameter(f"{shortened(typed, 60)!r} is none of {', '.join(OUTCOMES)}.")
    return found.replace("-", " ")


Outcome = Annotated[
    str,
    typer.Option(
        metavar="OUTCOME", callback=_outcome, show_default=False,
        help=f"Calls that ended so, or stand so: {', '.join(OUTCOMES)}.",
    ),
]  # fmt: skip
Person = Annotated[
    str,
    typer.Option(
        help="Calls that this person decided, stopped or settled, or that somebody decided in their place.",
        metavar="NAME", show_default=False,
    ),
]  # fmt: skip
Policy = Annotated[
    str, typer.Option(help="Calls in whose verdict this policy had a say.", metavar="NAME", show_default=False)
]
User = Annotated[str, typer.Option(help="Calls on behalf of this user.", metavar="NAME", show_default=False)]
Run = Annotated[str, typer.Option(help="Calls of this run.", metavar="NAME", show_default=False)]
WHEN = "2026-11-20, 2026-11-20T10:00:00Z, or how long ago: 7d, 24h, 30m."
Since = Annotated[str, typer.Option(help=f"Calls that began then or later: {WHEN}", metavar="WHEN", show_default=False)]
Until = Annotated[str, typer.Option(help=f"Calls that began before: {WHEN}", metavar="WHEN", show_default=False)]
