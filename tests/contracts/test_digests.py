"""Every promise of `digest_ports.Digests`, kept by every adapter."""

import asyncio
import secrets
from dataclasses import replace

from gateway.adapters.memory_digests import MemoryDigests
from gateway.adapters.redis import digests as in_redis
from gateway.adapters.redis.digests import RedisDigests
from gateway.core.quota import Quota
from gateway.digest_ports import Entry, Told
from tests.contracts.journal_bench import MemoryBench, RedisBench, on

TWO = Quota(2, 3600.0)
TOLD = Told(id="digest-1", status=200, receipt="C1:1", began=5, covered=0, not_before=9)


def of(it):
    return MemoryDigests(it.journal.clock) if isinstance(it, MemoryBench) else RedisDigests(it.journal)


def name() -> str:
    return secrets.token_hex(12)


def news(call: str, *, over: bool = False, until: int = 0) -> Entry:
    return Entry(call=call, notice=f"{call}-{'over' if over else 'asked'}", over=over, until=until)


def test_a_question_that_is_counted_keeps_its_place_and_the_others_have_none(bench):
    async def story(it):
        digests = of(it)
        wanted = ["a", "b", "a", "c", "b", "c"]
        assert [await digests.room("finance", each, TWO) for each in wanted] == [True, True, True, False, True, False]
        assert await digests.room("legal", "c", TWO), "each group has its own"

    on(bench, story)


def test_of_many_at_once_no_more_than_the_quota_are_counted(bench):
    async def story(it):
        digests = of(it)
        found = await asyncio.gather(*(digests.room("finance", f"q-{number}", TWO) for number in range(20)))
        assert sum(found) == 2

    on(bench, story)


def test_there_is_room_again_when_the_time_is_over(bench):
    async def story(it):
        digests, short = of(it), Quota(1, 1.0)
        assert await digests.room("finance", "a", short)
        assert not await digests.room("finance", "b", short)
        await asyncio.sleep(1.03)
        assert await digests.room("finance", "b", short)
        assert not await digests.room("finance", "a", short), "it left, and another has its place"

    on(bench, story)


def test_each_question_leaves_when_its_own_time_is_over(bench):
    async def story(it):
        digests, short = of(it), Quota(2, 0.6)
        assert await digests.room("finance", "a", short)
        await asyncio.sleep(0.4)
        assert await digests.room("finance", "b", short)
        await asyncio.sleep(0.3)
        assert await digests.room("finance", "c", short)

    on(bench, story)


def test_what_waits_is_listed_by_its_end_and_counted_whole(bench):
    async def story(it):
        digests, one = of(it), name()
        first = await digests.enter(one, news("c-1", until=300), 2)
        assert (first.number, first.last, first.waiting, first.calls) == (1, 1, 1, ("c-1",))
        await digests.enter(one, news("c-2", until=100), 2)
        third = await digests.enter(one, news("c-3", until=200), 2)
        assert (third.number, third.last, third.waiting, third.calls) == (3, 3, 3, ("c-2", "c-3"))
        again = await digests.enter(one, news("c-1", until=300), 0)
        assert (again.number, again.last, again.waiting, again.calls) == (1, 3, 3, ())
        assert (await digests.enter(name(), news("c-9"), 2)).number == 1, "another digest is another digest"

    on(bench, story)


def test_a_call_that_is_over_waits_no_more_and_is_news_until_it_was_told(bench):
    async def story(it):
        digests, one = of(it), name()
        await digests.enter(one, news("c-1"), 9)
        ended = await digests.enter(one, news("c-1", over=True), 9)
        assert (ended.waiting, ended.calls, ended.ended, ended.over) == (0, (), 1, ("c-1",))
        await digests.told(one, replace(TOLD, covered=ended.last))
        after = await digests.enter(one, news("c-1", over=True), 9)
        assert (after.number, after.ended, after.over, after.covered) == (2, 0, (), 2), "told once"

    on(bench, story)


def test_only_what_had_a_number_by_then_was_heard(bench):
    async def story(it):
        digests, one = of(it), name()
        first, second = news("c-1"), news("c-2")
        seen = await digests.enter(one, first, 9)
        await digests.enter(one, second, 9)  # while the digest is on its way
        assert await digests.heard(one, first.notice) is None
        await digests.told(one, replace(TOLD, covered=seen.last))
        assert await digests.heard(one, first.notice) == ("digest-1", 200)
        assert await digests.heard(one, second.notice) is None
        assert await digests.heard(one, "never-entered") is None
        assert await digests.heard(name(), first.notice) is None

    on(bench, story)


def test_a_slower_steward_takes_nothing_back(bench):
    async def story(it):
        digests, one = of(it), name()
        for number in range(3):
            await digests.enter(one, news(f"c-{number}"), 9)
        await digests.told(one, replace(TOLD, covered=3))
        await digests.told(one, replace(TOLD, covered=1, id="digest-2"))
        assert await digests.heard(one, news("c-2").notice) == ("digest-2", 200)

    on(bench, story)


def test_how_it_was_told_comes_back_and_attempts_in_vain_are_counted_since(bench):
    async def story(it):
        digests, one = of(it), name()
        await digests.enter(one, news("c-1"), 9)
        await digests.failed(one, 77)
        await digests.failed(one, 88)
        tried = await digests.enter(one, news("c-1"), 9)
        assert (tried.failures, tried.not_before, tried.id, tried.receipt) == (2, 88, "", "")
        await digests.told(one, replace(TOLD, covered=1, gone=("c-1",)))
        found = await digests.enter(one, news("c-2"), 9)
        assert (found.failures, found.not_before, found.id, found.status) == (0, 9, "digest-1", 200)
        assert (found.receipt, found.began, found.covered, found.calls) == ("C1:1", 5, 1, ("c-2",))

    on(bench, story)


def test_a_call_can_leave_and_come_again(bench):
    async def story(it):
        digests, one = of(it), name()
        await digests.enter(one, news("c-1"), 9)
        await digests.leave(one, "c-1")
        await digests.leave(name(), "c-1")
        assert (await digests.enter(one, news("c-2"), 9)).calls == ("c-2",)
        assert (await digests.enter(one, news("c-1"), 9)).calls == ("c-1", "c-2")

    on(bench, story)


def test_redis_remembers_a_bounded_number_of_notices_and_forgets_unused_digests(valkey, monkeypatch):
    """One that was forgotten is entered anew, above what was covered: told again, and never lost."""
    monkeypatch.setattr(in_redis, "KEPT_NUMBERS", 3)
    valkey.flush()

    async def story(it):
        digests, one = of(it), name()
        for number in range(5):
            await digests.enter(one, news(f"c-{number}"), 9)
        await digests.told(one, replace(TOLD, covered=5))
        assert await digests.heard(one, news("c-4").notice) and not await digests.heard(one, news("c-0").notice)
        assert (await digests.enter(one, news("c-0"), 9)).number == 6
        for part in ("waits", "numbers", "state"):
            assert 0 < await it.journal.ask("PTTL", f"{{gateway:digest:{one}}}:{part}") <= in_redis.KEPT_MS

    on(lambda: RedisBench(valkey.url), story)
