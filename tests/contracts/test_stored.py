"""How many bytes are kept for an agent: counted exactly, by whoever writes, whatever is lost, retried or over."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from gateway.adapters.redis.command import pointer_key
from gateway.core.call import partition_of
from gateway.core.pointers import RECALL_MS, Pointer
from gateway.ports import Conflict, TooMuchStored
from tests.contracts.journal_bench import AGENT, FIRST, RedisBench, key, new_call, on, write
from tests.playbook import ALLOW, HOLD

HOUR, DAY = 3_600_000, 24 * 3_600_000
KIB = 1024
LARGE = b"x" * 10 * KIB


@pytest.fixture
def redis(valkey):
    valkey.flush()
    return lambda: RedisBench(valkey.url)


def stores(most: int = 0, agent: str = AGENT) -> Pointer:
    return Pointer(agent, "stored", "store", most=most)


def keeps(most: int, data: bytes = LARGE, *, agent: str = AGENT, **how: Any):
    """The first append of a call with a request beside it."""
    pointers = [stores(most, agent)]
    return write(new_call(agent), 0, FIRST, HOLD, agent=agent, pointers=pointers, payload={"request": data}, **how)


# --- The limit --------------------------------------------------------------------------------------------------------


def test_as_much_is_kept_as_may_be_and_not_a_byte_more(bench):
    async def story(it):
        await it.journal.append(keeps(25 * KIB))
        await it.journal.append(keeps(25 * KIB))
        refused = keeps(25 * KIB, b"x" * (5 * KIB + 1), notices=(("n", 0),))
        with pytest.raises(TooMuchStored) as full:
            await it.journal.append(refused)
        assert full.value.milliseconds == 0  # both wait for people
        assert await it.journal.length(refused.call) == 0 and await it.journal.payload(refused.call) == {}
        assert await it.journal.outbox(9) == []
        await it.journal.append(keeps(25 * KIB, b"x" * 5 * KIB))
        await it.journal.append(keeps(25 * KIB, agent="support-bot"))

    on(bench, story)


def test_what_is_small_is_neither_counted_nor_refused(bench):
    async def story(it):
        for _ in range(9):
            await it.journal.append(keeps(10 * KIB, b"x" * 4095))
        await it.journal.append(keeps(10 * KIB))
        await it.journal.append(keeps(10 * KIB, b"x" * 4095))
        with pytest.raises(TooMuchStored):
            await it.journal.append(keeps(10 * KIB, b"x" * 4096))

    on(bench, story)


def test_writers_on_all_hosts_together_do_not_exceed_it(bench):
    async def story(it):
        async def ask() -> bool:
            try:
                await it.journal.append(keeps(70 * KIB))
            except TooMuchStored:
                return False
            return True

        assert sum(await asyncio.gather(*(ask() for _ in range(20)))) == 7

    on(bench, story)


def test_what_is_destroyed_makes_room_and_what_replaces_it_counts_instead(bench):
    async def story(it):
        first, most = keeps(20 * KIB), 20 * KIB
        await it.journal.append(first)
        await it.journal.append(keeps(most))
        taken_away = {"request": b"", "answer": b"y" * 5 * KIB}
        await it.journal.append(write(first.call, 2, ALLOW, pointers=[stores(most)], payload=taken_away))
        with pytest.raises(TooMuchStored):
            await it.journal.append(keeps(most))
        await it.journal.append(keeps(most, b"x" * 5 * KIB))

    on(bench, story)


def test_without_a_limit_it_is_counted_all_the_same(bench):
    async def story(it):
        for _ in range(3):
            await it.journal.append(keeps(0))
        with pytest.raises(TooMuchStored):
            await it.journal.append(keeps(30 * KIB))

    on(bench, story)


def test_an_append_that_brings_nothing_is_never_refused(bench):
    async def story(it):
        first = keeps(0)
        await it.journal.append(first)
        await it.journal.append(write(first.call, 2, ALLOW, pointers=[stores(1)]))
        await it.journal.append(write(first.call, 3, ALLOW, pointers=[stores(1)], payload={"request": b"x" * 5 * KIB}))
        with pytest.raises(TooMuchStored):
            await it.journal.append(write(first.call, 4, ALLOW, pointers=[stores(1)], payload={"answer": LARGE}))

    on(bench, story)


def test_a_lost_reply_counts_once(bench):
    async def story(it):
        first = keeps(20 * KIB)
        for _ in range(3):
            await it.journal.append(first)
        await it.journal.append(keeps(20 * KIB))

    on(bench, story)


def test_a_copy_for_the_record_is_not_counted(bench):
    async def story(it):
        await it.journal.append(
            write(new_call(), 0, FIRST, pointers=[stores(KIB)], payload={"kept.input.1000": LARGE, "salt": b"s"})
        )

    on(bench, story)


# --- When it leaves, in Redis -----------------------------------------------------------------------------------------


def name_of(agent: str = AGENT) -> str:
    return pointer_key(f"{partition_of(agent):02d}", "stored", agent)


async def count_of(it) -> dict[str, int]:
    found = await it.journal.ask("HGETALL", name_of())
    items = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return {hour.decode(): int(size) for hour, size in items}


async def truth(it, calls) -> dict[str, int]:
    """What is really there, by when it leaves."""
    found: Counter[str] = Counter()
    for call in calls:
        payload = "{" + call[:2] + "}:payload:" + call
        at = await it.journal.ask("PEXPIRETIME", payload)
        for field in await it.journal.ask("HKEYS", payload):
            if (size := await it.journal.ask("HSTRLEN", payload, field)) >= 4096:
                found["open" if at < 0 else str(at // HOUR)] += size
    return dict(found)


def test_what_ended_counts_until_its_hour_is_over(redis):
    async def story(it):
        first = keeps(15 * KIB)
        await it.journal.append(first)
        await it.journal.append(write(first.call, 2, ALLOW, pointers=[stores()], expire_in=DAY))
        [(hour, size)] = (await count_of(it)).items()
        assert size == 10 * KIB and int(hour) - it.journal.now() // HOUR in (24, 25)
        with pytest.raises(TooMuchStored) as full:
            await it.journal.append(keeps(15 * KIB))
        assert DAY - 60_000 < full.value.milliseconds <= DAY + HOUR
        await it.journal.ask_all(  # a day and an hour later
            ("HDEL", name_of(), hour), ("HSET", name_of(), str(it.journal.now() // HOUR - 1), str(size))
        )
        await it.journal.append(keeps(15 * KIB))
        assert await count_of(it) == {"open": 10 * KIB}

    on(redis, story)


def test_an_answer_that_is_asked_for_again_counts_for_longer(redis):
    async def story(it):
        first = keeps(0)
        await it.journal.append(first)
        ended = write(first.call, 2, ALLOW, pointers=[key("k", "take", HOUR), stores()], expire_in=HOUR)
        await it.journal.append(ended)
        earliest = it.journal.now() - 60_000  # by a clock that need not be quite that of the server
        await it.journal.touch(first.call, AGENT, "k", DAY)
        latest = it.journal.now() + 60_000
        [(hour, size)] = (await count_of(it)).items()
        assert size == 10 * KIB
        assert (earliest + DAY + RECALL_MS) // HOUR <= int(hour) <= (latest + DAY + RECALL_MS) // HOUR
        assert await count_of(it) == await truth(it, [first.call])

    on(redis, story)


def test_what_was_written_before_anybody_counted_takes_nothing_away(redis):
    async def story(it):
        old = write(new_call(), 0, FIRST, payload={"request": LARGE})
        await it.journal.append(old)
        await it.journal.append(keeps(0, b"x" * 5 * KIB))
        await it.journal.append(write(old.call, 1, ALLOW, pointers=[stores()], payload={"request": b""}, expire_in=DAY))
        assert await count_of(it) == {}  # too little, and never less than nothing
        await it.journal.append(keeps(0))
        assert await count_of(it) == {"open": 10 * KIB}

    on(redis, story)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_count_is_what_is_there(redis, seed):
    dice = random.Random(seed)

    async def story(it):
        calls: dict[str, int] = {}
        for _ in range(250):
            call = dice.choice([*calls, new_call(), new_call()])
            have = calls.get(call, 0)
            sizes = (0, 100, 4095, 4096, 5000, 20_000)
            payload = {name: b"x" * dice.choice(sizes) for name in dice.sample(("request", "answer", "preview"), 2)}
            ends = dice.choice((None, HOUR, DAY, 3 * DAY))
            append = write(
                call, dice.choice((have, have, have, have + 1)), FIRST, payload=payload, expire_in=ends,
                pointers=[stores(dice.choice((0, 0, 100_000))), key(call, "hold", ends)],
            )  # fmt: skip
            try:
                for _ in range(dice.choice((1, 1, 2))):
                    await it.journal.append(append)
                calls[call] = have + 1
            except (Conflict, TooMuchStored):
                pass
            if calls:
                await it.journal.touch(some := dice.choice([*calls]), AGENT, some, dice.choice((HOUR, 5 * DAY)))
            assert await count_of(it) == await truth(it, calls)
        assert len(calls) > 10

    on(redis, story)
