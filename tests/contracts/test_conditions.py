"""What an append may depend on beside the call itself: a grant that is still there, and room for one more question."""

import asyncio
import time

import pytest

from gateway.ports import Revoked, Taken, TooManyQuestions
from tests.contracts.journal_bench import (
    FIRST,
    counted,
    executing,
    key,
    needed,
    new_call,
    on,
    write,
)
from tests.playbook import ALLOW, HOLD, claimed

HOUR = 3_600_000


# --- Grants -----------------------------------------------------------------------------------------------------------


def test_an_append_that_needs_a_grant_is_refused_without_it_and_changes_nothing(bench):
    async def story(it):
        call = new_call()
        claim = write(call, 0, FIRST, ALLOW, claimed(), pointers=[key("k", "take"), needed("grant-1")], due_in=1)
        with pytest.raises(Revoked):
            await it.journal.append(claim)
        assert await it.journal.length(call) == 0
        assert await it.pointer("key", "k") is None

    on(bench, story)


def test_a_grant_that_is_there_is_needed_and_not_changed(bench):
    async def story(it):
        await it.journal.append(write(new_call(), 0, FIRST, pointers=[key("grant", "take")]))
        there = key("grant", "need")
        claim = write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[there])
        await it.journal.append(claim)
        assert await it.pointer("key", "grant") != (claim.call, None)
        assert await it.pointer("key", "grant") is not None

    on(bench, story)


def test_a_grant_is_there_until_its_end(bench):
    async def story(it):
        await it.journal.append(write(new_call(), 0, FIRST, pointers=[key("grant", "take", 1500)]))
        await it.journal.append(write(new_call(), 0, FIRST, pointers=[key("grant", "need")]))
        await asyncio.sleep(1.52)
        with pytest.raises(Revoked):
            await it.journal.append(write(new_call(), 0, FIRST, pointers=[key("grant", "need")]))

    on(bench, story)


def test_a_claim_written_before_the_revocation_is_confirmed_when_its_reply_was_lost(bench):
    async def story(it):
        holder = new_call()
        await it.journal.append(write(holder, 0, FIRST, pointers=[key("grant", "take")]))
        claim = write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[key("grant", "need")])
        await it.journal.append(claim)
        await it.journal.append(write(holder, 1, ALLOW, pointers=[key("grant", "free")]))
        await it.journal.append(claim)

    on(bench, story)


# --- Questions --------------------------------------------------------------------------------------------------------


def test_an_agent_has_as_many_questions_as_it_may_and_not_one_more(bench):
    async def story(it):
        for _ in range(3):
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(3, HOUR)]))
        refused = write(new_call(), 0, FIRST, HOLD, pointers=[counted(3, HOUR)], notices=(("n", 0),))
        with pytest.raises(TooManyQuestions) as full:
            await it.journal.append(refused)
        assert HOUR - 60_000 < full.value.milliseconds <= HOUR
        assert await it.journal.length(refused.call) == 0
        assert await it.journal.outbox(9) == []
        other = write(new_call("support-bot"), 0, FIRST, HOLD, agent="support-bot", pointers=[counted(3, HOUR, "s")])
        await it.journal.append(other)

    on(bench, story)


def test_writers_on_all_hosts_together_do_not_exceed_it(bench):
    async def story(it):
        async def ask() -> bool:
            try:
                await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(7, HOUR)]))
            except TooManyQuestions:
                return False
            return True

        assert sum(await asyncio.gather(*(ask() for _ in range(40)))) == 7

    on(bench, story)


def test_there_is_room_again_when_the_oldest_has_left_and_that_is_when_it_said(bench):
    async def story(it):
        window = 2000
        for pause in (0.0, 1.0):
            await asyncio.sleep(pause)
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(2, window)]))
        with pytest.raises(TooManyQuestions) as full:
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(2, window)]))
        assert 0 < full.value.milliseconds <= window - 990
        await asyncio.sleep(full.value.milliseconds / 1000 + 0.005)
        await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(2, window)]))
        with pytest.raises(TooManyQuestions):  # the second is still within the window
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(2, window)]))

    on(bench, story)


def test_a_smaller_limit_waits_until_enough_have_left(bench):
    async def story(it):
        began = 0.0
        for _ in range(3):
            began = time.monotonic()
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(5, HOUR)]))
            await asyncio.sleep(0.02)
        with pytest.raises(TooManyQuestions) as full:
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(1, HOUR)]))
        passed = round((time.monotonic() - began) * 1000)
        assert HOUR - 5 - passed <= full.value.milliseconds <= HOUR - 15  # the last one asked, not the first

    on(bench, story)


def test_a_request_that_attaches_is_not_counted_and_is_never_told_that_there_are_too_many(bench):
    async def story(it):
        first = write(new_call(), 0, FIRST, HOLD, pointers=[key("k", "take"), counted(1, HOUR)])
        await it.journal.append(first)
        await it.journal.append(first)  # its reply was lost
        with pytest.raises(Taken):
            await it.journal.append(
                write(new_call(), 0, FIRST, HOLD, pointers=[key("k", "take"), executing("m", "look"), counted(1, HOUR)])
            )
        with pytest.raises(TooManyQuestions):
            await it.journal.append(write(new_call(), 0, FIRST, HOLD, pointers=[counted(1, HOUR)]))

    on(bench, story)
