"""The record of a partition: everything that was written, once, in order, and how far each reader has come."""

import asyncio

import pytest

from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.call import partition_of
from gateway.core.facts import Expired
from tests.contracts.journal_bench import AGENT, FIRST, RedisBench, attempt, key, new_call, on, timeless, write
from tests.playbook import ALLOW, HOLD, answered, claimed

PARTITION = f"{partition_of(AGENT):02d}"


@pytest.fixture
def ledger(valkey):
    valkey.flush()

    def run(story):
        async def with_ledger(it):
            await story(it.journal, RedisLedger(it.journal))

        on(lambda: RedisBench(valkey.url), with_ledger)

    return run


def test_every_append_is_one_entry_and_nothing_else_is(ledger):
    async def story(journal, it):
        call, other = new_call(), new_call()
        first = write(call, 0, FIRST, HOLD, pointers=[key("k", "take")])
        done = await journal.append(first)
        await journal.append(first)  # its reply was lost
        assert await attempt(journal.append(write(call, 0, FIRST))) == ("conflict",)
        assert (await attempt(journal.append(write(other, 0, FIRST, pointers=[key("k", "take")]))))[0] == "taken"
        await journal.append(write(call, 2, ALLOW, claimed()))
        entries = await it.read(PARTITION, "", 9)
        assert [(entry.call, entry.position, timeless(entry.facts)) for entry in entries] == [
            (call, 0, [FIRST, HOLD]),
            (call, 2, [ALLOW, claimed()]),
        ]
        assert entries[0].id == done.entry
        assert entries[0].facts[0].at == done.at

    ledger(story)


def test_a_reader_goes_on_where_it_was_and_another_one_has_its_own_place(ledger):
    async def story(journal, it):
        calls = [new_call() for _ in range(5)]
        for call in calls:
            await journal.append(write(call, 0, FIRST))
        place = await it.cursor(PARTITION, "export")
        assert place == ""
        read = await it.read(PARTITION, place, 3)
        await it.move(PARTITION, "export", read[-1].id)
        rest = await it.read(PARTITION, await it.cursor(PARTITION, "export"), 9)
        assert [entry.call for entry in (*read, *rest)] == calls
        assert await it.cursor(PARTITION, "seal") == ""
        assert await it.ends() == {PARTITION: rest[-1].id}
        assert await it.read(PARTITION, rest[-1].id, 9) == []

    ledger(story)


def test_the_ledger_keeps_what_left_the_call_store(ledger):
    async def story(journal, it):
        call = new_call()
        await journal.append(write(call, 0, FIRST, Expired(), expire_in=1))
        await asyncio.sleep(0.02)
        assert await journal.facts(call) == []
        assert timeless((await it.read(PARTITION, "", 9))[0].facts) == [FIRST, Expired()]

    ledger(story)


def test_recent_calls_are_listed_newest_first_over_all_partitions(ledger):
    async def story(journal, it):
        calls = []
        for number in range(6):
            agent = f"agent-{number}"
            calls.append(new_call(agent))
            await journal.append(write(calls[-1], 0, FIRST, agent=agent, due_in=9_999))
            await asyncio.sleep(0.003)
        await journal.append(write(calls[0], 1, answered(), agent="agent-0"))
        assert await it.recent(3) == [calls[0], calls[5], calls[4]]
        assert set(await it.unsettled()) == set(calls[1:])

    ledger(story)


def test_a_lease_has_one_holder_until_it_ends(ledger):
    async def story(journal, it):
        assert await it.lease("seal", "me", 60_000)
        assert not await it.lease("seal", "you", 60_000)
        assert await it.lease("seal", "me", 10)
        await asyncio.sleep(0.03)
        assert await it.lease("seal", "you", 60_000)
        assert await it.lease("export", "me", 60_000)

    ledger(story)
