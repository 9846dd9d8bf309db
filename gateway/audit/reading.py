"""The commands that read the record: show, list, export, receipt, verify-receipt, diff. What they do is beside this."""

from typing import Annotated, Literal

import typer

from gateway.audit.options import (
    LEDGER,
    Afresh,
    Agent,
    AsJson,
    Key,
    Ledger,
    Name,
    Outcome,
    PayloadKeys,
    Person,
    Policy,
    ReceiptKey,
    Resource,
    Run,
    Since,
    System,
    Tool,
    Until,
    User,
)

SHOWN = 20
"""Calls in a list: a screenful."""

MOST = 1_000_000_000

reading = typer.Typer()


@reading.command()
def show(
    name: Name,
    ledger: Ledger = LEDGER,
    key: Key = "",
    payload_keys: PayloadKeys = None,
    afresh: Afresh = False,
    as_json: AsJson = False,
) -> None:
    """Tell everything about one call, or one standing grant, in plain words, and prove it.

    Who asked, for whom and for what; what the policies said; who was asked, and who decided on whose word; what was
    sent, what came back, how it ended; then every fact with its leaf in the log, and whether it was proved just now
    that all of them stand there as they were sealed. Exit code 0 only if they do.
    """
    from gateway.audit import showing

    showing.show(ledger, name, key, payload_keys, afresh=afresh, as_json=as_json)


@reading.command("list")
def list_(  # noqa: PLR0913, PLR0917 - one for each option
    agent: Agent = "",
    tool: Tool = "",
    system: System = "",
    resource: Resource = "",
    outcome: Outcome = "",
    person: Person = "",
    policy: Policy = "",
    user: User = "",
    run: Run = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many, newest first.")] = SHOWN,
    ledger: Ledger = LEDGER,
    afresh: Afresh = False,
    as_json: AsJson = False,
) -> None:
    """List calls that are sealed, newest first. All filters that are given must fit.

    Where to look is remembered in index.sqlite beside the log, which is made from the log and caught up each time.
    """
    from gateway.audit import showing
    from gateway.audit.opening import filters

    wanted = filters(
        agent=agent, tool=tool, system=system, resource=resource, outcome=outcome, person=person, policy=policy,
        user=user, run=run, since=since, until=until,
    )  # fmt: skip
    showing.print_list(ledger, wanted, limit, afresh=afresh, as_json=as_json)


@reading.command()
def export(  # noqa: PLR0913, PLR0917 - one for each option
    format_: Annotated[
        Literal["jsonl", "csv", "ocsf"], typer.Option("--format", help="Facts as JSON lines, or calls as CSV or OCSF.")
    ] = "jsonl",
    agent: Agent = "",
    tool: Tool = "",
    system: System = "",
    resource: Resource = "",
    outcome: Outcome = "",
    person: Person = "",
    policy: Policy = "",
    user: User = "",
    run: Run = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=0, max=MOST, help="How many calls, newest first; 0: all.")] = 0,
    ledger: Ledger = LEDGER,
    afresh: Afresh = False,
) -> None:
    """Write the record to standard output, for other programs.

    jsonl: one line for each fact, exactly as it was sealed, with its place in the log and its hash. csv: one line for
    each call; what a spreadsheet might run as a formula gets a quote in front. ocsf: one event for each call, API
    Activity (6003) of the Open Cybersecurity Schema Framework 1.6.0.
    """
    from gateway.audit import exporting
    from gateway.audit.opening import filters

    wanted = filters(
        agent=agent, tool=tool, system=system, resource=resource, outcome=outcome, person=person, policy=policy,
        user=user, run=run, since=since, until=until,
    )  # fmt: skip
    exporting.export(ledger, format_, wanted, limit, afresh=afresh)


@reading.command()
def receipt(name: Name, ledger: Ledger = LEDGER, key: Key = "") -> None:
    """Write one call, and all that proves it, as one file that needs nothing else: `receipt ID > FILE`.

    Whoever gets it checks it by `gateway audit verify-receipt FILE`, without the log, and without trust in who sent it.
    """
    from gateway.audit import comparing

    comparing.write_receipt(ledger, name, key)


@reading.command()
def verify_receipt(
    file: Annotated[str, typer.Argument(help="The receipt; - reads standard input.", metavar="FILE")],
    key: ReceiptKey = "",
    as_json: AsJson = False,
) -> None:
    """Check a receipt with nothing but a key: signature, proofs, order, and that it could have happened so.

    Then tell what it says. Without --key, the key that the receipt names is used, and you are told to compare it with
    the one that you have. Exit code 0 only if everything in it is proved.
    """
    from gateway.audit import comparing

    comparing.verify_receipt(file, key, as_json=as_json)


@reading.command()
def diff(
    one: Name,
    other: Annotated[str, typer.Argument(help="Another call.", metavar="[ID]", show_default=False)] = "",
    ledger: Ledger = LEDGER,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show two calls side by side; or, of one, what was asked for against what was executed after people edited it."""
    from gateway.audit import comparing

    comparing.diff(ledger, one, other, key, as_json=as_json)
