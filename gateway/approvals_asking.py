"""What the commands of `gateway approvals` share: their options, asking the control plane, asking the person.

Whatever cannot be done ends the command with one sentence on standard error and exit code 1. What is printed there may
hold words of somebody else, so it goes through `visible`.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

import typer

FOLLOWED_SECONDS = 5.0
"""How long a yes waits to tell what came of it; a call that takes longer is told as it stands."""
LOOK_SECONDS = 0.2

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


def question(told: Mapping[str, Any], approval: str) -> Mapping[str, Any]:
    """What is asked of that group, or of the only one. Ends the command if there is no such question."""
    if told["state"] != "held":
        fail(f"Nothing was recorded: this call waits for nobody any more, it is {told['state']}.")
    groups = [item["approval"] for item in told["questions"]]
    if not approval and len(groups) > 1:
        fail(f"This call waits for {' and '.join(groups)}: say whom you decide for, by --approval {groups[0]}.")
    found = [item for item in told["questions"] if item["approval"] == (approval or groups[0])]
    if not found:
        fail(f"Nothing was recorded: this call does not wait for {approval!r}, but for {' and '.join(groups)}.")
    asked: Mapping[str, Any] = found[0]
    return asked


def confirm(sentence: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        fail("Nothing was recorded: there is no terminal to ask on; look at it with `show` and decide with --yes.")
    if not typer.confirm(f"\n{sentence}", err=True):
        fail("Nothing was recorded.")


def outcome(plane: Any, call: str, answer: Mapping[str, Any]) -> str:
    """How the call stands, after a moment in which it may have been carried out."""
    deadline = time.monotonic() + FOLLOWED_SECONDS
    while answer["state"] in ("judging", "executing") and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        answer = answered(lambda: plane.get(f"/calls/{safe(call)}"))
    if answer["state"] == "answered":
        return f"The call was carried out; the system answered {answer['status']}."
    return f"The call is {answer['state']}."


def listed(plane: Any, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The first `limit` questions, page by page, and how many wait in all."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    while len(found) < limit and page["next"] is not None:
        after = {"after": page["next"]} if page["next"] else {}
        page = plane.get("/approvals", limit=min(limit - len(found), 100), **after)
        found += page["approvals"]
    return found, page["waiting"]


def control(url: str) -> Any:
    from gateway.control_client import DEFAULT_URL, ControlPlane

    return ControlPlane.at(url or DEFAULT_URL, os.environ)


def looked_at(call: str, url: str) -> tuple[Any, Mapping[str, Any]]:
    """The control plane, and the one reading of the question that is shown, changed and decided about."""
    plane = answered(lambda: control(url))
    return plane, answered(lambda: plane.get(f"/approvals/{safe(call)}"))


def answered(ask: Callable[[], T], call: str = "") -> T:
    """What the control plane answers; its refusal ends the command with its sentence."""
    from gateway.control_client import NotPossible, Refused

    try:
        return ask()
    except Refused as no:
        again = f" It has changed, look again: `gateway approvals show {call}`." if no.kind == "approval-stale" else ""
        fail(f"{no}{again}")
    except NotPossible as error:
        unsure = f" It may or may not be recorded: `gateway approvals show {call}` tells." if call else ""
        fail(f"{error}{unsure}")


def safe(call: str) -> str:
    """An id as a segment of a path, whatever was typed."""
    from urllib.parse import quote

    return quote(call, safe="")


def print_list(found: list[dict[str, Any]], waiting: int) -> None:
    from gateway.approvals_text import HEADINGS, row

    print_table([HEADINGS, *map(row, found)])
    if waiting > len(found):
        print(f"{waiting} wait in all; --limit {waiting} shows them.", file=sys.stderr)


def print_table(rows: list[tuple[str, ...]]) -> None:
    from gateway.reading import aligned

    print("\n".join(aligned(rows)))


def print_card(told: Mapping[str, Any], to: Any) -> None:
    from gateway.approvals_text import card

    print("\n".join(card(told)), file=to)


def print_json(value: object) -> None:
    """In ASCII, so that a terminal obeys nothing in it."""
    print(json.dumps(value, indent=2))


def only_text(words: Sequence[str]) -> None:
    """End the program if an argument is not UTF-8: it comes in halves of characters, which nothing can store or say."""
    try:
        "".join(words).encode()
    except UnicodeEncodeError as error:
        print(f"An argument is not UTF-8: it has {error.object[error.start]!a}.", file=sys.stderr)
        sys.exit(2)


def fail(sentence: object) -> NoReturn:
    from gateway.core.one_line import visible

    print(visible(str(sentence)), file=sys.stderr)
    raise typer.Exit(1)
