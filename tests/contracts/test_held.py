"""The list of calls that wait for people: in order of their end, page by page, over all partitions."""

import asyncio

import pytest

from gateway.adapters.redis.held import HeldCalls, Place
from gateway.core.facts import Expired
from gateway.core.pointers import Pointer
from gateway.core.record import recall
from gateway.open_calls import OpenCalls
from tests.contracts.journal_bench import FIRST, RedisBench, new_call, on, write
from tests.playbook import FINANCE, HOLD, asked, claimed, lost

OVER = Pointer("all", "held", "over")
AGENTS = tuple(f"agent-{number}" for number in range(7))


@pytest.fixture
def held(valkey):
    valkey.flush()

    def run(story):
        async def with_held(it):
            await story(it.journal, HeldCalls(it.journal))

        on(lambda: RedisBench(valkey.url), with_held)

    return run


async def holds(journal, number: int, *, apart: int = 1000) -> list[str]:
    """Calls of several agents, the soonest to expire first."""
    calls = []
    for i in range(number):
        agent = AGENTS[i % len(AGENTS)]
        call = new_call(agent)
        waits = Pointer("all", "held", "wait", 1_000_000 + i * apart)
        await journal.append(write(call, 0, FIRST, HOLD, asked(FINANCE), agent=agent, pointers=[waits], due_in=99_999))
        calls.append(call)
    return calls


async def pages(it: HeldCalls, limit: int) -> list[list[str]]:
    found, after = [], None
    while page := await it.page(limit, after):
        found.append([place.call for place in page])
        assert len(found) < 99, "a page follows itself"
        after = page[-1]
    return found


def test_pages_follow_each_other_without_a_gap_and_without_a_repeat(held):
    async def story(journal, it):
        calls = await holds(journal, 23)
        assert await pages(it, 5) == [calls[:5], calls[5:10], calls[10:15], calls[15:20], calls[20:]]
        assert await pages(it, 100) == [calls]
        assert await it.count() == 23
        assert [place.call for place in await it.last(4)] == calls[:-5:-1]

    held(story)


def test_calls_that_end_at_the_same_moment_are_each_on_one_page(held):
    async def story(journal, it):
        calls = {new_call(AGENTS[0]) for _ in range(12)}
        for call in calls:
            await it.insert(call, 5_000)
        found = await pages(it, 3)
        assert [len(page) for page in found] == [3, 3, 3, 3]
        assert {call for page in found for call in page} == calls

    held(story)


def test_what_ends_between_two_pages_takes_nobody_elses_place(held):
    async def story(journal, it):
        calls = await holds(journal, 6)
        first = await it.page(3)
        await journal.append(write(calls[2], 3, Expired(), agent=AGENTS[2], pointers=[OVER]))
        await journal.append(write(calls[3], 3, Expired(), agent=AGENTS[3], pointers=[OVER]))
        assert [place.call for place in await it.page(3, first[-1])] == calls[4:]
        assert await it.count() == 4

    held(story)


def test_the_list_shows_the_time_that_the_facts_say(held):
    async def story(journal, it):
        call = new_call()
        question = asked(FINANCE)
        waits = Pointer("all", "held", "wait", question.expire)
        await journal.append(write(call, 0, FIRST, HOLD, question, pointers=[waits], due_in=1))
        place = Place(recall(await journal.facts(call)).expires_at or 0, call)
        assert await it.page(1) == [place]
        moved = Pointer("all", "held", "wait", question.expire + 7)  # a writer whose clock is not quite right
        await journal.append(write(call, 3, HOLD, pointers=[moved], due_in=1))
        assert await it.page(1) == [place], "the order of pages does not change while somebody turns them"

    held(story)


def test_open_calls_are_counted_by_state_and_held_ones_are_not_read(held, monkeypatch):
    async def story(journal, it):
        calls = await holds(journal, 9)
        sending, doubtful = new_call(), new_call()
        await journal.append(write(sending, 0, FIRST, claimed(), due_in=9_999))
        await journal.append(write(doubtful, 0, FIRST, claimed(), lost(), due_in=9_999))
        read = []

        class Facts:
            async def facts(self, call):
                read.append(call)
                return await journal.facts(call)

        them = OpenCalls(it, Facts())
        for _ in range(2):
            assert await them.counted() == {"held": 9, "executing": 1, "in doubt": 1, "judging": 0}
        assert sorted(read) == sorted((sending, doubtful)), "once each"
        assert await them.named("in doubt", 9) == [doubtful]
        assert await them.named("held", 2) == calls[:-3:-1]

    held(story)


def test_what_an_older_gateway_did_meanwhile_is_mended(held):
    async def story(journal, it):
        ended, *calls = await holds(journal, 3)
        unlisted = new_call()
        await journal.append(write(unlisted, 0, FIRST, HOLD, asked(FINANCE), due_in=9_999))
        await journal.append(write(ended, 3, Expired(), agent=AGENTS[0]))  # without a word about the list
        them = OpenCalls(it, journal)
        assert await it.count() == 3 and (await them.counted())["held"] == 4
        await them.mend()
        until = recall(await journal.facts(unlisted)).expires_at or 0
        found = await it.page(9)
        assert {place.call for place in found} == {unlisted, *calls} and Place(until, unlisted) in found
        assert (await them.counted())["held"] == 3
        await asyncio.gather(them.mend(), them.mend())
        assert await it.page(9) == found

    held(story)
