"""Every promise of `ports.Journal` and `ports.Timers`, kept by every adapter. Troubles of servers are beside."""

import asyncio
import time

import pytest

from gateway.core.facts import Abandoned, Delivered, Expired
from gateway.ports import Conflict, Suspended, Taken
from tests.contracts.journal_bench import (
    AGENT,
    FIRST,
    attempt,
    executing,
    key,
    new_call,
    on,
    opened,
    timeless,
    write,
)
from tests.playbook import ALLOW, CALL, HOLD, answered, claimed, lost, no, yes

DAY = 24 * 3_600_000


# --- The list of facts --------------------------------------------------------------------------------------------


def test_facts_come_back_in_order_with_the_time_of_the_journal(bench):
    async def story(it):
        call = new_call()
        assert await it.journal.facts(call) == []
        assert await it.journal.length(call) == 0
        before = time.time_ns() // 1_000_000
        first = await it.journal.append(write(call, 0, FIRST, ALLOW))
        second = await it.journal.append(write(call, 2, claimed()))
        facts = await it.journal.facts(call)
        assert timeless(facts) == [FIRST, ALLOW, claimed()]
        assert [fact.at for fact in facts] == [first.at, first.at, second.at]
        assert before <= first.at <= second.at <= time.time_ns() // 1_000_000
        assert await it.journal.length(call) == 3

    on(bench, story)


def test_the_clock_of_the_journal_is_close_and_never_goes_back(bench):
    async def story(it):
        done = await it.journal.append(write(new_call(), 0, FIRST))
        times = [it.journal.now() for _ in range(50)]
        assert times == sorted(times)
        assert abs(times[0] - done.at) < 5_000

    on(bench, story)


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_writer_that_has_not_read_everything_changes_nothing(bench, expected):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, ALLOW))
        late = write(
            call,
            expected,
            claimed(),
            pointers=[key("k", "take")],
            due_in=1,
            payload={"answer": b"x"},
            notices=(("n", 0),),
        )
        with pytest.raises(Conflict):
            await it.journal.append(late)
        assert await it.journal.length(call) == 2
        assert await it.journal.payload(call) == {}
        assert await it.pointer("key", "k") is None
        assert await it.journal.outbox(9) == []

    on(bench, story)


def test_of_many_writers_one_wins(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        race = (attempt(it.journal.append(write(call, 1, claimed(f"t{i}")))) for i in range(40))
        outcomes = await asyncio.gather(*race)
        assert sorted(outcomes) == [("conflict",)] * 39 + [("ok",)]
        assert await it.journal.length(call) == 2

    on(bench, story)


def test_what_a_reader_gets_is_a_copy(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        (await it.journal.facts(call)).clear()
        assert await it.journal.length(call) == 1

    on(bench, story)


# --- Repeating an append whose reply was lost ------------------------------------------------------------------------


def test_an_append_repeated_with_its_token_answers_as_the_first_time(bench):
    async def story(it):
        call = new_call()
        first = write(call, 0, FIRST, ALLOW, pointers=[key("k", "take"), opened("o", "test")], due_in=DAY)
        done = await it.journal.append(first)
        again = await it.journal.append(first)
        assert again.at == done.at
        assert await it.journal.length(call) == 2
        second = write(call, 2, claimed())
        await it.journal.append(second)
        assert (await it.journal.append(first)).at == done.at  # others appended meanwhile
        await it.journal.append(write(call, 3, answered()))
        await it.journal.append(second)
        assert await it.journal.length(call) == 4

    on(bench, story)


def test_a_repeated_append_undoes_nothing_that_happened_since(bench):
    async def story(it):
        call = new_call()
        first = write(
            call, 0, FIRST, pointers=[key("k", "take")], due_in=0, payload={"request": b"1"}, notices=(("n", 0),)
        )
        await it.journal.append(first)
        await it.journal.append(
            write(call, 1, Expired(), pointers=[key("k", "free", 0)], payload={"request": b"2"}, notices=(("n", None),))
        )
        await it.journal.append(first)
        assert await it.pointer("key", "k") is None
        assert await it.journal.due(9) == []
        assert await it.journal.outbox(9) == []
        assert await it.journal.payload(call) == {"request": b"2"}

    on(bench, story)


def test_a_token_of_one_call_means_nothing_at_another_place(bench):
    async def story(it):
        one, other = new_call(), new_call()
        await it.journal.append(write(one, 0, FIRST, token="t" * 16))
        await it.journal.append(write(one, 1, ALLOW, token="u" * 16))
        with pytest.raises(Conflict):
            await it.journal.append(write(one, 1, claimed(), token="t" * 16))
        with pytest.raises(Conflict):
            await it.journal.append(write(other, 1, claimed(), token="t" * 16))

    on(bench, story)


def test_what_an_agent_writes_into_a_fact_cannot_look_like_a_token(bench):
    async def story(it):
        from dataclasses import replace

        call = new_call()
        await it.journal.append(write(call, 0, replace(FIRST, call=replace(CALL, agent='"by":"t0"')), token="x" * 16))
        with pytest.raises(Conflict):
            await it.journal.append(write(call, 0, FIRST, token="t0"))
        await it.journal.append(write(call, 1, no("ann")))
        with pytest.raises(Conflict):  # a fact has a `by` of its own
            await it.journal.append(write(call, 1, claimed(), token="ann"))

    on(bench, story)


# --- Pointers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["key", "open"])
@pytest.mark.parametrize("mode", ["take", "test"])
def test_a_pointer_that_leads_elsewhere_stops_the_append_and_says_where(bench, kind, mode):
    async def story(it):
        make = key if kind == "key" else opened
        first, second = new_call(), new_call()
        await it.journal.append(write(first, 0, FIRST, pointers=[make("p", "take")]))
        with pytest.raises(Taken) as taken:
            await it.journal.append(write(second, 0, FIRST, pointers=[key("q", "take"), make("p", mode)], due_in=1))
        assert (taken.value.calls, taken.value.kind) == ((first,), kind)
        assert await it.journal.length(second) == 0
        assert await it.pointer("key", "q") is None

    on(bench, story)


def test_a_pointer_of_ones_own_is_no_obstacle(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, pointers=[key("p", "take")]))
        await it.journal.append(write(call, 1, HOLD, pointers=[key("p", "take"), opened("o", "test")]))
        assert await it.pointer("key", "p") == (call, None)

    on(bench, story)


def test_testing_a_free_pointer_leaves_it_free(bench):
    async def story(it):
        await it.journal.append(write(new_call(), 0, FIRST, pointers=[opened("o", "test")]))
        assert await it.pointer("open", "o") is None

    on(bench, story)


def test_hold_takes_what_is_free_and_never_what_another_call_has(bench):
    async def story(it):
        first, second = new_call(), new_call()
        await it.journal.append(write(first, 0, FIRST, pointers=[opened("o", "hold", None)]))
        await it.journal.append(write(second, 0, FIRST, pointers=[opened("o", "hold", 5)]))
        assert await it.pointer("open", "o") == (first, None)

    on(bench, story)


def test_free_lets_go_of_ones_own_pointer_only(bench):
    async def story(it):
        first, second = new_call(), new_call()
        await it.journal.append(write(first, 0, FIRST, pointers=[key("p", "take")]))
        await it.journal.append(write(second, 0, FIRST, pointers=[key("p", "free", 0)]))
        assert await it.pointer("key", "p") == (first, None)
        await it.journal.append(write(first, 1, Expired(), pointers=[key("p", "free", 0)]))
        assert await it.pointer("key", "p") is None

    on(bench, story)


def test_a_pointer_with_a_time_ends_and_one_without_does_not(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, pointers=[key("long", "take", DAY), key("short", "take", 1)]))
        call_, ttl = await it.pointer("key", "long")
        assert call_ == call and DAY - 60_000 < ttl <= DAY
        await asyncio.sleep(0.02)
        assert await it.pointer("key", "short") is None
        other = new_call()
        await it.journal.append(write(other, 0, FIRST, pointers=[key("short", "take")]))
        assert await it.pointer("key", "short") == (other, None)
        await it.journal.append(write(call, 1, ALLOW, pointers=[key("long", "hold", None)]))
        assert await it.pointer("key", "long") == (call, None)  # open again: no time any more

    on(bench, story)


def test_touching_prolongs_the_key_of_an_ended_call_and_nothing_else(bench):
    async def story(it):
        ended, open_ = new_call(), new_call()
        await it.journal.append(write(ended, 0, FIRST, pointers=[key("e", "take", 60_000)]))
        await it.journal.append(write(open_, 0, FIRST, pointers=[key("o", "take")]))
        await it.journal.touch(ended, AGENT, "e", DAY)
        assert (await it.pointer("key", "e"))[1] > DAY - 60_000
        await it.journal.touch(ended, AGENT, "o", DAY)  # not its pointer
        await it.journal.touch(open_, AGENT, "o", DAY)  # of an open call
        assert await it.pointer("key", "o") == (open_, None)
        await it.journal.touch(ended, AGENT, "nothing", DAY)
        assert await it.pointer("key", "nothing") is None

    on(bench, story)


# --- Suspension -----------------------------------------------------------------------------------------------------


def test_a_suspended_agent_gets_nothing_guarded_written_and_everything_else(bench):
    async def story(it):
        call = new_call()
        await it.suspend(AGENT)
        with pytest.raises(Suspended):
            await it.journal.append(write(call, 0, FIRST, ALLOW, claimed(), guarded=True, pointers=[key("k", "take")]))
        assert await it.journal.length(call) == 0
        assert await it.pointer("key", "k") is None
        await it.journal.append(write(call, 0, FIRST))
        other = new_call("support-bot")
        await it.journal.append(write(other, 0, FIRST, agent="support-bot", guarded=True))
        await it.readmit(AGENT)
        await it.journal.append(write(call, 1, ALLOW, claimed(), guarded=True))

    on(bench, story)


def test_a_claim_written_before_the_suspension_is_confirmed_when_its_reply_was_lost(bench):
    async def story(it):
        claim = write(new_call(), 0, FIRST, ALLOW, claimed(), guarded=True)
        await it.journal.append(claim)
        await it.suspend(AGENT)
        await it.journal.append(claim)

    on(bench, story)


# --- Beside the facts -----------------------------------------------------------------------------------------------


def test_payload_is_added_to_field_by_field(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, payload={"request": b"\x00\xff\r\n", "salt": b"s"}))
        await it.journal.append(write(call, 1, ALLOW))
        await it.journal.append(write(call, 2, answered(), payload={"answer": b"ok"}))
        assert await it.journal.payload(call) == {"request": b"\x00\xff\r\n", "salt": b"s", "answer": b"ok"}
        await it.journal.append(write(call, 3, Delivered(), payload={"request": b"", "preview": b""}))
        assert await it.journal.payload(call) == {"salt": b"s", "answer": b"ok"}
        assert await it.journal.payload(new_call()) == {}

    on(bench, story)


def test_an_ended_call_leaves_after_its_time_and_an_open_one_never(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, payload={"request": b"1"}, expire_in=DAY))
        assert DAY - 60_000 < await it.lifetime(call) <= DAY
        await it.journal.append(write(call, 1, Abandoned()))
        assert await it.lifetime(call) is None
        await it.journal.append(write(call, 2, Delivered(), expire_in=1))
        await asyncio.sleep(0.02)
        assert await it.journal.facts(call) == []
        assert await it.journal.length(call) == 0
        assert await it.journal.payload(call) == {}
        with pytest.raises(Conflict):
            await it.journal.append(write(call, 3, answered()))

    on(bench, story)


# --- Timers ---------------------------------------------------------------------------------------------------------


def test_calls_become_due_oldest_first_whatever_their_partition(bench):
    async def story(it):
        calls = {}
        for number, (name, delay) in enumerate([("b", 3), ("a", 1), ("c", 5)]):
            calls[name] = new_call(f"agent-{number}")
            await it.journal.append(write(calls[name], 0, FIRST, agent=f"agent-{number}", due_in=delay))
            await asyncio.sleep(0.02)
        later = new_call()
        await it.journal.append(write(later, 0, FIRST, due_in=DAY))
        due = await it.journal.due(9)
        assert due == sorted(calls.values(), key=due.index) and len(due) == 3 and later not in due
        assert due == [calls["b"], calls["a"], calls["c"]]
        assert await it.journal.due(2) == due[:2]

    on(bench, story)


def test_every_append_sets_the_due_time_anew_and_an_ended_call_has_none(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, due_in=0))
        await asyncio.sleep(0.01)
        assert await it.journal.due(9) == [call]
        await it.journal.append(write(call, 1, claimed(), due_in=DAY))
        assert await it.journal.due(9) == []
        await it.journal.append(write(call, 2, lost(), due_in=0))
        await asyncio.sleep(0.01)
        assert await it.journal.due(9) == [call]
        await it.journal.append(write(call, 3, answered()))
        assert await it.journal.due(9) == []

    on(bench, story)


def test_a_due_call_can_be_put_off_or_forgotten_but_not_brought_back(bench):
    async def story(it):
        call, over = new_call(), new_call()
        await it.journal.append(write(call, 0, FIRST, due_in=0))
        await it.journal.append(write(over, 0, FIRST))
        await it.journal.rearm(call, DAY)
        await it.journal.rearm(over, 0)
        await asyncio.sleep(0.01)
        assert await it.journal.due(9) == []
        await it.journal.forget(call)
        await it.journal.rearm(call, 0)
        assert await it.journal.due(9) == []

    on(bench, story)


def test_a_call_is_put_off_from_now(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, due_in=0))
        await it.journal.rearm(call, 800)
        await asyncio.sleep(0.01)
        assert await it.journal.due(9) == []
        await asyncio.sleep(0.82)
        assert await it.journal.due(9) == [call]

    on(bench, story)


def test_a_due_time_that_somebody_set_meanwhile_is_not_put_off(bench):
    """A steward looked at a held call, then came a vote; now the steward puts the call off until the hold expires."""

    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, due_in=0))
        await asyncio.sleep(0.01)
        assert await it.journal.due(9) == [call]
        await it.journal.append(write(call, 1, yes(), due_in=50))
        await it.journal.rearm(call, DAY)
        await asyncio.sleep(0.06)
        assert await it.journal.due(9) == [call]

    on(bench, story)


def test_notices_wait_in_the_outbox_until_they_are_done(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, notices=(("n-1", 0), ("n-2", DAY), ("n-3", 0))))
        await asyncio.sleep(0.01)
        assert sorted(await it.journal.outbox(9)) == [(call, "n-1"), (call, "n-3")]
        assert len(await it.journal.outbox(1)) == 1
        await it.journal.append(write(call, 1, HOLD, notices=(("n-1", None), ("n-2", 0), ("n-3", DAY))))
        await asyncio.sleep(0.01)
        assert await it.journal.outbox(9) == [(call, "n-2")]

    on(bench, story)


def test_a_notice_can_be_discarded_and_its_neighbours_stay(bench):
    async def story(it):
        call, other = new_call(), new_call()
        await it.journal.append(write(call, 0, FIRST, notices=(("n-1", 0), ("n-2", 0))))
        await it.journal.append(write(other, 0, FIRST, notices=(("n-1", 0),)))
        await asyncio.sleep(0.01)
        await it.journal.discard(call, "n-1")
        await it.journal.discard(call, "never-there")
        assert sorted(await it.journal.outbox(9)) == sorted([(call, "n-2"), (other, "n-1")])

    on(bench, story)


def test_a_notice_is_postponed_if_it_still_waits(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, notices=(("n-1", 0), ("n-2", 0))))
        await it.journal.postpone(call, "n-1", DAY)
        await it.journal.postpone(call, "never-there", 0)
        await asyncio.sleep(0.01)
        assert await it.journal.outbox(9) == [(call, "n-2")]
        await it.journal.postpone(call, "n-1", 0)
        await asyncio.sleep(0.01)
        assert sorted(await it.journal.outbox(9)) == [(call, "n-1"), (call, "n-2")]

    on(bench, story)


# --- What is being sent ----------------------------------------------------------------------------------------------


def test_calls_that_execute_the_same_are_met_unless_they_are_known(bench):
    async def story(it):
        first, second, third = new_call(), new_call(), new_call()

        def join(call, *beside):
            return write(call, 0, FIRST, pointers=[key(call, "take"), executing("m", "join", DAY)], beside=beside)

        await it.journal.append(join(first))
        assert await attempt(it.journal.append(join(second))) == ("taken", (first,), "executing")
        assert await it.journal.length(second) == 0
        assert await attempt(it.journal.append(join(second, first))) == ("ok",)
        assert await attempt(it.journal.append(join(third, second))) == ("taken", (first,), "executing")
        assert await attempt(it.journal.append(join(third, first, second))) == ("ok",)

    on(bench, story)


def test_all_that_execute_are_met_at_once_and_looking_joins_nobody(bench):
    async def story(it):
        first, second, third = sorted(new_call() for _ in range(3))
        look = write(third, 0, FIRST, pointers=[executing("m", "look", DAY)])
        await it.journal.append(look)
        await it.journal.append(write(first, 0, FIRST, pointers=[executing("m", "join", DAY)]))
        await it.journal.append(write(second, 0, FIRST, pointers=[executing("m", "join", DAY)], beside=(first,)))
        for mode in ("join", "look"):
            met = write(new_call(), 0, FIRST, pointers=[executing("m", mode, DAY)])
            assert await attempt(it.journal.append(met)) == ("taken", (first, second), "executing")

    on(bench, story)


def test_a_call_that_left_is_met_no_more_and_the_others_are(bench):
    async def story(it):
        first, second, third = new_call(), new_call(), new_call()
        await it.journal.append(write(first, 0, FIRST, pointers=[executing("m", "join", DAY)]))
        await it.journal.append(write(second, 0, FIRST, pointers=[executing("m", "join", DAY)], beside=(first,)))
        await it.journal.append(write(first, 1, answered(), pointers=[executing("m", "leave")]))
        await it.journal.append(write(first, 2, Expired(), pointers=[executing("m", "leave")]))  # again: no harm
        joins = write(third, 0, FIRST, pointers=[executing("m", "join", DAY)])
        assert await attempt(it.journal.append(joins)) == ("taken", (second,), "executing")
        beside = write(third, 0, FIRST, pointers=[executing("m", "join", DAY)], beside=(second,))
        assert await attempt(it.journal.append(beside)) == ("ok",)

    on(bench, story)


def test_whoever_hands_an_answer_over_takes_the_call_out_without_waiting(bench):
    async def story(it):
        first, second = new_call(), new_call()
        await it.journal.append(write(first, 0, FIRST, pointers=[executing("m", "join", DAY)]))
        await it.journal.append(write(second, 0, FIRST, pointers=[executing("m", "join", DAY)], beside=(first,)))
        assert await it.journal.met(first, "m") and not await it.journal.met(first, "other")
        it.journal.leave(first, "m")
        it.journal.leave(first, "m")  # again, and where it never was: no harm
        it.journal.leave(first, "other")
        assert not await it.journal.met(first, "m")  # in the order in which one process asks
        third = write(new_call(), 0, FIRST, pointers=[executing("m", "join", DAY)])
        assert await attempt(it.journal.append(third)) == ("taken", (second,), "executing")
        it.journal.leave(second, "m")
        assert await attempt(it.journal.append(third)) == ("ok",)

    on(bench, story)


def test_a_call_that_stays_looks_at_nobody_and_is_met(bench):
    async def story(it):
        first, second = sorted((new_call(), new_call()))
        for call in (first, second):
            await it.journal.append(write(call, 0, FIRST, pointers=[executing("m", "stay", DAY)]))
        met = write(new_call(), 0, FIRST, pointers=[executing("m", "join", DAY)])
        assert await attempt(it.journal.append(met)) == ("taken", (first, second), "executing")

    on(bench, story)


def test_calls_that_were_sent_are_met_for_as_long_as_the_one_that_needs_it_most(bench):
    async def story(it):
        async def lasts(call, mode, ttl, expected=0):
            facts = (ALLOW,) if expected else (FIRST,)
            await it.journal.append(
                write(call, expected, *facts, pointers=[executing("m", mode, ttl)], beside=(first, second))
            )
            _, left = await it.sent("m")
            return None if left is None else round(left / DAY)

        first, second = new_call(), new_call()
        assert await lasts(first, "join", 2 * DAY) == 2
        assert await lasts(second, "join", DAY) == 2
        assert await lasts(second, "stay", 3 * DAY, 1) == 3
        assert await lasts(first, "stay", None, 1) is None  # in doubt
        assert await lasts(second, "stay", DAY, 2) is None
        assert await lasts(new_call(), "join", DAY) is None
        for call in (await it.sent("m"))[0] - {second}:
            it.journal.leave(call, "m")
        assert await lasts(second, "stay", DAY, 3) == 1  # alone, it needs no more than it says
        it.journal.leave(second, "m")
        await it.journal.met(second, "m")
        assert (await it.sent("m"))[0] == set()

    on(bench, story)


def test_nobody_is_met_after_that_time(bench):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, pointers=[executing("m", "join", 1)]))
        await asyncio.sleep(0.02)
        assert not await it.journal.met(call, "m")
        await it.journal.append(write(new_call(), 0, FIRST, pointers=[executing("m", "join", DAY)]))

    on(bench, story)


def test_a_beat_is_remembered_for_a_while(bench):
    async def story(it):
        assert await it.journal.last_beat("w1") == 0
        before = it.journal.now()
        await it.journal.beat("w1")
        assert await it.journal.last_beat("w1") >= before
        assert await it.journal.last_beat("w2") == 0

    on(bench, story)
