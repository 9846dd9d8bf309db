"""What the stream lets go of, and what it never does: a month in a minute, on a real server."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapters.redis.high_water import HighWater
from gateway.adapters.redis.history import RedisHistory
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.seals import RedisSeals
from gateway.adapters.redis.trimming import RedisTrimming, kept
from gateway.core.call import PARTITION_NAMES
from gateway.core.codec import encode, envelope
from gateway.core.facts import Expired
from gateway.core.ledger_settings import LedgerSettings, Trim
from gateway.core.sealed import Sealed
from gateway.insights import Counting
from gateway.trimming import trim
from tests.contracts.journal_bench import FIRST, RedisBench, new_call, on, write
from tests.processes import PATIENCE_SECONDS

DAY = 24 * 3600 * 1000
START = 1_795_168_800_000
WEEK = Trim(after_seconds=7 * 24 * 3600.0, beyond=10**9)
P = "07"
GENERATIONS: Any = SimpleNamespace(current=SimpleNamespace(routes=SimpleNamespace(ledger=LedgerSettings(trim=WEEK))))
ALL = dict.fromkeys(PARTITION_NAMES, "9999999999999-0")


@pytest.fixture
def month(valkey):
    valkey.flush()

    def run(story):
        async def with_month(it):
            await story(Month(it.journal))

        on(lambda: RedisBench(valkey.url), with_month)

    return run


class Month:
    """A journal whose entries were written at times of our choice."""

    def __init__(self, journal) -> None:
        self.journal = journal
        self.now = START
        self.entries: list[str] = []

    async def happens(self, *, open_call: str = "", partition: str = P) -> str:
        """One append at this moment, to a call that is over or to one that is not."""
        number = sum(entry.startswith(f"{self.now}-") for entry in self.entries)
        entry, call = f"{self.now}-{number}", open_call or f"{partition}{len(self.entries):022x}"
        fact = envelope(encode(Expired(at=self.now)), self.now, f"{len(self.entries):016x}")
        await self.journal.ask("XADD", f"{{{partition}}}:ledger", entry, "call", call, "from", "0", "facts", fact)
        await self.journal.ask("RPUSH", f"{{{partition}}}:call:{call}", fact)
        if open_call:
            await self.journal.ask("ZADD", f"{{{partition}}}:due", str(self.now), call)
        self.entries.append(entry)
        return entry

    async def seal(self, entry: str, partition: str = P) -> None:
        await self.journal.ask("SET", f"{{{partition}}}:sealed", Sealed(1, 9, bytes(32), entry).text)

    async def publish(self, place: str) -> None:
        await self.journal.ask("SET", f"{{{P}}}:cursor:traces", place)

    async def trim(self, limits=WEEK, counted=ALL, *, publishes: bool = False) -> list[str]:
        """Let everything go that may; what is left."""
        while await RedisTrimming(self.journal, publishes, lambda: self.now).step(limits, counted):
            pass
        return [entry.decode() for entry, _ in await self.journal.ask("XRANGE", f"{{{P}}}:ledger", "-", "+")]


def test_a_month_of_retention(month):
    """Every hour something happens, is sealed, published and counted an hour later; one call waits for twelve days."""

    async def story(it):
        held, left = f"{P}{'e' * 22}", list[str]()
        for hour in range(30 * 24):
            it.now = START + hour * DAY // 24
            await it.happens(open_call=held if hour == 48 else "")
            if hour:
                await it.seal(it.entries[-2])
                await it.publish(f"{it.entries[-2]} {hour}")
            if hour == 14 * 24:
                await it.journal.ask("ZREM", f"{{{P}}}:due", held)
            if hour % 24 == 23:
                left = await it.trim(counted=dict.fromkeys(PARTITION_NAMES, it.entries[-2]), publishes=True)
                oldest = min(it.now - 7 * DAY, START + 2 * DAY if 48 < hour < 14 * 24 else it.now)
                assert left == [entry for entry in it.entries if int(entry[:13]) >= oldest], hour
        assert len(left) == 7 * 24 + 1

    month(story)


def test_what_is_not_sealed_published_and_counted_stays(month):
    async def story(it):
        entries = [await it.happens() for _ in range(6)]
        it.now += 30 * DAY
        assert await it.trim() == entries, "nothing was ever sealed"
        await it.seal(entries[4])
        assert await it.trim(publishes=True) == entries, "nothing was ever published"
        await it.publish(entries[0])
        assert await it.trim(counted={}, publishes=True) == entries, "nothing was ever counted"
        assert await it.trim(publishes=True) == entries[1:]
        await it.publish(f"{entries[4]} 17")
        assert await it.trim(counted=dict.fromkeys(PARTITION_NAMES, entries[1]), publishes=True) == entries[2:]
        await it.seal(entries[2])
        assert await it.trim(publishes=True) == entries[3:]
        await it.seal(entries[5])
        assert await it.trim() == entries[5:], "whoever publishes nothing waits for nobody"

    month(story)


def test_the_last_entry_stays_for_ever_and_with_it_the_memory_of_how_far_the_journal_was(month, tmp_path):
    async def story(it):
        last = [await it.happens() for _ in range(3)][-1]
        await it.seal(last)
        it.now += 3650 * DAY
        assert await it.trim(Trim(after_seconds=1.0, beyond=1)) == [last]
        assert await it.trim(Trim(after_seconds=1.0, beyond=1)) == [last]
        assert (await RedisLedger(it.journal).ends())[P] == last
        it.journal.memory.file = HighWater(tmp_path / "high-water.json")
        await it.journal.keep_high_water()
        assert it.journal.memory.file.read()[P] == (START, 2) and not it.journal.loss

    month(story)


def test_a_call_that_is_not_over_keeps_what_came_after_it_too(month):
    async def story(it):
        before = await it.happens()
        it.now += DAY
        held = await it.happens(open_call=f"{P}{'e' * 22}")
        same = await it.happens()
        it.now += 90 * DAY
        last = await it.happens()
        await it.seal(last)
        assert before not in (left := await it.trim(Trim(after_seconds=1.0, beyond=1)))
        assert left == [held, same, last]

    month(story)


def test_a_call_whose_beginning_cannot_be_read_keeps_everything(month):
    async def story(it):
        entries = [await it.happens() for _ in range(2)]
        await it.journal.ask("RPUSH", f"{{{P}}}:call:strange", "of a newer version")
        await it.journal.ask("ZADD", f"{{{P}}}:due", "0", "strange")
        await it.seal(entries[-1])
        it.now += 90 * DAY
        assert await it.trim() == entries
        await it.journal.ask("ZREM", f"{{{P}}}:due", "strange")
        await it.journal.ask("ZADD", f"{{{P}}}:due", "0", "gone")  # its facts are no longer kept
        assert await it.trim() == entries[1:]

    month(story)


def test_by_number_each_partition_keeps_its_part(month):
    assert kept({"00": 10, "01": 0, "64": 90}, 1000) == {"00": 10, "01": 0, "64": 90}
    assert kept({"00": 10, "01": 0, "64": 90}, 50) == {"00": 5, "01": 0, "64": 45}

    async def story(it):
        entries = [await it.happens() for _ in range(30)]
        others = [await it.happens(partition="12") for _ in range(10)]
        await it.seal(entries[-1])
        await it.seal(others[-1], "12")
        left = await it.trim(Trim(after_seconds=WEEK.after_seconds, beyond=20))
        assert left == entries[-15:]
        assert await it.journal.ask("XLEN", "{12}:ledger") == 5

    month(story)


def test_what_is_about_the_deployment_waits_for_the_seal_only(month):
    async def story(it):
        await it.journal.ask("XADD", "{64}:ledger", f"{START}-0", "gateway", "deployment", "from", "0", "facts", "{}")
        await it.journal.ask("XADD", "{64}:ledger", f"{START}-1", "gateway", "deployment", "from", "1", "facts", "{}")
        it.now += 90 * DAY
        await it.trim(publishes=True, counted={})
        assert await it.journal.ask("XLEN", "{64}:ledger") == 2
        await it.seal(f"{START}-1", "64")
        await it.trim(publishes=True, counted={})
        assert await it.journal.ask("XLEN", "{64}:ledger") == 1

    month(story)


def test_every_reader_stands_what_was_trimmed(month):
    """And a trimmed stream takes appends as before."""

    async def story(it):
        ledger, counting = RedisLedger(it.journal), Counting(RedisLedger(it.journal), lambda: it.now)
        entries = [await it.happens() for _ in range(40)]
        await it.seal(entries[-1])
        it.now += 90 * DAY
        await it.trim()
        assert [entry.id for entry in await ledger.read(P, "", 99)] == entries[-1:]
        assert [entry.id for entry in await ledger.read(P, entries[3], 99)] == entries[-1:]
        assert len(await ledger.recent(5)) == 1
        assert await RedisHistory(it.journal).begun("bot") == []
        counting.cursors = dict.fromkeys(PARTITION_NAMES, entries[3])
        assert not await counting.step() and counting.cursors[P] == entries[-1]
        waiting, everything = await RedisSeals(it.journal).waiting({P: entries[-1]}, 10)
        assert (waiting, everything) == ({}, True)
        await it.journal.on_connect(it.journal.ask)
        assert not it.journal.loss
        await it.journal.append(write(new_call(), 0, FIRST))
        assert not it.journal.loss

    month(story)


def test_the_numbers_say_how_far_they_are_kept(month):
    async def story(it):
        counting = Counting(RedisLedger(it.journal), lambda: it.now)
        assert await counting.kept() == {}
        await it.happens()
        await counting.step()
        assert await counting.kept() == {}, "what only this process knows is forgotten with it"
        counting._kept_at -= 1e6
        await counting._keep()
        assert (await counting.kept())[P] == it.entries[-1] == counting.cursors[P]
        await it.journal.ask("SET", "gateway:insights", b"\xff")
        assert await counting.kept() == {}

    month(story)


def test_the_duty_works_under_a_lease_and_goes_on_after_a_failure(month, monkeypatch):
    async def story(it):
        entries = [await it.happens() for _ in range(3)]
        await it.seal(entries[-1])
        it.now += 90 * DAY
        may, asked = asyncio.Event(), []

        async def lease(name: str, milliseconds: int) -> bool:
            asked.append((name, milliseconds))
            if len(asked) == 1:
                raise ZeroDivisionError
            return may.is_set()

        async def counted() -> dict[str, str]:
            return ALL

        for name in ("LOOK_SECONDS", "PAUSE_SECONDS"):
            monkeypatch.setattr(f"gateway.trimming.{name}", 0.01)
        duty = asyncio.ensure_future(
            trim(RedisTrimming(it.journal, False, lambda: it.now), GENERATIONS, counted, lease)
        )
        while len(asked) < 5:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
        assert await it.journal.ask("XLEN", f"{{{P}}}:ledger") == 3, "another steward does it"
        may.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await it.journal.ask("XLEN", f"{{{P}}}:ledger") > 1:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        duty.cancel()
        assert set(asked) == {("trim", 90_000)}

    month(story)
