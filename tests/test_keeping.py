"""When sealing stops effects, and when it lets them go on."""

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.keeping import Keeping, stopping
from gateway.ledger.place import Unusable
from tests.processes import until

STOPPED = "Effects are stopped, because the record cannot be sealed: "


@pytest.mark.parametrize(
    ("problem", "hard", "lasts", "stops"),
    [
        ("", True, 1e9, False),
        ("the disk is full", True, 0.0, True),
        ("the store is away", False, 0.0, False),
        ("the store is away", False, 59.9, False),
        ("the store is away", False, 60.0, True),
    ],
)
def test_hard_trouble_stops_effects_at_once_and_soft_trouble_after_a_minute(problem, hard, lasts, stops):
    assert stopping(problem, hard=hard, lasts=lasts) == (STOPPED + problem if stops else "")


@dataclass
class Scripted:
    """What seals, as far as the duty looks at it."""

    signer: str = "the key"
    problem: str = ""
    hard: bool = False
    holds: bool = True
    behind: bool = False
    rounds: int = 0
    doubts: int = 0

    def doubt(self, problem: str) -> None:
        self.doubts += 1

    async def round(self) -> int:
        self.rounds += 1
        return 1


@dataclass
class World:
    sealer: Scripted = field(default_factory=Scripted)
    unusable: str = ""
    others: bool = False
    said: str = ""
    told: list[str] = field(default_factory=list)
    now: float = 0.0
    opened: int = 0

    def __post_init__(self) -> None:
        async def others() -> bool:
            return self.others

        self.keeping = Keeping(self.opens, others, self, lambda: self.now)

    def opens(self):
        self.opened += 1
        if self.unusable:
            raise Unusable(self.unusable)
        return Scripted(signer=f"key {self.opened}") if self.opened > 1 else self.sealer

    async def say(self, sentence: str) -> None:
        self.said = sentence
        self.told.append(sentence)

    def round(self, **changes: object) -> str:
        for name, value in changes.items():
            setattr(self if hasattr(self, name) else self.sealer, name, value)
        asyncio.run(self.keeping.round())
        return self.said


def test_trouble_is_said_once_and_taken_back_by_the_first_good_round():
    world = World()
    assert world.round() == ""
    assert world.round(problem="the disk is full.", hard=True) == f"{STOPPED}the disk is full."
    world.round()
    assert world.round(problem="the disk is broken.") == f"{STOPPED}the disk is broken."
    assert world.round(problem="", hard=False) == ""
    assert len(world.told) == 3


def test_soft_trouble_is_given_a_minute_from_its_beginning():
    world = World()
    assert world.round(problem="the store is away.") == ""
    assert world.round(now=30.0, problem="the store is really away.") == ""
    assert world.round(now=59.0, problem="") == ""
    assert world.round(now=60.0, problem="the store is away.") == ""
    assert world.round(now=119.0) == ""
    assert world.round(now=120.0) == f"{STOPPED}the store is away."
    assert world.round(now=121.0, problem="") == ""


def test_who_does_not_seal_himself_takes_nothing_back():
    world = World(said="somebody's sentence")
    assert world.round(holds=False) == "somebody's sentence"
    assert world.round(holds=True) == ""


def test_what_another_steward_said_and_died_is_taken_back_by_whoever_seals():
    assert World(said=f"{STOPPED}a disk that is gone is full").round() == ""


def test_a_wrong_key_stops_effects_unless_another_host_seals():
    world = World(unusable="The key is wrong.", others=True)
    assert world.round() == "" and world.keeping.problem == ""
    assert world.round(others=False) == f"{STOPPED}The key is wrong."
    assert world.round(unusable="", problem="") == ""


def test_after_trouble_the_key_is_read_anew():
    world = World()
    world.round()
    world.round()
    assert world.opened == 1
    world.round(problem="The checkpoint is not ours.", hard=True)
    world.round(problem="")
    assert (world.opened, world.sealer.signer) == (2, "key 2")
    assert world.sealer.rounds == 4, "it is still the one that knows the lease"


def test_a_failure_that_nobody_foresaw_is_trouble_that_may_pass(monkeypatch):
    world = World()
    monkeypatch.setattr("gateway.keeping.TROUBLED_SECONDS", 0.01)
    monkeypatch.setattr("gateway.keeping.ROUND_SECONDS", 0.01)
    works = Scripted.round

    async def story() -> None:
        duty = asyncio.ensure_future(world.keeping.run())

        async def failing(_) -> int:
            raise ZeroDivisionError

        monkeypatch.setattr(Scripted, "round", failing)
        await until(lambda: "ZeroDivisionError" in world.keeping.problem)
        assert world.said == "" and world.sealer.doubts
        world.now = 61.0
        await until(lambda: world.said.startswith(f"{STOPPED}Sealing failed in an unknown way (ZeroDivisionError)"))
        monkeypatch.setattr(Scripted, "round", works)
        await until(lambda: world.said == "")
        duty.cancel()

    asyncio.run(story())
