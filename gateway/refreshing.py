"""Cards that stand in a chat say how a question stands: who has said yes so far, and whom else it waits for now.

Nothing here is owed to anybody, so nothing of it is durable: whoever presses a button of a card that is behind gets the
exact answer, and the news of the end goes through the outbox. But a card changed late must never stand over that news:
after each change the call is looked at again, and what stands then is what is so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.admit import Inadmissible
from gateway.core.call import Call
from gateway.core.facts import Approved, Escalated, Fact, Lost, Notice, Retracted
from gateway.core.messages import Message, Moot, Unspeakable, asks, channel_of, message
from gateway.core.notices import so_far
from gateway.core.outcomes import outcome
from gateway.core.routes import SecretReference, Slack
from gateway.engine import Engine
from gateway.judging import admission_of
from gateway.life import Life
from gateway.ports import Delivery, JournalUnavailable, SecretMissing
from gateway.previewing import pictures_of
from gateway.tasks import spawn

CHANGING = Approved | Retracted | Escalated
"""What a card shows beside its question. Another question is another card."""
LOOKS = 25
LOOK_SECONDS = 0.2
"""A vote is weighed within a moment; if it takes longer, the next change brings the card up to date."""

log = logging.getLogger("gateway.refreshing")


@dataclass(slots=True)
class Refreshing:
    change: Callable[[str, str, Message], Awaitable[Delivery]]
    """`SlackSender.refresh`: channel id, token, message."""
    read_secret: Callable[[SecretReference], str]
    control_url: str
    _under_way: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)

    def following(self, engine: Engine) -> Engine:
        """The same, and cards follow what becomes durable through it."""

        def announce(call: Call, facts: Sequence[Fact]) -> None:
            engine.announce(call, facts)
            self.heard(followed, call, facts)

        followed = replace(engine, announce=announce)
        return followed

    def heard(self, engine: Engine, call: Call, facts: Sequence[Fact]) -> None:
        """Facts are durable."""
        if any(isinstance(fact, CHANGING) for fact in facts):
            self._again.add(call.id)
            if call.id not in self._under_way:
                self._under_way.add(call.id)
                spawn(self._bring_up_to_date(engine, call.id), f"change the cards about {call.id}")

    async def _bring_up_to_date(self, engine: Engine, call: str) -> None:
        """One at a time for each call, so that the last change is the one that stands."""
        try:
            while call in self._again:
                self._again.discard(call)
                await self._refresh(engine, call)
        except (JournalUnavailable, SecretMissing) as error:
            log.debug("the cards about call %s stay as they are: %s", call, error)
        finally:
            self._under_way.discard(call)
            self._again.discard(call)

    async def _refresh(self, engine: Engine, call: str) -> None:
        changed = False
        for _ in range(LOOKS):
            life = await engine.load(call)
            if life is None:
                return
            try:
                told = [(channel, await self._card(engine, life, notice)) for channel, notice in _cards(life)]
            except Unspeakable:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            except Moot:
                if not changed or outcome(life.record) is None:
                    return
                told = [(channel, await self._ending(engine, life, notice)) for channel, notice in _cards(life)]
            for channel, card in told:
                await self.change(channel.channel, self.read_secret(channel.token), card)
            changed = bool(told)
            if not changed or await engine.journal.length(call) == life.durable:
                return

    async def _card(self, engine: Engine, life: Life, notice: Notice) -> Message:
        """Raises Moot or Unspeakable."""
        found = await self._message(engine, life, replace(notice, id="", kind="approval.requested"))
        group = life.generation.routes.groups[found.body["data"]["approval"]]
        data = {**found.body["data"], "so_far": so_far(life.record, group)}
        return replace(found, body={**found.body, "data": data})

    async def _ending(self, engine: Engine, life: Life, notice: Notice) -> Message:
        doubt = isinstance(outcome(life.record), Lost) and life.record.call.acts
        return await self._message(
            engine, life, replace(notice, id="", kind="call.in_doubt" if doubt else "call.finished")
        )

    async def _message(self, engine: Engine, life: Life, notice: Notice) -> Message:
        try:
            admission = await admission_of(life, engine.journal)
        except Inadmissible:
            admission = None
        return message(
            life.record, notice, life.generation.routes, admission=admission,
            payload=await engine.journal.payload(life.record.call.id), control_url=self.control_url,
            pictures=await pictures_of(life, engine.journal) if asks(notice) else (), now=engine.journal.now(),
        )  # fmt: skip


def _cards(life: Life) -> Iterator[tuple[Slack, Notice]]:
    """The last notice of each question in each channel of a chat in which a card about it stands."""
    receipts = {heard.notice for heard in life.record.heard if heard.receipt}
    last = {
        (item.group, item.channel, item.about): item
        for item in life.record.notices
        if asks(item) and item.id in receipts
    }
    for notice in last.values():
        try:
            channel = channel_of(notice, life.generation.routes)
        except Moot:
            continue
        if isinstance(channel, Slack):
            yield channel, notice
