"""Figures: what is told is what the ledger and the lists hold, in the words of the one table, and bounded."""

import asyncio
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import duties, insights
from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.latencies import RedisLatencies
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.facts import Expired, Lost
from gateway.core.figures import (
    ANCHOR_LAG,
    APPENDING,
    CALLS,
    DECIDING,
    DUE,
    DUE_OLDEST,
    FINISHED,
    HELD_BY_AGE,
    METRICS,
    SEAL_LAG,
)
from gateway.core.latency import BOUNDS, Latency, Spread
from gateway.duties import post_latencies
from gateway.insights import Counting
from gateway.measures import Measures
from gateway.metrics import exposition
from gateway.open_calls import OpenCalls
from gateway.ports import JournalUnavailable
from tests.contracts.journal_bench import FIRST, RedisBench, new_call, on, write
from tests.playbook import ALLOW, CALL, FINANCE, HOLD, answered, asked, claimed

AGENTS = tuple(f"agent-{number}" for number in range(5))


@pytest.fixture
def journalled(valkey):
    valkey.flush()

    def run(story):
        async def with_ledger(it):
            await story(it.journal, RedisLedger(it.journal))

        on(lambda: RedisBench(valkey.url), with_ledger)

    return run


class NoMistakes:
    mistakes = ()


def measures(journal, ledger) -> Measures:
    calls, counting = OpenCalls(HeldCalls(journal), journal), Counting(ledger, journal.now)
    return Measures(NoMistakes(), ledger, calls, counting, RedisLatencies(journal), None)  # type: ignore[arg-type]


def read(figures, accept=""):
    """As Prometheus reads it."""
    text, _ = exposition(figures, accept)
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


# --- What is told ------------------------------------------------------------------------------------------------


def test_outcomes_are_counted_by_tool_from_the_ledger_whoever_asks(journalled):
    async def story(journal, ledger):
        for number in range(12):
            agent = AGENTS[number % 5]
            call = new_call(agent)
            await journal.append(write(call, 0, FIRST, ALLOW, claimed(), agent=agent))
            await journal.append(write(call, 3, answered() if number % 4 else Lost(token="me", error=""), agent=agent))
        told = await measures(journal, ledger)()
        assert told[FINISHED] == {(CALL.tool, "answered"): 9, (CALL.tool, "in_doubt"): 3}
        assert (await measures(journal, ledger)())[FINISHED] == told[FINISHED], "another steward"
        found = read(told)
        assert found["gateway_calls_finished_total", "answered", CALL.tool] == 9.0

    journalled(story)


def test_how_long_an_anchor_lags_is_told_and_0_without_any(journalled):
    async def story(journal, ledger):
        assert (await measures(journal, ledger)())[ANCHOR_LAG] == 0.0
        lagging: Any = SimpleNamespace(lag=7.5)
        told = await replace(measures(journal, ledger), anchors=lagging)()
        assert read(told)["gateway_anchor_lag_seconds",] == 7.5

    journalled(story)


def test_a_count_goes_on_where_it_was_kept_and_knows_the_tools_of_older_calls(journalled, monkeypatch):
    monkeypatch.setattr(insights, "KEEP_SECONDS", 0.0)

    async def story(journal, ledger):
        calls = [new_call() for _ in range(3)]
        for call in calls:
            await journal.append(write(call, 0, FIRST, ALLOW, claimed()))
        done = new_call()
        await journal.append(write(done, 0, FIRST, ALLOW, claimed(), answered()))
        first = Counting(ledger, journal.now)
        await first.step()
        await first._keep()
        for call in calls:
            await journal.append(write(call, 3, answered()))
        second = Counting(ledger, journal.now)
        await second.catch_up()
        assert second.finished.counts == {(CALL.tool, "answered"): 4}

    journalled(story)


def test_a_journal_that_fails_between_reading_and_counting_loses_no_outcome(journalled):
    async def story(journal, ledger):
        call = new_call()
        await journal.append(write(call, 0, FIRST, ALLOW, claimed()))
        counting = Counting(ledger, journal.now)
        await counting.step()
        counting.finished._kinds.clear()
        await journal.append(write(call, 3, answered()))
        kinds = RedisLedger.kinds

        async def unavailable(*_):
            raise JournalUnavailable

        RedisLedger.kinds = unavailable  # type: ignore[method-assign]
        try:
            with pytest.raises(JournalUnavailable):
                await counting.step()
        finally:
            RedisLedger.kinds = kinds  # type: ignore[method-assign]
        await counting.step()
        await counting.step()
        assert counting.finished.counts == {(CALL.tool, "answered"): 1}

    journalled(story)


def test_a_call_whose_facts_are_gone_is_of_an_unknown_tool(journalled):
    async def story(journal, ledger):
        call = new_call()
        await journal.append(write(call, 0, FIRST, ALLOW, claimed()))
        counting = Counting(ledger, journal.now)
        await counting.step()
        counting.finished._kinds.clear()
        await journal.append(write(call, 3, answered()))
        await journal.ask("DEL", f"{{{call[:2]}}}:call:{call}")
        await counting.catch_up()
        assert counting.finished.counts == {("(unknown)", "answered"): 1}

    journalled(story)


def test_what_waits_is_told_by_state_by_age_and_by_how_long_it_has_been_due(journalled):
    async def story(journal, ledger):
        for agent in AGENTS:
            await journal.append(write(new_call(agent), 0, FIRST, HOLD, asked(FINANCE), agent=agent, due_in=60_000))
        late = new_call()
        await journal.append(write(late, 0, FIRST, HOLD, asked(FINANCE), due_in=0, notices=(("n1", 0), ("n2", 60_000))))
        await asyncio.sleep(0.05)
        told = await measures(journal, ledger)()
        assert told[CALLS][("held",)] == 6 and told[HELD_BY_AGE][("under 15 min",)] == 6  # type: ignore[index]
        assert told[DUE] == {("calls",): 1, ("notices",): 1}
        assert 0.04 < told[SEAL_LAG] < 60, "nobody seals here"  # type: ignore[operator]
        assert all(0.04 < value < 60 for value in told[DUE_OLDEST].values())  # type: ignore[union-attr]
        await journal.append(write(late, 3, Expired()))
        await journal.discard(late, "n1")
        told = await measures(journal, ledger)()
        assert told[DUE] == {("calls",): 0, ("notices",): 0} and told[DUE_OLDEST] == {("calls",): 0, ("notices",): 0}

    journalled(story)


def test_what_processes_measure_is_added_up_and_outlives_them(journalled, monkeypatch):
    monkeypatch.setattr(duties, "LATENCY_SECONDS", 0.02)

    async def story(journal, ledger):
        async def told():
            found = (await measures(journal, ledger)())[DECIDING]
            assert isinstance(found, Spread)
            return found

        for number, seconds in enumerate((0.0002, 0.002), 1):  # two processes
            latency = Latency()
            duty = asyncio.ensure_future(post_latencies(RedisLatencies(journal), {"decision": latency}))
            latency.add(seconds)
            async with asyncio.timeout(60):
                while sum((await told()).counts) < number:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.01)
            duty.cancel()
        assert sum((await told()).counts) == 2 and (await told()).seconds == pytest.approx(0.0022)

    journalled(story)


def test_an_append_that_is_confirmed_is_measured_and_a_refused_one_is_not(journalled):
    async def story(journal, ledger):
        call = new_call()
        await journal.append(write(call, 0, FIRST))
        with pytest.raises(Exception):  # noqa: B017 - a conflict
            await journal.append(write(call, 0, FIRST))
        assert sum(Spread.read("journal", journal.appending.take("journal")).counts) == 1

    journalled(story)


# --- How it is told ----------------------------------------------------------------------------------------------


def test_histograms_are_those_of_prometheus():
    counts = tuple(range(len(BOUNDS) + 1))
    found = read({APPENDING: Spread(counts, 1.5)})
    assert found["gateway_journal_duration_seconds_bucket", "5e-05"] == 0
    assert found["gateway_journal_duration_seconds_bucket", "0.0001"] == 1
    assert found["gateway_journal_duration_seconds_bucket", "0.00025"] == 3, "each with all that is below it"
    total = sum(counts)
    assert found["gateway_journal_duration_seconds_bucket", "+Inf"] == total
    assert found["gateway_journal_duration_seconds_count",] == total
    assert found["gateway_journal_duration_seconds_sum",] == 1.5


def test_a_tool_of_any_name_does_not_break_the_text():
    found = read({FINISHED: {('a"b\\c\nd', "answered"): 2}})
    assert found["gateway_calls_finished_total", "answered", 'a"b\\c\nd'] == 2


def test_openmetrics_is_spoken_to_whoever_asks_for_it():
    text, kind = exposition({CALLS: {("held",): 1}}, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text") and text.endswith(b"# EOF\n")
    text, kind = exposition({CALLS: {("held",): 1}}, "*/*")
    assert kind.startswith("text/plain; version=0.0.4") and b'gateway_calls{state="held"} 1.0\n' in text


def test_the_names_are_those_that_opentelemetry_would_be_translated_to():
    """Except for those that are older than this rule."""
    units = {"s": "_seconds"}
    for metric in METRICS:
        if metric.name in (
            "gateway_export_lag_entries",
            "gateway_export_oldest_waiting_ms",
            "gateway_export_stuck_partitions",
        ):
            continue
        ending = "_total" if metric.kind == "counter" else ""
        assert metric.name == metric.standard.replace(".", "_") + units.get(metric.unit, "") + ending
        assert re.fullmatch(r"s|ms|\{[a-z]+\}", metric.unit)


def test_the_table_is_complete_and_each_name_is_there_once():
    assert len({metric.name for metric in METRICS}) == len({metric.standard for metric in METRICS}) == len(METRICS)
