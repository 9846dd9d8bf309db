"""Every fact of the stream is in the log once, in order, whatever fails in the middle; and what is wrong is a sentence.

After sunlight's TestSequenceErrors: each act of a round (write, fsync, rename, compare-and-set, put) fails without and
with its effect, as the death of the process, as a power cut, or for once; then everything goes on.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import pytest

from gateway.core.sealed import read_sealed
from gateway.ledger import sealing
from gateway.ledger.files import LogFiles
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.note import Signer, open_checkpoint, sign_checkpoint
from gateway.ledger.sealing import LEASE_MS
from gateway.ledger.tiles import bundle_path, tile_path, unbundle
from gateway.ledger.witnesses import Finder
from tests.ledger.frail import Away, Died, Fate, FrailDisk, Redis
from tests.ledger.sealing_world import START, World, seal

TWO = ("07", "64")


@pytest.fixture(autouse=True)
def few_logs(monkeypatch):
    """The others would only be looked at, sixty times over."""
    monkeypatch.setattr(sealing, "LOGS", TWO)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def begun(world: World, before: int) -> None:
    """Some of it is sealed; then more happens, with a long leaf and over the end of a tile."""
    world.happens("07", before)
    world.happens("64", 3, 2)
    if before:
        assert seal(world.steward()) == before + 3
    world.happens("07", 4, 5)
    world.happens("64", 2)
    world.happens("07", 1, text="long " * 14_000)


def acts_of_a_round(folder, before, *, store) -> list[str]:
    world = World(folder, with_store=store)
    begun(world, before)
    world.fate.acts.clear()
    steward = world.steward()
    seal(steward)
    world.check_all()
    return [*world.fate.acts]


def test_a_round_does_what_it_says_in_this_order(tmp_path):
    acts = acts_of_a_round(tmp_path, 250, store=True)
    acts = [name for name in acts[acts.index("write drafts") :] if name != "remove folder"]
    kinds = [kind for kind, _ in groupby(acts, lambda name: name.partition(" ")[0])]
    assert kinds == [
        *("write", "rename", "sync", "put", "seal"),
        *("put", "write", "rename", "sync", "remove", "delete"),
    ]
    assert {name for name in acts[: acts.index("seal")] if "checkpoint" in name} == set()
    assert {name for name in acts[acts.index("seal") :] if "rename" in name} == {"rename checkpoint"}


@pytest.mark.parametrize(
    ("before", "store", "end"),
    [(0, False, "loses power"), (250, True, "loses power"), (250, True, "dies"), (250, False, "fails once")],
)
def test_whatever_fails_nothing_is_lost_doubled_or_reordered(tmp_path, before, store, end):
    acts = acts_of_a_round(tmp_path / "plain", before, store=store)
    assert len(acts) > 20
    folders = [number for number, act in enumerate(acts) if act == "make"]
    for number in sorted({*range(len(acts))} - {*folders} | {*folders[::5]}):  # one folder is made like any other
        for effect in (False, True):
            folder = tmp_path / f"{number} {effect}"
            world = World(folder, with_store=store)
            begun(world, before)
            _break(world, Fate(number, effect, deadly=end != "fails once"))
            steward = world.steward()
            try:
                seal(steward)
            except Died:
                steward = world.steward()
            except Away:
                pass
            if end == "loses power":
                world.disk.lose_power()
            world.check()
            _break(world, Fate())
            _goes_on(world, steward, acts[number])
            shutil.rmtree(folder)


def _break(world, fate, *stewards):
    """From now on this is what happens to acts; of these stewards only, if any are named."""
    for steward in stewards:
        steward.seals.fate = steward.directory.disk.fate = fate
        if steward.store is not None:
            steward.store.fate = fate
    if not stewards:
        world.fate = world.disk.fate = fate
        if world.store is not None:
            world.store.fate = fate


def _goes_on(world, steward, act):
    steward.seals.fate = world.fate
    for _ in range(2):  # one may only find that it did not hold the lease any more
        seal(steward)
        assert not steward.problem, (act, steward.problem)
    world.check_all()
    world.happens("07", 20)
    assert seal(steward) == 20
    world.check_all()
    if world.store is not None:
        world.check_store()


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513, 700])
@pytest.mark.parametrize("more", [1, 255, 256, 257])
def test_sizes_around_the_ends_of_tiles(world, size, more):
    world.happens("07", size)
    steward = world.steward()
    assert seal(steward) == size
    world.check_all()
    world.happens("07", more)
    assert seal(world.steward()) == more
    world.check_all()
    partial = [path for path in (world.disk.root / "07" / "tile").rglob("*.p/*") if path.is_file()]
    assert len(partial) <= 3, "superseded partial tiles are removed"


def test_a_quiet_deployment_writes_nothing(world):
    steward = world.steward()
    assert seal(steward) == 0
    assert not world.disk.root.exists() or list(world.disk.root.iterdir()) == []
    world.happens("07", 3)
    seal(steward)
    before = [*world.fate.acts]
    for _ in range(5):
        assert seal(steward) == 0
    assert world.fate.acts == before


def test_a_backlog_is_sealed_in_several_rounds(world, monkeypatch):
    monkeypatch.setattr(sealing, "MOST_ENTRIES", 100)
    world.happens("07", 1000)
    steward = world.steward()
    sizes = []
    while seal(steward):
        world.check()
        sizes.append(LogFiles.open(world.disk.root, "07").size)
        assert steward.behind == (sizes[-1] < 1000)
    assert sizes == [*range(100, 1001, 100)]
    world.check_all()


# --- Who may seal -----------------------------------------------------------------------------------------------------


def other_host(world):
    disk = FrailDisk(world.folder / "elsewhere", world.fate)
    return world.steward("there", disk), disk


def test_one_host_seals_and_the_other_waits(world):
    world.happens("07", 3)
    steward = world.steward()
    assert seal(steward) == 3
    other, disk = other_host(world)
    world.happens("07", 3)
    assert seal(other) == 0
    assert (other.problem, disk.root.exists()) == ("", False)
    assert seal(steward) == 3
    world.check_all()


def test_a_host_without_the_log_refuses_and_names_the_one_that_has_it(world):
    world.happens("07", 3)
    seal(world.steward())
    world.now += LEASE_MS / 1000 + 1
    world.happens("07", 3)
    other, disk = other_host(world)
    before = dict(world.redis.sealed)
    assert seal(other) == 0
    assert other.problem.startswith("The sealed log is not here: here sealed 3 facts of partition 07")
    assert not other.hard
    assert (world.redis.sealed, list(disk.root.rglob("*"))) == (before, [])
    assert seal(world.steward()) == 3, "the one that has it is not kept from it"
    assert seal(other) == 0 and other.problem == ""
    world.check_all()


@pytest.mark.parametrize("left", [0, 20, 300])
def test_a_host_that_lost_its_own_directory_makes_it_anew_from_the_stream(world, left):
    """A new disk, or an older copy that was put back; nobody else has the log."""
    copy = world.folder / "copy"
    if left:
        world.happens("07", left)
        seal(world.steward())
        shutil.copytree(world.disk.root, copy)
    world.happens("07", 280, 2)
    world.happens("64", 3)
    world.happens("07", 1, text="long " * 14_000)
    while seal(world.steward()):
        pass
    world.check_all()
    shutil.rmtree(world.disk.root)
    if left:
        shutil.copytree(copy, world.disk.root)
    world.happens("07", 5)
    steward = world.steward()
    assert (seal(steward), steward.problem) == (5, "")
    world.check_all()


def test_a_directory_that_is_empty_where_the_log_was_is_said_since_it_may_be_a_mount(world, caplog):
    world.happens("07", 3)
    world.happens("64", 3)
    seal(world.steward())
    assert caplog.text == ""
    shutil.rmtree(world.disk.root)
    assert seal(world.steward()) == 0
    assert caplog.text.count("directory mounted?") == 1 and str(world.disk.root) in caplog.text
    world.check_all()
    shutil.rmtree(world.disk.root / "07")
    caplog.clear()
    assert seal(world.steward()) == 0
    assert caplog.text == "", "a part of it is no mount"
    world.check_all()


def test_a_folder_that_may_be_passed_and_not_read_is_no_trouble_above_the_directory(world):
    sync = world.disk.sync

    def locked(folder):
        if Path(folder) == world.disk.root.parent:
            raise PermissionError(13, "Permission denied")
        sync(folder)

    world.disk.sync = locked
    world.happens("07", 3)
    steward = world.steward()
    assert seal(steward) == 3 and steward.problem == ""
    world.check_all()


def test_what_is_trimmed_may_come_from_the_copy_that_was_put_back(world):
    """A copy of last night, and a stream that goes back a week: that is enough, whatever was before."""
    world.happens("07", 300, 2)
    seal(world.steward())
    copy, before = world.folder / "copy", world.expected("07")
    shutil.copytree(world.disk.root, copy)
    world.happens("07", 290, 2)
    seal(world.steward())
    shutil.rmtree(world.disk.root)
    shutil.copytree(copy, world.disk.root)
    after = world.expected("07")[len(before) :]
    del world.redis.streams["07"][:300]
    steward = world.steward()
    assert (seal(steward), steward.problem) == (0, "")
    assert list(LogFiles.open(world.disk.root, "07").leaves()) == before + after
    shutil.rmtree(world.disk.root)
    shutil.copytree(copy, world.disk.root)
    del world.redis.streams["07"][0]
    steward, files = world.steward(), snapshot(world)
    assert seal(steward) == 0 and "put the newest copy of its directory here" in steward.problem
    assert snapshot(world) == files


@pytest.mark.parametrize("lacking", ["its beginning", "its end", "a fact"])
def test_what_the_stream_lacks_cannot_be_made_anew_and_nothing_is_written(world, lacking):
    world.happens("07", 20, 2)
    seal(world.steward())
    shutil.rmtree(world.disk.root)
    stream = world.redis.streams["07"]
    if lacking == "its beginning":
        del stream[0]
    elif lacking == "its end":
        del stream[5:-1]
    else:
        entry, fields = stream[3]
        stream[3] = entry, {**fields, b"facts": fields[b"facts"].replace(b"Expired", b"Withdrawn")}
    steward = world.steward()
    assert seal(steward) == 0
    assert steward.problem.startswith("The sealed log is not here: here sealed 40 facts of partition 07")
    assert list(world.disk.root.rglob("*/*")) == []


def test_a_host_takes_over_from_the_store(tmp_path):
    world = World(tmp_path, with_store=True)
    world.happens("07", 700)
    world.happens("07", 1, text="long " * 14_000)
    seal(world.steward())
    world.now += LEASE_MS / 1000 + 1
    world.happens("07", 30)
    other, disk = other_host(world)
    assert seal(other) == 30 and other.problem == ""
    world.check_all(disk.root)
    world.now += LEASE_MS / 1000 + 1
    world.happens("07", 300)
    back = world.steward()
    assert seal(back) == 300, "and the first one again, which lacks only some of it"
    world.check_all()


def test_a_store_that_holds_another_log_is_not_believed(tmp_path):
    world = World(tmp_path, with_store=True)
    world.happens("07", 300)
    seal(world.steward())
    world.now += LEASE_MS / 1000 + 1
    bundle = "07/" + bundle_path(0)
    world.store.files[bundle] = world.store.files[bundle].replace(b"Expired", b"Expirex", 1)
    other, disk = other_host(world)
    assert seal(other) == 0
    assert "have another root" in other.problem and other.hard
    assert not (disk.root / "07" / "checkpoint").exists()


def test_a_store_that_lacks_a_bundle_or_holds_half_of_one(tmp_path):
    world = World(tmp_path, with_store=True)
    world.happens("07", 300)
    seal(world.steward())
    world.now += LEASE_MS / 1000 + 1
    bundle = "07/" + bundle_path(0)
    whole = world.store.files.pop(bundle)
    other, _ = other_host(world)
    assert seal(other) == 0 and bundle in other.problem and not other.hard
    world.store.files[bundle] = whole[:-1]
    assert seal(other) == 0 and "damaged bundle" in other.problem and other.hard
    world.store.files[bundle] = whole
    assert seal(other) == 0 and other.problem == ""


def test_a_store_that_is_new_gets_what_was_sealed_before(tmp_path):
    world = World(tmp_path)
    world.happens("07", 600)
    world.happens("07", 1, text="long " * 14_000)
    seal(world.steward())
    later = World(tmp_path, with_store=True, redis=world.redis, begun=1, entries=world.entries)
    later.disk = world.disk
    later.happens("07", 1)
    assert seal(later.steward()) == 1
    later.check_store()
    assert "07/checkpoint" in later.store.files


def test_a_store_that_is_away_stops_sealing_softly_and_nothing_is_sealed_without_it(tmp_path):
    world = World(tmp_path, with_store=True)
    world.happens("07", 3)
    steward = world.steward()
    seal(steward)
    world.happens("07", 3)
    before = dict(world.redis.sealed)
    _break(world, Fate(name="put", deadly=False), steward)
    assert seal(steward) == 0
    assert "store is unavailable: it is away" in steward.problem and not steward.hard
    assert world.redis.sealed == before
    assert seal(steward) == 3 and steward.problem == ""
    world.check_all()


@pytest.mark.parametrize(
    "stop", ["take", "write drafts", "rename entries", "put", "seal", "rename checkpoint", "remove"]
)
@pytest.mark.parametrize("place", ["here", "there"])
def test_a_frozen_steward_that_wakes_up_can_neither_fork_nor_roll_back(tmp_path, place, stop):
    """Both write into one directory: a successor on the same host, or another host that shares it."""
    world = World(tmp_path, with_store=True)
    world.happens("07", 300)
    frozen = world.steward()
    seal(frozen)
    world.happens("07", 10)
    successor = world.steward(place)

    def meanwhile():
        _break(world, Fate(), successor)
        world.now += 0 if place == "here" else LEASE_MS / 1000 + 1
        sealed = seal_in_thread(successor)
        world.happens("07", 5)
        assert (sealed, seal_in_thread(successor)) in ((10, 5), (0, 5))

    if stop == "take":
        world.now += LEASE_MS / 1000 * 0.8  # it has to be renewed
    _break(world, Fate(name=stop, meanwhile=meanwhile), frozen)
    seal(frozen)
    assert frozen.problem == ""
    world.check()
    assert LogFiles.open(world.disk.root, "07").size == read_sealed(world.redis.sealed["07"]).size == 315
    world.happens("07", 7)
    assert seal(successor) == 7
    world.check_all()
    assert LogFiles.open(world.disk.root, "07").size == 322
    world.check_store()


def test_of_two_hosts_that_begin_at_once_the_second_overtakes_the_first_in_empty_logs_too(tmp_path):
    world = World(tmp_path)
    world.happens("07", 3)
    first, waiting = world.steward("here"), world.redis.streams
    second = world.steward("there", FrailDisk(tmp_path / "there", Fate()))

    def begins():
        world.redis.streams, world.now = {}, LEASE_MS / 1000 + 1
        seal_in_thread(second)
        world.redis.streams = waiting

    _break(world, Fate(name="seal", meanwhile=begins), first)
    first.clock = lambda: 0.0
    assert seal(first) == 0 and not second.problem
    assert seal(second) == 3 and not second.problem
    world.check_all(tmp_path / "there")


def test_what_was_signed_is_known_to_whoever_takes_over_from_a_redis_that_forgot_it(tmp_path):
    """A host signs and dies at once, and Redis fails over to a replica that lacks what was sealed last."""
    world = World(tmp_path, with_store=True)
    world.happens("07", 300)
    seal(world.steward())
    replica = dict(world.redis.sealed)
    world.happens("07", 5)
    _break(world, Fate(name="rename checkpoint", effect=True))
    with pytest.raises(Died):
        seal(world.steward())
    assert LogFiles.open(world.disk.root, "07").size == 305, "it signed"
    _break(world, Fate())
    restored(world, 300)
    world.redis.sealed = replica
    world.happens("07", 5, text="other")
    other, _ = other_host(world)
    assert seal(other) == 0 and other.hard and "Redis knows of 300" in other.problem, "and signs no other tree of 305"


@pytest.mark.parametrize("with_store", [True, False])
def test_what_another_host_seals_while_this_one_looks_is_no_loss(tmp_path, with_store):
    """Two begin at the same time: the slower one sees checkpoints that Redis did not know of when it was asked."""
    world = World(tmp_path, with_store=with_store)
    world.happens("07", 300)
    seal(world.steward())
    world.now += LEASE_MS / 1000 + 1
    world.happens("07", 10)
    faster, slower = world.steward(), world.steward("there")

    find, asked = Finder.find, []

    def slow(*told):
        asked.append(told)
        if len(asked) == 1:
            assert seal_in_thread(faster) == 10
        return find(*told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finder, "find", slow)
        assert seal(slower) == 0
    assert (slower.problem, world.redis.loss) == ("", ("", 0))
    world.check_all()


def test_a_frozen_host_that_wakes_up_does_not_roll_back_the_store(tmp_path):
    """Each has a directory of its own: what it sealed last is signed by whoever took over, and more since."""
    world = World(tmp_path, with_store=True)
    world.happens("07", 300)
    frozen = world.steward()
    seal(frozen)
    world.happens("07", 10)
    other, disk = other_host(world)

    def meanwhile():
        _break(world, Fate(), other)
        world.now += LEASE_MS / 1000 + 1
        assert seal_in_thread(other) == 0
        world.happens("07", 5)
        assert seal_in_thread(other) == 5

    _break(world, Fate(name="rename checkpoint", meanwhile=meanwhile), frozen)
    seal(frozen)
    world.check_all(disk.root)
    note = world.store.files["07/checkpoint"]
    assert open_checkpoint(note, world.signer.verifier.of("07")).size == 315
    world.check_store()


def seal_in_thread(steward):
    """A round in the middle of another process's round."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(seal, steward).result()


# --- What does not fit together ---------------------------------------------------------------------------------------


def restored(world, until: int) -> None:
    """Redis comes back with what it had when 07 had that many entries; then others happen."""
    old = world.redis
    world.redis = Redis(streams={"07": old.streams["07"][:until]}, acknowledged_at=old.acknowledged_at)
    world.redis.ends["07"] = world.redis.streams["07"][-1][0].decode() if until else "0-0"


def test_a_redis_that_was_restored_stops_until_a_person_knows_and_then_goes_on(world):
    world.happens("07", 100)
    seal(world.steward())
    sealed_then = dict(world.redis.sealed)
    world.happens("07", 200)
    seal(world.steward())
    in_the_log = world.expected("07")
    last = START + world.entries
    restored(world, 120)
    world.redis.sealed = sealed_then
    world.happens("07", 2)
    steward = world.steward()
    files = snapshot(world)
    for _ in range(2):
        assert seal(steward) == 0 and steward.hard
        assert "has 300 facts, but Redis knows of 100: it was restored from an older state" in steward.problem
        assert "POST /journal/acknowledge-loss" in steward.problem
    assert world.redis.loss == (steward.problem, last)
    assert (snapshot(world), world.redis.sealed) == (files, sealed_then), "nothing is touched"
    world.redis.acknowledged_at = last
    assert seal(steward) == 2 and steward.problem == ""
    assert list(LogFiles.open(world.disk.root, "07").leaves()) == in_the_log + world.expected("07")[120:]
    assert world.redis.seams == {"07": [f"{START + 120}-0 120 300"]}
    world.happens("07", 3)
    assert seal(steward) == 3
    again = world.steward()
    assert seal(again) == 0 and again.problem == ""


def test_an_acknowledgement_of_an_earlier_loss_does_not_count(world):
    world.happens("07", 100)
    seal(world.steward())
    world.redis.acknowledged_at = START + world.entries - 1
    restored(world, 50)
    steward = world.steward()
    assert seal(steward) == 0 and steward.hard and "does not know that anything was sealed" in steward.problem


@pytest.mark.parametrize("kept", [0, 50, 100])
def test_entries_that_a_slow_clock_numbers_before_the_lost_ones_are_sealed_too(world, kept):
    """What a restored Redis gives out anew may have ids between the last that it kept and the last that it lost."""
    world.happens("07", 100)
    seal(world.steward())
    in_the_log = world.expected("07")
    restored(world, kept)
    world.entries = 60 if kept < 60 else 100
    world.redis.acknowledged_at = START + 100
    world.happens("07", 3, text="other")
    steward = world.steward()
    assert seal(steward) == 3
    assert list(LogFiles.open(world.disk.root, "07").leaves()) == in_the_log + world.expected("07")[kept:]
    assert world.redis.seams == {"07": [f"{START + kept if kept else 0}-0 {kept} 100"]}
    assert world.redis.ends["07"] >= f"{START + 100}-0", "what comes now is numbered after what was lost"
    assert seal(world.steward()) == 0


def test_an_empty_redis_beside_a_log_goes_on_behind_it_once_a_person_knows(world):
    world.happens("07", 300)
    seal(world.steward())
    before, last = world.expected("07"), START + world.entries
    world.redis = Redis(acknowledged_at=last)
    steward = world.steward()
    assert seal(steward) == 0 and steward.problem == ""
    world.happens("07", 5)
    assert seal(steward) == 5
    assert list(LogFiles.open(world.disk.root, "07").leaves()) == before + world.expected("07")


def test_a_cursor_ahead_of_the_stream_is_a_loss(world):
    world.happens("07", 100)
    seal(world.steward())
    before = world.expected("07")
    world.redis.streams["07"], world.redis.ends["07"] = [], "0-0"
    steward = world.steward()
    assert seal(steward) == 0 and steward.hard
    assert f"sealed up to entry {START + 100}-0, but the stream in Redis ends at 0-0" in steward.problem
    world.redis.acknowledged_at = START + 100
    assert seal(steward) == 0 and steward.problem == ""
    world.happens("07", 5)
    assert seal(steward) == 5
    assert list(LogFiles.open(world.disk.root, "07").leaves()) == before + world.expected("07")


def test_a_trimmed_stream_is_no_loss(world):
    world.happens("07", 100)
    seal(world.steward())
    del world.redis.streams["07"][:99]
    steward = world.steward()
    assert seal(steward) == 0 and steward.problem == ""


def test_a_fork_is_seen_and_nothing_is_written(world):
    world.happens("07", 300)
    seal(world.steward())
    mine = read_sealed(world.redis.sealed["07"])
    note = sign_checkpoint(world.signer.of("07"), 300, b"x" * 32)
    (world.disk.root / "07" / "checkpoint").write_text(note)
    files, steward = snapshot(world), world.steward()
    world.happens("07", 1)
    assert seal(steward) == 0 and steward.hard
    assert "The log of partition 07 is forked: two trees of 300 leaves were sealed" in steward.problem
    assert (snapshot(world), read_sealed(world.redis.sealed["07"])) == (files, mine)


def test_another_key_is_refused_and_named(world):
    world.happens("07", 3)
    seal(world.steward())
    world.signer, files = Signer.new(world.signer.name), snapshot(world)
    world.happens("07", 1)
    steward = world.steward()
    assert seal(steward) == 0 and steward.hard and "is not ours: it is signed by" in steward.problem
    assert snapshot(world) == files


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", [bundle_path(1, 44), tile_path(0, 1, 44), tile_path(1, 0, 1)])
@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_right_edge_that_is_damaged_is_seen_while_it_runs(world, name, how):
    world.happens("07", 300)
    steward = world.steward()
    seal(steward)
    path = world.disk.root / "07" / name
    _flip(path) if how == "flipped" else path.unlink()
    for _ in range(len(TWO) + 1):
        seal(steward)
    assert "07" in steward.problem, steward.problem
    world.happens("07", 1)
    before = dict(world.redis.sealed)
    assert seal(steward) == 0 and world.redis.sealed == before


def test_with_a_store_a_right_edge_that_is_damaged_is_fetched(tmp_path):
    world = World(tmp_path, with_store=True)
    world.happens("07", 300)
    seal(world.steward())
    bundle, tile = (world.disk.root / "07" / path for path in (bundle_path(1, 44), tile_path(0, 1, 44)))
    bundle.write_bytes(bundle.read_bytes().replace(b"Expired", b"Expirex", 1))
    tile.write_bytes(b"".join(map(leaf_hash, unbundle(bundle.read_bytes(), 44))))
    world.happens("07", 1)
    steward = world.steward()
    assert seal(steward) == 1 and steward.problem == ""
    world.check_all()


def test_a_last_full_tile_that_is_damaged_is_seen(world):
    """Also if the bundle was changed with it: the level above knows."""
    world.happens("07", 256)
    seal(world.steward())
    bundle, tile = (world.disk.root / "07" / path for path in (bundle_path(0), tile_path(0, 0)))
    bundle.write_bytes(bundle.read_bytes().replace(b"Expired", b"Expirex", 1))
    tile.write_bytes(b"".join(map(leaf_hash, unbundle(bundle.read_bytes(), 256))))
    steward = world.steward()
    assert seal(steward) == 0 and "the tile of its leaves has another root" in steward.problem


def test_what_the_stream_holds_and_nobody_knows_stops_it(world):
    world.happens("07", 3)
    for fields in ({b"what": b"ever"}, {b"call": b"07x"}, {b"call": b"07x", b"from": b"0", b"facts": b"{" * 70_000}):
        world.redis.streams["07"] = world.redis.streams["07"][:3]
        world.redis.add("07", b"%d-0" % (START + 99), fields)
        steward = world.steward()
        assert seal(steward) == 0 and steward.hard
        assert f"The stream {{07}}:ledger in Redis holds what this version cannot seal (entry {START + 99}-0: " in (
            steward.problem
        )
        assert "newer version" in steward.problem
        assert {read_sealed(text).size for text in world.redis.sealed.values()} == {0}


def test_words_in_redis_of_a_newer_version_stop_it(world):
    world.happens("07", 3)
    world.redis.sealed["07"] = b"v2 whatever"
    steward = world.steward()
    assert seal(steward) == 0 and steward.hard and "newer version" in steward.problem
    assert world.redis.sealed["07"] == b"v2 whatever"


@pytest.mark.parametrize("act", ["write drafts", "rename entries", "sync entries", "make"])
def test_a_full_disk_is_one_sentence_and_the_next_good_round_clears_it(world, act):
    world.happens("07", 3)
    steward = world.steward()
    _break(world, Fate(name=act, deadly=False), steward)
    assert seal(steward) == 0 and steward.hard
    assert "cannot be kept in" in steward.problem and "no space left on device" in steward.problem
    assert seal(steward) == 3 and (steward.problem, steward.hard) == ("", False)
    world.check_all()


def test_a_host_in_trouble_lets_another_one_seal_at_once(world):
    world.happens("07", 3)
    steward = world.steward()
    seal(steward)
    world.happens("07", 3)
    _break(world, Fate(name="write drafts", deadly=False), steward)
    assert seal(steward) == 0 and steward.hard
    assert seal(world.steward("there")) == 3
    assert seal(steward) == 0 and (steward.problem, steward.hard) == ("", False), "nothing is wrong while another seals"
    world.check_all()


def snapshot(world):
    return {path: path.read_bytes() for path in world.disk.root.rglob("*") if path.is_file()}
