"""Effects stop where the record cannot be sealed, on every process; and a sealer that is dead is noticed."""

import asyncio

import pytest

from gateway.adapters.redis.journal import UNSEALED
from gateway.adapters.redis.unsealed import RedisStop, SealingLag
from gateway.core.call import partition_of
from gateway.core.sealed import Sealed
from gateway.ports import JournalUnavailable
from tests.contracts.journal_bench import AGENT, FIRST, RedisBench, new_call, on, write
from tests.playbook import ALLOW, claimed

PARTITION = f"{partition_of(AGENT):02d}"


@pytest.fixture
def journals(valkey):
    """Two processes of one deployment."""
    valkey.flush()

    def run(story):
        async def with_both(it):
            other = RedisBench(valkey.url).journal
            try:
                await story(it.journal, other)
            finally:
                await other.close()

        on(lambda: RedisBench(valkey.url), with_both)

    return run


def effect():
    return write(new_call(), 0, FIRST, ALLOW, claimed(), guarded=True)


def test_every_process_that_heeds_it_stops_effects_and_nothing_else(journals):
    async def story(steward, worker):
        await RedisStop(steward).say("Effects are stopped: the disk is full.")
        await worker.append(effect())  # it has not heard yet
        await worker.heed()
        for journal in (steward, worker):
            with pytest.raises(JournalUnavailable, match="Effects are stopped: the disk is full"):
                await journal.append(effect())
            await journal.append(write(new_call(), 0, FIRST))
        assert RedisStop(worker).said == "Effects are stopped: the disk is full."
        await RedisStop(steward).say("")
        await worker.heed()
        for journal in (steward, worker):
            await journal.append(effect())
        assert await worker.ask("EXISTS", UNSEALED) == 0

    journals(story)


def lag_of(journal, *, ages: float):
    """What is said at each of a few moments; the facts are as old as that at the first."""
    clock = [0.0]
    journal._offset += ages

    async def at(seconds: float) -> str:
        journal._offset += seconds - clock[0]
        clock[0] = seconds
        return await lag.sentence("one.example (/ledger)")

    lag = SealingLag(journal, lambda: clock[0])
    return at


async def seal(journal, entry: str, size: int) -> None:
    await journal.ask("SET", f"{{{PARTITION}}}:sealed", Sealed(1, size, bytes(32), entry).text)


def test_facts_that_nobody_seals_are_said_after_a_minute(journals):
    async def story(journal, _):
        done = await journal.append(write(new_call(), 0, FIRST))
        at = lag_of(journal, ages=0.0)
        assert [await at(0), await at(59)] == ["", ""]
        said = await at(61)
        assert said.startswith("Facts have waited for 61 s to be sealed, and one.example (/ledger) sealed last: see ")
        await seal(journal, done.entry, 1)
        assert [await at(62), await at(200)] == ["", ""]

    journals(story)


def test_a_sealer_that_catches_up_with_years_is_left_alone(journals):
    async def story(journal, _):
        entries = [(await journal.append(write(new_call(), 0, FIRST))).entry for _ in range(4)]
        at = lag_of(journal, ages=1e8)
        assert await at(0) == ""
        for number, entry in enumerate(entries[:3], 1):
            await seal(journal, entry, number)
            assert await at(50 * number) == ""
        assert (await at(150 + 61)).startswith("Facts have waited for 1157 days to be sealed, ")

    journals(story)


def test_a_deployment_in_which_nothing_happens_is_ready(journals):
    async def story(journal, _):
        at = lag_of(journal, ages=0.0)
        assert [await at(0), await at(1e6)] == ["", ""]

    journals(story)


def test_a_stop_is_heard_without_anybody_asking(journals):
    """The loop that every process runs."""
    from gateway.duties import watch_losses

    async def story(steward, worker):
        watching = asyncio.ensure_future(watch_losses(worker))
        await RedisStop(steward).say("Effects are stopped.")
        async with asyncio.timeout(60):
            while not worker.unsealed:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        watching.cancel()

    journals(story)
