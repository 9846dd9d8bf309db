"""How many new questions an agent may put to people: exactly, whoever counts, and with a sentence that helps."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from gateway.core.facts import Admitted, Approved
from gateway.core.lifecycle import Wait
from gateway.core.quota import Quota
from gateway.errors import TooManyQuestions
from tests.company import AGENTS, FINANCE, REPORT, ROUTES, Generation, Policies, allow, holding
from tests.world import World, held

pytestmark = pytest.mark.usefixtures("no_pauses")

HOUR_MS = 3_600_000


def limited(most: int, **how) -> World:
    """A world in which everything is held and billing-bot may ask so often in an hour."""
    agents = AGENTS | {"billing-bot": replace(AGENTS["billing-bot"], questions=Quota(most, 3600.0))}
    return World(
        generation=Generation(routes=replace(ROUTES, agents=agents), policies=Policies(holding(FINANCE)), **how)
    )


def ask(world: World, number: int, **how):
    return world.live(partial(world.ask, key=f"key-{number}", amount=number, **how))


def test_one_question_too_many_is_refused_with_a_sentence_and_leaves_nothing_behind():
    world = limited(2)
    for number in (1, 2):
        assert isinstance(ask(world, number)[1], Wait)
    calls, notices, pointers = len(world.calls), len(world.journal.notices), len(world.journal.pointers)
    refused = ask(world, 3)
    assert isinstance(refused, TooManyQuestions)
    assert (refused.status, refused.slug, refused.call, refused.retryable, refused.at_once) == (
        429, "too-many-questions", None, True, False,
    )  # fmt: skip
    assert refused.headers["retry-after"] == "3600"
    assert "billing-bot has already had them asked about 2 calls within 60 min" in refused.detail
    assert (len(world.calls), len(world.journal.notices), len(world.journal.pointers)) == (calls, notices, pointers)


def test_it_may_ask_again_once_the_oldest_question_is_an_hour_old():
    world = limited(2)
    ask(world, 1)
    world.now += 20 * 60_000
    ask(world, 2)
    refused = ask(world, 3)
    assert refused.headers["retry-after"] == str(40 * 60)
    world.now += 40 * 60_000
    assert isinstance(ask(world, 3)[1], Wait)
    assert isinstance(ask(world, 4), TooManyQuestions)


def test_an_identical_request_attaches_and_is_not_a_new_question():
    world = limited(1)
    first, _ = ask(world, 1)
    for key in range(5):
        again, step = world.live(partial(world.ask, key=f"other-{key}", amount=1))
        assert isinstance(step, Wait)
        assert again.record.call.id == first.record.call.id


def test_a_call_that_nobody_is_asked_about_is_not_counted():
    world = limited(1)
    held_policies, world.generation = world.generation, replace(world.generation, policies=Policies(allow))
    for number in range(1, 4):
        ask(world, number)
    assert world.effects == 3
    world.generation = held_policies
    assert isinstance(ask(world, 9)[1], Wait)


def test_a_held_read_is_a_question_too():
    world = limited(1)
    assert isinstance(ask(world, 1, wanted=REPORT)[1], Wait)
    assert isinstance(ask(world, 2, wanted=REPORT), TooManyQuestions)


def test_every_agent_has_its_own():
    world = limited(1)
    ask(world, 1)
    assert isinstance(ask(world, 2, agent="support-bot")[1], Wait)


def test_without_a_limit_there_is_none():
    agents = AGENTS | {"billing-bot": replace(AGENTS["billing-bot"], questions=None)}
    routes = replace(ROUTES, agents=agents)
    world = World(generation=Generation(routes=routes, policies=Policies(holding(FINANCE))))
    for number in range(1, 150):
        assert isinstance(ask(world, number)[1], Wait)


def test_what_is_asked_again_about_a_call_is_no_new_question():
    """A forbid that appeared meanwhile is asked about however many questions the agent had."""
    world = limited(1)
    life, _ = ask(world, 1)
    call = life.record.call.id
    legal = replace(FINANCE, group="legal", policy="legal-too")
    world.generation = replace(world.generation, digest="generation-2", policies=Policies(holding(FINANCE, legal)))
    world.live(partial(world.engine().unattended, call))
    assert world.kinds(call).count("Asked") == 2


def test_many_at_once_do_not_exceed_it():
    world = limited(3)

    async def attempt(number: int) -> bool:
        try:
            await world.ask(key=f"key-{number}", amount=number)
        except TooManyQuestions:
            return False
        return True

    async def story():
        return await asyncio.gather(*(attempt(number) for number in range(1, 20)))

    assert sum(world.live(story)) == len(world.calls) == 3


def test_the_default_is_generous_and_there():
    world, call = held()
    assert ROUTES.agents["billing-bot"].questions == Quota(100, 3600.0)
    assert world.journal.asked == {"billing-bot": {call: world.now}}
    assert isinstance(world.facts(call)[0], Admitted)
    assert not any(isinstance(fact, Approved) for fact in world.facts(call))
