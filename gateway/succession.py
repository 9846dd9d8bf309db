"""A worker that died while it was sending could not say that its requesters were left without an answer.

Its successor says it: every call that the dead worker had claimed is marked abandoned, so an identical request finds
it whatever key it carries, instead of acting a second time while the claim is not over yet. What became of those
calls is settled as for any claim: when its lease is over, the steward says Lost.
"""

import logging
from typing import Protocol

from gateway.core.facts import Abandoned
from gateway.core.routes import Routes
from gateway.engine import Engine
from gateway.sending import lease_ms

log = logging.getLogger("gateway.succession")


class Places(Protocol):
    """Who works where. `gateway.adapters.redis.ledger.RedisLedger`."""

    async def succeed(self, place: str, name: str) -> str:
        """Take over a place under this name; the name of the one that had it before, or empty."""
        ...

    async def due_before(self, time: int) -> list[str]:
        """Ids of all unsettled calls that must be looked at before that time, such as all that are being sent."""
        ...


async def take_over(engine: Engine, ledger: Places, place: str, routes: Routes) -> int:
    """Take the place of the worker that ran here before; how many calls it had left behind."""
    before = await ledger.succeed(place, engine.worker)
    if not before:
        return 0
    longest = max((lease_ms(system) for system in routes.systems.values()), default=0)
    left = 0
    for call in await ledger.due_before(engine.journal.now() + longest):
        life = await engine.load(call)
        if life is not None and life.record.claim is not None and life.record.claim.worker == before:
            await engine.note(call, Abandoned())
            left += 1
    if left:
        log.warning("%d call(s) were being sent when the worker before this one died", left)
    return left
