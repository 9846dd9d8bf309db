"""The loop: do what `next_step` asks for, until there is nothing to do now.

`drive` is the only loop. A fresh, retried, held, resumed or crashed call all pass through it; what differs is only
the record it starts from. New facts stay in memory until the next step touches the world, and are then written in
one append, so an effect costs two appends and a read one (design section 4).

What acts and what writes is `gateway.acting`. This file must never let two processes undo each other's work for ever.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import assert_never

from gateway import errors
from gateway.acting import Acting
from gateway.beside import SignsOfLife
from gateway.core.admit import Admission, Inadmissible
from gateway.core.facts import Abandoned, Admitted, Attached, Expired, Judged, Lost
from gateway.core.ladder import climbed
from gateway.core.latency import Latency
from gateway.core.lifecycle import Ask, Claim, Climb, Expire, Finish, Forfeit, Judge, Look, Send, Wait, next_step
from gateway.core.notices import asked
from gateway.core.payload import Answer, pack_request, unpack_answer
from gateway.core.pointers import LOOKING_MS, attracts
from gateway.core.previews import MOST_BYTES
from gateway.core.record import begin
from gateway.core.timeline import state
from gateway.core.verdict import Requirement
from gateway.judging import admission_of, inadmissible, judge
from gateway.life import Life, Requester
from gateway.ports import Conflict, Generation, JournalUnavailable, NoRoom, Revoked, Suspended, Taken
from gateway.previewing import Looks
from gateway.randomness import random
from gateway.sending import drain
from gateway.standing import Standing
from gateway.tasks import spawn

MOST_STEPS = 64
"""A life needs about ten; more means two processes undo each other's work, which must end as an error, not a spin."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.5
"""How often a waiting request looks for news: quickly at first, for duplicates of a call that is just executing."""

Driven = tuple[Life, Wait | Finish]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine(Acting):
    suspended: Collection[str] = ()
    """Agents known to be suspended, a moment ago. The journal knows for sure; this saves asking a system in vain."""
    standing: Standing = field(default_factory=Standing)
    """Standing grants, as they were a moment ago. The journal knows for sure, and a claim that needs one asks it."""
    deciding: Latency = field(default_factory=Latency)
    """How long judging takes."""

    # --- Ways in ---------------------------------------------------------------------------------------------

    async def begin(self, admission: Admission, generation: Generation, requester: Requester) -> Driven:
        """A new request: begin its call, or attach to the one that it is."""
        first = Admitted(call=admission.call, at=self.journal.now())
        life = Life(begin(first), generation, admission=admission, requester=requester, facts=[first], fresh=True)
        if admission.call.acts:
            life.payload = {"request": pack_request(admission.request), "salt": admission.salt}
        signs = SignsOfLife(self.journal, self.worker, self.owing, admission.call.match)
        while True:
            try:
                return life, await self.drive(life)
            except Taken as taken:
                ours = await signs.go_on_without_us(taken.calls) if taken.kind == "executing" else taken.calls[0]
                if ours:
                    return await self._carry_on(life, ours, taken.kind)
                life.admit_again(self.generation())
                life.beside = (*life.beside, *taken.calls)
            except NoRoom as full:
                raise life.beyond(full) from full

    async def _carry_on(self, life: Life, call: str, kind: str) -> Driven:
        """This request is a call that exists."""
        denied = life.record.judged
        life = await self._attach(life, call, kind)
        if denied is not None and denied.verdict.decision == "deny":
            raise errors.PolicyDenied.of_known(denied.verdict, state(life.record), life.record.call) from None
        return life, await self.drive(life)

    async def resume(self, call: str, requester: Requester | None = None) -> Driven | None:
        """Carry on with a call that was held, or that another process left behind."""
        life = await self.load(call)
        if life is None:
            return None
        life.requester = requester or life.requester
        return life, await self.drive(life)

    async def follow(self, driven: Driven, seconds: float) -> Driven:
        """Wait at most that long for the call to be over, wherever that happens."""
        life, step = driven
        call = life.record.call.id
        deadline, look = time.monotonic() + seconds, FIRST_LOOK_SECONDS
        while isinstance(step, Wait) and not life.requester.left and (remaining := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(look, remaining))
            look = min(look * 1.5, LAST_LOOK_SECONDS)
            if self.journal.now() < step.until and await self.journal.length(call) == life.durable:
                continue
            resumed = await self.resume(call, life.requester)
            if resumed is None:
                break
            resumed[0].attached = life.attached
            life, step = resumed
        return life, step

    async def unattended(self, call: str) -> Driven | None:
        """Drive a call on with nobody waiting: after a vote, or when its time has come."""
        driven = await self.resume(call)
        if driven is not None and driven[0].reply is not None:
            await self.note(call, await drain(driven[0].reply, driven[0].salt))
        return driven

    async def kept_answer(self, life: Life) -> Answer | None:
        if life.answer is not None:
            return life.answer
        data = (await self.journal.payload(life.record.call.id)).get("answer")
        return unpack_answer(data) if data is not None else None

    # --- The loop --------------------------------------------------------------------------------------------

    async def drive(self, life: Life) -> Wait | Finish:  # noqa: C901, PLR0912 - one arm per step
        """Go as far as the call can go now. Every fact is durable when this returns."""
        for _ in range(MOST_STEPS):
            now = self.journal.now()
            step = next_step(life.record, now=now, me=life.me, today=life.generation.digest)
            try:
                match step:
                    case Judge():
                        began = time.perf_counter()
                        self.judged(life, await judge(life, self.journal, self.suspended, self.standing))
                        self.deciding.add(time.perf_counter() - began)
                    case Finish() | Wait():
                        await self.flush(life)
                        return step
                    case Send():
                        await self.perform(life, life.admission or await admission_of(life, self.journal))
                    case Claim():
                        self.claim(life, life.admission or await admission_of(life, self.journal))
                    case Ask(requirements):
                        self._ask(life, await admission_of(life, self.journal), requirements)
                    case Climb(rung):
                        groups = life.generation.routes.groups
                        life.heard_by(climbed(rung, groups, life.record.call.id, batch=random.hex(3), now=now))
                    case Look() if life.fresh and not step.again:
                        return await self._look_aside(life)
                    case Look(names, again):
                        await self._look(life, await admission_of(life, self.journal), names, again=again)
                    case Expire():
                        life.add(Expired(at=now))
                    case Forfeit(token):
                        life.add(Lost(token=token, error="the process that was sending is gone", at=now))
                    case _:
                        assert_never(step)
            except Inadmissible as no:
                life.add(inadmissible(life, no, now))
            except Conflict:
                await self.drop_answer(life)
                await self.reload(life)
            except (Suspended, Revoked) as refused:
                await self.drop_answer(life)
                await self._judge_again(life, refused)
            except JournalUnavailable:
                await self.drop_answer(life)
                raise
        await self.drop_answer(life)
        raise JournalUnavailable(f"call {life.record.call.id} did not settle after {MOST_STEPS} steps")

    def judged(self, life: Life, fact: Judged) -> None:
        """A hold that today's policies leave as it is says nothing new, so it is not written again: two processes
        with different generations would otherwise outdo each other for as long as anybody waits."""
        before, decision = life.record.judged, fact.verdict.decision
        if (
            before is not None
            and decision == "hold"
            and replace(before, generation="", weighed=0, at=0) == replace(fact, generation="", weighed=0, at=0)
        ):
            life.record = life.record.evolve(judged=fact)
        else:
            life.add(fact)

    def _ask(self, life: Life, admission: Admission, requirements: tuple[Requirement, ...]) -> None:
        if life.durable == 0:
            if len(admission.request.body) > self.limits.held_body:
                raise errors.TooLarge("body of a held request", self.limits.held_body, "GATEWAY_HELD_BODY_LIMIT")
            life.payload = {"request": pack_request(admission.request), "salt": admission.salt}
            life.identify(admission.identified())
        groups, owner = life.generation.routes.groups, admission.system.owner
        fact = asked(
            admission.call, requirements, groups, owner=owner, batch=random.hex(3), now=self.journal.now(),
            expires_at=life.record.expires_at,
        )  # fmt: skip
        life.add(replace(fact, previews=tuple(preview.name for preview in admission.tool.previews)))
        wait = LOOKING_MS if life.record.sight.unseen else 0
        life.notices += [(notice.id, wait) for notice in fact.notices]

    async def _look_aside(self, life: Life) -> Wait:
        """Whoever waits for the answer does not wait for what approvers are shown."""
        await self.flush(life)
        spawn(self.unattended(life.record.call.id), "look for the approvers")
        assert life.record.expires_at is not None
        return Wait(life.record.expires_at)

    async def _look(self, life: Life, held: Admission, names: tuple[str, ...], *, again: bool) -> None:
        """Show approvers what the call is about, or see that it is still so. Each look is a read of its own."""
        looks = Looks(self, replace(self, limits=replace(self.limits, kept_answer=MOST_BYTES)))
        if again:
            await looks.before_release(life, held, names)
        else:
            await looks.for_approvers(life, held, names)

    async def _judge_again(self, life: Life, refused: Suspended | Revoked) -> None:
        """The journal did not let happen what the verdict allowed: the agent is suspended, or a grant is gone."""
        if isinstance(refused, Revoked):
            self.standing.forget(life.lifted)
        if life.durable:
            await self.reload(life)
        if isinstance(refused, Suspended):
            life.refuse_suspended(self.journal.now())
        elif not life.durable:
            life.judge_again()
        life.me = ""

    async def _attach(self, life: Life, call: str, kind: str) -> Life:
        wanted = life.record.call
        other = await self.load(call)
        if other is None:
            raise errors.AnswerNotKept(call, upstream_status=0, sha256="", length=-1)
        if kind == "key" and other.record.call.match != wanted.match:
            raise errors.IdempotencyKeyReused(call=call)
        left = kind == "executing" and not attracts(other.record, since=other.facts[-1].at, now=self.journal.now())
        other.attached, other.requester = True, life.requester
        other.binding = Attached(key=wanted.key, keep=wanted.keep_ms, at=self.journal.now())
        other.bind()
        if left:
            other.add(Abandoned(at=self.journal.now()))  # by a process that died: nobody else can write it
        if other.record.answer is not None and len(other.facts) == other.durable:
            await self.journal.touch(call, wanted.agent, wanted.key, wanted.keep_ms)
        return other
