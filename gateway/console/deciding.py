"""From a form that was posted to decisions, and to what is said about them.

A form names for every call what was shown of it, and the decision goes through `Decisions.vote` and nothing else. Of
several calls decided at once each stands for itself: what could not be recorded is said by its own sentence.
"""

from dataclasses import dataclass

from gateway.console.guard import Form, OddForm
from gateway.console.questions import VIA
from gateway.console.sessions import Session
from gateway.core.approval import Decision
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


def wish(form: Form, call: str, effect: str) -> Wish:
    """Raises OddForm with what is to be done. `effect` is that of the call, whatever the form says."""
    said = form.one("decision")
    if said not in ("approve", "reject", "approve-all", "reject-all"):
        raise OddForm("it says neither approve nor reject")
    reason = form.one("reason").strip()
    if len(reason) > LONGEST_REASON:
        raise OddForm(f"the reason is longer than {LONGEST_REASON:,} characters; the agent reads it, so say it shorter")
    if effect == "destructive" and said.startswith("approve") and form.one("sure") != "yes":
        raise OddForm("this destroys something: tick that you have read it, then approve")
    others = form.starting("same:") if said.endswith("-all") else {}
    calls = {call: form.one("shown"), **others}
    return Wish(said.startswith("approve"), form.one("group"), reason, tuple(calls.items()), form.one("once"))


async def decide(decisions: Decisions, session: Session, wanted: Wish) -> list[Said]:
    return [await _decide(decisions, session, wanted, call, shown) for call, shown in wanted.calls]


async def _decide(decisions: Decisions, session: Session, wanted: Wish, call: str, shown: str) -> Said:
    receipt = session.receipt(wanted.once, call, wanted.group, shown, str(wanted.approve))
    decision = Decision(
        approve=wanted.approve, by=session.person.name, group=wanted.group, fingerprint=shown, via=VIA,
        way="page", message=receipt, reason=wanted.reason,
    )  # fmt: skip
    try:
        await decisions.vote(call, decision)
    except NoSuchCall:
        return Said(call, 404, f"Nothing was recorded: there is no call {call!r}, or it is no longer kept.")
    except Stale as stale:
        return Said(call, 409, f"Nothing was recorded: {stale}.")
    except NotEligible as no:
        return Said(call, 403, f"Nothing was recorded: {no}.")
    return Said(call, 200, "Your approval is recorded." if wanted.approve else "Your rejection is recorded.")
