"""What the exporter of traces reads, on a real Valkey: sealed entries with their leaves, and a cursor that counts."""

import os

import pytest

from gateway.adapters.otlp import TraceExporter
from gateway.adapters.otlp.entries import Place
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.core import attributes as names
from gateway.core.call import partition_of
from gateway.core.leaf import leaves_of, short
from gateway.core.sealed import Sealed
from gateway.ledger.merkle import leaf_hash
from tests.adapters.otlp.receiver import receiving
from tests.contracts.journal_bench import AGENT, FIRST, RedisBench, new_call, on, write
from tests.playbook import ALLOW, HOLD, answered, claimed

PARTITION = f"{partition_of(AGENT):02d}"


@pytest.fixture
def journalled(valkey):
    valkey.flush()

    def run(story):
        async def with_ledger(it):
            await story(it.journal, SealedLedger(it.journal))

        on(lambda: RedisBench(valkey.url), with_ledger)

    return run


async def seal(journal, upto: str = "+") -> tuple[Sealed, list[str]]:
    """As the sealer does, without a log: up to that entry. The hashes of all leaves."""
    items = await journal.ask("XRANGE", f"{{{PARTITION}}}:ledger", "-", upto)
    leaves = [
        leaf_hash(short(leaf)).hex()
        for entry, fields in items
        for leaf in leaves_of(entry, dict(zip(fields[::2], fields[1::2], strict=True)))
    ]
    sealed = Sealed(1, len(leaves), b"\0" * 32, items[-1][0].decode())
    await journal.ask("SET", f"{{{PARTITION}}}:sealed", sealed.text)
    return sealed, leaves


def test_only_what_is_sealed_is_read_in_order_and_within_limits(journalled):
    async def story(journal, it):
        assert await it.sealed([PARTITION, "63"]) == {}
        done = [await journal.append(write(new_call(), 0, FIRST, HOLD)) for _ in range(5)]
        sealed, _ = await seal(journal, done[3].entry)
        assert await it.sealed([PARTITION]) == {PARTITION: sealed} and sealed.size == 8
        found = await it.read({PARTITION: ("", sealed.entry), "63": ("", "9-9")}, 3)
        assert [entry.decode() for entry, _ in found[PARTITION]] == [append.entry for append in done[:3]]
        assert found["63"] == []
        rest = await it.read({PARTITION: (done[2].entry, sealed.entry)}, 3)
        assert [entry.decode() for entry, _ in rest[PARTITION]] == [done[3].entry]
        assert await it.read({}, 3) == {}
        assert await it.has(PARTITION, done[0].entry) and not await it.has(PARTITION, "1-1")
        await journal.ask("XTRIM", f"{{{PARTITION}}}:ledger", "MINID", done[1].entry)
        assert not await it.has(PARTITION, done[0].entry)

    journalled(story)


def test_since_when_something_waits_to_be_sealed(journalled):
    async def story(journal, it):
        names = [PARTITION, "63"]
        assert await it.unsealed_since(names) is None
        done = [await journal.append(write(new_call(), 0, FIRST, HOLD)) for _ in range(3)]
        assert await it.unsealed_since(names) == done[0].at
        await seal(journal, done[1].entry)
        assert await it.unsealed_since(names) == done[2].at
        await seal(journal)
        assert await it.unsealed_since(names) is None

    journalled(story)


def test_a_cursor_counts_leaves_and_is_still_an_entry_for_whoever_trims(journalled):
    async def story(journal, it):
        assert await it.places([PARTITION, "63"], "traces") == {PARTITION: "", "63": ""}
        await it.move("traces", {PARTITION: Place("7-1", 12).text, "63": "5-0"})
        assert await it.places([PARTITION, "63"], "traces") == {PARTITION: "7-1 12", "63": "5-0"}
        plain = RedisLedger(journal)
        assert await plain.cursor(PARTITION, "traces") == "7-1" and await plain.cursor("63", "traces") == "5-0"

    journalled(story)


def test_calls_of_a_real_journal_are_published_with_their_leaves(journalled, monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)

    async def story(journal, it):
        calls = [new_call() for _ in range(3)]
        for call in calls:
            await journal.append(write(call, 0, FIRST, ALLOW, claimed()))
        sealed, _ = await seal(journal)
        exporter = TraceExporter(it, journal.facts)
        assert await exporter.step() == 3
        for call in calls:
            await journal.append(write(call, 3, answered()))
        assert await exporter.step() == 0, "nothing more is sealed"
        sealed, leaves = await seal(journal)
        assert await exporter.step() == 3 and await exporter.step() == 0
        await exporter.close()
        assert await it.places([PARTITION], "traces") == {PARTITION: f"{sealed.entry} {sealed.size}"}
        spans = [{pair.key: pair.value for pair in span.attributes} for span in receiver.spans]
        indices = {span[names.LEDGER_INDEX].int_value for span in spans}
        assert indices == set(range(12)) == set(range(sealed.size))
        for span in spans:
            assert span[names.LEDGER_LEAF].string_value == leaves[span[names.LEDGER_INDEX].int_value]

    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        journalled(story)
