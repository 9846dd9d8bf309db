"""`gateway approvals`: what waits for people, and a yes or no to it, from a terminal.

A person's token goes with every request, and the control plane decides what that person may do: nothing is checked
here that is not checked there. A decision is bound to what was printed before it: it carries that fingerprint.
"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

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
    listed,
    looked_at,
    outcome,
    print_card,
    print_json,
    print_list,
    question,
    safe,
)
from gateway.approvals_grants_cli import grant, grants, revoke

SHOWN = 20
"""Questions in a list: a screenful."""

HELP = (
    "List what waits for people: the soonest to expire first, with who asks, for which group, and how much time is "
    "left.\n\n`gateway approvals show ID` prints everything that you need to decide; `approve ID` and `reject ID` show "
    "it again, ask, and record your decision. They ask the control plane (--url, or GATEWAY_CONTROL_URL) with your "
    "token, which must be in GATEWAY_TOKEN: `export GATEWAY_TOKEN=gp_...`."
)
approvals = typer.Typer(help=HELP, invoke_without_command=True)


@approvals.callback()
def approvals_list(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many, the soonest to expire first.")] = SHOWN,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    if context.invoked_subcommand is not None:
        return
    found, waiting = answered(lambda: listed(control(url), limit))
    if as_json:
        print_json({"approvals": found, "waiting": waiting})
    elif not found:
        print("Nothing waits for a decision.")
    else:
        print_list(found, waiting)


@approvals.command("show")
def approvals_show(call: Call, as_json: AsJson = False, url: Url = "") -> None:
    """Print all that decides one question: every argument, the policies' reasons, the votes, the time left.

    What cannot be seen (escape sequences, changes of writing direction, invisible letters) is printed as its number,
    such as \\u202e, so nothing on your screen can pretend to be something else.
    """
    told = answered(lambda: control(url).get(f"/approvals/{safe(call)}"))
    print_json(told) if as_json else print_card(told, sys.stdout)


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
    said = {"decision": "approve", "reason": reason, "fingerprint": fingerprint}
    _decide(*looked_at(call, url), approval, said, yes=yes, as_json=as_json)


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
    said = {"decision": "reject", "reason": reason, "fingerprint": fingerprint}
    _decide(*looked_at(call, url), approval, said, yes=yes, as_json=as_json)


@approvals.command("edit")
def approvals_edit(  # noqa: PLR0913, PLR0917 - an option each
    call: Call,
    changes: Annotated[
        list[str] | None,
        typer.Argument(help="Arguments and what they are to be, such as amount=300.", metavar="[NAME=VALUE]..."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An argument to leave out. May be given several times.")
    ] = None,
    approval: Approval = "",
    reason: Annotated[str, typer.Option(help="Why. The agent reads it.", show_default=False)] = "",
    fingerprint: Fingerprint = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """Say yes to the call with other arguments: `edit ID amount=300`.

    A value has the type that the argument has now; text needs no quotes. The call is checked and judged anew with your
    arguments, earlier votes are void, and the agent is told what you changed.
    """
    from gateway.approvals_edit import NotAnEdit, difference, edited

    plane, told = looked_at(call, url)
    given = told["input"] or {}
    try:
        edit = edited(given, changes or (), without or ())
    except NotAnEdit as no:
        fail(f"Nothing was recorded: {no}.")
    if not edit:
        fail("Nothing was recorded: say what to change, such as amount=300, or use `approve`.")
    print("\n".join(["  you change", *difference(given, edit), ""]), file=sys.stderr if as_json else sys.stdout)
    said = {"decision": "approve", "reason": reason, "fingerprint": fingerprint, "edit": edit}
    _decide(plane, told, approval, said, yes=yes, as_json=as_json)


@approvals.command("retract")
def approvals_retract(call: Call, approval: Approval = "", as_json: AsJson = False, url: Url = "") -> None:
    """Take your yes back, as long as nothing was done because of it."""
    plane, told = looked_at(call, url)
    groups = sorted({vote["group"] for vote in told["votes"]})
    if not approval and len(groups) != 1:
        said = f"people said yes for {' and '.join(groups)}: name yours by --approval" if groups else "nobody said yes"
        fail(f"Nothing was recorded: {said}.")
    body = {"call": told["call"], "approval": approval or groups[0], "decision": "retract"}
    answer = answered(lambda: plane.post(f"/approvals/{safe(call)}/decision", body))
    print_json(answer) if as_json else print(f"Recorded: your yes for {body['approval']} is taken back.")


@approvals.command("cancel")
def approvals_cancel(
    call: Call,
    reason: Annotated[str, typer.Option(help="Why. The agent reads it.", show_default=False)] = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """End a held call, as the owner of its agent or of its system, or as an operator."""
    plane, told = looked_at(call, url)
    print_card(told, sys.stderr if as_json else sys.stdout)
    confirm("End this call?", yes=yes)
    answer = answered(lambda: plane.post(f"/calls/{safe(call)}/cancel", {"reason": reason}), call)
    print_json(answer) if as_json else print(f"\nRecorded: the call is {answer['state']}.")


@approvals.command("stats")
def approvals_stats(
    days: Annotated[int, typer.Option(min=1, max=30, help="How many days, today included.")] = 30,
    as_json: AsJson = False,
    url: Url = "",
) -> None:
    """Print what people made of the questions: how many, how fast, for which policies and groups, and by whom.

    A policy that was approved every time is worth a look: people may have stopped looking, or it asks too much.
    """
    told = answered(lambda: control(url).get("/approvals/stats", days=days))
    if as_json:
        print_json(told)
    else:
        from gateway.approvals_numbers import numbers

        print("\n".join(numbers(told)))


for name, command in (("grant", grant), ("grants", grants), ("revoke", revoke)):
    approvals.command(name)(command)


def _decide(
    plane: Any, told: Mapping[str, Any], approval: str, said: Mapping[str, object], *, yes: bool, as_json: bool
) -> None:
    """Show the question, ask, and send what is said with the fingerprint of what was shown."""
    call, asked = told["call"], question(told, approval)
    if not as_json or not yes:
        print_card(told, sys.stderr if as_json else sys.stdout)
    how = "with your changes" if "edit" in said else "exactly as shown"
    confirm(f"{str(said['decision']).capitalize()} this for {asked['approval']}, {how}?", yes=yes)
    bound = {"call": call, "approval": asked["approval"], "fingerprint": asked["fingerprint"]}
    body = bound | {name: value for name, value in said.items() if value}
    answer = answered(lambda: plane.post(f"/approvals/{safe(call)}/decision", body), call)
    if as_json:
        print_json(answer)
    else:
        print(f"\nRecorded: {said['decision']} for {asked['approval']}. {outcome(plane, call, answer)}")
