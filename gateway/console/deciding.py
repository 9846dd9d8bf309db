"""From a form that was posted to decisions, and to what is said about them.

A form names for every call what was shown of it, and the decision goes through `Decisions` and nothing else. Of
several calls decided at once each stands for itself: what could not be recorded is said by its own sentence.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from gateway.console.editing import Field, changes
from gateway.console.guard import Form, OddForm
from gateway.console.questions import VIA
from gateway.console.sessions import Session
from gateway.core.approval import CannotEdit, Decision
from gateway.decisions import Decisions, NoSuchCall, NotEligible, Stale

LONGEST_REASON = 2_000
"""Characters. The agent's model reads it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one decision."""

    call: str
    status: int
    text: str
    """A sentence."""

    @property
    def recorded(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to say about some calls."""

    approve: bool
    group: str
    reason: str
    calls: tuple[tuple[str, str], ...]
    """Each with what was shown of it."""
    once: str
    """Of this one form, so that sending it twice changes nothing."""
    changes: Mapping[str, object] | None = None
    """Arguments to be changed first."""


def reason_in(form: Form) -> str:
    """Raises OddForm if it is too long."""
    reason = form.one("reason").strip()
    if len(reason) > LONGEST_REASON:
        raise OddForm(f"the reason is longer than {LONGEST_REASON:,} characters; the agent reads it, so say it shorter")
    return reason


def wish(form: Form, call: str, effect: str, known: list[Field]) -> Wish:
    """Raises OddForm with what is to be done. `effect` and `known` are of the call, whatever the form says."""
    said = form.one("decision")
    if said not in ("approve", "reject", "approve-all", "reject-all", "edit"):
        raise OddForm("it says neither approve nor reject")
    if effect == "destructive" and not said.startswith("reject") and form.one("sure") != "yes":
        raise OddForm("this destroys something: tick that you have read it, then approve")
    others = form.starting("same:") if said.endswith("-all") else {}
    calls = {call: form.one("shown"), **others}
    edit = changes(form, known) if said == "edit" else None
    approve = not said.startswith("reject")
    return Wish(approve, form.one("group"), reason_in(form), tuple(calls.items()), form.one("once"), edit)


async def decide(decisions: Decisions, session: Session, wanted: Wish) -> list[Said]:
    return [await _decide(decisions, session, wanted, call, shown) for call, shown in wanted.calls]


async def _decide(decisions: Decisions, session: Session, wanted: Wish, call: str, shown: str) -> Said:
    receipt = session.receipt(wanted.once, call, wanted.group, shown, str(wanted.approve), str(wanted.changes))
    decision = Decision(
        approve=wanted.approve, by=session.person.name, group=wanted.group, fingerprint=shown, via=VIA,
        way="page", message=receipt, reason=wanted.reason,
    )  # fmt: skip
    done = "Your approval is recorded." if wanted.approve else "Your rejection is recorded."
    if wanted.changes is None:
        return await _said(call, decisions.vote(call, decision), done)
    return await _said(call, decisions.edit(call, decision, wanted.changes), done)


async def take_back(decisions: Decisions, session: Session, call: str, group: str) -> Said:
    """Take back this person's yes before anything is released because of it."""
    taking = decisions.retract(call, by=session.person.name, group=group, via=VIA)
    return await _said(call, taking, "Your approval is taken back.")


async def cancel(decisions: Decisions, session: Session, call: str, reason: str) -> Said:
    """End it, as one who answers for the agent or the system."""
    ending = decisions.cancel(call, by=session.person.name, via=VIA, reason=reason)
    return await _said(call, ending, "The call is cancelled.")


async def _said(call: str, recording: Awaitable[object], done: str) -> Said:
    """What came of it: `done`, or why nothing was recorded."""
    try:
        await recording
    except NoSuchCall:
        return Said(call, 404, f"Nothing was recorded: there is no call {call!r}, or it is no longer kept.")
    except Stale as stale:
        return Said(call, 409, f"Nothing was recorded: {stale}.")
    except NotEligible as no:
        return Said(call, 403, f"Nothing was recorded: {no}.")
    except CannotEdit as no:
        return Said(call, 422, f"Nothing was recorded: {str(no).rstrip('.')}.")
    return Said(call, 200, done)
