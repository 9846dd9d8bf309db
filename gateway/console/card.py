"""One held call, as the person sees it who decides about it: everything that a decision is bound to, whole.

What is shown is read in one go: the facts, and the call as it would be admitted today from the bytes beside them. So
the arguments on the card are those of the fingerprint in its form. What the agent says about itself is marked as its
words and never mixed with what the gateway knows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway import control_errors
from gateway.console.editing import Field, fields
from gateway.console.questions import VIA, Question, questions
from gateway.core.admit import Admission, Inadmissible
from gateway.core.approval import NotEligible, Stale, may_cancel, may_retract
from gateway.core.facts import Approved, Edited
from gateway.core.notices import arguments, summary
from gateway.core.outcomes import Became, became, final_at
from gateway.core.previews import Picture
from gateway.core.record import Record
from gateway.core.routes import Routes
from gateway.core.timeline import state
from gateway.engine import Engine
from gateway.judging import admission_of
from gateway.life import Life
from gateway.ports import Journal
from gateway.previewing import pictures_in
from gateway.viewing import opened

STAKES = {
    "read": ("Reads", "The agent gets to see what the system answers."),
    "write": ("Changes something", "The system will be changed."),
    "destructive": ("Destroys something", "This cannot be undone by asking again."),
}
"""What each effect means to somebody who has to answer for it."""


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    reason: str
    group: str


@dataclass(frozen=True, slots=True)
class Card:
    call: str
    state: str
    became: Became
    summary: str
    agent: str
    owner: str
    user: str
    run: str
    why: str
    system: str
    tool: str
    effect: str
    stakes: str
    warning: str
    method: str
    target: str
    resource: str
    arguments: Mapping[str, object] | None
    """None if they cannot be shown; then `unreadable` says why."""
    unreadable: str
    previews: tuple[Picture, ...]
    """What of the system is shown with it."""
    undeclared: frozenset[str]
    """Arguments that the tool does not declare, so that no policy has seen them."""
    body_size: int
    body_digest: str
    """SHA-256 of the exact bytes that would be sent."""
    fingerprint: str
    policies: tuple[Policy, ...]
    questions: tuple[Question, ...]
    votes: tuple[Approved, ...]
    edits: tuple[Edited, ...]
    original: Mapping[str, object]
    """Arguments that people changed, as the agent had written them; only those."""
    fields: tuple[Field, ...]
    """Of the form in which they can be changed."""
    mine_to_take_back: tuple[str, ...]
    """Groups for which this person said yes and may still take it back."""
    may_cancel: bool
    release_left: int
    """Milliseconds until an approved call is carried out."""
    begun: int
    expires_at: int
    left: int

    @property
    def open(self) -> bool:
        """It waits, and the time is not over."""
        return self.became.tone in ("waiting", "approved")

    @property
    def mine(self) -> list[Question]:
        """What the person who looks may decide."""
        if self.became.tone == "approved":
            found = (replace(item, may_approve=False, why_not="it is approved") for item in self.questions)
            return [item for item in found if item.may_reject]
        return [item for item in self.questions if item.mine] if self.open else []

    @property
    def shown(self) -> str:
        """Changes when the question does: whoever has another one before their eyes has to look again."""
        return hashlib.sha256("".join(item.shown for item in self.questions).encode()).hexdigest()[:32]


async def open_card(engine: Engine, call: str, person: str) -> tuple[Life, Card]:
    """The card as that person sees it, once it is written that they do. Raises UnknownCall or JournalUnavailable."""
    view = await opened(engine, call, by=person, via=VIA)
    if view is None:
        raise control_errors.UnknownCall(call)
    return view.life, await card(view.life, engine.journal, person, view.hidden)


async def card(life: Life, journal: Journal, person: str, hidden: str = "") -> Card:
    """The card of this call for that person. `hidden`: why arguments must not be shown. Raises JournalUnavailable."""
    record, routes, now = life.record, life.generation.routes, journal.now()
    payload = await journal.payload(record.call.id) if not hidden else {}
    admission, unreadable = None, hidden
    try:
        admission = await admission_of(life, journal) if not hidden else None
    except Inadmissible as no:
        unreadable = no.reason
    came, pictures = became(record, payload, routes, now=now), tuple(pictures_in(record, payload))
    read = _Read(admission, unreadable, came, _original(life, payload), pictures)
    return _card(life, read, person, now)


@dataclass(frozen=True, slots=True)
class _Read:
    """What is known of a call beside its facts."""

    admission: Admission | None
    unreadable: str
    came: Became
    original: Mapping[str, object]
    previews: tuple[Picture, ...]


def _original(life: Life, payload: Mapping[str, bytes]) -> Mapping[str, object]:
    """What the agent had written where people changed it."""
    changed = {name for edit in life.record.edits for name in edit.changed}
    if not changed or "original" not in payload:
        return {}
    try:
        first = life.generation.readmit(life.record.call, {**payload, "request": payload["original"]})
    except Inadmissible:
        return {}
    return {name: first.question.input.get(name) for name in sorted(changed)}


def _retractable(record: Record, person: str) -> tuple[str, ...]:
    found = []
    for group in dict.fromkeys(vote.group for vote in record.votes if vote.by == person):
        try:
            may_retract(record, person, group)
        except Stale:
            continue
        found.append(group)
    return tuple(found)


def _may_cancel(record: Record, person: str, routes: Routes) -> bool:
    try:
        may_cancel(record, person, routes)
    except (Stale, NotEligible):
        return False
    return True


def _card(life: Life, read: _Read, person: str, now: int) -> Card:
    record, routes = life.record, life.generation.routes
    admission, came = read.admission, read.came
    may_end = came.tone in ("waiting", "approved")
    call, agent = record.call, routes.agents.get(record.call.agent)
    stakes, warning = STAKES[call.effect]
    body = admission.request.body if admission else b""
    given = arguments(admission) if admission else None
    return Card(
        call=call.id, state=state(record), became=came,
        summary=summary(admission) if admission else f"{call.agent} wants to call {call.tool}",
        agent=call.agent, owner=agent.owner if agent else "", user=call.user or "", run=call.run or "",
        why=call.reason, system=call.system, tool=call.tool, effect=call.effect, stakes=stakes, warning=warning,
        method=call.method, target=admission.request.target if admission else "",
        resource=(admission.call if admission else call).resource,
        arguments=given, unreadable=read.unreadable, previews=read.previews,
        undeclared=frozenset(admission.extra if admission else ()),
        body_size=len(body), body_digest=hashlib.sha256(body).hexdigest(),
        fingerprint=record.judged.fingerprint if record.judged else call.fingerprint,
        policies=_policies(record), questions=tuple(questions(record, person, routes, now=now)), votes=record.votes,
        edits=record.edits, original=read.original, fields=tuple(fields(admission)) if admission else (),
        mine_to_take_back=_retractable(record, person) if may_end else (),
        may_cancel=may_end and _may_cancel(record, person, routes),
        release_left=max(0, final_at(record) - now),
        begun=life.facts[0].at, expires_at=record.expires_at or 0, left=(record.expires_at or now) - now,
    )  # fmt: skip


def _policies(record: Record) -> tuple[Policy, ...]:
    """What the policies said: the forbids that hold it, with their reasons, and who may lift each."""
    if record.judged is None:
        return ()
    verdict = record.judged.verdict
    reasons = dict(zip(verdict.policies, verdict.reasons, strict=False))
    return tuple(Policy(item.policy, reasons.get(item.policy, ""), item.group) for item in verdict.requirements)
