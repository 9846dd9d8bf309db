"""What people and agents may do to a call that exists: vote, withdraw, settle a doubt.

Each is one more fact, appended with the same compare-and-swap as everything else, after which the call is driven on
by the process that recorded it, whether or not anybody waits. Nothing here sends anything.
"""

import asyncio
from dataclasses import dataclass

from gateway.core.approval import Decision, NotEligible, Stale, may_vote
from gateway.core.facts import Approved, Lost, Rejected, Resolved, Withdrawn
from gateway.core.lifecycle import Finish, Judge, Record, next_step
from gateway.core.payload import Answer, pack_answer
from gateway.core.verdict import Requirement
from gateway.engine import Engine
from gateway.judging import judge
from gateway.life import Life
from gateway.ports import Conflict
from gateway.tasks import spawn

__all__ = ["Decisions", "NoSuchCall", "NotEligible", "Stale", "TooEarly"]


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
            life = await self._load(call)
            if decision.message and decision.message in _messages(life.record):
                return life.record
            if isinstance(self._step(life), Judge) and not await self._is_held_today(
                life
            ):  # an earlier vote is not weighed yet, or policies changed
                spawn(self.engine.unattended(call), "weigh the votes so far")
                await asyncio.sleep(LOOK_SECONDS)
                continue
            asked = may_vote(life.record, decision, life.generation.routes, now=self.engine.journal.now())
            life.add(_vote(decision, asked, life.record, self.engine.journal.now()))
            try:
                await self.engine.flush(life)
            except Conflict:
                continue
            spawn(self.engine.unattended(call), "drive after a vote")
            return life.record

    async def _is_held_today(self, life: Life) -> bool:
        """True if today's policies leave the hold as it is, whatever generation judged it."""
        if life.record.judged is None:
            return False
        pending = len(life.facts)
        self.engine.judged(life, await judge(life, self.engine.journal, self.engine.suspended))
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


def _vote(decision: Decision, asked: tuple[Requirement, ...], record: Record, now: int) -> Approved | Rejected:
    """The fact of a decision. It is bound to the call's own fingerprint, which what was shown contains."""
    assert record.judged is not None, "may_vote looked"
    fingerprint = record.judged.fingerprint
    if decision.approve:
        return Approved(
            by=decision.by, group=decision.group, fingerprint=fingerprint, requirements=asked, via=decision.via,
            message=decision.message, reason=decision.reason, at=now,
        )  # fmt: skip
    return Rejected(
        by=decision.by, group=decision.group, fingerprint=fingerprint, via=decision.via, message=decision.message,
        reason=decision.reason, at=now,
    )  # fmt: skip


def _messages(record: Record) -> set[str]:
    votes = {vote.message for vote in record.votes if vote.message}
    refusal = record.refusal
    return votes | {refusal.message} if isinstance(refusal, Rejected) and refusal.message else votes
