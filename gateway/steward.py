"""What happens without a request: due times, notices. (Sealing and exporting have loops of their own.)

The steward only looks at what is due and lets the engine drive it; it decides nothing. Any number of stewards on
any number of hosts may run: compare-and-swap makes a second look harmless, and notices are delivered under a lease.
It must never give up: an error is logged and the next round comes.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.core.admit import Admission, Inadmissible
from gateway.core.facts import Lost, Notice, Notified
from gateway.core.lifecycle import Finish, Wait
from gateway.core.messages import Moot, Unspeakable, asks, channel_of, message
from gateway.core.pointers import REMINDER_MS
from gateway.core.times import span
from gateway.digest_ports import Digests
from gateway.digesting import Digesting, Later
from gateway.doubts import tell_doubt
from gateway.engine import Engine
from gateway.errors import GatewayError
from gateway.judging import admission_of
from gateway.life import Life
from gateway.ports import Conflict, Delivery, JournalUnavailable, Notifier, Timers
from gateway.previewing import pictures_of
from gateway.tasks import spawn
from gateway.wire.webhook import next_attempt_ms

ROUND_SECONDS = 0.2
"""How often due times are looked at: an expiry is at most this late."""
BATCH = 100
"""Calls, and notices, begun per round, beside those that still take their time: no full round starves the next."""
LEASE_MS = 30_000
"""A notice being delivered is hidden from other stewards for longer than a delivery can take."""

log = logging.getLogger("gateway.steward")


@dataclass(slots=True)
class Steward:
    engine: Engine
    timers: Timers
    notifier: Notifier
    control_url: str
    lease: Callable[[str, int], Awaitable[bool]]
    """True if this steward may do the named thing for that many milliseconds."""
    digests: Digests
    _looked_at: set[str] = field(default_factory=set)
    _delivering: set[str] = field(default_factory=set)
    """Ids of notices whose receiver has not answered yet."""
    _digesting: Digesting = field(init=False)

    def __post_init__(self) -> None:
        self._digesting = Digesting(self.engine, self.digests, self.notifier, self.control_url, self.lease)

    async def run(self) -> None:
        while True:
            try:
                await self.round()
            except JournalUnavailable:
                await asyncio.sleep(1.0)  # `duties.beat` says so
            except Exception:
                log.exception("a round failed; the next one comes")
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Begin to drive everything that is due. A call whose system is slow keeps no other one waiting."""
        for call in await self.timers.due(BATCH + len(self._looked_at)):
            if call not in self._looked_at:
                self._looked_at.add(call)
                spawn(self._look_without_harm(call), f"look at {call}")
        for call, notice in await self.timers.outbox(BATCH + len(self._delivering)):
            if notice not in self._delivering and await self.lease(f"notice:{notice}", LEASE_MS):
                self._delivering.add(notice)
                spawn(self._deliver_once(call, notice), f"notice {notice}")

    async def _look_without_harm(self, call: str) -> None:
        """Whatever is wrong with one call must not keep the steward from the others."""
        try:
            await self._look(call)
        except JournalUnavailable as error:
            log.debug("call %s could not be driven on: %s", call, error)  # `duties.beat` says so, once for all calls
        except GatewayError as error:
            log.warning("call %s could not be driven on: %s", call, error)
        except Exception:
            log.exception("call %s could not be driven on", call)
            await self.timers.rearm(call, REMINDER_MS)
        finally:
            self._looked_at.discard(call)

    async def _look(self, call: str) -> None:
        driven = await self.engine.unattended(call)
        if driven is None:
            await self.timers.forget(call)
            return
        life, step = driven
        now = self.engine.journal.now()
        match step:
            case Wait(until):
                await self.timers.rearm(call, max(until - now, round(ROUND_SECONDS * 1000)))
            case Finish(Lost() as lost) if life.record.call.acts:
                tell_doubt(life.record, lost, life.generation.routes)
                await self.timers.rearm(call, REMINDER_MS)
            case Finish():
                await self.timers.forget(call)

    async def _deliver_once(self, call: str, notice: str) -> None:
        """The lease keeps other stewards away from it, not this one."""
        try:
            await self._deliver(call, notice)
        finally:
            self._delivering.discard(notice)

    async def _deliver(self, call: str, notice_id: str) -> None:
        """One attempt at one notice, and the fact about it."""
        life = await self.engine.load(call)
        notice = _find(life, notice_id) if life is not None else None
        if life is None or notice is None:
            log.warning("notice %s is of call %s, which is no longer kept: nobody hears of it", notice_id, call)
            await self.timers.discard(call, notice_id)
            return
        attempt = 1 + sum(heard.notice == notice_id for heard in life.record.heard)
        delivery = await self._attempt(life, notice)
        if isinstance(delivery, Later):
            await self.timers.postpone(call, notice_id, delivery.milliseconds)
            return
        while True:
            try:
                life = await self.engine.load(call)
                if life is None:
                    return
                again = self._note(life, notice, attempt, delivery)
                await self.engine.flush(life)
            except Conflict:
                continue
            if not delivery.done and not delivery.gone:
                _warn(life, notice, attempt, delivery, again)
            return

    def _note(self, life: Life, notice: Notice, attempt: int, delivery: Delivery) -> int | None:
        """The fact about it; in how many milliseconds it is tried again, or None."""
        now = self.engine.journal.now()
        again = None
        if not delivery.done and not delivery.gone:
            # A question is of no use after its end; news of an end has none.
            left = (life.record.expires_at or now) - now if asks(notice) else None
            again = next_attempt_ms(attempt, retry_after=delivery.retry_after, expires_in=left, jitter=random.random())  # noqa: S311 - it only spreads attempts
        fact = Notified(
            notice=notice.id, attempt=attempt, status=delivery.status, done=delivery.done, error=delivery.error,
            receipt=delivery.receipt, digest=delivery.digest, last=again is None and not delivery.done, at=now,
        )  # fmt: skip
        life.add(fact)
        life.notices.append((notice.id, again))
        return again

    async def _attempt(self, life: Life, notice: Notice) -> Delivery | Later:
        record, routes, now = life.record, life.generation.routes, self.engine.journal.now()
        admission, payload = await self._admission(life), await self.engine.journal.payload(record.call.id)
        pictures = await pictures_of(life, self.engine.journal) if asks(notice) else ()
        try:
            told = message(
                record, notice, routes, admission=admission, payload=payload, pictures=pictures,
                control_url=self.control_url, now=now,
            )  # fmt: skip
        except Moot as moot:
            return Delivery(status=0, done=False, gone=True, error=str(moot))
        except Unspeakable as no:
            return Delivery(status=0, done=False, error=str(no))
        if (together := await self._digesting.instead(life, notice)) is not None:
            return together
        return await self.notifier.deliver(channel_of(notice, routes), told, now)

    async def _admission(self, life: Life) -> Admission | None:
        """The call as it would be made today; None if it no longer would be, or its request is no longer kept."""
        try:
            return await admission_of(life, self.engine.journal)
        except Inadmissible:
            return None


def _warn(life: Life, notice: Notice, attempt: int, delivery: Delivery, again: int | None) -> None:
    """Approvers who hear nothing cannot say so themselves."""
    then = f"next attempt in {span(again)}" if again is not None else "there is no further attempt"
    why = delivery.error or f"the receiver answered {delivery.status}"
    log.warning(
        "%s has not heard of call %s: notice not delivered (attempt %d): %s; %s",
        notice.group, life.record.call.id, attempt, why, then,
    )  # fmt: skip


def _find(life: Life, notice: str) -> Notice | None:
    return next((item for item in life.record.notices if item.id == notice), None)
