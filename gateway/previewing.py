"""Looking at the system for the approvers of a held call: each look is a read of its own, judged, sent and recorded.

The read has the agent of the call as principal and its run, and is judged by the same policies; one that these would
hold is refused, since a question about a question would never end. Looking is bounded in time and size and never raises
for what a system or a policy does: a look that fails is a picture that says why. It must never be done for a call that
is not held.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.core import previews
from gateway.core.admit import Admission, Inadmissible
from gateway.core.call import call_id
from gateway.core.facts import Admitted, Ended, Judged, Notice, Previewed
from gateway.core.ladder import to_channels
from gateway.core.lifecycle import Finish, Wait
from gateway.core.previews import Picture, Preview, Unlookable
from gateway.core.record import Record, begin
from gateway.core.verdict import Verdict
from gateway.judging import judge
from gateway.life import Life
from gateway.ports import Conflict, Journal, JournalUnavailable
from gateway.randomness import random
from gateway.standing import Standing

log = logging.getLogger("gateway.previewing")

NOT_DECLARED = "this preview is no longer declared in routes.yaml"
HELD = "the policies would hold this read for approval, and a preview asks nobody"


def pictures_in(record: Record, payload: Mapping[str, bytes]) -> list[Picture]:
    """What the approvers of a held call are shown, in the order in which it was declared."""
    shown = {item.name for item in record.sight.pictures}
    found = {picture["name"]: picture for picture in previews.unpack(payload.get("preview"))} if shown else {}
    return [found[name] for name in record.sight.wanted if name in shown and name in found]


async def pictures_of(life: Life, journal: Journal) -> list[Picture]:
    """The same, for whoever does not have the payload. Raises JournalUnavailable."""
    record = life.record
    return pictures_in(record, await journal.payload(record.call.id)) if record.sight.pictures else []


class Hands(Protocol):
    """`gateway.engine.Engine`."""

    @property
    def journal(self) -> Journal: ...
    @property
    def suspended(self) -> Collection[str]: ...
    @property
    def standing(self) -> Standing: ...
    async def drive(self, life: Life) -> Wait | Finish: ...
    async def flush(self, life: Life) -> None: ...
    async def reload(self, life: Life) -> None: ...
    async def note(self, call: str, fact: Ended) -> None: ...
    def judged(self, life: Life, fact: Judged) -> None: ...


@dataclass(frozen=True, slots=True)
class Looks:
    engine: Hands
    reads: Hands
    """The same, for reads of which no more than `previews.MOST_BYTES` are kept."""

    async def for_approvers(self, life: Life, held: Admission, names: tuple[str, ...]) -> None:
        """Look for the first time, and let those who were asked hear of the question. Durable when this returns.

        Raises JournalUnavailable.
        """
        await self.engine.flush(life)  # nobody looks before the question is durable
        taken = await self._take(life, held, names, again=False)
        pictures = life.payload["preview"]
        while set(life.record.sight.unseen) & set(names):
            for fact in taken:
                life.add(fact)
            life.payload["preview"] = pictures
            heard = {item.notice for item in life.record.heard}
            life.notices += [(item.id, 0) for item in life.record.notices if item.id not in heard]
            try:
                await self.engine.flush(life)
            except Conflict:
                await self.engine.reload(life)
            else:
                return

    async def before_release(self, life: Life, held: Admission, names: tuple[str, ...]) -> None:
        """Look whether what was shown is still so; what follows is written together with it.

        Raises JournalUnavailable.
        """
        taken = await self._take(life, held, names, again=True)
        news = [fact for fact in taken if fact.changed or fact.failed]
        asked = not life.record.doubts  # of what may have been done, people hear that it is in doubt
        if asked and news and not life.record.sight.unread and not any(fact.changed for fact in news):
            news[0] = replace(news[0], notices=_to_those_who_decided(life))
            life.notices += [(item.id, 0) for item in news[0].notices]
        for fact in news or taken:
            life.add(fact)
        if not news:  # looking may have taken seconds
            self.engine.judged(
                life, await judge(life, self.engine.journal, self.engine.suspended, self.engine.standing)
            )

    async def _take(self, life: Life, held: Admission, names: Sequence[str], *, again: bool) -> list[Previewed]:
        """Look at these, all at once, and put the pictures beside the call. Nothing is written yet."""
        declared = {preview.name: preview for preview in held.tool.previews}
        payload = await self.engine.journal.payload(held.call.id)
        known = {picture["name"]: picture for picture in previews.unpack(payload.get("preview"))}
        seen = await asyncio.gather(*(self._look(life, held, declared.get(name), name) for name in names))
        taken = [_compared(known.get(item["name"]), item, held, again=again) for item in seen]
        pictures = previews.merged(list(known.values()), [picture for _, picture in taken])
        life.payload["preview"] = previews.pack(pictures)
        return [fact for fact, _ in taken]

    async def _look(self, life: Life, held: Admission, preview: Preview | None, name: str) -> Picture:
        now = self.engine.journal.now()
        if preview is None:
            gone = Preview(name=name, tool="", given=(), show=())
            return previews.failed(gone, NOT_DECLARED, at=now)
        identity = call_id(held.call.agent, random.hex(11))
        try:
            read = life.generation.preview(held, preview, call_id=identity, salt=random.bytes(16))
        except Inadmissible as no:
            return previews.failed(preview, no.reason, at=now)
        first = Admitted(call=read.call, at=now)
        reading = Life(begin(first), life.generation, admission=read, facts=[first], fresh=True)
        try:
            return await self._read(reading, preview, held)
        except Unlookable as no:
            why = str(no)
        except JournalUnavailable:
            raise
        except Exception as error:  # people must hear of the question, whatever is wrong with an answer
            log.exception("preview %s for call %s failed in an unknown way", preview.name, held.call.id)
            why = type(error).__name__
        return previews.failed(preview, why, at=self.engine.journal.now(), call=identity)

    async def _read(self, reading: Life, preview: Preview, held: Admission) -> Picture:
        fact = await judge(reading, self.engine.journal, self.engine.suspended, self.engine.standing)
        if fact.verdict.decision == "hold":
            verdict = Verdict(decision="deny", code="preview-held", policies=fact.verdict.policies, reasons=(HELD,))
            fact = replace(fact, verdict=verdict, lacking=())
        reading.add(fact)
        await self.reads.drive(reading)
        if reading.reply is not None:
            await reading.reply.close()
            await self.engine.note(reading.record.call.id, Ended(length=0, sha256="", whole=False))
            raise Unlookable(f"the answer has more than {previews.MOST_BYTES // 1024} KiB, or streams")
        if reading.answer is None:
            raise Unlookable(_why(reading))
        given: Mapping[str, object] = {**held.extra, **held.question.input}
        return previews.looked_at(
            preview, reading.answer, given, at=self.engine.journal.now(), call=reading.record.call.id
        )  # fmt: skip


def _to_those_who_decided(life: Life) -> tuple[Notice, ...]:
    """That what they approved waits."""
    assert life.record.judged is not None
    lifted = [item.group for item in life.record.judged.verdict.requirements]
    groups = life.generation.routes.groups
    return to_channels(life.record.call.id, lifted, groups, "approval.reminded", batch=random.hex(3))


def _why(reading: Life) -> str:
    """Why there is no answer. Of a denial the reasons that policies give to people, never their input."""
    record = reading.record
    judged = record.judged
    if record.unsent is not None:
        return f"the system was not reached: {record.unsent.error}"
    if record.lost is not None:
        return f"the system gave no answer: {record.lost.error}"
    if record.answer is not None and record.answer.withheld:
        return "the answer carried the system's credential and is withheld"
    if judged is not None and judged.verdict.decision == "deny":
        verdict = judged.verdict
        return f"the policies deny it ({', '.join(verdict.policies) or verdict.code}): {' '.join(verdict.reasons)}"
    return "the answer broke off"


def _compared(before: Picture | None, seen: Picture, held: Admission, *, again: bool) -> tuple[Previewed, Picture]:
    """The fact, and the picture that people are shown from now on."""
    salt, gone = held.salt, seen["failed"] == NOT_DECLARED
    fact = Previewed(
        name=seen["name"], call=seen["call"], digest=previews.digest(seen, salt), bound=previews.bound(seen, salt),
        failed=seen["failed"], fingerprint=held.call.fingerprint, again=again, at=seen["at"],
    )  # fmt: skip
    if not again:
        return fact, seen
    before = {**seen, **previews.NOTHING_KEPT} if before is None else before
    if seen["failed"] and not gone:
        return fact, {**before, "unread": seen["failed"]}
    names = previews.changed(before, seen)
    if not names:
        return fact, {**before, "unread": ""}
    return replace(fact, changed=names), previews.with_difference(before, seen)
