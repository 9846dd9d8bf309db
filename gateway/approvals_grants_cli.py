"""`gateway approvals grant`, `grants` and `revoke`: standing grants from a terminal.

As with a decision, the control plane decides who may grant what. A grant is what was printed: the control plane writes
its text, and giving it names that text.
"""

import sys
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from gateway.approvals_asking import (
    Approval,
    AsJson,
    Call,
    Fingerprint,
    Url,
    Yes,
    answered,
    confirm,
    control,
    fail,
    looked_at,
    print_card,
    print_json,
    print_table,
    question,
    safe,
)


def grant(  # noqa: PLR0913, PLR0917 - an option each
    call: Call,
    up_to: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="A whole number that may be anything from 0 to that."),
    ] = None,
    free: Annotated[
        list[str] | None, typer.Option("--any", metavar="NAME", help="An argument that may differ.")
    ] = None,
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long, such as 8h.")] = "",
    until: Annotated[str, typer.Option(help="Until when instead, such as 2026-11-20T18:00:00Z.")] = "",
    approval: Approval = "",
    fingerprint: Fingerprint = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """Say yes to this call, and to the next ones like it: `grant ID --up-to amount=10000 --for 8h`.

    Every argument that is named neither by --up-to nor by --any must be what it is in this call. The text of the grant
    is shown before it counts. `gateway approvals revoke GRANT` ends it.
    """
    from gateway.approvals_grants import NotAWish, drafts, wished

    try:
        wish = wished(up_to or (), free or (), until, lasting, round(time.time() * 1000))
    except NotAWish as no:
        fail(f"Nothing was recorded: {no}.")
    plane, told = looked_at(call, url)
    asked, path = question(told, approval), f"/approvals/{safe(call)}/grant"
    wish |= {"approval": asked["approval"], "fingerprint": fingerprint or asked["fingerprint"]}
    shown = answered(lambda: plane.post(path, wish | {"dry": True}))["grants"]
    if not as_json or not yes:
        to = sys.stderr if as_json else sys.stdout
        print_card(told, to)
        print("\n".join(drafts(shown)), file=to)
    confirm(f"Grant this for {asked['approval']}, exactly as shown?", yes=yes)
    answer = answered(lambda: plane.post(path, wish | {"confirm": [draft["grant"] for draft in shown]}), call)
    print_json(answer) if as_json else print("\n".join(["", *map(_how_to_end, answer["grants"])]))


def _how_to_end(grant: Mapping[str, str]) -> str:
    return f"Recorded. To end it: `gateway approvals revoke {grant['grant']}`."


def grants(
    grant: Annotated[str, typer.Argument(metavar="[GRANT]", help="One grant, with its text.")] = "",
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """List the standing grants, the last one first; with an id, print that one with its text."""
    from gateway.approvals_grants import HEADINGS, row, whole

    found = answered(lambda: control(url).get("/grants"))["grants"]
    if grant:
        found = [each for each in found if each["grant"] == grant]
        if not found:
            fail(f"There is no grant {grant!r}, or it was over too long ago: `gateway approvals grants` lists them.")
    if as_json:
        print_json(found[0] if grant else {"grants": found})
    elif not found:
        print("Nothing is granted.")
    elif grant:
        print("\n".join(whole(found[0])))
    else:
        print_table([HEADINGS, *map(row, found)])


def revoke(
    grant: Annotated[str, typer.Argument(metavar="GRANT", help="Its id, as `grants` lists it.")],
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """End a standing grant at once, on every host, as an approver of its group or as an operator."""
    answer = answered(lambda: control(url).delete(f"/grants/{safe(grant)}"))
    print_json(answer) if as_json else print(f"Recorded: {answer['grant']} is {answer['state']}. It meets nothing now.")
