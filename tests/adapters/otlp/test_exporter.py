"""From the ledger to a collector that stalls, refuses, rejects and dies: in the end every span is there."""

import asyncio
import logging
import os

import pytest

from gateway.adapters.otlp import TraceExporter, reading
from gateway.adapters.otlp.exporter import ENTRIES_PER_READ
from gateway.core import attributes as names
from gateway.core.facts import Delivered
from gateway.core.spans import spans_of
from gateway.ports import JournalUnavailable
from tests.adapters.otlp.receiver import YES, partial, receiving
from tests.adapters.otlp.sealed_stream import Ledger


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
    return monkeypatch


@pytest.fixture
def receiver(environment):
    with receiving() as found:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


def run(ledger, work, **options):
    """`work` with an exporter of its own, as after a restart."""

    async def main():
        clock = Clock()
        exporter = TraceExporter(ledger, ledger.facts, clock=clock, **options)
        try:
            return await work(exporter, clock)
        finally:
            await exporter.close()

    return asyncio.run(main())


async def once(exporter, clock):
    return await exporter.step()


async def until_quiet(exporter, clock):
    """As a steward does: again and again, time passing, until nothing waits."""
    for _ in range(400):
        await exporter.step()
        if not exporter.lag_entries:
            return exporter
        clock.now += 61.0
    raise AssertionError(exporter.problem)


async def lag_of_the_first(exporter, clock):
    await exporter.step()
    return exporter.lag_leaves


async def until_nothing_goes(exporter, clock):
    while await exporter.step():
        pass
    assert await exporter.step() == 0 and exporter.lag_leaves == 0


def test_every_span_of_every_partition_arrives_once_and_the_cursor_follows(receiver):
    ledger = Ledger()
    for number in range(150):
        ledger.effect(number, partition=number % 64)
    exporter = run(ledger, until_quiet)
    assert sorted(receiver.ids) == sorted(ledger.ids) and len(set(receiver.ids)) == len(receiver.ids)
    assert exporter.lag_entries == 0 and exporter.oldest_waiting_ms is None and exporter.problem == ""
    assert ledger.cursors == {name: f"{it.entries[-1].id} {it.size}" for name, it in ledger.streams.items()}
    assert run(ledger, once) == 0, "nothing is sent twice by a later exporter"
    assert len(receiver.ids) == len(ledger.ids)


def test_entries_about_standing_grants_are_passed_over_and_the_collector_hears_nothing(receiver):
    ledger = Ledger()
    for partition in ("07", "08"):
        for _ in range(3):
            ledger.append_grant(partition)
    assert run(ledger, once) == 6
    assert receiver.requests == [] and receiver.ids == []
    assert ledger.cursors == {name: f"{it.entries[-1].id} {it.size}" for name, it in ledger.streams.items()}


def test_a_partition_with_more_than_one_read_is_caught_up(receiver):
    ledger = Ledger()
    for number in range(100):
        ledger.effect(number)

    async def work(exporter, clock):
        await exporter.step()
        assert exporter.lag_entries > 0, "what was not read yet is lag too"
        assert exporter.oldest_waiting_ms == ledger.streams["07"].entries[ENTRIES_PER_READ].facts[0].at
        await until_quiet(exporter, clock)

    run(ledger, work)
    assert receiver.ids == ledger.ids


def test_a_collector_that_is_away_delays_and_loses_nothing(environment):
    with receiving() as receiver:
        pass  # its port is free again
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    ledger = Ledger()
    ledger.effect(1)
    first = ledger.streams["07"].entries[0].facts[0].at

    async def work(exporter, clock):
        assert await exporter.step() == 0
        assert (exporter.lag_entries, exporter.oldest_waiting_ms) == (3, first)
        assert "no answer from the collector" in exporter.problem
        assert ledger.cursors == {}
        with receiving(receiver, port=int(receiver.url.rpartition(":")[2])):
            clock.now += 61
            assert await exporter.step() == 3
        assert exporter.problem == "" and exporter.lag_entries == 0

    run(ledger, work)
    assert receiver.ids == ledger.ids


@pytest.mark.parametrize(
    "bad", [(503, {}, b""), (401, {}, b""), (302, {"location": "/"}, b""), None, (200, {}, b"<html>")]
)
def test_no_answer_but_yes_moves_the_cursor(receiver, bad):
    """302 and a login page among them: the SDK's exporter calls both a success."""
    ledger = Ledger()
    ledger.effect(1)
    receiver.judge = lambda spans: bad
    assert run(ledger, once) == 0 and ledger.cursors == {}
    receiver.judge = lambda spans: YES
    run(ledger, until_quiet)
    assert receiver.ids == ledger.ids


def test_a_collector_that_took_the_spans_and_died_before_saying_so_gets_them_again_under_the_same_ids(receiver):
    ledger = Ledger()
    ledger.effect(1)
    taken: list[str] = []

    def take_and_hang_up(spans):
        taken.extend(span.span_id.hex() for span in spans)

    receiver.judge = take_and_hang_up
    run(ledger, once)
    receiver.judge = lambda spans: YES
    run(ledger, until_quiet)
    assert set(taken) == set(receiver.ids) == set(ledger.ids)


def test_an_exporter_that_dies_between_the_yes_and_the_cursor_repeats_the_same_ids(receiver):
    ledger = Ledger()
    ledger.effect(1)
    ledger.broken = "move"
    with pytest.raises(JournalUnavailable):
        run(ledger, once)
    ledger.broken = ""
    ledger.effect(2)
    first = list(receiver.ids)
    run(ledger, until_quiet)
    assert len(first) == 6 and receiver.ids[:6] == receiver.ids[6:12] == first
    assert set(receiver.ids) == set(ledger.ids)


def test_every_way_of_failing_in_turn_and_a_restart_after_each(receiver, environment):
    """Stalls, 429, refusals, hang-ups, rejections, and an exporter that never lives long: all there, once by id."""
    import time

    environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    ledger = Ledger()

    def stall(spans):
        time.sleep(0.4)

    moods = [lambda s: (429, {"retry-after": "1"}, b""), stall, lambda s: None, lambda s: (500, {}, b""),
             lambda s: partial(1, "busy"), lambda s: (400, {}, b""), lambda s: YES]  # fmt: skip
    for number, mood in enumerate(moods * 2):
        ledger.effect(number, partition=number % 5)
        receiver.judge = mood
        run(ledger, once)
    receiver.judge = lambda spans: YES
    run(ledger, until_quiet)
    assert set(receiver.ids) == set(ledger.ids)
    contents: dict[bytes, set[bytes]] = {}
    for span in receiver.spans:
        contents.setdefault(span.span_id, set()).add(span.SerializeToString())
    assert all(len(versions) == 1 for versions in contents.values()), "the same id is the same span"


def test_pauses_grow_and_obey_retry_after(receiver):
    ledger = Ledger()
    ledger.effect(1)
    receiver.judge = lambda spans: (503, {}, b"")

    async def work(exporter, clock):
        for pause in (1, 2, 4, 8, 16, 32, 60, 60):
            seen = len(receiver.requests)
            await exporter.step()
            assert len(receiver.requests) > seen
            clock.now += pause - 0.01
            seen = len(receiver.requests)
            assert await exporter.step() == 0 and len(receiver.requests) == seen
            clock.now += 0.02
        receiver.judge = lambda spans: (429, {"retry-after": "300"}, b"")
        await exporter.step()
        seen = len(receiver.requests)
        clock.now += 299
        assert await exporter.step() == 0 and len(receiver.requests) == seen
        receiver.judge = lambda spans: YES
        clock.now += 2
        assert await exporter.step() == 3

    run(ledger, work)


def test_a_failure_is_one_line_in_the_log_and_its_end_another(receiver, caplog):
    caplog.set_level(logging.INFO, "gateway")
    ledger = Ledger()
    ledger.effect(1)
    receiver.judge = lambda spans: (503, {}, b"")

    async def work(exporter, clock):
        for _ in range(3):
            await exporter.step()
            clock.now += 61
        receiver.judge = lambda spans: YES
        await exporter.step()

    run(ledger, work)
    assert [(record.levelname, record.name) for record in caplog.records] == [
        ("WARNING", "gateway.traces"),
        ("INFO", "gateway.traces"),
    ]
    assert "3 entries, nothing is lost" in caplog.messages[0] and "503" in caplog.messages[0]


# --- Rejections --------------------------------------------------------------------------------------------------


def rejecting(call):
    def judge(spans):
        guilty = [
            s for s in spans if any(p.key == names.CALL_ID and p.value.string_value == call for p in s.attributes)
        ]
        return partial(len(guilty), "too old") if guilty else YES

    return judge


def test_one_poisoned_entry_holds_up_its_partition_loudly_and_no_other(receiver, caplog):
    ledger = Ledger()
    for number in range(30):
        ledger.effect(number, partition=number % 3)
    poisoned = ledger.effect(99, partition=1)
    after = ledger.effect(100, partition=1)
    receiver.judge = rejecting(poisoned)
    entry = next(entry.id for entry in ledger.streams["01"].entries if entry.call == poisoned)

    async def work(exporter, clock):
        await exporter.step()
        assert exporter.stuck == {"01": entry}
        assert exporter.lag_entries == 6, "the poisoned call and the one after it"
        clock.now += 61
        ledger.effect(31, partition=2)
        await exporter.step()
        assert exporter.stuck == {"01": entry} and exporter.lag_entries == 6
        receiver.judge = lambda spans: YES
        clock.now += 61
        await exporter.step()
        assert exporter.stuck == {} and exporter.lag_entries == 0

    run(ledger, work)
    assert set(receiver.ids) == set(ledger.ids)
    (line,) = [message for message in caplog.messages if "too old" in message]
    assert entry in line and poisoned in line and "person" in line
    assert after


def test_nothing_behind_a_poisoned_entry_overtakes_it(receiver):
    ledger = Ledger()
    poisoned = ledger.effect(1)
    ledger.effect(2)
    receiver.judge = rejecting(poisoned)
    run(ledger, once)
    assert ledger.cursors == {} and receiver.ids == []


def test_a_person_may_decide_to_skip_what_is_rejected_and_that_is_counted_and_logged(receiver, caplog):
    ledger = Ledger()
    ledger.effect(1)
    poisoned = ledger.effect(2)
    ledger.effect(3)
    receiver.judge = rejecting(poisoned)

    async def work(exporter, clock):
        await until_quiet(exporter, clock)
        return exporter.skipped

    assert run(ledger, work, skip_rejected=True) == 3
    lost = {span.span_id for entry in ledger.streams["07"].entries if entry.call == poisoned
            for span in spans_of(entry, ledger.calls[poisoned][: entry.position])}  # fmt: skip
    assert set(receiver.ids) == set(ledger.ids) - lost
    assert sum("gave up" in message for message in caplog.messages) == 3


# --- What is sealed, and where it is in the log ----------------------------------------------------------------------


def half_published(receiver) -> Ledger:
    """Of one call only the first entry was sealed and published; now all are sealed."""
    ledger = Ledger()
    ledger.seals_at_once = False
    ledger.effect(1)
    ledger.seal_one("07")
    run(ledger, until_quiet)
    assert len(receiver.spans) == 3
    ledger.seal()
    return ledger


def told(receiver, name):
    """Of every span, that attribute, by span id."""
    return {span.span_id.hex(): value(pair.value) for span in receiver.spans for pair in span.attributes
            if pair.key == name}  # fmt: skip


def value(it):
    return getattr(it, it.WhichOneof("value"))


def test_nothing_is_published_before_it_is_sealed(receiver):
    ledger = half_published(receiver)
    ledger.seals_at_once = False
    ledger.effect(2)
    run(ledger, until_quiet)
    assert receiver.ids == ledger.ids and ledger.cursors == {"07": f"{ledger.streams['07'].entries[2].id} 5"}
    ledger.seal()
    run(ledger, until_quiet)
    assert receiver.ids == ledger.ids and len(receiver.ids) == 12


def check_leaves(receiver, ledger):
    """Every span names the leaf of its fact: its number in the log, and its hash."""
    expected = {span.span_id: span.attributes for span in ledger.spans}
    for name in (names.LEDGER_INDEX, names.LEDGER_LEAF):
        found = told(receiver, name)
        assert found and found == {span: expected[span][name] for span in found}


def test_every_span_names_its_leaf_across_reads_restarts_and_grants(receiver):
    ledger = Ledger()
    for number in range(40):
        ledger.effect(number, partition=number % 3)
        ledger.append_grant(f"{number % 3:02d}")
        if number % 7 == 0:
            run(ledger, once)
    run(ledger, until_quiet)
    assert sorted(receiver.ids) == sorted(ledger.ids)
    check_leaves(receiver, ledger)
    assert max(told(receiver, names.LEDGER_INDEX).values()) == ledger.streams["00"].size - 2


@pytest.mark.parametrize("trimmed", [False, True])
@pytest.mark.parametrize("more", [2, 40])
def test_a_cursor_from_before_there_were_leaves_finds_its_place_by_counting_back(receiver, trimmed, more, monkeypatch):
    monkeypatch.setattr(reading, "ENTRIES_PER_COUNT", 7)
    ledger = Ledger()
    ledger.seals_at_once = False
    for number in range(5):
        ledger.effect(number)
    done = ledger.streams["07"].entries[7]
    ledger.cursors["07"] = done.id
    for number in range(5, 5 + more):
        ledger.effect(number)
    ledger.seal()
    if trimmed:
        ledger.trim("07", 8)
    run(ledger, until_quiet)
    assert receiver.ids == [span.span_id for span in ledger.spans if span.attributes[names.LEDGER_ENTRY] > done.id]
    check_leaves(receiver, ledger)


def test_who_begins_on_a_stream_that_was_trimmed_counts_from_what_is_left(receiver):
    """Nobody exported while it was trimmed."""
    ledger = Ledger()
    for number in range(30):
        ledger.effect(number)
    ledger.trim("07", 12)
    run(ledger, until_quiet)
    assert len(receiver.ids) == 26 * 6
    check_leaves(receiver, ledger)


def test_a_count_that_was_kept_while_nobody_exported_and_the_stream_was_trimmed_is_not_believed(receiver):
    ledger = Ledger()
    for number in range(2):
        ledger.effect(number)
    run(ledger, until_quiet)
    for number in range(2, 60):
        ledger.effect(number)
    ledger.trim("07", 30)
    run(ledger, until_quiet)
    check_leaves(receiver, ledger)


def test_a_count_that_is_wrong_is_found_out_at_the_seal(receiver, caplog):
    ledger = Ledger()
    ledger.effect(1)
    run(ledger, until_quiet)
    ledger.cursors["07"] = ledger.cursors["07"].replace(" 5", " 4")
    ledger.effect(2)
    run(ledger, until_quiet)
    check_leaves(receiver, ledger)
    assert "miscounted (4, not 5)" in caplog.text


@pytest.mark.parametrize("cursor", ["", "restored", "without leaves"])
@pytest.mark.parametrize("trimmed", [0, 12])
def test_behind_what_a_restored_redis_lost_leaves_are_counted_from_where_the_log_was(receiver, cursor, trimmed, caplog):
    """Once, and once more while nobody exported; more entries than are read at once."""
    ledger = Ledger()
    for number in range(40):
        ledger.effect(number)
    stream = ledger.streams["07"]
    done = stream.entries[14]
    places = {"": "", "restored": f"{done.id} {done.index + len(done.leaves)}", "without leaves": done.id}
    for kept, more in ((90, 70), (180, 0), (120, 60)):
        ledger.restore("07", kept, places[cursor])
        for number in range(100 * kept, 100 * kept + more):
            ledger.effect(number)
    assert [seam.after - seam.before for seam in stream.seams] == [50, 300]
    ledger.trim("07", trimmed)
    seen = [entry for entry in stream.entries[trimmed:] if entry.id not in stream.lost]
    expected = [entry.id for entry in seen if not cursor or entry.id > done.id]
    assert run(ledger, lag_of_the_first) == sum(len(entry.leaves) for entry in seen if entry.id in expected)
    run(ledger, until_nothing_goes)
    assert sorted(set(told(receiver, names.LEDGER_ENTRY).values())) == expected
    check_leaves(receiver, ledger)
    assert "miscounted" not in caplog.text


@pytest.mark.parametrize("more", [0, 5])
def test_a_stream_of_which_nothing_is_left_is_counted_from_where_the_log_was(receiver, more):
    ledger = Ledger()
    for number in range(5):
        ledger.effect(number)
    ledger.restore("07", 0)
    for number in range(10, 10 + more):
        ledger.effect(number)
    run(ledger, until_nothing_goes)
    assert len(receiver.ids) == 6 * more
    if more:
        check_leaves(receiver, ledger)
        assert min(told(receiver, names.LEDGER_INDEX).values()) == 25


def test_an_entry_that_only_a_newer_gateway_can_read_holds_up_its_partition_and_no_other(receiver, caplog):
    ledger = Ledger()
    ledger.effect(1)
    entry = ledger.streams["07"].entries[1]
    known, entry.fields[b"facts"] = entry.fields[b"facts"], entry.fields[b"facts"].replace(b"Answered", b"Foreseen")
    ledger.effect(2, partition=8)

    async def work(exporter, clock):
        for _ in range(3):
            await exporter.step()
            clock.now += 61
        assert len(receiver.ids) == 3 + 6
        assert set(exporter.stuck) == {"07"}
        entry.fields[b"facts"] = known
        await until_quiet(exporter, clock)

    run(ledger, work)
    assert sorted(receiver.ids) == sorted(ledger.ids)
    assert caplog.text.count("wait for a newer gateway") == 1
    check_leaves(receiver, ledger)


# --- The facts before --------------------------------------------------------------------------------------------


def test_a_call_that_went_on_meanwhile_gives_the_same_spans(receiver):
    """The exporter is days behind: the facts it fetches are newer than the entries it reads."""
    ledger = Ledger()
    call = ledger.effect(1)
    ledger.effect(2)
    ledger.append(call, Delivered())
    run(ledger, until_quiet)
    assert set(receiver.ids) == set(ledger.ids)


def test_a_call_that_has_left_the_store_is_exported_without_its_past(receiver):
    ledger = half_published(receiver)
    ledger.calls.clear()
    exporter = run(ledger, until_quiet)
    assert exporter.lag_entries == 0
    missing = [s for s in receiver.spans if any(p.key == names.HISTORY for p in s.attributes)]
    assert len(receiver.spans) == 5 and len(missing) == 2, "the first entry needs no past; the other two say so"


def test_facts_are_read_once_for_a_call_and_not_at_all_for_one_that_began_just_now(receiver, monkeypatch):
    ledger = half_published(receiver)
    for number in range(2, 20):
        ledger.effect(number)
    run(ledger, until_quiet)
    assert receiver.ids == ledger.ids and len(ledger.asked_for) == 1


def test_forgetting_where_calls_stood_changes_no_span(receiver, monkeypatch):
    from gateway.adapters.otlp import exporter

    monkeypatch.setattr(exporter, "LIVES_REMEMBERED", 1)
    monkeypatch.setattr(exporter, "ENTRIES_PER_REQUEST", 2)
    ledger = Ledger()
    for number in range(20):
        ledger.effect(number)
    run(ledger, until_quiet)
    assert receiver.ids == ledger.ids and len(ledger.asked_for) > 5


def test_a_journal_that_cannot_be_read_stops_the_step_and_nothing_else(receiver):
    ledger = half_published(receiver)

    async def work(exporter, clock):
        async def unavailable(call):
            raise JournalUnavailable

        exporter._facts = unavailable
        with pytest.raises(JournalUnavailable):
            await exporter.step()
        exporter._facts = ledger.facts
        assert await exporter.step() == 2

    run(ledger, work)
    assert receiver.ids == ledger.ids
