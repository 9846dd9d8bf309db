"""Journal, log and all come back from an older backup: only an anchor knows, and is asked before anything is sealed."""

import asyncio
import os
import shutil
from copy import deepcopy

import pytest

from gateway.ledger import anchored, sealing
from gateway.ledger.files import LogFiles
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.sealing import LEASE_MS
from tests.ledger.frail import Died, Fate, FrailDisk
from tests.ledger.sealing_world import START, World, seal
from tests.ledger.test_sealing import snapshot

TWO = ("07", "64")


@pytest.fixture(autouse=True)
def few_logs(monkeypatch):
    monkeypatch.setattr(sealing, "LOGS", TWO)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "host")
    world.anchor_files = (tmp_path / "anchor",)
    world.happens("07", 100)
    world.happens("64", 1)
    seal(world.steward())
    return world


def anchors(world, at: int, *names: str) -> None:
    """As `gateway.anchors` does, at that time."""
    [anchor] = world.anchor_files
    with anchor.open("ab") as file:
        for name in names or TWO:
            if (note := LogFiles(world.disk.root / name).note()) is not None:
                file.write(note + b"\n")
    os.utime(anchor, (at / 1000, at / 1000))


def backup(world):
    shutil.copytree(world.disk.root, world.folder / "backup", dirs_exist_ok=True)
    return deepcopy(world.redis)


def restore(world, redis) -> None:
    shutil.rmtree(world.disk.root)
    shutil.copytree(world.folder / "backup", world.disk.root)
    world.disk = FrailDisk(world.disk.root, Fate())
    world.disk.contents = {path: path.read_bytes() for path in world.disk.root.rglob("*") if path.is_file()}
    world.redis = deepcopy(redis)


def rewound(world, more: int = 50):
    """A backup, then more happened and was anchored, then the backup is put back; others happen."""
    anchors(world, START)
    redis = backup(world)
    world.happens("07", more)
    seal(world.steward())
    anchors(world, START + 1_000)
    restore(world, redis)
    return redis


@pytest.mark.parametrize("others", [0, 2, 70])
def test_what_an_anchor_has_and_the_restored_log_lacks_stops_until_a_person_knows(world, others):
    rewound(world)
    world.happens("07", others)
    steward, files, before = world.steward(), snapshot(world), dict(world.redis.sealed)
    for _ in range(2):
        assert seal(steward) == 0 and steward.hard and not steward.holds
        assert (
            "was given a checkpoint of 150 facts of partition 07, and the sealed log, which has 100" in steward.problem
        )
        assert "POST /journal/acknowledge-loss" in steward.problem
    assert (snapshot(world), world.redis.sealed) == (files, before), "nothing is touched"
    assert world.redis.loss == (steward.problem, START + 1_000)
    world.redis.acknowledged_at = START + 1_000
    assert seal(steward) == others and steward.problem == ""
    world.check_all()


def test_a_log_that_has_grown_beyond_what_an_anchor_has_is_noticed_too(world):
    """Somebody sealed while the anchor was away."""
    rewound(world)
    found, world.anchor_files = world.anchor_files, ()
    world.happens("07", 70)
    steward = world.steward()
    assert seal(steward) == 70
    world.anchor_files = found
    assert seal(steward) == 0 and "150 facts of partition 07, and the sealed log, which has 170" in steward.problem
    world.redis.acknowledged_at = START + 1_000
    assert seal(steward) == 0 and steward.problem == ""


def test_what_a_person_has_acknowledged_is_not_asked_again_but_another_loss_is(world):
    """Also of a log that is empty since, so that nothing newer is ever appended."""
    redis = rewound(world)
    world.redis.acknowledged_at = START + 1_000
    assert seal(world.steward()) == 0
    world.happens("64", 1)
    seal(world.steward())
    anchors(world, START + 1_500, "64")
    steward = world.steward()
    assert seal(steward) == 0 and steward.problem == "", "the one of 07 is known, and the one of 64 fits"
    anchors(world, START + 3_000)
    restore(world, redis)
    world.redis.acknowledged_at = START + 2_000
    steward = world.steward()
    assert seal(steward) == 0 and "2 facts of partition 64" in steward.problem


@pytest.mark.parametrize("effect", [False, True])
def test_who_dies_when_it_was_acknowledged_is_followed_by_one_who_knows(world, effect):
    rewound(world)
    world.redis.acknowledged_at = START + 1_000
    world.fate = world.disk.fate = Fate(name="abandon", effect=effect)
    with pytest.raises(Died):
        seal(world.steward())
    world.fate = world.disk.fate = Fate()
    world.happens("07", 3)
    steward = world.steward()
    assert seal(steward) == 3 and steward.problem == ""
    anchors(world, START + 9_000)
    assert seal(world.steward()) == 0


def test_the_newest_copy_of_the_log_put_in_place_goes_on_behind_it(world):
    anchors(world, START)
    redis = backup(world)
    world.happens("07", 50)
    seal(world.steward())
    anchors(world, START + 1_000)
    newest, last = world.expected("07"), START + world.entries
    world.redis = redis
    world.happens("07", 2)
    steward = world.steward()
    assert seal(steward) == 0 and "has 150 facts, but Redis knows of 100" in steward.problem
    world.redis.acknowledged_at = last
    assert seal(steward) == 2
    assert list(LogFiles.open(world.disk.root, "07").leaves()) == newest + world.expected("07")[100:]


def test_what_fits_says_nothing(world):
    """Older notes, a part of a note, notes of other deployments and of other keys; also of another host meanwhile."""
    [anchor] = world.anchor_files
    other = Signer.new(world.signer.name)
    anchors(world, START + 1_000)
    with anchor.open("ab") as file:
        file.write(sign_checkpoint(other.of("07"), 500, b"r" * 32).encode() + b"\n")
        file.write(sign_checkpoint(Signer.new("else").of("07"), 500, b"r" * 32).encode() + b"\n")
        file.write(sign_checkpoint(world.signer.of("99"), 500, b"r" * 32).encode() + b"\n")
        file.write(sign_checkpoint(world.signer.of("07"), 500, b"r" * 32).encode()[:-40])
    world.happens("07", 5)
    steward = world.steward()
    assert seal(steward) == 5 and steward.problem == "" and steward.anchors.known(anchor)


def test_behind_half_a_note_and_far_behind_its_beginning_a_file_is_read(world, monkeypatch):
    monkeypatch.setattr(anchored, "MOST_BYTES", 700)
    [anchor] = world.anchor_files
    for _ in range(20):
        anchors(world, START)
    redis = backup(world)
    world.happens("07", 50)
    seal(world.steward())
    with anchor.open("ab") as file:
        file.write(f"{world.signer.name}/07\n14\n\n".encode())
    anchors(world, START + 1_000)
    restore(world, redis)
    steward = world.steward()
    assert seal(steward) == 0 and "150 facts of partition 07" in steward.problem


def test_an_anchor_that_is_away_keeps_nobody_and_is_read_once_it_is_back(world):
    rewound(world)
    [anchor] = world.anchor_files
    anchor.rename(anchor.with_name("hidden"))
    world.anchor_files = (anchor.parent / "mounted" / "anchor",)
    world.happens("07", 3)
    steward = world.steward()
    assert seal(steward) == 3 and steward.holds
    assert steward.anchors.known(world.anchor_files[0]) is False
    world.anchor_files[0].parent.mkdir()
    anchor.with_name("hidden").rename(world.anchor_files[0])
    assert seal(steward) == 0 and steward.problem == "" and steward.anchors.known(world.anchor_files[0]) is False
    world.now += 5  # the lease goes on
    assert seal(steward) == 0
    world.now += 5
    assert seal(steward) == 0 and "150 facts of partition 07" in steward.problem


def test_an_anchor_that_hangs_keeps_nobody_for_long_and_is_not_read_twice_meanwhile(world, monkeypatch, tmp_path):
    monkeypatch.setattr(anchored, "PATIENCE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "hangs")
    world.anchor_files = (tmp_path / "hangs",)
    begun: list[object] = []
    read = anchored.read_anchor

    def counted(path, verifier):
        begun.append(path)
        return read(path, verifier)

    monkeypatch.setattr(anchored, "read_anchor", counted)

    async def story():
        steward = world.steward()
        world.happens("07", 1)
        try:
            assert await steward.round() == 1
            for _ in range(3):
                world.now += LEASE_MS / 3000
                await steward.round()
            assert steward.holds and steward.anchors.known(tmp_path / "hangs") is False
            assert len(begun) == 1
        finally:
            os.close(os.open(tmp_path / "hangs", os.O_WRONLY))

    asyncio.run(story())
