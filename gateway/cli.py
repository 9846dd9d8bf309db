"""The command line. Each command says one thing well: an exit code, and sentences that say what to do.

0: done. 1: something is wrong, and it was said on standard error. 2: the command was misspelt (typer).
"""

import asyncio
import hashlib
import os
import secrets
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    name="gateway",
    help="Models propose; the gateway decides, executes and records.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
key = typer.Typer(help="Make keys for agents and tokens for people.", no_args_is_help=True)
calls = typer.Typer(help="Look at calls: what was asked, decided, sent and answered.", invoke_without_command=True)
app.add_typer(key, name="key")
app.add_typer(calls, name="calls")

Routes = Annotated[Path, typer.Option("--routes", help="routes.yaml, or a directory of such files.")]
Policies = Annotated[Path, typer.Option("--policies", help="The directory of *.cedar files.")]
Data = Annotated[Path, typer.Option("--data", help="The gateway's private directory (journal of the embedded server).")]
ROUTES, POLICIES, DATA = Path("routes.yaml"), Path("policies"), Path(".gateway")


def _fail(sentence: object, code: int = 1) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(code)


@app.command()
def serve(
    routes: Routes = ROUTES,
    policies: Policies = POLICIES,
    data: Data = DATA,
    workers: Annotated[int, typer.Option(min=0, help="Data-plane workers; 0 means one per core.")] = 0,
) -> None:
    """Run the gateway until it is told to stop (Ctrl-C or SIGTERM)."""
    from gateway.settings import SettingsMistake
    from gateway.starting import CannotServe, plan
    from gateway.supervisor import Supervisor

    try:
        planned = plan(routes, policies, data, workers, os.environ)
    except (CannotServe, SettingsMistake) as error:
        _fail(error)
    raise typer.Exit(Supervisor(planned).run())


@app.command()
def check(routes: Routes = ROUTES, policies: Policies = POLICIES) -> None:
    """Report every mistake in routes.yaml and the policies at once, each with its file and line."""
    from gateway.starting import examine

    found = examine(routes, policies, os.environ)
    for mistake in found:
        print(mistake, file=sys.stderr)
    if found:
        _fail(f"{len(found)} mistake(s); nothing was started.")
    print("No mistakes.")


@app.command()
def schema(routes: Routes = ROUTES) -> None:
    """Print the Cedar schema that routes.yaml implies: what policies may speak about."""
    from gateway.config.routes_file import load_routes
    from gateway.config.schema import cedar_schema

    loaded, found = load_routes(routes, os.environ)
    if loaded is None:
        _fail("\n".join(map(str, found)))
    print(cedar_schema(loaded), end="")


@key.command("new")
def key_new(
    kind: Annotated[str, typer.Argument(help="`agent` or `person`.")],
    name: Annotated[str, typer.Argument(help="Its name in routes.yaml.")],
) -> None:
    """Make a key for an agent, or a token for a person. It is shown once; routes.yaml keeps only its digest."""
    if kind not in ("agent", "person"):
        _fail(f"A key is for an `agent` or a `person`, not for {kind!r}.", 2)
    secret = ("gk_" if kind == "agent" else "gp_") + secrets.token_urlsafe(32)
    place = f"agents.{name}.keys" if kind == "agent" else f"people.{name}.tokens"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    print(f"The {'key' if kind == 'agent' else 'token'} of {name}, shown only now; keep it secret:", file=sys.stderr)
    print(secret)
    print(f'\nAdd its digest to routes.yaml under {place}:\n\n  - {{sha256: "{digest}"}}', file=sys.stderr)


@calls.callback()
def calls_list(context: typer.Context, data: Data = DATA, limit: Annotated[int, typer.Option(min=1)] = 20) -> None:
    """List the calls that something happened to last."""
    if context.invoked_subcommand is None:
        from gateway.reading import recent

        _print(recent(_journal_url(data), limit))


@calls.command("show")
def calls_show(call: Annotated[str, typer.Argument(help="The call's id (Gateway-Call).")], data: Data = DATA) -> None:
    """Show the timeline of one call."""
    from gateway.reading import story

    _print(story(_journal_url(data), call))


@app.command()
def demo(
    open_browser: Annotated[bool, typer.Option("--open", help="Also open the approval page.", hidden=True)] = False,
) -> None:
    """Play the whole story on real processes: an agent, refunds, an approver, the record. Ends by itself."""
    from gateway.demo import run

    raise typer.Exit(run(open_browser=open_browser))


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

    return os.environ.get("GATEWAY_REDIS_URL") or embedded_url(data)


def _print(lines: Coroutine[Any, Any, list[str]]) -> None:
    from gateway.reading import NothingToShow

    try:
        for line in asyncio.run(lines):
            print(line)
    except NothingToShow as error:
        _fail(error)


def main() -> None:
    """The console script."""
    app()
