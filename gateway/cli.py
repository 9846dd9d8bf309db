"""The command line. Each command says one thing well: an exit code, and sentences that say what to do.

0: done. 1: something is wrong, and it was said on standard error. 2: the command was misspelt (typer). What another
program may want to read (a key, a schema, a list) is on standard output, alone; words for people are on standard error.
"""

import asyncio
import os
import platform
import re
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from gateway.approvals_asking import only_text
from gateway.approvals_cli import approvals
from gateway.audit.cli import audit

FIRST_STEPS = (
    "New here? Run `gateway demo`: the whole story in ten seconds. Then describe your systems in routes.yaml, write "
    "policies, run `gateway check` until there are no mistakes, and `gateway serve`. The README has a tour of five "
    "minutes. Settings are environment variables (GATEWAY_*), all listed in docs/operations.md."
)

app = typer.Typer(
    name="gateway",
    help="A proxy between agents and the systems they act on. For every call it answers, from policy files and never "
    "from a model: is it allowed, and must a person approve it? It acts at most once, with credentials that the agent "
    "never holds, and keeps the record.",
    epilog=FIRST_STEPS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)
key = typer.Typer(help="Make gateway keys for agents, and tokens for people.", no_args_is_help=True)
calls = typer.Typer(
    help="List the calls that something happened to last: who asked for what, and how it stands.\n\n`gateway calls "
    "show ID` tells one call's whole story. Both read the journal directly, on the gateway's host, while it runs; from "
    "elsewhere ask the control plane (GET /calls).",
    invoke_without_command=True,
)
app.add_typer(key, name="key")
app.add_typer(calls, name="calls", short_help="List the last calls; `calls show ID` tells one call's whole story.")
app.add_typer(approvals, name="approvals", short_help="List what waits for people; show, approve or reject it.")
app.add_typer(audit, name="audit", short_help="Read and verify the record, from its files alone.")

Routes = Annotated[
    Path, typer.Option("--routes", help="What agents may reach: routes.yaml, or a directory of such files.")
]
Policies = Annotated[Path, typer.Option("--policies", help="Who may do what: the directory of *.cedar files.")]
DATA_HELP = (
    "The gateway's private directory: keys, the sealed record and, without GATEWAY_REDIS_URL, the embedded journal."
)
Data = Annotated[Path, typer.Option("--data", help=DATA_HELP)]
ROUTES, POLICIES, DATA = Path("routes.yaml"), Path("policies"), Path(".gateway")
SHOWN = 20
"""Calls in a list: a screenful."""
WIDEST = 1000
"""Columns of a table: more than any line has. In a narrow terminal a line wraps as a whole, not inside its words."""

T = TypeVar("T")


def _fail(sentence: object, code: int = 1) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(code)


def _count(text: str | int) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", str(text)):
        raise typer.BadParameter("it must be a whole number, 0 or more")
    return int(text)


def _print_version(asked: bool) -> None:
    if asked:
        from gateway import __version__

        print(f"gateway {__version__}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def gateway(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before every command."""


@app.command()
def serve(
    routes: Routes = ROUTES,
    policies: Policies = POLICIES,
    data: Data = DATA,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that serve agents; 0 means one per core.",
            show_default="one per core",
            parser=_count,
            metavar="NUMBER",
        ),
    ] = 0,
) -> None:
    """Run the gateway until it is told to stop (Ctrl-C or SIGTERM).

    Starts the workers, the control plane and, without GATEWAY_REDIS_URL, a private Valkey for the journal. Files are
    loaded anew when they change, all of them or none. Nothing is started if `gateway check` would find a mistake.
    """
    from gateway.logs import log_aside, told
    from gateway.settings import SettingsMistake
    from gateway.starting import CannotServe, plan
    from gateway.supervisor import Supervisor

    try:
        planned = plan(routes, policies, data, workers, os.environ)
    except (CannotServe, SettingsMistake) as error:
        _fail(error)
    lines = log_aside("info", "%(asctime)s %(levelname)s supervisor: %(message)s")
    try:
        code = Supervisor(planned).run()
    finally:
        told(lines)
    raise typer.Exit(code)


@app.command()
def check(routes: Routes = ROUTES, policies: Policies = POLICIES, data: Data = DATA) -> None:
    """Report every mistake in settings, payload keys, routes.yaml and policies, each with its file and line.

    Starts nothing and connects to nothing. Exit code 0: `gateway serve` would start with these files; 1: it would not.
    """
    from gateway.starting import counted, examine, inventory, notes

    found = examine(routes, policies, os.environ, data)
    for mistake in found:
        print(mistake, file=sys.stderr)
    if found:
        _fail(f"{counted(len(found), 'mistake')}.")
    print(f"No mistakes. {inventory(routes, policies, os.environ)}")
    for note in notes(routes, os.environ, data):
        print(note, file=sys.stderr)


@app.command()
def schema(routes: Routes = ROUTES) -> None:
    """Print the words that policies can use, as a Cedar schema made from routes.yaml."""
    from gateway.config.routes_file import load_routes
    from gateway.config.schema import cedar_schema

    loaded, found = load_routes(routes, os.environ)
    if loaded is None:
        _fail("\n".join(map(str, found)))
    print(cedar_schema(loaded), end="")


@key.command("new")
def key_new(
    kind: Annotated[str, typer.Argument(help="For what: agent, person, webhook, webhook-pair or ledger.")],
    name: Annotated[
        str,
        typer.Argument(help="Its name in routes.yaml, or the ledger's origin; none for a webhook.", show_default=False),
    ] = "",
) -> None:
    """Make a gateway key for an agent, a token for a person, or what signs webhooks or the ledger.

    The secret is shown once, alone on standard output. Of a key or token only the SHA-256 is kept, by you: put the line
    that is printed beside it into routes.yaml. To take a key back, remove that line. A webhook's secret is kept by both
    sides: put it where `secret` or `callback_secret` looks for it. Of a pair each side has its half. Nothing is written
    by this command.
    """
    from gateway.keys import NoSuchKey, new_key

    try:
        made = new_key(kind, name)
    except NoSuchKey as error:
        raise typer.BadParameter(str(error)) from error
    print(made.before, file=sys.stderr)
    print(made.secret, flush=True)
    if made.after:
        print(made.after, file=sys.stderr)


@calls.callback()
def calls_list(
    context: typer.Context,
    data: Data = DATA,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = SHOWN,
    state: Annotated[
        str,
        typer.Option(metavar="held|executing|in-doubt|judging", help="Only calls that are not over and stand so."),
    ] = "",
) -> None:
    if context.invoked_subcommand is None:
        from gateway.reading import recent

        found = _read(recent(_journal_url(data), limit, state))
        _print_calls(found, "No such calls." if state else "No calls yet.")


@calls.command("show")
def calls_show(
    context: typer.Context,
    call: Annotated[str, typer.Argument(help="The call's id, from the Gateway-Call header, or how it begins.")],
    data: Annotated[Path | None, typer.Option("--data", help=DATA_HELP, show_default=str(DATA))] = None,
) -> None:
    """Tell one call's story: every fact, when, and on whose authority. Never its arguments or its answer."""
    from gateway.reading import aligned, story

    before = context.parent.params["data"] if context.parent else DATA
    told = _read(story(_journal_url(data or before), call))
    rows = [f"  {row}" for row in aligned(list(told.rows))]
    print("\n".join([*told.head, "", *rows, "", *told.foot]))


@app.command()
def demo(
    page: Annotated[
        bool,
        typer.Option("--open", help="At the end, open the approvers' page in your browser: you decide one refund."),
    ] = False,
) -> None:
    """Play the whole story on real processes and end: an agent, refunds, an approver, the record.

    Needs nothing of yours and leaves nothing behind. Exit code 0 only if everything it says was checked and true.
    """
    from gateway.demo import run

    raise typer.Exit(run(page=page))


@app.command("child", hidden=True)
def child() -> None:
    """Do what the supervisor asks for in GATEWAY_CHILD."""
    from gateway.app import run
    from gateway.duty import NoDuty, read_duty
    from gateway.settings import SettingsMistake
    from gateway.starting import settings

    try:
        duty = read_duty(os.environ)
        code = run(duty, settings(Path(str(duty.document["routes"])), os.environ))
    except (NoDuty, SettingsMistake) as error:
        _fail(error)
    raise typer.Exit(code)


def _journal_url(data: Path) -> str:
    from gateway.adapters.embedded import embedded_url
    from gateway.data_directory import socket_path
    from gateway.settings import SettingsMistake, read_settings

    given = os.environ.get("GATEWAY_REDIS_URL")
    try:
        read_settings({"GATEWAY_REDIS_URL": given} if given else {})
    except SettingsMistake as error:
        _fail(error)
    if not given and not socket_path(data).exists():
        _fail(
            f"No gateway is running with the data directory {str(data)!r}: start it, or name its directory by --data."
        )
    return given or embedded_url(data)


def _read(reading: Coroutine[Any, Any, T]) -> T:
    from gateway.reading import NothingToShow

    try:
        return asyncio.run(reading)
    except NothingToShow as error:
        _fail(error)


def _print_calls(found: list[Any], none: str) -> None:
    """A table: in colour for a person, in plain columns for a file or a pipe."""
    from rich.console import Console

    from gateway.reading import HEADINGS, aligned, coloured

    if not found:
        print(none)
    elif sys.stdout.isatty():
        Console(highlight=False, width=WIDEST).print(coloured(found))
    else:
        print("\n".join(aligned([item.cells for item in (HEADINGS, *found)])))


def main() -> None:
    """The console script."""
    only_text(sys.argv)
    app(prog_name="gateway")
