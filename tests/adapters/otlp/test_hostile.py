"""A collector that does everything real ones do wrong, in any order, and exporters that die in the middle.

After all of it every span is there, once by its id and always the same, whatever came before. Each seed is one story;
a story that fails is told again by its number.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from gateway.adapters.otlp import TraceExporter
from gateway.core import attributes as names
from gateway.core.facts import Answered, Approved, Claimed, Fact, Lost
from gateway.core.leaf import entry_order
from gateway.ports import JournalUnavailable
from tests.adapters.otlp.receiver import PROTOBUF, YES, Answer, Receiver, partial, receiving
from tests.adapters.otlp.sealed_stream import ALLOW, Ledger
from tests.playbook import FINANCE, HOLD, asked
from tests.processes import free_port

SECONDS = 0.15
"""The time-out of one request."""
RESULTS: list[Fact] = [Lost(token="u", error=""), Answered(token="u", status=500)]
STORIES, DEEDS = 24, 40


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Collector:
    """Keeps spans by id, as real ones do, and has a mood."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.receiver, self.port = Receiver(), free_port()
        self.receiver.judge = self.judge
        self.kept: dict[str, set[bytes]] = {}
        self.mood: Callable[[list], Answer | None] = self.takes
        self._open: ExitStack | None = None
        self.start()

    def start(self) -> None:
        if self._open is None:
            self._open = ExitStack()
            self._open.enter_context(receiving(self.receiver, self.port))

    def stop(self) -> None:
        """Nobody listens any more: connections are refused."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def keep(self, spans) -> None:
        for span in spans:
            self.kept.setdefault(span.span_id.hex(), set()).add(span.SerializeToString())

    def judge(self, spans):
        return self.mood(spans)

    # --- Moods -------------------------------------------------------------------------------------------------------

    def takes(self, spans):
        self.keep(spans)
        return YES

    def is_slow(self, spans):
        time.sleep(SECONDS / 3)
        return self.takes(spans)

    def stalls(self, spans):
        time.sleep(SECONDS * 1.5)
        return self.takes(spans)  # it has them, and whoever sent them is gone

    def hangs_up(self, spans):
        self.keep(self.dice.sample(spans, len(spans) // 2))  # of what it took it says nothing

    def has_enough(self, spans):
        return 429, {"retry-after": self.dice.choice(["1", "30", "300", "soon"])}, b""

    def breaks(self, spans):
        self.keep(spans if self.dice.random() < 0.3 else [])
        return self.dice.choice([500, 502, 503, 504]), {}, b"upstream"

    def knows_nobody(self, spans):
        return self.dice.choice([301, 302, 401, 403, 404]), {"location": "/login"}, b""

    def talks_nonsense(self, spans):
        return (
            200,
            self.dice.choice([{"content-type": "text/html"}, PROTOBUF, {}]),
            self.dice.choice([b"<html>", b"\xff\xff"]),
        )

    def takes_a_part(self, spans):
        """What it rejects it may take the next time."""
        rejected = self.dice.sample(spans, self.dice.randint(0, len(spans)))
        self.keep([span for span in spans if span not in rejected])
        return partial(len(rejected), "busy")

    def takes_little(self, spans):
        return self.takes(spans) if len(spans) <= 12 else (413, {}, b"")

    def refuses_some(self, spans):
        """The same ones, whenever they come."""
        return (400, {}, b"") if any(span.span_id[0] % 16 == 0 for span in spans) else self.takes(spans)


MOODS = [name for name in vars(Collector) if name in (
    "takes", "is_slow", "stalls", "hangs_up", "has_enough", "breaks", "knows_nobody", "talks_nonsense", "takes_a_part",
    "takes_little", "refuses_some",
)]  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(SECONDS))
    return monkeypatch


class Story:
    """One ledger, one collector, and exporters that follow each other."""

    def __init__(self, seed: int, environment) -> None:
        self.dice = random.Random(seed)
        self.ledger, self.clock, self.collector = Ledger(), Clock(), Collector(self.dice)
        self.ledger.seals_at_once = False
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.receiver.url)
        environment.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", self.dice.choice(["gzip", "none"]))
        self.exporter = self.new_exporter()
        self.calls = 0

    def new_exporter(self) -> TraceExporter:
        return TraceExporter(self.ledger, self.ledger.facts, clock=self.clock)

    async def deed(self) -> None:
        deeds = [self.write, self.write, self.seal, self.step, self.step, self.step, self.change_mood, self.wait]
        await self.dice.choice(
            [*deeds, self.fall_and_rise, self.be_replaced, self.be_killed, self.lose_a_move, self.trim]
        )()

    async def write(self) -> None:
        for _ in range(self.dice.randint(1, 12)):
            self.calls += 1
            partition = self.dice.choice([3, 3, 7, 60])
            call = self.ledger.effect(self.calls, partition)
            if self.dice.random() < 0.3:
                self.ledger.append(call, HOLD, asked(FINANCE))
                self.ledger.append(
                    call, Approved(by="boss", group="finance", fingerprint="f", requirements=(), via="token")
                )
                self.ledger.append(call, ALLOW, Claimed(token="u", fingerprint="f", lease=1))
                self.ledger.append(call, self.dice.choice(RESULTS))
            if self.dice.random() < 0.2:
                self.ledger.append_grant(f"{partition:02d}")

    async def seal(self) -> None:
        if self.dice.random() < 0.5:
            self.ledger.seal()
        elif self.ledger.streams:
            stream = self.dice.choice(list(self.ledger.streams.values()))
            stream.sealed = self.dice.randint(stream.sealed, len(stream.entries))

    async def step(self) -> None:
        try:
            await self.exporter.step()
        except JournalUnavailable:
            assert self.ledger.broken
        self.clock.now += self.dice.choice([0.0, 0.2, 1.0, 5.0])

    async def change_mood(self) -> None:
        self.collector.mood = getattr(self.collector, self.dice.choice(MOODS))

    async def wait(self) -> None:
        self.clock.now += self.dice.choice([1.0, 61.0, 301.0])

    async def fall_and_rise(self) -> None:
        self.collector.stop()
        await self.step()
        self.collector.start()

    async def be_replaced(self) -> None:
        await self.exporter.close()
        self.exporter = self.new_exporter()

    async def be_killed(self) -> None:
        """In the middle of whatever it does."""
        step = asyncio.ensure_future(self.exporter.step())
        await asyncio.sleep(self.dice.random() * SECONDS)
        step.cancel()
        await asyncio.wait([step])
        await self.be_replaced()

    async def lose_a_move(self) -> None:
        """The collector said yes, and the cursor could not be moved."""
        self.ledger.broken = "move"
        await self.step()
        self.ledger.broken = ""

    async def trim(self) -> None:
        """As whoever trims does: never before the cursor."""
        for name, stream in self.ledger.streams.items():
            done = entry_order(self.ledger.cursors.get(name, "0-0").partition(" ")[0])
            behind = sum(entry_order(entry.id) <= done for entry in stream.entries)
            stream.trimmed = max(stream.trimmed, self.dice.randint(0, behind))

    async def ends_well(self) -> None:
        self.collector.start()
        self.collector.mood = self.collector.takes
        self.ledger.seal()
        for _ in range(200):
            await self.exporter.step()
            self.clock.now += 3601.0
            if not self.exporter.lag_leaves and not self.exporter.lag_entries:
                return
        raise AssertionError(self.exporter.problem)

    def check(self) -> None:
        expected = {span.span_id: span for span in self.ledger.spans}
        assert len(expected) == len(self.ledger.spans) and set(self.collector.kept) == set(expected)
        assert all(len(versions) == 1 for versions in self.collector.kept.values()), "the same id is the same span"
        ends = {name: f"{it.entries[-1].id} {it.size}" for name, it in self.ledger.streams.items()}
        assert self.ledger.cursors == ends
        for span, (content,) in self.collector.kept.items():
            for name in (names.LEDGER_LEAF, names.CALL_ID):
                assert str(expected[span].attributes[name]).encode() in content


@pytest.mark.parametrize("seed", range(STORIES))
def test_after_any_story_every_span_is_there_once_by_its_id(seed, environment):
    story = Story(seed, environment)

    async def main():
        for _ in range(DEEDS):
            await story.deed()
        await story.ends_well()
        await story.exporter.close()

    try:
        asyncio.run(main())
        assert story.ledger.spans, "something was to be told"
        story.check()
    finally:
        story.collector.stop()


def test_an_hour_without_a_collector_delays_everything_and_loses_nothing(environment):
    """The steward asks four times a second; calls come all the time; at the end of the hour the collector is back."""
    story = Story(7, environment)
    story.collector.stop()

    async def main():
        attempts = 0
        for second in range(3600):
            if second % 10 == 0:
                await story.write()
                story.ledger.seal()
            before = story.exporter.problem, story.exporter._resume_at
            assert await story.exporter.step() == 0
            attempts += before != (story.exporter.problem, story.exporter._resume_at)
            story.clock.now += 1.0
        assert 55 < attempts < 75, "after 1, 2, 4 ... 60 seconds, and not at every step"
        size = sum(stream.size for stream in story.ledger.streams.values())
        assert size >= story.exporter.lag_leaves > 0.95 * size > 5_000, "as of the last attempt"
        story.collector.start()
        story.clock.now += 61.0
        began, steps = len(story.collector.receiver.requests), 0
        while story.exporter.lag_leaves:
            if not await story.exporter.step():
                story.clock.now += 61.0  # a machine that is slow for a moment is a collector that is away
            steps += 1
            assert steps < 1_000, story.exporter.problem
        assert len(story.collector.receiver.requests) > began + 10
        await story.exporter.close()

    try:
        asyncio.run(main())
        story.check()
    finally:
        story.collector.stop()


def test_every_mood_and_every_deed_comes_up():
    """Stories that never meet a mood prove nothing about it."""
    dice = [random.Random(seed) for seed in range(STORIES)]
    assert {it.choice(MOODS) for it in dice for _ in range(DEEDS // 8)} == set(MOODS)
