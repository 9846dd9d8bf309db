"""The index finds what is in the log, however often and by whomever it was read, and stands in nobody's way."""

import os
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.facts import Delivered
from gateway.ledger import index as module
from gateway.ledger.files import Damaged, LogFiles
from gateway.ledger.finding import leaves_at
from gateway.ledger.gist import Gist
from gateway.ledger.index import Filters, Index, mark
from gateway.ledger.index_file import NAME
from gateway.ledger.tiles import bundle_path
from tests.sealed_lives import (
    ALLOW,
    ANSWER,
    CLAIM,
    DENY,
    EDIT,
    FINDS,
    G2,
    GRANT,
    HOLD,
    LIVES,
    START,
    call,
    id_of,
    leaves_of_life,
    sealed,
)
from tests.sealed_log import write_log

EVERYTHING = Filters()


@pytest.fixture
def ledger(tmp_path):
    return sealed(tmp_path / "ledger")


def read(ledger: Path) -> Index:
    index = Index.open(ledger)
    index.catch_up()
    return index


def paged(index: Index, size: int) -> list[Gist]:
    """Everything, page by page."""
    found: list[Gist] = []
    for _ in range(100):
        page = index.find(EVERYTHING, size, mark(found[-1]) if found else "")
        found += page
        if not page:
            break
    return found


def names(index: Index, **filters: object) -> list[str]:
    """Which of LIVES are found, in the order of LIVES."""
    found = {gist.id for gist in index.find(Filters(**filters), 100)}  # type: ignore[arg-type]
    return [name for name in LIVES if id_of(name) in found]


ALL = list(LIVES)
NIGHT = ["denied", "read"]
ASKED = [name for name in ALL if any(type(fact).__name__ == "Asked" for fact in LIVES[name])]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ALL),
        ({"agent": "night-bot"}, NIGHT),
        ({"agent": "night"}, []),
        ({"tool": "crm.get_person"}, ["read"]),
        ({"system": "stripe"}, [name for name in ALL if name != "read"]),
        ({"outcome": "answered"}, ["answered", "approved", "edited", "read"]),
        ({"outcome": "denied"}, ["denied", "rejected", "expired", "withdrawn", "cancelled"]),
        ({"outcome": "in doubt"}, ["in doubt"]),
        ({"outcome": "settled"}, ["settled"]),
        ({"outcome": "held"}, ["held"]),
        ({"outcome": "judging"}, ["judging"]),
        ({"outcome": "executing"}, ["executing"]),
        ({"outcome": "unreachable"}, ["unreachable"]),
        ({"person": "ann"}, ["approved", "edited", "judging"]),
        ({"person": "bob"}, ["rejected"]),
        ({"person": "olga"}, ["cancelled", "settled"]),
        ({"person": "an"}, []),
        ({"policy": "over-50"}, ASKED),
        ({"policy": "no-nights"}, ["denied"]),
        ({"policy": "over"}, []),
        ({"user": "eve@acme.example"}, ["approved"]),
        ({"run": "run-7"}, ["approved"]),
        ({"text": "GET_PER"}, ["read"]),
        ({"text": "eve@"}, ["approved"]),
        ({"resource": "Charge/ch_2"}, ["edited"]),
        ({"text": "ch_2"}, ["edited"]),
        ({"text": "%"}, []),
        ({"text": "_"}, ALL),
        ({"agent": "night-bot", "outcome": "denied"}, ["denied"]),
        ({"person": "ann", "outcome": "answered"}, ["approved", "edited"]),
        ({"agent": "' OR 1=1 --"}, []),
    ],
)
def test_every_filter(ledger, filters, expected):
    assert names(read(ledger), **filters) == expected


def test_a_call_is_found_by_all_that_it_ever_was_about_and_by_no_part_of_that(tmp_path):
    edits = [replace(EDIT, resource=f"Charge/{each}") for each in ("ch_2", "ch_3\nCharge/ch_4", "ch_5")]
    life = call(1), HOLD, LIVES["held"][-1], *edits
    index = read(sealed(tmp_path, [life], grants=()))
    [found] = index.find(EVERYTHING, 9)
    about = ["Charge/ch_1", "Charge/ch_2", "Charge/ch_3\nCharge/ch_4", "Charge/ch_5"]
    assert (found.resource, found.resources) == (about[-1], about)
    assert [len(index.find(Filters(resource=each), 9)) for each in about] == [1] * 4
    assert [index.find(Filters(resource=each), 9) for each in ("Charge/ch_3", "Charge/ch_4", "ch_5")] == [[]] * 3


def test_what_it_says_of_a_call(ledger):
    found = read(ledger).get(id_of("approved"))
    assert found is not None
    assert (found.agent, found.user, found.run) == ("billing-bot", "eve@acme.example", "run-7")
    assert (found.tool, found.effect, found.resource) == ("stripe.create_refund", "write", "Charge/ch_1")
    assert (found.outcome, found.status) == ("answered", 200)
    assert (found.people, found.policies) == (["ann"], ["over-50", "ops-may"])
    assert found.last - found.begun == 6_000
    log = LogFiles.open(ledger, found.id[:2])
    leaves = list(leaves_at(log, found.leaves))
    assert len(leaves) == 8 and all(found.id.encode() in leaf for leaf in leaves)


def test_time_and_order_and_pages(ledger):
    index = read(ledger)
    everything = index.find(EVERYTHING, 100)
    assert [gist.begun for gist in everything] == sorted((gist.begun for gist in everything), reverse=True)
    third = everything[2]
    assert index.find(Filters(since=third.begun), 100) == everything[:3], "since takes in its own moment"
    assert index.find(Filters(until=third.begun), 100) == everything[3:], "until leaves out its own moment"
    assert paged(index, 4) == everything
    assert index.find(EVERYTHING, 4, "nonsense") == []


def test_calls_that_began_in_one_millisecond_are_all_on_some_page(tmp_path):
    one = [leaves_of_life(call(number))[0] for number in range(9)]
    write_log(tmp_path, id_of("answered")[:2], one)
    index = read(tmp_path)
    found = [gist.id for gist in paged(index, 2)]
    assert len(set(found)) == len(found) == 9


def test_grants_and_the_deployment_stand_apart(ledger):
    index = read(ledger)
    [grant] = index.find(Filters(kind="grant"), 10)
    assert (grant.id, grant.outcome, grant.people) == (GRANT, "revoked", ["ann", "olga"])
    assert (grant.agent, grant.tool, grant.policies) == ("billing-bot", "stripe.create_refund", ["over-50"])
    assert [(note.leaf, note.type) for note in index.deployment()] == [
        (0, "Loaded"),
        (1, "Loaded"),
        (2, "AgentSuspended"),
    ]
    assert [note.leaf for note in index.deployment("Loaded", G2)] == [1]
    assert [note.about for note in index.deployment("AgentSuspended")] == ["night-bot"]


def test_the_beginning_of_an_id(ledger):
    index = read(ledger)
    whole = id_of("approved")
    assert index.beginning(whole[:-1], 99) == [
        name for name in sorted(map(id_of, LIVES)) if name.startswith(whole[:-1])
    ]
    assert index.beginning("grant-") == [GRANT]
    assert len(index.beginning("", 3)) == 3
    assert index.beginning("zz") == []


# --- Reading on -------------------------------------------------------------------------------------------------------


def test_it_reads_on_where_it_was(tmp_path, monkeypatch):
    first = call(1)
    partition = first.call.id[:2]
    leaves = leaves_of_life(first, ALLOW, CLAIM, ANSWER, Delivered())
    write_log(tmp_path, partition, leaves[:3])
    index = read(tmp_path)
    assert [gist.outcome for gist in index.find(EVERYTHING, 9)] == ["executing"]
    assert index.behind() == 0 and index.catch_up() == 0
    write_log(tmp_path, partition, leaves)
    assert index.behind() == 2
    assert index.catch_up() == 2
    [found] = index.find(EVERYTHING, 9)
    assert (found.outcome, found.leaves) == ("answered", [0, 1, 2, 3, 4])
    monkeypatch.setattr(module._Chunk, "take", lambda *_: pytest.fail("what was read is not read again by the next"))
    another = Index.open(tmp_path)
    assert another.catch_up() == 0
    assert another.find(EVERYTHING, 9) == [found]


def test_it_reads_in_pieces(ledger, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3)
    index = Index.open(ledger)
    assert index.catch_up(4) == 6, "whole pieces"
    pieces = [index.catch_up(4) for _ in range(100)]
    assert 3 < sum(map(bool, pieces)) < 50
    assert index.find(EVERYTHING, 100) == read(ledger).find(EVERYTHING, 100)
    for name in LIVES:
        found = index.get(id_of(name))
        assert found is not None and found.outcome == FINDS.get(name, name)


def test_two_who_read_at_once_count_nothing_twice(ledger, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3)
    one, other = Index.open(ledger), Index.open(ledger)
    assert not [one.catch_up(1) + other.catch_up(1) for _ in range(100)][-1]
    for name in LIVES:
        found = one.get(id_of(name))
        assert found is not None and len(found.leaves) == len(LIVES[name])


def test_another_log_in_its_place_is_read_anew(ledger):
    index = read(ledger)
    partition = id_of("denied")[:2]
    stranger = call(77, agent="night-bot")
    leaves = leaves_of_life(stranger, DENY)
    write_log(ledger, partition, leaves * 3)
    index.catch_up()
    assert [gist.id for gist in index.find(Filters(agent="night-bot"), 9)] == [stranger.call.id]
    assert "answered" in names(index), "other partitions are as they were"
    write_log(ledger, partition, leaves[:1])  # and one that is shorter than what was read
    index.catch_up()
    assert [gist.outcome for gist in index.find(Filters(agent="night-bot"), 9)] == ["judging"]


# --- What may be wrong with it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["text", "other version", "no tables", "middle", "empty"])
def test_a_file_that_cannot_be_used_is_made_anew(ledger, what):
    expected = read(ledger).find(EVERYTHING, 100)
    file = ledger / NAME
    match what:
        case "text":
            file.write_text("this is not SQLite, " * 500)
        case "empty":
            file.write_bytes(b"")
        case "other version":
            with sqlite3.connect(file) as base:
                base.execute("UPDATE subject SET agent = 'somebody-else'")
                base.execute("PRAGMA user_version = 99")
        case "no tables":
            file.unlink()
            with sqlite3.connect(file) as base:
                base.execute(f"PRAGMA user_version = {module.__dict__.get('VERSION', 1)}")
        case "middle":
            data = bytearray(file.read_bytes())
            data[4096:] = b"\xff" * (len(data) - 4096)
            file.write_bytes(data)
    index = Index.open(ledger)
    index.catch_up()
    assert index.find(EVERYTHING, 100) == expected
    assert not index.in_memory
    assert read(ledger).find(EVERYTHING, 100) == expected


def test_a_file_that_breaks_while_it_is_open_is_made_anew(ledger):
    expected = read(ledger).find(EVERYTHING, 100)
    index = Index.open(ledger)
    data = bytearray((ledger / NAME).read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (ledger / NAME).write_bytes(data)
    assert index.find(EVERYTHING, 100) == expected


def test_a_disk_that_is_full_is_no_reason_to_find_nothing(tmp_path, monkeypatch):
    """What does not fit into the file is kept in memory; what was in it before is used."""
    monkeypatch.setattr(module, "CHUNK", 50)
    ledger = sealed(tmp_path, [(call(number), DENY) for number in range(300)])
    index = Index.open(ledger)
    index.catch_up(1)
    [pages] = index.base.execute("PRAGMA page_count").fetchone()
    index.base.execute(f"PRAGMA max_page_count = {pages}")
    index.catch_up()
    assert index.in_memory
    assert len(index.find(EVERYTHING, 1000)) == 300


def test_a_directory_that_cannot_be_written(ledger):
    """As another user, because root may write anywhere; what was read before is used."""
    expected = read(ledger).find(EVERYTHING, 100)
    for path in (ledger, *ledger.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    script = (
        "import os, sys; from pathlib import Path; import gateway.ledger.index as m; "
        "os.setgid(65534); os.setuid(65534); i = m.Index.open(Path(sys.argv[1])); "
        "print(i.in_memory, i.catch_up(), len(i.find(m.Filters(), 100)))"
    )
    for folder in (ledger, *ledger.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", script, ledger], capture_output=True, text=True, check=False)
    if os.getuid() == 0:
        assert done.stdout.split() == ["True", "0", str(len(expected))], done.stderr


def test_afresh_uses_nothing_that_is_there(ledger):
    index = read(ledger)
    index.base.execute("UPDATE subject SET agent = 'somebody-else'")
    assert names(Index.open(ledger), agent="somebody-else") == ALL
    fresh = Index.open(ledger, afresh=True)
    assert fresh.in_memory and fresh.catch_up() > 0
    assert names(fresh, agent="somebody-else") == []
    assert names(fresh) == ALL


def test_a_damaged_log_is_named_and_what_was_read_before_stays(ledger):
    partition = id_of("denied")[:2]
    log = LogFiles.open(ledger, partition)
    (log.directory / bundle_path(0, log.size)).unlink()
    index = Index.open(ledger)
    with pytest.raises(Damaged, match="entries"):
        index.catch_up()
    assert [name for name in names(index) if name not in NIGHT] == [
        name for name in ALL if name not in NIGHT
    ] or not names(index)


def test_a_leaf_that_nobody_can_read_does_not_hide_the_others(tmp_path):
    first = call(1)
    name, partition = first.call.id, first.call.id[:2]
    good = leaves_of_life(first, ALLOW, CLAIM, ANSWER)
    huge = leaves_of_life(call(3))[0].replace(b'"at":%d' % START, b'"at":%d' % (1 << 63))
    odd = [
        huge,
        b"not JSON",
        b"[]",
        b"{}",
        b'{"call":7,"fact":{},"position":0}',
        b'{"call":"x","fact":[],"position":0}',
    ]
    write_log(tmp_path, partition, [*odd, *good, *odd])
    assert read(tmp_path).get(name) is not None
    assert [gist.outcome for gist in read(tmp_path).find(Filters(outcome="answered"), 9)] == ["answered"]


def test_a_ledger_without_logs_has_nothing(tmp_path):
    (tmp_path / "payloads").mkdir()
    assert read(tmp_path).find(EVERYTHING, 9) == []
    assert Index.open(tmp_path / "nowhere").catch_up() == 0
    assert not (tmp_path / "nowhere").exists()


def test_facts_of_unknown_type_are_kept_apart(tmp_path):
    first = call(1)
    partition = first.call.id[:2]
    leaf, other = leaves_of_life(first, DENY)
    write_log(tmp_path, partition, [leaf, other.replace(b'"Judged"', b'"Mused"')])
    assert [gist.outcome for gist in read(tmp_path).find(EVERYTHING, 9)] == ["unreadable"]


def test_nobody_may_read_it_who_may_not_read_the_log(tmp_path):
    Index.open(sealed(tmp_path)).close()
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o640
