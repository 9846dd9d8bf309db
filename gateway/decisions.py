"""What people and agents may do to a call that exists: vote, withdraw, settle a doubt.

Each is one more fact, appended with the same compare-and-swap as everything else, after which the call is driven on
by the process that recorded it, whether or not anybody waits. Nothing here sends anything.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.core.admit import Inadmissible
from gateway.core.approval import (
    Ballot,
    CannotEdit,
    Decision,
    NotEligible,
    Stale,
    may_cancel,
    may_retract,
    may_vote,
)
from gateway.core.facts import Approved, Cancelled, Edited, Lost, Rejected, Resolved, Retracted, Withdrawn
from gateway.core.lifecycle import Finish, Judge, next_step
from gateway.core.payload import Answer, pack_answer
from gateway.core.record import Record
from gateway.engine import Engine
from gateway.judging import admission_of, judge
from gateway.life import Life
from gateway.ports import Conflict
from gateway.recording import record_edited
from gateway.tasks import spawn

__all__ = ["CannotEdit", "Decisions", "NoSuchCall", "NotEligible", "Stale", "TooEarly"]


LOOK_SECONDS = 0.05
"""Between looks while an earlier vote is being weighed, which takes milliseconds."""


class NoSuchCall(Exception):
    """There is no such call, or its time in the call store is over."""


class TooEarly(Stale):
    """A call in doubt whose last send may still be under way, so that what a person sees now may not be the end."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"its last send may still be under way; settle it in {seconds} seconds")
        self.seconds = seconds
        """Until nothing is under way any more."""


@dataclass(frozen=True, slots=True)
class Decisions:
    engine: Engine

    async def vote(self, call: str, decision: Decision) -> Record:
        """Record a yes or no and let the call go on. A repeat of a message that was recorded changes nothing.

        Raises NoSuchCall, Stale or NotEligible; then nothing was recorded.
        """
        while True:
            life = await self._held(call)
            kind = Approved if decision.approve else Rejected
            if _repeats(life, decision.message, (kind, decision.by, decision.group)):
                return life.record
            now = self.engine.journal.now()
            ballot = may_vote(life.record, decision, life.generation.routes, now=now)
            life.add(_vote(decision, ballot, life, now))
            if await self._written(life):
                return life.record

    async def edit(self, call: str, decision: Decision, changes: Mapping[str, object]) -> Record:
        """Approve the call with other arguments: validated, fingerprinted and judged anew before anything is written.

        `changes` names arguments of the tool; None takes one away. All earlier votes were for other bytes, so they are
        void; this decision is a yes to the new ones, as far as they are held by what was shown; unless a yes is bound
        to what previews show: then all are asked with what these show of the new request. The agent's own request is
        kept beside. Raises NoSuchCall, Stale, NotEligible or CannotEdit; then nothing was recorded.
        """
        while True:
            life = await self._held(call)
            if _repeats(life, decision.message, (Edited, decision.by, decision.group)):
                return life.record
            await self._edit(life, decision, changes)
            if await self._written(life):
                return life.record

    async def _edit(self, life: Life, decision: Decision, changes: Mapping[str, object]) -> None:
        journal, record = self.engine.journal, life.record
        ballot = may_vote(record, decision, life.generation.routes, now=journal.now())
        payload = await journal.payload(record.call.id)
        try:
            edit = life.generation.edit(await admission_of(life, journal), payload, changes)
        except Inadmissible as no:
            raise CannotEdit(no.reason) from no
        assert record.judged is not None, "may_vote looked"
        life.admission, now_about = edit.admission, edit.admission.call.resource
        fingerprint = edit.admission.call.fingerprint
        life.add(
            Edited(
                by=decision.by, group=decision.group, before=record.judged.fingerprint,
                fingerprint=fingerprint, changed=edit.changed, via=decision.via,
                message=decision.message, reason=decision.reason, on_behalf=ballot.on_behalf,
                resource=now_about if now_about != record.call.resource else "", at=journal.now(),
            )
        )  # fmt: skip
        record_edited(life, journal.now())
        verdict = (await judge(life, journal, self.engine.suspended)).verdict
        if verdict.decision == "deny":
            raise CannotEdit(f"the edited call is denied: {' '.join(verdict.reasons) or verdict.code}")
        agreed = tuple(item for item in ballot.requirements if item in verdict.requirements)
        bound = any(item.bound for item in record.sight.pictures)  # to what was shown of another request
        if agreed and not bound:
            yes = _vote(decision, replace(ballot, requirements=agreed), life, journal.now())
            life.add(replace(yes, fingerprint=fingerprint))
        life.payload |= {"request": edit.request} | ({} if record.edits else {"original": payload["request"]})

    async def retract(self, call: str, *, by: str, group: str, via: str, message: str = "") -> Record:
        """Take back a yes before anything was released because of it. Raises NoSuchCall or Stale."""
        while True:
            life = await self._load(call)
            if _repeats(life, message, (Retracted, by, group)):
                return life.record
            may_retract(life.record, by, group)
            life.add(Retracted(by=by, group=group, via=via, message=message, at=self.engine.journal.now()))
            if await self._written(life):
                return life.record

    async def cancel(self, call: str, *, by: str, via: str, reason: str = "") -> Record:
        """End a held call, as one who answers for its agent or its system. Raises NoSuchCall, Stale or NotEligible."""
        while True:
            life = await self._load(call)
            refusal = life.record.refusal
            if isinstance(refusal, Cancelled) and refusal.by == by:
                return life.record
            may_cancel(life.record, by, life.generation.routes)
            life.add(Cancelled(by=by, via=via, reason=reason, at=self.engine.journal.now()))
            if await self._written(life):
                return life.record

    async def _held(self, call: str) -> Life:
        """The call, once earlier votes are weighed and today's policies are asked. Raises NoSuchCall."""
        weighing = None
        while True:
            life = await self._load(call)
            if not isinstance(self._step(life), Judge) or await self._is_held_today(life):
                return life
            if weighing is None or weighing.done():  # one at a time: weighing may look at the system
                weighing = spawn(self.engine.unattended(call), "weigh the votes so far")
            await asyncio.sleep(LOOK_SECONDS)

    async def _written(self, life: Life) -> bool:
        """Append what was said and let the call go on; False if somebody else wrote first."""
        try:
            await self.engine.flush(life)
        except Conflict:
            return False
        spawn(self.engine.unattended(life.record.call.id), "drive after a decision")
        return True

    async def _is_held_today(self, life: Life) -> bool:
        """True if today's policies leave the hold as it is, whatever generation judged it."""
        if life.record.judged is None:
            return False
        pending = len(life.facts)
        self.engine.judged(life, await judge(life, self.engine.journal, self.engine.suspended, self.engine.standing))
        return len(life.facts) == pending

    async def withdraw(self, call: str, agent: str) -> Record:
        """The agent takes back what is still held. Raises NoSuchCall or Stale."""
        while True:
            life = await self._load(call)
            if life.record.call.agent != agent:
                raise NoSuchCall(call)
            if isinstance(life.record.refusal, Withdrawn):
                return life.record
            record = life.record
            if isinstance(self._step(life), Finish) or record.claim is not None or record.doubts or not record.asked:
                raise Stale("only a call that is held can be withdrawn")
            life.add(Withdrawn(at=self.engine.journal.now()))
            try:
                await self.engine.flush(life)
            except Conflict:
                continue
            return life.record

    async def resolve(self, call: str, *, by: str, acted: bool, note: str, answer: Answer | None) -> Record:
        """An operator says what became of a call in doubt. Raises NoSuchCall, Stale or TooEarly."""
        while True:
            life = await self._load(call)
            record, now = life.record, self.engine.journal.now()
            step = self._step(life)
            if not (isinstance(step, Finish) and isinstance(step.outcome, Lost) and record.call.acts):
                raise Stale("only a call in doubt can be resolved")
            if record.latest is not None and now < record.latest.at + record.latest.lease:
                over = (record.latest.at + record.latest.lease - now) // 1000 + 1
                raise TooEarly(over)
            life.add(Resolved(by=by, acted=acted, status=answer.status if answer else 0, note=note, at=now))
            if answer is not None:
                life.payload["answer"] = pack_answer(answer)
            try:
                await self.engine.flush(life)
            except Conflict:
                continue
            return life.record

    async def _load(self, call: str) -> Life:
        life = await self.engine.load(call)
        if life is None:
            raise NoSuchCall(call)
        return life

    def _step(self, life: Life) -> object:
        return next_step(life.record, now=self.engine.journal.now(), me="", today=life.generation.digest)


def _repeats(life: Life, message: str, said: tuple[type, str, str]) -> bool:
    """True if this message was recorded. Raises Stale if its id was, for something else: that must not seem done."""
    if not message or message not in life.record.messages:
        return False
    kinds = Approved | Rejected | Retracted | Edited
    fact = next(fact for fact in life.facts if isinstance(fact, kinds) and fact.message == message)
    if (type(fact), fact.by, fact.group) != said:
        raise Stale("another decision came under this message id; give every decision a `webhook-id` of its own")
    return True


def _vote(decision: Decision, ballot: Ballot, life: Life, now: int) -> Approved | Rejected:
    """The fact of a decision. It is bound to the call's own fingerprint, which what was shown contains."""
    judged, group = life.record.judged, life.generation.routes.groups[decision.group]
    fingerprint = judged.fingerprint if judged is not None else ""
    if decision.approve:
        return Approved(
            by=decision.by, group=decision.group, fingerprint=fingerprint, requirements=ballot.requirements,
            via=decision.via, message=decision.message, reason=decision.reason, on_behalf=ballot.on_behalf,
            undo=round(group.undo_seconds * 1000), at=now,
        )  # fmt: skip
    return Rejected(
        by=decision.by, group=decision.group, fingerprint=fingerprint, via=decision.via, message=decision.message,
        reason=decision.reason, on_behalf=ballot.on_behalf, at=now,
    )  # fmt: skip
