"""What happened last, over all partitions, and how far it is sealed."""

import asyncio

import pytest

from gateway.adapters.redis.lately import RedisLately, SealedUpTo, Touched, order
from gateway.core.call import partition_of
from tests.contracts.journal_bench import AGENT, FIRST, RedisBench, new_call, on, write
from tests.playbook import ALLOW, HOLD

PARTITION = f"{partition_of(AGENT):02d}"


@pytest.fixture
def lately(valkey):
    valkey.flush()

    def run(story):
        async def with_lately(it):
            await story(it.journal, RedisLately(it.journal))

        on(lambda: RedisBench(valkey.url), with_lately)

    return run


def test_the_last_entries_come_first_and_a_reader_goes_on_from_where_it_was(lately):
    async def story(journal, it):
        assert await it.latest({}, 9) == []
        one, two = new_call(), new_call()
        first = await journal.append(write(one, 0, FIRST))
        second = await journal.append(write(two, 0, FIRST))
        third = await journal.append(write(one, 1, HOLD))
        told = [Touched(third.entry, one), Touched(second.entry, two), Touched(first.entry, one)]
        assert await it.latest({}, 9) == told
        assert await it.latest({}, 2) == told[:2]
        assert await it.latest({PARTITION: first.entry}, 9) == told[:2]
        assert await it.latest({PARTITION: first.entry}, 1) == told[:1]  # the last, and not the next
        assert await it.latest({PARTITION: third.entry}, 9) == []

    lately(story)


def test_partitions_are_in_one_order_and_a_trimmed_stream_is_no_trouble(lately):
    async def story(journal, it):
        first = await journal.append(write(new_call(), 0, FIRST))
        await asyncio.sleep(0.002)
        await journal.append(write("63" + "a" * 20, 0, ALLOW))
        await asyncio.sleep(0.002)
        last = await journal.append(write(new_call(), 0, FIRST))
        found = await it.latest({}, 9)
        assert [item.call[:2] for item in found] == [PARTITION, "63", PARTITION]
        await journal.ask("XTRIM", f"{{{PARTITION}}}:ledger", "MINID", last.entry)
        assert next(item.entry for item in await it.latest({PARTITION: first.entry}, 9)) == last.entry

    lately(story)


def test_what_is_about_no_call_is_left_out(lately):
    async def story(journal, it):
        await journal.ask("XADD", f"{{{PARTITION}}}:ledger", "*", "grant", "grant-x", "from", "0", "facts", "{}")
        assert await it.latest({}, 9) == []

    lately(story)


def test_how_far_it_is_sealed(lately):
    async def story(journal, it):
        assert await it.sealed() == {} and await it.sealer() == ""
        await journal.ask("SET", "{07}:sealed", f"3 42 {'ab' * 32} 1795168800000-7")
        await journal.ask("SET", "gateway:sealer", "host-a in /data/ledger")
        assert await it.sealed() == {"07": SealedUpTo(42, "1795168800000-7")}
        assert await it.sealer() == "host-a in /data/ledger"

    lately(story)


def test_entries_are_ordered_as_numbers():
    assert order("9-2") < order("9-10") < order("10-0")
