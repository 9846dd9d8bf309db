"""The hands: do what `next_step` asks for, and write down what happened.

`drive` is the only loop. A fresh, retried, held, resumed or crashed call all pass through it; what differs is only
the record it starts from. New facts stay in memory until the next step touches the world, and are then written in
one append, so an effect costs two appends and a read one (design section 4).

It must never send without a claim that is durable and its own, never answer before the outcome is durable, and
never drop an outcome it holds: if the journal is away, the outcome waits here until it is back.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import assert_never

from gateway import errors
from gateway.beside import SignsOfLife
from gateway.clock import uptime
from gateway.core.admit import Admission, Inadmissible
from gateway.core.call import Call
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Attached,
    Claimed,
    Delivered,
    Ended,
    Expired,
    Fact,
    Judged,
    Lost,
    Unsent,
)
from gateway.core.ladder import climbed
from gateway.core.latency import Latency
from gateway.core.lifecycle import Ask, Claim, Climb, Expire, Finish, Forfeit, Judge, Look, Send, Wait, next_step
from gateway.core.notices import asked, reported
from gateway.core.payload import Answer, pack_answer, pack_request, unpack_answer
from gateway.core.pointers import LOOKING_MS, attracts
from gateway.core.previews import MOST_BYTES
from gateway.core.record import begin, recall
from gateway.core.timeline import state
from gateway.core.verdict import Requirement
from gateway.doubts import tell_new_doubt
from gateway.judging import admission_of, inadmissible, judge
from gateway.life import Life, Requester, known
from gateway.owing import owe
from gateway.ports import (
    CallVanished,
    Conflict,
    Generation,
    Journal,
    JournalUnavailable,
    NoRoom,
    Revoked,
    Suspended,
    Taken,
    TooMuchStored,
    Upstream,
)
from gateway.previewing import Looks
from gateway.randomness import random
from gateway.recording import record_answer, record_input
from gateway.sending import Limits, Sent, drain, lease_ms, send, written
from gateway.standing import Standing
from gateway.tasks import spawn

MOST_STEPS = 64
"""A life needs about ten; more means two processes undo each other's work, which must end as an error, not a spin."""
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.5
"""How often a waiting request looks for news: quickly at first, for duplicates of a call that is just executing."""
JOURNAL_RETRY_SECONDS = 0.5

Driven = tuple[Life, Wait | Finish]


def _nothing(call: Call, facts: Sequence[Fact]) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    journal: Journal
    upstream: Upstream
    generation: Callable[[], Generation]
    """What serves now."""
    limits: Limits
    worker: str = ""
    """Name of this process, new at every start."""
    suspended: Collection[str] = ()
    """Agents known to be suspended, a moment ago. The journal knows for sure; this saves asking a system in vain."""
    standing: Standing = field(default_factory=Standing)
    """Standing grants, as they were a moment ago. The journal knows for sure, and a claim that needs one asks it."""
    owing: set[str] = field(default_factory=set)
    """Calls whose requesters got no answer, as this process knows and the journal does not yet."""
    deciding: Latency = field(default_factory=Latency)
    """How long judging takes."""
    announce: Callable[[Call, Sequence[Fact]], None] = field(default=_nothing)
    """Told of facts once they are durable."""

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

    async def load(self, call: str) -> Life | None:
        """A call as the journal has it, or None."""
        facts = await self.journal.facts(call)
        if not facts:
            return None
        record = recall(facts)
        return Life(record, self.generation(), durable=len(facts), facts=facts, base=record)

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
                        await self._send(life, life.admission or await admission_of(life, self.journal))
                    case Claim():
                        self._claim(life, life.admission or await admission_of(life, self.journal))
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
                await self._drop_answer(life)
                await self.reload(life)
            except (Suspended, Revoked) as refused:
                await self._drop_answer(life)
                await self._judge_again(life, refused)
            except JournalUnavailable:
                await self._drop_answer(life)
                raise
        await self._drop_answer(life)
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

    def _claim(self, life: Life, admission: Admission) -> None:
        if life.requester.left and life.durable == 0:
            raise errors.RequesterGone
        life.me, life.claimed = random.hex(8), uptime()
        lease, now = lease_ms(admission.system), self.journal.now()
        fingerprint = admission.call.fingerprint
        life.add(Claimed(token=life.me, fingerprint=fingerprint, lease=lease, worker=self.worker, at=now))

    async def _send(self, life: Life, admission: Admission) -> None:
        """Send once, and hold on to what came of it until it is written."""
        token = life.me
        if token:
            await self._make_claim_durable(life)
        life.me = ""
        sent = await send(self.upstream, admission, life, token, self.limits, self.journal.now)
        life.answer, life.reply = sent.answer, sent.reply
        if not token:
            self._note_outcome(life, sent)
            return
        try:
            await self._write_outcome(life, sent)
        except JournalUnavailable as error:
            owe(self.owing, life.record.call.id, lambda: self._keep_writing(life, sent))
            if not life.record.call.acts:
                raise
            raise errors.OutcomeUnknown(life.record.call.id, life.record.call.system) from error

    async def _make_claim_durable(self, life: Life) -> None:
        try:
            await self.flush(life)
        except JournalUnavailable as error:
            spawn(self._disown(life.record.call.id, life.me, str(error)), "disown claim")
            raise
        life.requester.executing = life.record.call.id
        if life.requester.left:
            self.leave(life.requester)

    def leave(self, requester: Requester) -> None:
        """The requester went away unanswered. An identical request must now find what it left, whatever its key."""
        requester.left = True
        if requester.executing:
            self.abandon(requester.executing)

    def abandon(self, call: str) -> None:
        """The requester of this call got no answer."""
        owe(self.owing, call, lambda: self.note(call, Abandoned()))

    def _note_outcome(self, life: Life, sent: Sent) -> None:
        for fact in sent.facts:
            life.add(fact)
        if sent.kept is not None:
            life.payload["answer"] = pack_answer(sent.kept)
        if sent.recorded is not None:
            record_answer(life, sent.answer, sent.recorded, self.journal.now())
        if sent.token and life.requester.left:
            life.add(Abandoned(at=self.journal.now()))

    async def _write_outcome(self, life: Life, sent: Sent) -> None:
        """Durable before the answer, whoever else writes to this call meanwhile."""
        while not written(sent, life.facts[: life.durable]):
            self._note_outcome(life, sent)
            try:
                await self.flush(life)
            except Conflict:
                await self.reload(life)
            except TooMuchStored:
                await self.reload(life)
                sent = sent.unkept()
            except Suspended:  # so this is a read, and its answer must not be told
                await self.reload(life)
                await self._write_outcome(life, sent.withheld("the agent was suspended before it had the answer"))
                raise

    async def _keep_writing(self, life: Life, sent: Sent) -> None:
        """The journal is away and the outcome is only here: write it when it is back, unless it got there after all."""
        life.requester.left = True
        await self._drop_answer(life)
        while True:
            await asyncio.sleep(JOURNAL_RETRY_SECONDS)
            try:
                await self.reload(life)
                await self._write_outcome(life, sent)
            except Suspended:
                pass  # that nobody gets the answer is written
            except CallVanished:
                life.write_anew()
                with suppress(Conflict, JournalUnavailable):  # from what is known of it here
                    await self.flush(life)
                continue
            except JournalUnavailable:
                continue
            await self.note(life.record.call.id, Abandoned())  # its requester was told that nobody knows
            return

    async def _disown(self, call: str, token: str, error: str) -> None:
        """A claim whose append was not confirmed may be there all the same; nothing was sent under it."""
        while True:
            await asyncio.sleep(JOURNAL_RETRY_SECONDS)
            try:
                life = await self.load(call)
                if life is not None and token in life.record.tokens:
                    life.add(Unsent(token=token, error=f"the claim was not confirmed: {error}", at=self.journal.now()))
                    await self.flush(life)
                return
            except (Conflict, JournalUnavailable):
                continue

    # --- Writing ---------------------------------------------------------------------------------------------

    async def flush(self, life: Life) -> None:
        """Append what is pending. Raises what `Journal.append` raises."""
        if len(life.facts) > life.durable:
            if not life.durable and life.records:
                record_input(life, self.journal.now())
            self._report(life)
            await self.journal.append(life.append(self.journal.now()))
            self.announce(life.record.call, life.facts[life.durable :])
            if life.record.doubts:
                tell_new_doubt(life, self.journal.now())
            life.written()

    def _report(self, life: Life) -> None:
        """Those who were asked hear how it ended, from the same append that ends it."""
        if life.record.asked:
            now = self.journal.now()
            step = next_step(life.record, now=now, me=life.me, today=life.generation.digest)
            groups = life.generation.routes.groups
            if isinstance(step, Finish) and (news := reported(life.record, step, groups, batch=random.hex(3), now=now)):
                life.heard_by(news)

    async def reload(self, life: Life) -> None:
        facts = await self.journal.facts(life.record.call.id)
        if not facts:
            raise CallVanished(f"the journal has lost call {life.record.call.id}: was it restored from an older state?")
        life.start_again(facts)

    async def _drop_answer(self, life: Life) -> None:
        """What is not recorded is not disclosed."""
        if life.reply is not None:
            await life.reply.close()
        life.answer, life.reply = None, None

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

    async def note(self, call: str, fact: Abandoned | Delivered | Ended) -> None:
        """Write down something that changes no decision, however often others write meanwhile."""
        while True:
            try:
                life = await self.load(call)
                if life is not None and not known(life.record, fact):
                    life.add(replace(fact, at=self.journal.now()))
                    await self.flush(life)
                return
            except Conflict:
                continue
            except JournalUnavailable:
                await asyncio.sleep(JOURNAL_RETRY_SECONDS)
