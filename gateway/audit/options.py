"""Options that several of the auditor's commands have. `opening` does with them what they say."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Ledger = Annotated[Path, typer.Option("--ledger", help="The directory with the sealed log, or a copy of it.")]
LEDGER = Path(".gateway/ledger")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs, instead of text for people.")]
Key = Annotated[
    str,
    typer.Option(
        "--key", metavar="KEY|FILE", show_default=False,
        help="The ledger's verifier key, `name+hash+base64`, or a file with it. Get it from somebody who does not run "
        "the gateway. Default: the public half of the signing key beside the ledger, which trusts the host.",
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
Agent = Annotated[str, typer.Option(help="Calls of this agent.", show_default=False)]
Tool = Annotated[str, typer.Option(help="Calls of this tool, such as stripe.create_refund.", show_default=False)]
System = Annotated[str, typer.Option(help="Calls to this system.", show_default=False)]
Outcome = Annotated[
    Literal[
        "", "answered", "denied", "unreachable", "in-doubt", "settled", "held", "executing", "judging", "unreadable"
    ],
    typer.Option(help="Calls that ended so, or stand so.", show_default=False),
]  # fmt: skip
Person = Annotated[str, typer.Option(help="Calls that this person decided, saw or stopped.", show_default=False)]
Policy = Annotated[str, typer.Option(help="Calls in whose verdict this policy had a say.", show_default=False)]
User = Annotated[str, typer.Option(help="Calls on behalf of this user.", show_default=False)]
Run = Annotated[str, typer.Option(help="Calls of this run.", show_default=False)]
WHEN = "2026-11-20, 2026-11-20T10:00:00Z, or how long ago: 7d, 24h, 30m."
Since = Annotated[str, typer.Option(help=f"Calls that began then or later: {WHEN}", show_default=False)]
Until = Annotated[str, typer.Option(help=f"Calls that began before: {WHEN}", show_default=False)]
