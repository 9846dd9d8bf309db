"""The steward begins everything that is due, and nothing twice, however long some of it takes."""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gateway.adapters.memory_digests import MemoryDigests
from gateway.core.facts import Expired, Notified
from gateway.core.lifecycle import Wait
from gateway.core.messages import Message
from gateway.core.routes import Channel
from gateway.ports import Delivery
from gateway.steward import BATCH, Steward
from tests.company import AGENTS, HOLDING, ROUTES
from tests.world import World, held

HOUR = 3_600_000

CHATTY = replace(
    HOLDING, routes=replace(ROUTES, agents={**AGENTS, "billing-bot": replace(AGENTS["billing-bot"], questions=None)})
)
"""An agent that may ask any number of questions."""


@dataclass
class Receiver:
    """An approver's system that answers when it is told to."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
        self.asked.append(message.id)
        await self.answers.wait()
        return Delivery(status=200, done=True, error="")


def steward(world: World, receiver: Receiver, engine: Any = None) -> Steward:
    async def lease(name: str, milliseconds: int) -> bool:
        return True  # as for whoever holds it already

    digests = MemoryDigests(world.clock)
    return Steward(engine or world.engine(), world.journal, receiver, "http://control", lease, digests)


async def rounds(looking: Steward, many: int = 5) -> None:
    for _ in range(many):
        await looking.round()
        for _ in range(40):
            await asyncio.sleep(0)


# --- Notices --------------------------------------------------------------------------------------------------------


def test_a_receiver_that_is_slow_is_asked_once():
    world, call = held()

    async def story():
        receiver = Receiver()
        looking = steward(world, receiver)
        await rounds(looking)
        assert len(receiver.asked) == 1
        receiver.answers.set()
        await rounds(looking)
        assert len(receiver.asked) == 1

    assert world.live(story) is None
    assert sum(isinstance(fact, Notified) for fact in world.facts(call)) == 1


def test_a_notice_whose_attempt_failed_is_tried_again():
    world, call = held()

    class Away(Receiver):
        async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
            self.asked.append(message.id)
            if len(self.asked) == 1:
                raise OSError
            return Delivery(status=200, done=True, error="")

    receiver = Away()
    world.live(partial(rounds, steward(world, receiver)))
    assert len(receiver.asked) == 2
    assert sum(isinstance(fact, Notified) for fact in world.facts(call)) == 1


def test_slow_receivers_keep_nobody_from_hearing():
    world = World(generation=CHATTY)

    async def story():
        for number in range(BATCH + 10):
            _, step = await world.ask(key=f"k-{number}", amount=number)
            assert isinstance(step, Wait)
            world.now += 1
        receiver = Receiver()
        await rounds(steward(world, receiver))
        assert len(receiver.asked) == len(set(receiver.asked)) == BATCH + 10

    assert world.live(story) is None


def test_a_notice_of_a_call_that_is_gone_is_discarded_and_said_once(caplog):
    """The steward was away until the call had left the call store."""
    world, call = held()
    del world.journal.calls[call]
    receiver = Receiver()
    world.live(partial(rounds, steward(world, receiver)))
    assert not receiver.asked and not world.journal.notices
    assert caplog.text.count("no longer kept") == 1 and call in caplog.text


# --- Due times --------------------------------------------------------------------------------------------------------


def test_calls_that_take_long_keep_no_other_from_ending_in_time():
    world = World(generation=CHATTY)

    class Hanging:
        """An engine whose systems answer to nobody but the last call."""

        def __init__(self, last: str) -> None:
            self.last, self.engine, self.journal = last, world.engine(), world.journal

        async def unattended(self, call: str) -> Any:
            if call != self.last:
                await asyncio.Event().wait()
            return await self.engine.unattended(call)

    async def story():
        calls = []
        for number in range(BATCH + 10):
            life, _ = await world.ask(key=f"k-{number}", amount=number)
            calls.append(life.record.call.id)
            world.now += 1
        world.journal.notices.clear()
        world.now += HOUR
        await rounds(steward(world, Receiver(), Hanging(calls[-1])))
        return calls[-1]

    last = world.live(story)
    assert any(isinstance(fact, Expired) for fact in world.facts(last))
