"""Every notice is tried on the schedule of Standard Webhooks until it is taken, whatever the receiver does meanwhile.

The clock is the world's, so a day passes in milliseconds; every attempt is that of another process, which knows only
what was written.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.adapters.memory_digests import MemoryDigests
from gateway.core.facts import Notified, Reported
from gateway.core.messages import Message
from gateway.core.routes import Channel
from gateway.ports import Delivery
from gateway.steward import Steward
from gateway.wire.webhook import JITTER, SCHEDULE_MS
from tests.company import GROUPS, HOLDING, ROUTES
from tests.world import World, held, settle

MINUTE, HOUR = 60_000, 3_600_000
LONG = replace(
    HOLDING,
    routes=replace(ROUTES, groups={**GROUPS, "finance": replace(GROUPS["finance"], expire_seconds=7 * 24 * 3600)}),
)
"""Questions stay open for a week, longer than the schedule."""
TAKEN = Delivery(status=200, done=True, error="", receipt="C1:1")


@dataclass
class Receiver:
    """What it answers at a time since the beginning, and what came when."""

    answer: Callable[[int], Delivery]
    began: int
    world: World
    came: list[tuple[int, Message]] = field(default_factory=list)

    async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
        self.came.append((now - self.began, message))
        return self.answer(now - self.began)

    @property
    def times(self) -> list[int]:
        return [time for time, _ in self.came]


def receiving(world: World, answer: Callable[[int], Delivery]) -> Receiver:
    return Receiver(answer, world.now, world)


def live(world: World, receiver: Receiver, *, hours: int = 24 * 6) -> None:
    """Let time pass, from one attempt to the next; each is begun by a steward that knows nothing of the others."""

    async def lease(name: str, milliseconds: int) -> bool:
        return True

    async def one_round() -> None:
        digests = MemoryDigests(world.clock)
        await Steward(world.engine(), world.journal, receiver, "http://control", lease, digests).round()
        await settle()

    end = world.now + hours * HOUR
    while world.journal.notices and (due := min(world.journal.notices.values())) <= end:
        world.now = max(world.now, due)
        world.restart()
        world.live(one_round)


def failing(status: int = 503, **more: Any) -> Delivery:
    return Delivery(status=status, done=False, error=f"the receiver answered {status}", **more)


def test_a_receiver_that_is_down_for_an_hour_hears_by_the_schedule():
    world, call = held(World(generation=LONG))
    receiver = receiving(world, lambda time: TAKEN if time >= HOUR else failing())
    live(world, receiver)
    planned = [sum(SCHEDULE_MS[: n + 1]) for n in range(5)]
    assert planned == [0, 5_000, 305_000, 2_105_000, 9_305_000]
    assert len(receiver.times) == 5, "the fifth attempt is the first after the hour"
    for time, plan in zip(receiver.times, planned, strict=True):
        assert plan <= time <= plan * (1 + JITTER)
    assert len({message.id for _, message in receiver.came}) == 1
    heard = [fact for fact in world.facts(call) if isinstance(fact, Notified)]
    assert [(fact.attempt, fact.done) for fact in heard] == [(1, False), (2, False), (3, False), (4, False), (5, True)]
    assert heard[-1].receipt == "C1:1" and heard[0].error == "the receiver answered 503"


@pytest.mark.parametrize("delivery", [failing(500), failing(302), failing(0), failing(429)])
def test_whatever_else_it_answers_it_is_asked_ten_times_and_then_no_more(delivery):
    world, call = held(World(generation=LONG))
    receiver = receiving(world, lambda time: delivery)
    live(world, receiver)
    assert len(receiver.times) == len(SCHEDULE_MS) == 10
    assert sum(SCHEDULE_MS) <= receiver.times[-1] <= sum(SCHEDULE_MS) * (1 + JITTER)
    assert not world.journal.notices and world.record(call).heard[-1].attempt == 10


def test_410_ends_it_at_once():
    world, call = held(World(generation=LONG))
    receiver = receiving(world, lambda time: failing(410, gone=True))
    live(world, receiver)
    assert receiver.times == [0] and not world.journal.notices
    assert world.record(call).heard[0].error == "the receiver answered 410"


def test_retry_after_is_obeyed():
    world, _ = held(World(generation=LONG))
    receiver = receiving(world, lambda time: TAKEN if time else failing(429, retry_after=120.0))
    live(world, receiver)
    assert receiver.times == [0, 120_000]


def test_one_that_took_it_and_whose_answer_was_lost_gets_the_same_id_again():
    world, _ = held(World(generation=LONG))
    receiver = receiving(world, lambda time: TAKEN if time else failing(0))
    live(world, receiver)
    (first, told), (second, again) = receiver.came
    assert told.id == again.id and second > first
    assert told.body["data"]["fingerprint"] == again.body["data"]["fingerprint"]


def test_a_question_that_was_decided_meanwhile_is_not_put_again_but_its_end_is_told():
    world, call = held(World(generation=LONG))
    receiver = receiving(world, lambda time: failing() if time == 0 else TAKEN)
    live(world, receiver, hours=0)
    world.now += 1
    world.live(lambda: world.vote(call, approve=False))
    live(world, receiver)
    assert [message.body["type"] for _, message in receiver.came] == ["approval.requested", "call.finished"]
    heard = [fact for fact in world.facts(call) if isinstance(fact, Notified)]
    assert "the question is no longer open" in {fact.error for fact in heard}
    assert any(isinstance(fact, Reported) for fact in world.facts(call))


def test_the_news_of_an_end_is_tried_as_long_as_a_question_although_the_question_is_over():
    world, call = held()  # an hour until it expires
    world.live(lambda: world.vote(call, approve=False))
    receiver = receiving(world, lambda time: failing())
    live(world, receiver)
    news = [time for time, message in receiver.came if message.body["type"] == "call.finished"]
    assert len(news) == 10 and news[-1] > 3 * 24 * HOUR
