"""Telling a group in one digest what would be one message per question, once more come than it wants (`batch`).

A notice that belongs in the digest stays in the outbox until a digest that covers it was accepted; only then is it
marked as told. So a crash, a lost memory or two stewards at once lead to another digest, never to silence. Reminders,
escalations and doubts are never in a digest: whatever goes wrong here, the ladder is climbed message by message.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.core import digest
from gateway.core.admit import Admission, Inadmissible
from gateway.core.approval import shown
from gateway.core.facts import Notice
from gateway.core.messages import Message, Moot, channel_of, ended, meant
from gateway.core.quota import Quota
from gateway.core.record import Record
from gateway.core.routes import Channel, Group, Routes
from gateway.digest_ports import Digest, Digests, Entry, Told
from gateway.engine import Engine
from gateway.judging import admission_of
from gateway.life import Life
from gateway.ports import Delivery, Notifier
from gateway.randomness import random
from gateway.wire.webhook import SCHEDULE_MS, next_attempt_ms

LEASE_MS = 30_000
"""A digest is put together and delivered in less."""
BUSY_MS = 2_000
"""After this, whoever found somebody at it looks again."""
LONGEST_WAIT_MS = 3_600_000
"""Which a receiver may ask for."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing was tried: look at the notice again."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where one digest is told."""

    name: str
    group: Group
    batch: Quota
    channel: Channel
    notice: Notice
    """Because of which it is told."""


@dataclass(slots=True)
class Digesting:
    engine: Engine
    digests: Digests
    notifier: Notifier
    control_url: str
    lease: Callable[[str, int], Awaitable[bool]]
    _busy: set[str] = field(default_factory=set)
    """Digests that this process is telling: a lease is the process's, not a task's."""

    async def instead(self, life: Life, notice: Notice) -> Delivery | Later | None:
        """What came of telling `notice` in the digest of its channel; None if it is to have a message of its own.

        It is known to be worth telling. Raises Moot if its channel is gone, and JournalUnavailable.
        """
        routes = life.generation.routes
        group = routes.groups.get(notice.group)
        if group is None or group.batch is None or notice.kind not in ("approval.requested", "call.finished"):
            return None
        channel = channel_of(notice, routes)
        place = Place(digest.name(group.name, channel), group, group.batch, channel, notice)
        if heard := await self.digests.heard(place.name, notice.id):
            return Delivery(status=heard[1], done=True, error="", digest=heard[0])
        if await self._singly(life.record, place):
            return None
        return await self._together(life, place)

    async def _singly(self, record: Record, place: Place) -> bool:
        if place.notice.kind == "approval.requested":
            return await self.digests.room(place.group.name, shown(record, place.group.name), place.batch)
        if digest.told_singly(record, place.notice):
            await self.digests.leave(place.name, record.call.id)
            return True
        return False

    async def _together(self, life: Life, place: Place) -> Delivery | Later:
        record, now = life.record, self.engine.journal.now()
        over, until = place.notice.kind == "call.finished", record.expires_at or now
        entry = Entry(call=record.call.id, notice=place.notice.id, over=over, until=until)
        standing = await self.digests.enter(place.name, entry, 0)
        wait = standing.not_before - now
        if wait > 0 and (over or wait <= (until - now) // 2):  # unless it would lose half of its time
            return Later(wait)
        if place.name in self._busy or not await self.lease(f"digest:{place.name}", LEASE_MS):
            return Later(BUSY_MS)
        self._busy.add(place.name)
        try:
            standing = await self.digests.enter(place.name, entry, digest.MOST_LISTED)
            if standing.number <= standing.covered:
                return Delivery(status=standing.status, done=True, error="", digest=standing.id)
            return await self._tell(standing, place, life.generation.routes)
        finally:
            self._busy.discard(place.name)

    async def _tell(self, standing: Digest, place: Place, routes: Routes) -> Delivery | Later:
        """One attempt at one digest of everything that has a number so far."""
        now = self.engine.journal.now()
        body, gone = await self._body(standing, place, now)
        if not body["data"]["waiting"] and not body["data"]["ended"]:
            return Later(BUSY_MS)  # all of it was decided just now, and the notice will find so too
        anew = digest.said_anew(place.batch, waiting=body["data"]["waiting"], began=standing.began, now=now)
        told = Message(
            id=f"digest-{random.hex(12)}", body=body, people=meant(place.channel, place.notice, routes, now),
            receipt=standing.receipt, anew=anew,
        )  # fmt: skip
        delivery = await self.notifier.deliver(place.channel, told, now)
        if not delivery.done:
            await self.digests.failed(place.name, now + self._until_next(standing, place, delivery))
            return delivery
        same = bool(delivery.receipt) and delivery.receipt == standing.receipt
        pause = digest.pause(place.group, place.batch, place.channel)
        accepted = Told(
            id=told.id, status=delivery.status, receipt=delivery.receipt, began=standing.began if same else now,
            covered=standing.last, not_before=now + pause, gone=gone,
        )  # fmt: skip
        await self.digests.told(place.name, accepted)
        return Delivery(status=delivery.status, done=True, error=delivery.error, digest=told.id)

    def _until_next(self, standing: Digest, place: Place, delivery: Delivery) -> int:
        """Milliseconds, for all whose notice it was; whose turn it was keeps to the schedule of one notice."""
        planned = next_attempt_ms(min(standing.failures + 1, len(SCHEDULE_MS) - 1)) or 0
        asked = round(min(delivery.retry_after or 0.0, LONGEST_WAIT_MS / 1000) * 1000)
        return max(min(planned, digest.spacing(place.group, place.batch)), asked)

    async def _body(self, standing: Digest, place: Place, now: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What it says, and the calls that were thought to wait and do not."""
        questions, gone = [], []
        for call in standing.calls:
            life = await self.engine.load(call)
            if life is not None and digest.waits(life.record, place.group.name):
                questions.append(await self._line(life, place.group.name))
            else:
                gone.append(call)
        found = [await self._news(call, place, now) for call in standing.over]
        over = [news for news in found if news is not None]
        unsaid = len(standing.over) - len(over)
        body = digest.digest(
            place.group.name, questions, over, waiting=standing.waiting - len(gone), ended=standing.ended - unsaid,
            control_url=self.control_url, now=now,
        )  # fmt: skip
        return body, tuple(gone)

    async def _line(self, life: Life, group: str) -> dict[str, Any]:
        agent = life.generation.routes.agents.get(life.record.call.agent)
        owner = agent.owner if agent is not None else ""
        return digest.line(life.record, await self._admission(life), group, owner, control_url=self.control_url)

    async def _news(self, call: str, place: Place, now: int) -> dict[str, Any] | None:
        """What became of a call that is over; None if it is not, or no longer kept."""
        life = await self.engine.load(call)
        if life is None:
            return None
        news = Notice(id="", group=place.group.name, channel=place.notice.channel, kind="call.finished")
        payload = await self.engine.journal.payload(call)
        try:
            body = ended(
                life.record, news, life.generation.routes, admission=await self._admission(life), payload=payload,
                control_url=self.control_url, now=now,
            )  # fmt: skip
        except Moot:
            return None
        data: dict[str, Any] = body["data"]
        return data

    async def _admission(self, life: Life) -> Admission | None:
        try:
            return await admission_of(life, self.engine.journal)
        except Inadmissible:
            return None
