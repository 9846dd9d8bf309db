"""The sealed log behind the page: the same calls are found as in the journal, each fact at its place, and proven."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.console.sealed import SealedLog
from gateway.console.searching import STATES, Wanted, matches
from gateway.core.leaf import NotALeaf
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.tiles import CHECKPOINT
from gateway.tasks import cancel_all
from tests.sealed_lives import GRANT, LIVES, START, id_of, leaves_of_life, sealed
from tests.sealed_log import SIGNER, write_log


@pytest.fixture
def ledger(tmp_path):
    return sealed(tmp_path)


def run(work):
    return asyncio.run(work)


def log_of(ledger):
    return SealedLog(ledger, SIGNER.verifier)


def found(ledger, wanted, limit=99, before=""):
    return [row.call for row in run(log_of(ledger).find(wanted, limit, before)).rows]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(), Wanted(agent="night-bot"), Wanted(tool="crm.get_person"), Wanted(system="stripe"),
        Wanted(resource="Charge/ch_1"), Wanted(resource="Charge/ch_2"),
        Wanted(user="eve@acme.example"), Wanted(run="run-7"), Wanted(person="ann"), Wanted(person="olga"),
        Wanted(policy="over-50"), Wanted(policy="no-nights"), Wanted(agent="nobody"), Wanted(call=id_of("held")[:14]),
        Wanted(call=id_of("held")), Wanted(agent="night-bot", call=id_of("held")), Wanted(call="99"),
        Wanted(since=START + 9_000, until=START + 12_000),
        *(Wanted(outcome=state) for state in STATES),
    ],
    ids=str,
)  # fmt: skip
def test_the_log_and_the_journal_answer_a_question_alike(ledger, wanted):
    log = log_of(ledger)
    told = [run(log.of(id_of(name))).facts for name in LIVES]
    told.sort(key=lambda facts: (facts[0].at, facts[0].call.id), reverse=True)
    assert found(ledger, wanted) == [facts[0].call.id for facts in told if matches(wanted, facts)]


def test_pages_follow_each_other(ledger):
    everything = found(ledger, Wanted())
    first = run(log_of(ledger).find(Wanted(), 4)).rows
    last = first[-1]
    assert found(ledger, Wanted(), 99, f"{last.begun}.{last.call}") == everything[4:]
    assert [row.call for row in first] == everything[:4]


def test_a_row_says_what_the_log_says(ledger):
    [row] = run(log_of(ledger).find(Wanted(call=id_of("approved")), 9)).rows
    assert (row.agent, row.user, row.tool, row.state) == (
        "billing-bot", "eve@acme.example", "stripe.create_refund", "answered",
    )  # fmt: skip
    assert row.facts == len(LIVES["approved"]) and not row.unsealed
    assert "ann" in row.people and "over-50" in row.policies


def test_a_long_log_is_read_into_the_index_in_the_background_and_the_page_can_say_so(ledger, monkeypatch):
    monkeypatch.setattr("gateway.console.sealed.CAUGHT_UP", 3)
    monkeypatch.setattr("gateway.ledger.index.CHUNK", 2)

    async def story():
        log = log_of(ledger)
        first = await log.find(Wanted(), 99)
        assert first.behind > 0 and len(first.rows) < len(LIVES)
        await asyncio.wait_for(whole(log), 10)
        await cancel_all()

    async def whole(log):
        while log._catching_up:  # noqa: ASYNC110 - it tells nobody when it is done
            await asyncio.sleep(0.01)
        results = await log.find(Wanted(), 99)
        assert results.behind == 0 and len(results.rows) == len(LIVES)

    run(story())


def test_damage_met_in_the_background_is_logged_and_ends_nothing(ledger, monkeypatch, caplog):
    monkeypatch.setattr("gateway.console.sealed.CAUGHT_UP", 3)
    monkeypatch.setattr("gateway.ledger.index.CHUNK", 2)
    for bundle in (ledger / max(id_of(name)[:2] for name in LIVES) / "tile" / "entries").rglob("*.p/*"):
        bundle.write_bytes(b"\0\1")

    async def story():
        log = log_of(ledger)
        with suppress(Damaged):
            await log.find(Wanted(), 99)
        while log._catching_up:  # noqa: ASYNC110 - it tells nobody when it is done
            await asyncio.sleep(0.01)

    run(story())
    assert "the sealed log cannot be read into its index" in caplog.text


@pytest.mark.parametrize("name", LIVES)
def test_every_fact_has_its_place_in_the_log(ledger, name):
    told = run(log_of(ledger).of(id_of(name)))
    assert [replace(fact, at=0) for fact in told.facts] == [replace(fact, at=0) for fact in LIVES[name]]
    assert sorted(told.leaves) == list(range(len(LIVES[name])))
    log = LogFiles.open(ledger, id_of(name)[:2])
    for leaf in told.leaves.values():
        assert leaf.hash == leaf_hash(next(log.leaves(leaf.index))).hex()


def test_what_is_not_in_the_log_is_none(ledger):
    log = log_of(ledger)
    assert run(log.of("07" + "f" * 20)) is None and run(log.of("nonsense")) is None
    assert run(log_of(ledger / "nowhere").of(id_of("held"))) is None


@pytest.mark.parametrize("name", [*map(id_of, LIVES), GRANT])
def test_what_stands_in_the_log_is_proven(ledger, name):
    log = log_of(ledger)
    told = run(log.of(name))
    proof = run(log.prove(told))
    assert proof.faults == () and proof.proven == len(told.evidence.facts)
    files = LogFiles.open(ledger, told.evidence.partition)
    assert (proof.origin, proof.size) == (f"{SIGNER.name}/{told.evidence.partition}", files.size)
    assert proof.root == files.tree().root.hex()


def test_another_key_proves_nothing(ledger):
    log = SealedLog(ledger, Signer.new(SIGNER.name).verifier)
    proof = run(log.prove(run(log.of(id_of("approved")))))
    assert len(proof.faults) == 1 and "not signed as it must be" in proof.faults[0]


def test_another_root_under_the_right_key_proves_nothing(ledger):
    partition = id_of("approved")[:2]
    size = LogFiles.open(ledger, partition).size
    (ledger / partition / CHECKPOINT).write_text(sign_checkpoint(SIGNER.of(partition), size, b"x" * 32))
    log = log_of(ledger)
    proof = run(log.prove(run(log.of(id_of("approved")))))
    assert any("is not in the log that was signed" in fault for fault in proof.faults)


def test_a_changed_byte_is_found(ledger):
    partition = id_of("approved")[:2]
    [bundle] = (ledger / partition / "tile" / "entries").rglob("*.p/*")
    data = bundle.read_bytes()
    at = data.index(b"checked")
    bundle.write_bytes(data[:at] + b"C" + data[at + 1 :])
    log = log_of(ledger)
    proof = run(log.prove(run(log.of(id_of("approved")))))
    assert any("is not in the log that was signed" in fault for fault in proof.faults)
    bundle.write_bytes(data[: len(data) // 2])
    with pytest.raises((Damaged, NotALeaf)):
        run(log_of(ledger).of(id_of("approved")))


def test_how_far_the_log_here_is_behind_what_is_sealed_elsewhere(ledger):
    log = log_of(ledger)
    partition = id_of("approved")[:2]
    files = LogFiles.open(ledger, partition)
    last = max(index for index in range(files.size))
    ends = run(log.ends({partition: last + 2, "99": 1, id_of("denied")[:2]: 1}))
    assert set(ends) == {partition, "99"} and ends["99"] == ""
    assert f'"entry":"{ends[partition]}"'.encode() in next(files.leaves(last))


def test_whoever_goes_away_leaves_the_index_to_one_at_a_time(ledger, monkeypatch):
    at_once, most = [0], [0]

    def slow(index, *_):
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.1)
        at_once[0] -= 1

    monkeypatch.setattr("gateway.console.sealed._find", slow)

    async def story():
        log = log_of(ledger)
        asked = [asyncio.ensure_future(log.find(Wanted(), 9)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for one in asked[:2]:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    run(story())
    assert most == [1]


def test_a_log_is_followed_as_it_grows(tmp_path):
    log = log_of(tmp_path)
    first, second = LIVES["answered"], LIVES["held"]
    partition = id_of("answered")[:2]
    write_log(tmp_path, partition, leaves_of_life(*first), SIGNER)
    assert [row.call for row in run(log.find(Wanted(), 9)).rows] == [id_of("answered")]
    write_log(tmp_path, partition, [*leaves_of_life(*first), *leaves_of_life(*second)], SIGNER)
    assert {row.call for row in run(log.find(Wanted(), 9)).rows} == {id_of("answered"), id_of("held")}
    assert run(log.of(id_of("held"))) is not None
