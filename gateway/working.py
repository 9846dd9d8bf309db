"""A data-plane worker: the agents' port. It must load no more than that takes, since there are many of them."""

import secrets as random
from contextlib import suppress
from pathlib import Path

from gateway.decisions import Decisions
from gateway.doors.agents import AgentsDoor, Rate
from gateway.doors.refusals import Refusals
from gateway.duty import Duty
from gateway.first_look import first_look
from gateway.parts import assemble
from gateway.ports import JournalUnavailable
from gateway.serving import serve
from gateway.settings import Settings


async def work(duty: Duty, settings: Settings) -> None:
    """One data-plane worker, until it is told to stop."""
    parts = await assemble(duty, settings)
    door = AgentsDoor(
        engine=parts.engine,
        decisions=Decisions(parts.engine),
        serving=parts.generations.serving,
        deployment_key=await parts.journal.deployment_key(random.token_bytes(32)),
        body_limit=settings.body_limit,
        rate=Rate(settings.rate_limit, settings.concurrency_limit),
        refusals=Refusals(parts.announcer.refused),
    )
    await first_look(Path(str(duty.document["data"])))
    with suppress(JournalUnavailable):  # then nothing can be written anyway
        await parts.journal.heed()
    await serve(duty, parts, door, [])
