"""Whatever is done to a sealed record, verifying finds it and names the place; in an honest one it finds nothing."""

import os
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.deployment import DEPLOYMENT, LOGS, LossAcknowledged
from gateway.core.facts import Admitted, Answered, Attached, Delivered
from gateway.ledger.merkle import Tree, leaf_hash
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.old_checkpoints import Old, old_checkpoints
from gateway.ledger.tiles import WIDTH, bundle, bundle_path, places, tile_path
from gateway.ledger.verifying import LAG_MS, Fault, Settled, Verified, settled, verify_log
from tests import possible_record as record
from tests.core.test_lives import BY_GRANT, IMPOSSIBLE, POSSIBLE
from tests.playbook import ALLOW, CALL, claimed
from tests.possible_record import AGENTS, EFFECT, LOADED, SAFE, START
from tests.sealed_log import SIGNER, write_log

HERE = record.PARTITIONS[0]


def verify(ledger: Path, olds: Path | None = None) -> list[Fault]:
    return [fault for log in logs_of(ledger, olds) for fault in log.faults] + list(together(ledger).faults)


def logs_of(ledger: Path, olds: Path | None = None) -> list[Verified]:
    known = old_checkpoints([olds], SIGNER.verifier) if olds else {}
    return [verify_log(ledger, name, SIGNER.verifier, known.get(name, ())) for name in LOGS]


def together(ledger: Path) -> Settled:
    return settled(ledger, logs_of(ledger))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return record.write(tmp_path / "ledger", record.small())


# --- Honest records ---------------------------------------------------------------------------------------------------


def test_an_honest_record_is_verified_and_told(ledger):
    assert verify(ledger) == []
    logs = {log.partition: log for log in logs_of(ledger)}
    assert {name for name, log in logs.items() if log.size} == {*record.PARTITIONS[:2], DEPLOYMENT}
    assert sum(log.calls for log in logs.values()) == 4
    assert logs[DEPLOYMENT].loaded == {"generation-1", "generation-2"}
    assert START < logs[HERE].first < logs[HERE].last


def test_there_may_be_nothing_yet(tmp_path):
    assert verify(tmp_path) == []


@settings(max_examples=60)
@given(
    lives=st.lists(st.sampled_from(sorted(POSSIBLE)), min_size=1, max_size=12),
    agents=st.lists(st.sampled_from(AGENTS), min_size=12, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_whatever_can_have_happened_is_verified_in_any_order(lives, agents, order, tmp_path_factory):
    queues = [record.of(POSSIBLE[life], n, agents[n]) for n, life in enumerate(lives)] + [record.deployment(*LOADED)]
    told = []
    while queues:
        queue = order.choice(queues)
        told.append(queue.pop(0))
        queues = [left for left in queues if left]
    ledger = tmp_path_factory.mktemp("any")
    assert verify(record.write(ledger, told)) == []
    shutil.rmtree(ledger)


@pytest.mark.parametrize("leaves", [255, 256, 257, 256 * 3, 256 * 256 + 300])
def test_a_log_of_any_size_is_verified(tmp_path, leaves):
    calls = [append for n in range(leaves) for append in record.of(((Admitted(call=CALL),),), n)]
    record.write(tmp_path, calls, every_ms=1)
    assert verify_log(tmp_path, HERE, SIGNER.verifier).faults == []
    for file in [*(tmp_path / HERE / "tile/1").rglob("*"), *(tmp_path / HERE / "tile/2").rglob("*")]:
        if file.is_file():
            data = file.read_bytes()
            file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            [fault] = verify_log(tmp_path, HERE, SIGNER.verifier).faults
            assert (fault.file, fault.offset) == (str(file), len(data) - 32)
            file.write_bytes(data)


def test_a_leaf_too_long_for_a_bundle_is_read_from_beside(tmp_path):
    long = Admitted(call=replace(CALL, reason="x" * 70_000))
    record.write(tmp_path, [*record.deployment(*LOADED), *record.of(((long, ALLOW, claimed("t1")),), 1)])
    assert verify(tmp_path) == []
    [file] = (tmp_path / HERE / "long").iterdir()
    file.write_bytes(file.read_bytes().replace(b"x", b"y", 1))
    assert "is not the leaf that it is named after" in verify(tmp_path)[0].why
    whole, blank = file.read_bytes(), b" " * 70_000
    for nonsense in (b"[" + whole, whole[:70_000], b"[]" + blank, b"{}" + blank):
        file.write_bytes(nonsense)
        [fault] = verify(tmp_path)
        assert (fault.index, "it is not a JSON object with a fact" in fault.why) == (0, True)
    file.unlink()
    assert verify(tmp_path)[0] == Fault(
        partition=HERE, file=str(file), offset=0, why="it is missing", index=0, name=f"call {HERE}{1:020x}"
    )  # fmt: skip


# --- The matrix: every byte of every file -----------------------------------------------------------------------------

Change = Callable[[bytes, int], bytes]
CHANGES: dict[str, Change] = {
    "flip a bit": lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    "flip another": lambda data, at: data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :],
    "drop": lambda data, at: data[:at] + data[at + 1 :],
    "insert": lambda data, at: data[:at] + b"0" + data[at:],
    "truncate": lambda data, at: data[:at],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", ["checkpoint", "tile/0", "tile/entries"])
def test_every_byte_counts(tmp_path, kind, change):
    calls = [append for n in range(2) for append in record.of(EFFECT, n)]
    ledger = record.write(tmp_path, [*record.deployment(*LOADED), *calls])
    directory = ledger / HERE
    [file] = [path for path in (directory / kind).rglob("*") if path.is_file()] or [directory / kind]
    data = file.read_bytes()
    entries = [(start - 2, end) for start, end in places(data, 8)] if kind == "tile/entries" else []
    assert len(data) > 100
    for at in range(len(data)):
        changed = change(data, at)
        if changed == data:  # the same byte inserted or swapped
            continue
        file.write_bytes(changed)
        [fault] = verify_log(ledger, HERE, SIGNER.verifier).faults
        assert fault.file == str(file), fault
        if entries:
            assert fault.offset in (max(start for start, _ in entries if start <= at), at), fault
        if kind == "tile/0" and len(changed) == len(data):
            assert fault.offset == at // 32 * 32, fault
    file.write_bytes(data)
    assert verify(ledger) == []


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """More than two levels of tiles would take 65,536 leaves; this has two, with a full and a partial tile below."""
    calls = [append for n in range(80) for append in record.of(EFFECT, n)]
    return record.write(tmp_path / "large", [*record.deployment(*LOADED), *calls], every_ms=1)


def test_a_hash_of_an_upper_tile_is_named(large):
    file = large / HERE / tile_path(1, 0, 1)
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(data)
    [fault] = verify_log(large, HERE, SIGNER.verifier).faults
    assert (fault.file, fault.offset) == (str(file), 0) and "is not theirs" in fault.why


def test_a_leaf_that_was_changed_with_its_tile_is_named(large):
    """The tile above is right, so it is not that one which is named."""
    _remake(large, 0, lambda leaves: [leaves[0].replace(b"POST", b"PUT "), *leaves[1:]])
    [fault] = verify_log(large, HERE, SIGNER.verifier).faults
    assert fault.file == str(large / HERE / bundle_path(0)) and "made anew" in fault.why


def _remake(ledger: Path, number: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    directory = ledger / HERE
    width = WIDTH if (directory / bundle_path(number)).exists() else 64
    file = directory / bundle_path(number, width)
    data = file.read_bytes()
    leaves = change([data[start:end] for start, end in places(data, width)])
    file.write_bytes(bundle(leaves))
    (directory / tile_path(0, number, width)).write_bytes(b"".join(map(leaf_hash, leaves)))


def test_a_last_leaf_that_was_changed_with_its_tile_is_found(large):
    _remake(large, 1, lambda leaves: [*leaves[:-1], leaves[-1].replace(b"200", b"201")])
    [fault] = verify_log(large, HERE, SIGNER.verifier).faults
    assert fault.file == str(large / HERE / "checkpoint") and "another history" in fault.why


def test_a_tile_that_was_replaced_by_an_older_one_is_found(large):
    for kind in ("tile/0/000", "tile/entries/000"):
        file = large / HERE / kind
        data = file.read_bytes()
        older = data[: 17 * 32] if kind == "tile/0/000" else bundle(_leaves_in(data)[:17])
        file.write_bytes(older)
        [fault] = verify_log(large, HERE, SIGNER.verifier).faults
        assert fault.file == str(file) and fault.offset == len(older)
        file.unlink()
        partial = large / HERE / f"{kind}.p/17"
        partial.parent.mkdir()
        partial.write_bytes(older)
        [fault] = verify_log(large, HERE, SIGNER.verifier).faults
        assert fault.file == str(file) and fault.why == "it is missing"
        file.write_bytes(data)
    assert verify(large) == []


def _leaves_in(data: bytes) -> list[bytes]:
    return [data[start:end] for start, end in places(data, WIDTH)]


# --- Entries, with all tiles and the checkpoint made anew -------------------------------------------------------------


def _resigned(tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], signer: Signer = SIGNER) -> list[Fault]:
    """What is found if somebody with that key changes the leaves of one log and seals it again."""
    logs = record.leaves(record.small(8))
    for partition, leaves in logs.items():
        write_log(tmp_path, partition, change(leaves) if partition == HERE else leaves, signer)
    return verify(tmp_path)


def test_what_is_left_alone_is_found_right(tmp_path):
    assert _resigned(tmp_path, lambda leaves: leaves) == []


def test_a_record_that_another_key_signed_is_found(tmp_path):
    faults = _resigned(tmp_path, lambda leaves: leaves, Signer.new(SIGNER.name))
    assert len(faults) == 3 and all("not under the key" in fault.why for fault in faults)


@pytest.mark.parametrize("place", range(9))
def test_no_entry_is_left_out_of_a_life_even_by_the_keeper_of_the_key(tmp_path, place):
    leaves = record.leaves(record.small(8))[HERE]
    assert len(leaves) >= 9
    faults = _resigned(tmp_path, lambda leaves: leaves[:place] + leaves[place + 1 :])
    later = any(name in leaf for name in [_name(leaves[place])] for leaf in leaves[place + 1 :])
    if later:
        assert "does not stand before it" in faults[0].why
    else:  # the last one of its call: who knows the key can do that, and is caught by an older checkpoint alone
        assert faults == []


def _name(leaf: bytes) -> bytes:
    return leaf.partition(b'"call":"')[2][:22]


@pytest.mark.parametrize("place", range(8))
def test_no_two_entries_change_places(tmp_path, place):
    def swap(leaves: list[bytes]) -> list[bytes]:
        return [*leaves[:place], leaves[place + 1], leaves[place], *leaves[place + 2 :]]

    [fault, *_] = _resigned(tmp_path, swap)
    assert fault.file.endswith(bundle_path(0, 10)) or fault.index in (place, place + 1)


def test_no_entry_stands_twice(tmp_path):
    [fault, *_] = _resigned(tmp_path, lambda leaves: [*leaves[:3], leaves[2], *leaves[3:]])
    assert fault.index == 3


def test_nothing_stands_in_another_log(tmp_path):
    other = record.leaves(record.small(8))[record.PARTITIONS[1]]
    [fault, *_] = _resigned(tmp_path, lambda leaves: other)
    assert "does not belong into this log" in fault.why and fault.index == 0


FORGED = {
    b'"method":"POST"': (b'"method": "POST"', "it is not canonical"),
    b'"effect":"write"': (b'"effect":"write","effect":"read"', "it is not canonical"),
    b'"type":"Admitted"': (b'"type":"Invented"', "was it written by a newer gateway?"),
    b'"keep_ms"': (b'"keep_mx"', "cannot read a fact"),
    b'"position":0': (b'"position":7', "it is fact 7 of"),
    b'"at":17951': (b'"at":99917951', "no time that a journal can have"),
    b'"entry":"17951': (b'"entry":"' + b"9" * 50 + b"17951", "no time that a journal can have"),
    b'"agent":"billing-bot"': (b'"agent":"billing-b0t"', "belongs into log"),
}


@pytest.mark.parametrize("forged", FORGED.items(), ids=lambda item: item[0].decode())
def test_nothing_is_forged_even_by_the_keeper_of_the_key(tmp_path, forged):
    true, (false, why) = forged
    small = record.leaves(record.of(((Admitted(call=replace(CALL, keep_ms=1)),),), 1))[HERE]
    assert true in small[0]
    write_log(tmp_path, HERE, [small[0].replace(true, false, 1)])
    [fault] = verify(tmp_path)
    assert why in fault.why and fault.index == 0 and fault.offset == 2


@pytest.mark.parametrize("appends", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_life_is_found_and_named(tmp_path, appends):
    record.write(tmp_path, [*record.deployment(*LOADED), *record.of(appends, 5)])
    [fault] = verify(tmp_path)
    assert "cannot have happened here" in fault.why and fault.name == f"call {HERE}{5:020x}"
    data = Path(fault.file).read_bytes()
    length = struct.unpack(">H", data[fault.offset - 2 : fault.offset])[0]
    assert b'"call":"%b"' % fault.name.removeprefix("call ").encode() in data[fault.offset :][:length]


def test_the_facts_of_one_append_share_what_they_must(tmp_path):
    [first, second, *rest] = record.leaves(record.of(EFFECT, 1))[HERE]
    for true, false in ((b'"at":1795168801000', b'"at":1795168801001'), (b"00003e8", b"00003e9")):
        assert true in second
        write_log(tmp_path, HERE, [first, second.replace(true, false, 1), *rest])
        [fault] = verify(tmp_path)
        assert "what all facts of append" in fault.why and fault.index == 1


def test_a_call_relies_on_a_grant_of_its_own_log(tmp_path):
    allow = replace(BY_GRANT, verdict=replace(BY_GRANT.verdict, granted=(
        replace(BY_GRANT.verdict.granted[0], grant=f"grant-{HERE}{1:022x}"),
    )), generation="generation-1")  # fmt: skip
    call = record.of(((Admitted(call=CALL), allow, claimed("t1")),), 1)
    record.write(tmp_path / "honest", [*record.deployment(*LOADED), *record.granted("ann"), *call])
    assert verify(tmp_path / "honest") == []
    record.write(tmp_path / "late", [*record.deployment(*LOADED), *call, *record.granted("ann")])
    assert "which ann did not give" in verify(tmp_path / "late")[0].why
    record.write(tmp_path / "twice", record.granted("ann", "ann"))
    assert "ann gives it twice" in verify(tmp_path / "twice")[0].why


# --- What takes more than one log -------------------------------------------------------------------------------------


def test_two_logs_do_not_change_places(ledger):
    one, other = (ledger / name for name in record.PARTITIONS[:2])
    one.rename(ledger / "x")
    other.rename(one)
    (ledger / "x").rename(other)
    assert {fault.partition for fault in verify(ledger)} == set(record.PARTITIONS[:2])


def test_every_generation_that_judged_was_loaded(tmp_path):
    other = replace(LOADED[0], generation="another")
    told = [*record.deployment(other), *record.of(((Admitted(call=CALL),),), 0), *record.of(SAFE, 2, AGENTS[1])]
    new = record.write(tmp_path / "new", told, every_ms=LAG_MS)
    assert together(new) == Settled(late=1), "the log of the deployment may lag behind"
    told = [*told, *record.of(EFFECT, 1), *record.of(SAFE, 3, AGENTS[1])]
    told += [append for n in range(4, 6) for append in record.of(((Admitted(call=CALL),),), n)]
    old = record.write(tmp_path / "old", told, every_ms=LAG_MS)
    faults = together(old).faults
    assert {fault.partition for fault in faults} == set(record.PARTITIONS[:2])
    [here] = [fault for fault in faults if fault.partition == HERE]
    assert here.index == 2 and "generation-1" in here.why
    assert b'"Judged"' in Path(here.file).read_bytes()[here.offset :][:400]


def test_what_was_judged_before_generations_were_recorded_is_noted(tmp_path):
    told = [*record.of(EFFECT, 1), *record.deployment(replace(LOADED[0], generation="another"))]
    ledger = record.write(tmp_path, told, every_ms=LAG_MS)
    assert together(ledger) == Settled(early=1)


def test_the_log_of_the_deployment_is_missed(tmp_path):
    """Without it nothing would say what was loaded, so whoever removes it must not get rid of that question."""
    told = [*record.deployment(*LOADED), *record.of(EFFECT, 1), *record.of(SAFE, 2, AGENTS[1])]
    ledger = record.write(tmp_path, told, every_ms=LAG_MS)
    assert together(ledger) == Settled()
    shutil.rmtree(ledger / DEPLOYMENT)
    assert "nothing of that log is there" in together(ledger).faults[0].why


def test_the_log_of_the_deployment_is_missed_in_a_record_of_a_few_minutes_too(tmp_path):
    """Of which a generation could be so new that it is not sealed yet, if anything of that log were there."""
    told = [*record.deployment(*LOADED), *record.of(SAFE, 1)]
    ledger = record.write(tmp_path, told)
    assert together(ledger) == Settled()
    shutil.rmtree(ledger / DEPLOYMENT)
    [fault] = together(ledger).faults
    assert "nothing of that log is there" in fault.why and fault.index >= 0


def _lost_and_told_again(*more: record.Append) -> list[record.Append]:
    """The journal was restored to the first append of this call, which then went on otherwise."""
    first, answer = record.of(EFFECT, 1)
    again = (first[0], 3, (Attached(key="k", keep=1),))
    return [
        *record.deployment(*LOADED),
        *more,
        first,
        answer,
        again,
        (first[0], 4, answer[2]),
        (first[0], 5, (Delivered(),)),
    ]


def test_a_call_begins_again_only_after_a_loss_that_a_person_acknowledged(tmp_path):
    [fault] = verify(record.write(tmp_path / "no", _lost_and_told_again()))
    assert "no person ever acknowledged" in fault.why and fault.index == 4
    known = record.deployment(*LOADED, LossAcknowledged(by="olga", loss="two facts"))[2:]
    ledger = record.write(tmp_path / "yes", _lost_and_told_again(*known))
    assert verify(ledger) == [] and together(ledger).begin_again == 1


def test_a_slow_clock_numbers_appends_back_only_after_a_loss_that_a_person_acknowledged(tmp_path):
    """What a restored journal gives out anew is sealed behind what it lost, though it may be numbered before that."""
    first, second, third = (record.leaves(record.of(EFFECT, n), every_ms=9 - n)[HERE] for n in (1, 2, 3))
    loss = LossAcknowledged(by="olga", loss="two facts")
    for losses, steps in ((0, [first, second]), (1, [first, second, third])):
        known = record.deployment(*LOADED, *(loss,) * losses)
        ledger = record.write(tmp_path / str(losses), known, every_ms=1)
        write_log(ledger, HERE, [leaf for step in steps for leaf in step])
        [fault] = verify(ledger)
        assert "stands behind one which came later" in fault.why and fault.index == 4 * (losses + 1)
        write_log(ledger, HERE, [leaf for step in steps[:-1] for leaf in step])
        assert verify(ledger) == []


def test_what_begins_again_must_be_possible_too(tmp_path):
    known = record.deployment(*LOADED, LossAcknowledged(by="olga", loss="two facts"))[2:]
    told = _lost_and_told_again(*known)
    told[-1] = (told[-1][0], 5, (Answered(token="t1", status=200),))
    [fault] = verify(record.write(tmp_path / "twice", told))
    assert "a send whose outcome was known" in fault.why and fault.index == 6
    told[-1] = (told[-1][0], 9, (Delivered(),))
    [fault] = verify(record.write(tmp_path / "gap", told))
    assert "does not stand before it" in fault.why


# --- Older checkpoints ------------------------------------------------------------------------------------------------


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, Path]:
    """A record, and a copy of an earlier state of it."""
    told = record.small(8)
    old = record.write(tmp_path / "old", told[:9])
    return record.write(tmp_path / "grown", told), old


def test_a_record_that_grew_extends_what_it_was(grown):
    ledger, old = grown
    assert verify(ledger, old) == []
    assert sum(log.extended for log in logs_of(ledger, old)) == 3


def test_many_notes_in_one_file_are_all_compared(grown, tmp_path):
    ledger, old = grown
    notes = [path.read_text() for path in sorted(old.glob("*/checkpoint"))]
    for text in ("".join(notes), "\n".join(notes), "\n\n\n".join([*notes, *notes])):
        (tmp_path / "anchor").write_text(text)
        assert sum(log.extended for log in logs_of(ledger, tmp_path / "anchor")) == 3


def test_a_record_that_was_rolled_back_is_found_with_an_older_checkpoint_alone(grown):
    ledger, old = grown
    assert verify(old) == []
    faults = verify(old, ledger)
    assert {fault.partition for fault in faults} == set(record.PARTITIONS[:2])
    assert all("was rolled back" in fault.why and fault.file.startswith(str(ledger)) for fault in faults)


def test_a_history_that_the_keeper_of_the_key_rewrote_is_found_with_an_older_checkpoint_alone(grown, tmp_path):
    _, old = grown
    told = [append for append in record.small(16) if append[0] != f"{HERE}{0:020x}"]
    rewritten = record.write(tmp_path / "rewritten", told)
    assert verify(rewritten) == [], "the first call is gone, and nobody could know"
    faults = {fault.partition: fault for fault in verify(rewritten, old)}
    assert "was rewritten" in faults[HERE].why and faults[HERE].file == str(old / HERE / "checkpoint")


def test_a_log_that_an_older_checkpoint_knows_is_missed(grown):
    ledger, old = grown
    shutil.rmtree(ledger / HERE)
    [fault] = verify(ledger, old)
    assert fault.partition == HERE and "the log is not there" in fault.why


def test_an_older_checkpoint_says_the_place_of_its_note(grown, tmp_path):
    ledger, old = grown
    good = (old / DEPLOYMENT / "checkpoint").read_bytes()
    forked = sign_checkpoint(SIGNER.of(HERE), 2, b"\x01" * 32).encode()
    (tmp_path / "anchor").write_bytes(good + b"\n" + forked)
    [fault] = verify(ledger, tmp_path / "anchor")
    assert fault.offset == len(good) + 1


# --- A log that is being written --------------------------------------------------------------------------------------


def test_a_record_that_grows_while_it_is_verified_is_verified(tmp_path):
    leaves = [leaf for n in range(300) for leaf in record.leaves(record.of(EFFECT, n))[HERE]]
    leaves = [leaf.replace(b'"entry":"17951688', b'"entry":"17951%03d' % (n // 4)) for n, leaf in enumerate(leaves)]
    seen, over = set[int](), threading.Event()
    _seal(tmp_path / HERE, leaves, 4)

    def seal() -> None:
        for size in range(16, len(leaves), 12):
            _seal(tmp_path / HERE, leaves, size)
        over.set()

    writer = threading.Thread(target=seal)
    writer.start()
    while not over.is_set():
        found = verify_log(tmp_path, HERE, SIGNER.verifier)
        assert found.faults == [], found.faults[0]
        seen.add(found.size)
    writer.join()
    assert len(seen) > 3


def _seal(directory: Path, leaves: list[bytes], size: int) -> None:
    """In the order in which sealing writes: tiles, the checkpoint, and then away with what is superseded."""
    hashes = [leaf_hash(leaf) for leaf in leaves[:size]]
    wanted = {}
    for number in range(max(0, size - 12) // WIDTH, -(-size // WIDTH)):
        part = slice(number * WIDTH, min(size, (number + 1) * WIDTH))
        width = part.stop - part.start
        wanted[bundle_path(number, width)] = bundle(leaves[part])
        wanted[tile_path(0, number, width)] = b"".join(hashes[part])
    if size >= WIDTH:
        full = [Tree().append(hashes[n * WIDTH : (n + 1) * WIDTH]).root for n in range(size // WIDTH)]
        wanted[tile_path(1, 0, len(full))] = b"".join(full)
    wanted["checkpoint"] = sign_checkpoint(SIGNER.of(HERE), size, Tree().append(hashes).root).encode()
    for name, data in wanted.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(data)
        new.rename(path)
    for path in directory.rglob("*.p/*"):
        if str(path.relative_to(directory)) not in wanted and path.is_file():
            path.unlink()


# --- What an enemy may put there --------------------------------------------------------------------------------------


def _files(directory: Path) -> Iterator[Path]:
    yield from [path for path in sorted(directory.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("what", ["directory", "link", "pipe", "nothing", "empty", "huge", "link to nowhere"])
def test_whatever_is_in_the_place_of_a_file_is_named(ledger, what):
    for file in _files(ledger / HERE):
        data = file.read_bytes()
        file.unlink()
        match what:
            case "directory":
                file.mkdir()
            case "link":
                file.symlink_to("/etc/passwd")
            case "link to nowhere":
                file.symlink_to(file)
            case "pipe":
                os.mkfifo(file)
            case "empty":
                file.touch()
            case "huge":
                with file.open("wb") as sparse:
                    sparse.truncate(1 << 40)
        [fault] = verify_log(ledger, HERE, SIGNER.verifier).faults
        assert fault.file == str(file), fault
        shutil.rmtree(file) if what == "directory" else file.unlink(missing_ok=True)
        file.write_bytes(data)
    assert verify(ledger) == []


def test_a_log_that_is_a_link_or_a_file_is_no_log(ledger, tmp_path):
    (ledger / HERE).rename(tmp_path / "elsewhere")
    (ledger / HERE).symlink_to(tmp_path / "nowhere")
    assert verify(ledger)[0].partition == HERE
    (ledger / HERE).unlink()
    (ledger / HERE).write_bytes(b"")
    assert verify(ledger)[0].partition == HERE


def test_a_size_that_no_disk_could_hold_takes_no_time(tmp_path):
    directory = write_log(tmp_path, HERE, record.leaves(record.of(EFFECT, 1))[HERE])
    (directory / "checkpoint").write_text(sign_checkpoint(SIGNER.of(HERE), 10**18, b"\x00" * 32))
    [fault] = verify_log(tmp_path, HERE, SIGNER.verifier).faults
    assert fault.file == str(directory / bundle_path(0)) and fault.why == "it is missing"


HOSTILE = {
    "deep JSON": b"[" * 65_000,
    "deep facts": b'{"at":1,"by":"","call":"x","entry":"1-0","fact":%b1%b,"position":0}' % (b'{"a":' * 900, b"}" * 900),
    "a number": b"1" * 60_000,
    "a text for a verdict": b'{"at":1,"by":"","call":"x","entry":"1-0",'
    b'"fact":{"type":"Judged","verdict":"x"},"position":0}',
    "nothing": b"",
    "not text": b"\xff" * 100,
    "half a surrogate": b'{"at":1,"by":"\\ud800"}',
    "an escape": b'{"at":1,"by":"","call":"\x1b[2J"}',
}


@pytest.mark.parametrize("leaf", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_leaf_is_a_fault_and_nothing_else(tmp_path, leaf):
    write_log(tmp_path, HERE, [leaf])
    [fault] = verify(tmp_path)
    assert fault.index == 0 and fault.why.startswith("it is not a fact as this gateway writes it")
    assert str(fault).isprintable()


def test_old_is_ordered_by_size():
    assert Old(1, b"z", "f", 9) < Old(2, b"a", "a", 0)
