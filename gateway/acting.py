"""The hands: claim the right to send, send once, and write down what came of it. `gateway.engine` says when.

It must never send without a claim that is durable and its own, never answer before the outcome is durable, and
never drop an outcome it holds: if the journal is away, the outcome waits here until it is back.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gateway import errors
from gateway.clock import uptime
from gateway.core.admit import Admission
from gateway.core.call import Call
from gateway.core.facts import Abandoned, Claimed, Delivered, Ended, Fact, Unsent
from gateway.core.lifecycle import Finish, next_step
from gateway.core.notices import reported
from gateway.core.payload import pack_answer
from gateway.core.record import recall
from gateway.doubts import tell_new_doubt
from gateway.life import Life, Requester, known
from gateway.owing import owe
from gateway.ports import (
    CallVanished,
    Conflict,
    Generation,
    Journal,
    JournalUnavailable,
    Suspended,
    TooMuchStored,
    Upstream,
)
from gateway.randomness import random
from gateway.recording import record_answer, record_input
from gateway.sending import Limits, Sent, lease_ms, send, written
from gateway.tasks import spawn

JOURNAL_RETRY_SECONDS = 0.5


def _nothing(call: Call, facts: Sequence[Fact]) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    journal: Journal
    upstream: Upstream
    generation: Callable[[], Generation]
    """What serves now."""
    limits: Limits
    worker: str = ""
    """Name of this process, new at every start."""
    owing: set[str] = field(default_factory=set)
    """Calls whose requesters got no answer, as this process knows and the journal does not yet."""
    announce: Callable[[Call, Sequence[Fact]], None] = field(default=_nothing)
    """Told of facts once they are durable."""

    # --- One send --------------------------------------------------------------------------------------------

    def claim(self, life: Life, admission: Admission) -> None:
        if life.requester.left and life.durable == 0:
            raise errors.RequesterGone
        life.me, life.claimed = random.hex(8), uptime()
        lease, now = lease_ms(admission.system), self.journal.now()
        fingerprint = admission.call.fingerprint
        life.add(Claimed(token=life.me, fingerprint=fingerprint, lease=lease, worker=self.worker, at=now))

    async def perform(self, life: Life, admission: Admission) -> None:
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
        await self.drop_answer(life)
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

    # --- Reading and writing ---------------------------------------------------------------------------------

    async def load(self, call: str) -> Life | None:
        """A call as the journal has it, or None."""
        facts = await self.journal.facts(call)
        if not facts:
            return None
        record = recall(facts)
        return Life(record, self.generation(), durable=len(facts), facts=facts, base=record)

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

    async def drop_answer(self, life: Life) -> None:
        """What is not recorded is not disclosed."""
        if life.reply is not None:
            await life.reply.close()
        life.answer, life.reply = None, None

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
