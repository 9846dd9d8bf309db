"""Whether this gateway may be trusted with effects now: what /readyz shows."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from gateway.adapters import durability
from gateway.adapters.redis.connecting import Server
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.seals import RedisSeals
from gateway.adapters.redis.unsealed import SealingLag
from gateway.config.references import mail_mistakes, missing_secrets
from gateway.data_directory import identity
from gateway.generations import Generations
from gateway.ports import JournalUnavailable
from gateway.settings import Settings, missing_for_mail
from gateway.trouble import Trouble
from gateway.valkey_log import explanation

LOOK_SECONDS = 3.0
"""Between two looks: longer than a restart of a process or of the embedded server, short enough to wait for."""

log = logging.getLogger("gateway")


def readiness_of(
    settings: Settings, redis: Server, generations: Generations, journal: RedisJournal, data: Path | None
) -> Callable[[], Coroutine[Any, Any, list[str]]]:
    """What to ask whenever somebody wants to know; the answer is sentences, empty if all is well.

    `data` is the directory of the embedded server; None if the journal is elsewhere.
    """
    began, lag = identity(data) if data is not None else None, SealingLag(journal)

    async def readiness() -> list[str]:
        found = list(generations.mistakes)
        if data is None:
            found += await durability.examine(redis, settings.redis_replicas, settings.redis_durability)
        else:
            found += await durability.examine(
                redis, settings.redis_replicas, settings.redis_durability,
                name="The embedded journal", explain=lambda: explanation(data),
            )  # fmt: skip
            if began is None or identity(data) != began:
                found.append(
                    f"The data directory {str(data)!r} was moved or removed while the gateway runs, so the next start "
                    "will not find what is recorded now: stop the gateway, put the directory back, start it again."
                )
        if journal.loss:
            found.append(journal.loss)
        elif journal.unsealed:
            found.append(journal.unsealed)
        else:
            found += await _lagging(lag, journal)
        routes = generations.current.routes
        mistakes = missing_secrets(routes, os.environ) + mail_mistakes(routes, missing_for_mail(os.environ))
        return found + [str(item) for item in mistakes]

    return readiness


async def _lagging(lag: SealingLag, journal: RedisJournal) -> list[str]:
    try:
        return [sentence] if (sentence := await lag.sentence(await RedisSeals(journal).sealer())) else []
    except JournalUnavailable:
        return []  # `durability.examine` says so


async def watch_readiness(readiness: Callable[[], Awaitable[list[str]]]) -> None:
    """Say in the log when the gateway stops being ready, and when it is again: whoever reads it need not ask."""
    trouble = Trouble(
        log=log, level=logging.ERROR, bad="the gateway is not ready (GET /readyz)", good="the gateway is ready again"
    )
    while True:
        try:
            problems = await readiness()
        except Exception:
            log.exception("asking for readiness failed in an unknown way; it is tried again")
        else:
            trouble.lasts(" ".join(problems)) if problems else trouble.is_over()
        await asyncio.sleep(LOOK_SECONDS)
