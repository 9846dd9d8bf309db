"""An edit that lands while the same call is being released: what was edited away is never sent."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import pytest

from gateway.core.approval import Decision, shown
from gateway.core.facts import Claimed
from gateway.decisions import Decisions
from gateway.ports import Append, Appended, Journal
from tests.company import FINANCE, HOLDING, Policies, allow, with_group
from tests.world import BreakableJournal, World, held

pytestmark = pytest.mark.usefixtures("no_pauses")


def only_above(amount: int):
    def decide(question, met):
        if question.input["amount"] > amount and FINANCE not in met:
            return replace(allow(question, met), decision="hold", requirements=(FINANCE,))
        return replace(allow(question, met), requirements=(FINANCE,) if question.input["amount"] > amount else ())

    return Policies(decide)


@dataclass(slots=True)
class Overtaken:
    """A journal in which somebody else is first when this process claims."""

    journal: BreakableJournal
    first: Callable[[], Awaitable[object]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    async def append(self, append: Append) -> Appended:
        if any(isinstance(fact, Claimed) for fact in append.facts):
            await self.first()
        return await self.journal.append(append)


def test_a_yes_that_becomes_final_does_not_release_what_was_edited_meanwhile():
    """Two hosts: on one ann's yes can no longer be taken back, on the other bob's edit is just being written."""
    routes = with_group("finance", undo_seconds=10.0)
    world, call = held(World(generation=replace(HOLDING, routes=routes, policies=only_above(5))), amount=5000)
    print_ = shown(world.record(call), "finance")
    decision = Decision(approve=True, by="ann", group="finance", fingerprint=print_, via="token")
    world.live(partial(Decisions(world.engine()).vote, call, decision))
    world.now += 9_990

    async def story() -> None:
        bobs = Decisions(world.engine())
        edit = await bobs._held(call)
        await bobs._edit(edit, replace(decision, by="bob", fingerprint=shown(edit.record, "finance")), {"amount": 20})
        world.now += 20
        overtaken = Overtaken(world.journal, partial(bobs.engine.flush, edit))
        await replace(world.engine(), journal=cast(Journal, overtaken)).unattended(call)

    world.live(story)
    assert "Edited" in world.kinds(call)
    assert world.effects == 0  # bob's own yes can still be taken back
    world.now += 10_000
    world.live(partial(world.engine().unattended, call))
    assert [json.loads(body)["amount"] for body in world.upstream.effects] == [20]
