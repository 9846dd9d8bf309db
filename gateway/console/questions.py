"""What of a held call waits for one person. Pure.

Who may decide is asked of `gateway.core.approval` by trying the very decision that the person could make, so the page
never offers a button that `Decisions` would refuse, and never hides one that it would take.
"""

from dataclasses import dataclass

from gateway.core.approval import Decision, NotEligible, Stale, may_vote, question, shown, voters
from gateway.core.record import Record
from gateway.core.routes import Routes
from gateway.core.verdict import Requirement

VIA = "on the page"
"""How the record says that a decision came in."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one group is asked about a call, as one person sees it."""

    group: str
    shown: str
    """What a decision must return."""
    requirements: tuple[Requirement, ...]
    wanted: int
    """Different people."""
    cast: tuple[str, ...]
    """Who said yes so far."""
    may_approve: bool
    may_reject: bool
    on_behalf: str = ""
    """Who is away, and in whose place this person decides."""
    why_not: str = ""
    """Why this person may not approve, as a sentence without full stop."""

    @property
    def mine(self) -> bool:
        return self.may_approve or self.may_reject


def groups(record: Record) -> list[str]:
    judged = record.judged
    return list(dict.fromkeys(item.group for item in judged.verdict.requirements)) if judged is not None else []


def questions(record: Record, person: str, routes: Routes, *, now: int) -> list[Question]:
    """What every group is asked about this call now."""
    return [_question(record, name, person, routes, now) for name in groups(record) if question(record, name)]


def _question(record: Record, name: str, person: str, routes: Routes, now: int) -> Question:
    print_, group = shown(record, name), routes.groups.get(name)
    why = {approve: _why_not(record, name, print_, person, routes, approve, now) for approve in (True, False)}
    able = voters(record, group, routes, at=now) if group else {}
    judged = record.judged.fingerprint if record.judged else ""
    cast = [vote.by for vote in record.votes if vote.group == name and vote.fingerprint == judged]
    return Question(
        group=name, shown=print_, requirements=question(record, name), wanted=group.quorum if group else 1,
        cast=tuple(dict.fromkeys(cast)), may_approve=not why[True], may_reject=not why[False],
        on_behalf=able.get(person, ""), why_not=why[True],
    )  # fmt: skip


def _why_not(
    record: Record, group: str, print_: str, person: str, routes: Routes, approve: bool, now: int  # noqa: FBT001
) -> str:  # fmt: skip
    decision = Decision(approve=approve, by=person, group=group, fingerprint=print_, via=VIA, way="page")
    try:
        may_vote(record, decision, routes, now=now)
    except (Stale, NotEligible) as no:
        return str(no)
    return ""


def waits_for(record: Record, person: str, routes: Routes, *, now: int) -> bool:
    """True if this person could bring the call forward: say yes to something that nobody has said yes to for them."""
    return any(item.may_approve for item in questions(record, person, routes, now=now))
