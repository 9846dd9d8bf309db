"""A worker that dies while it sends cannot say so; its successor does, before an identical request acts again."""

from dataclasses import replace

import pytest

from gateway.core.facts import Claimed
from gateway.succession import take_over
from tests.world import Behaviour, Crash, World

pytestmark = pytest.mark.usefixtures("no_pauses")


class OnePlace:
    """Everybody works in the same place, and all unsettled calls are due soon."""

    def __init__(self, world: World, before: str) -> None:
        self.world, self.name = world, before

    async def succeed(self, _: str, name: str) -> str:
        before, self.name = self.name, name
        return before

    async def due_before(self, _: int) -> list[str]:
        return list(self.world.journal.due_times)


def died_sending() -> World:
    """The worker `first` claimed a refund, the system acted, and then the worker was gone."""
    world = World()
    world.upstream.script = [Behaviour(raises=Crash())]
    engine = replace(world.engine(), worker="first")
    world.engine = lambda: engine  # type: ignore[method-assign]
    assert world.live(lambda: world.ask(key="k1")) is Crash
    assert world.effects == 1
    successor = replace(engine, worker="second")
    world.engine = lambda: successor  # type: ignore[method-assign]
    return world


def test_the_claim_names_the_worker_that_sends():
    world = died_sending()
    [claim] = [fact for fact in world.facts(next(iter(world.journal.calls))) if isinstance(fact, Claimed)]
    assert claim.worker == "first"


def test_after_a_succession_an_identical_request_finds_the_call_under_any_key():
    world = died_sending()
    left = world.live(lambda: take_over(world.engine(), OnePlace(world, "first"), "here", world.generation.routes))
    assert left == 1
    world.restart(later=1000)
    world.live(lambda: world.ask(key="another key"))
    assert world.effects == 1


def test_calls_of_other_workers_are_left_alone():
    world = died_sending()
    left = world.live(lambda: take_over(world.engine(), OnePlace(world, "third"), "here", world.generation.routes))
    assert left == 0
    assert not world.record(next(iter(world.journal.calls))).abandoned


def test_the_first_worker_of_a_place_succeeds_nobody():
    world = World()
    left = world.live(lambda: take_over(world.engine(), OnePlace(world, ""), "here", world.generation.routes))
    assert left == 0
