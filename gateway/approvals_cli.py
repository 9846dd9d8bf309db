"""`gateway approvals`: what waits for people, and a yes or no to it, from a terminal.

A person's token goes with every request, and the control plane decides what that person may do: nothing is checked
here that is not checked there. A decision is bound to what was printed before it: it carries that fingerprint.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn, TypeVar

import typer

SHOWN = 20
"""Questions in a list: a screenful."""
FOLLOWED_SECONDS = 5.0
"""How long a yes waits to tell what came of it; a call that takes longer is told as it stands."""
LOOK_SECONDS = 0.2

HELP = (
    "List what waits for people: the soonest to expire first, with who asks, for which group, and how much time is "
    "left.\n\n`gateway approvals show ID` prints everything that you need to decide; `approve ID` and `reject ID` show "
    "it again, ask, and record your decision. They ask the control plane (--url, or GATEWAY_CONTROL_URL) with your "
    "token, which must be in GATEWAY_TOKEN: `export GATEWAY_TOKEN=gp_...`."
)
approvals = typer.Typer(help=HELP, invoke_without_command=True)

Call = Annotated[str, typer.Argument(help="The call's id, as the list and every notice show it.", metavar="ID")]
Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="GATEWAY_CONTROL_URL", help="The control plane's address.", show_default="http://127.0.0.1:8081"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs, instead of text for people.")]
Approval = Annotated[
    str,
    typer.Option(
        "--approval", metavar="GROUP", show_default=False,
        help="The approval group that you decide for; needed only if the call waits for several.",
    ),
]  # fmt: skip
Fingerprint = Annotated[
    str,
    typer.Option(
        show_default=False,
        help="The fingerprint that `show` printed: if it is another by now, nothing is recorded.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]

T = TypeVar("T")


@approvals.callback()
def approvals_list(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many, the soonest to expire first.")] = SHOWN,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    if context.invoked_subcommand is not None:
        return
    found, waiting = _answered(lambda: _listed(_control(url), limit))
    if as_json:
        _print_json({"approvals": found, "waiting": waiting})
    elif not found:
        print("Nothing waits for a decision.")
    else:
        _print_list(found, waiting)


@approvals.command("show")
def approvals_show(call: Call, as_json: AsJson = False, url: Url = "") -> None:
    """Print all that decides one question: every argument, the policies' reasons, the votes, the time left.

    What cannot be seen (escape sequences, changes of writing direction, invisible letters) is printed as its number,
    such as \\u202e, so nothing on your screen can pretend to be something else.
    """
    told = _answered(lambda: _control(url).get(f"/approvals/{_safe(call)}"))
    _print_json(told) if as_json else _print_card(told, sys.stdout)


@approvals.command("approve")
def approvals_approve(
    call: Call,
    approval: Approval = "",
    reason: Annotated[str, typer.Option(help="Why, for the record.", show_default=False)] = "",
    fingerprint: Fingerprint = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """Say yes to exactly what is shown. It is shown first, and you are asked.

    The call then goes on by itself, once everybody has agreed whose yes it needs. If what is asked changes before your
    yes arrives, nothing is recorded. Exit code 0 only if your decision was recorded.
    """
    _decide("approve", call, approval, reason, fingerprint, yes=yes, as_json=as_json, url=url)


@approvals.command("reject")
def approvals_reject(
    call: Call,
    reason: Annotated[str, typer.Option(help="Why. The agent reads it, and can do better.", show_default=False)],
    approval: Approval = "",
    fingerprint: Fingerprint = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """Say no. One no is final: the call is over, and its agent is told your reason."""
    _decide("reject", call, approval, reason, fingerprint, yes=yes, as_json=as_json, url=url)


@approvals.command("stats")
def approvals_stats(
    days: Annotated[int, typer.Option(min=1, max=30, help="How many days, today included.")] = 30,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """Print what people made of the questions: how many, how fast, for which policies and groups, and by whom.

    A policy that was approved every time is worth a look: people may have stopped looking, or it asks too much.
    """
    told = _answered(lambda: _control(url).get("/approvals/stats", days=days))
    if as_json:
        _print_json(told)
    else:
        from gateway.approvals_numbers import numbers

        print("\n".join(numbers(told)))


def _decide(
    decision: str, call: str, approval: str, reason: str, fingerprint: str, *, yes: bool, as_json: bool, url: str
) -> None:
    control = _answered(lambda: _control(url))
    told = _answered(lambda: control.get(f"/approvals/{_safe(call)}"))
    question = _question(told, approval)
    if not as_json or not yes:
        _print_card(told, sys.stderr if as_json else sys.stdout)
    _ask(f"{decision.capitalize()} this for {question['approval']}, exactly as shown?", yes=yes)
    body = {
        "call": told["call"], "approval": question["approval"], "decision": decision, "reason": reason,
        "fingerprint": fingerprint or question["fingerprint"],
    }  # fmt: skip
    answer = _answered(lambda: control.post(f"/approvals/{_safe(call)}/decision", body), call)
    if as_json:
        _print_json(answer)
    else:
        print(f"\nRecorded: {decision} for {question['approval']}. {_outcome(control, call, answer)}")


def _question(told: Mapping[str, Any], approval: str) -> Mapping[str, Any]:
    """What is asked of that group, or of the only one. Ends the command if there is no such question."""
    if told["state"] != "held":
        _fail(f"Nothing was recorded: this call waits for nobody any more, it is {told['state']}.")
    groups = [item["approval"] for item in told["questions"]]
    if not approval and len(groups) > 1:
        _fail(f"This call waits for {' and '.join(groups)}: say whom you decide for, by --approval {groups[0]}.")
    found = [item for item in told["questions"] if item["approval"] == (approval or groups[0])]
    if not found:
        _fail(f"Nothing was recorded: this call does not wait for {approval!r}, but for {' and '.join(groups)}.")
    question: Mapping[str, Any] = found[0]
    return question


def _ask(sentence: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        _fail("Nothing was recorded: there is no terminal to ask on; look at it with `show` and decide with --yes.")
    if not typer.confirm(f"\n{sentence}", err=True):
        _fail("Nothing was recorded.")


def _outcome(control: Any, call: str, answer: Mapping[str, Any]) -> str:
    """How the call stands, after a moment in which it may have been carried out."""
    deadline = time.monotonic() + FOLLOWED_SECONDS
    while answer["state"] in ("judging", "executing") and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        answer = _answered(lambda: control.get(f"/calls/{_safe(call)}"))
    if answer["state"] == "answered":
        return f"The call was carried out; the system answered {answer['status']}."
    return f"The call is {answer['state']}."


def _listed(control: Any, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The first `limit` questions, page by page, and how many wait in all."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    while len(found) < limit and page["next"] is not None:
        after = {"after": page["next"]} if page["next"] else {}
        page = control.get("/approvals", limit=min(limit - len(found), 100), **after)
        found += page["approvals"]
    return found, page["waiting"]


def _control(url: str) -> Any:
    from gateway.control_client import DEFAULT_URL, ControlPlane

    return ControlPlane.at(url or DEFAULT_URL, os.environ)


def _answered(ask: Callable[[], T], call: str = "") -> T:
    """What the control plane answers; its refusal ends the command with its sentence."""
    from gateway.control_client import NotPossible, Refused

    try:
        return ask()
    except Refused as no:
        again = f" It has changed, look again: `gateway approvals show {call}`." if no.kind == "approval-stale" else ""
        _fail(f"{no}{again}")
    except NotPossible as error:
        unsure = f" It may or may not be recorded: `gateway approvals show {call}` tells." if call else ""
        _fail(f"{error}{unsure}")


def _safe(call: str) -> str:
    """An id as a segment of a path, whatever was typed."""
    from urllib.parse import quote

    return quote(call, safe="")


def _print_list(found: list[dict[str, Any]], waiting: int) -> None:
    from gateway.approvals_text import HEADINGS, row
    from gateway.reading import aligned

    print("\n".join(aligned([HEADINGS, *map(row, found)])))
    if waiting > len(found):
        print(f"{waiting} wait in all; --limit {waiting} shows them.", file=sys.stderr)


def _print_card(told: Mapping[str, Any], to: Any) -> None:
    from gateway.approvals_text import card

    print("\n".join(card(told)), file=to)


def _print_json(value: object) -> None:
    """In ASCII, so that a terminal obeys nothing in it."""
    print(json.dumps(value, indent=2))


def _fail(sentence: object) -> NoReturn:
    from gateway.core.one_line import visible

    print(visible(str(sentence)), file=sys.stderr)
    raise typer.Exit(1)
