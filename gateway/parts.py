"""What every process is made of, whichever port it serves: journal, systems, engine, and what keeps them true.

Workers and stewards hold the same engine, so either can drive any call. Nothing is decided here.
"""

import asyncio
import logging
import secrets as random
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.adapters.addresses import Addresses
from gateway.adapters.announcer import Announcer
from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.redis.connecting import Server, client
from gateway.adapters.redis.deployment import RedisDeployment
from gateway.adapters.redis.grants import RedisGrants
from gateway.adapters.redis.high_water import HighWater
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.latencies import RedisLatencies
from gateway.adapters.secrets import Secrets
from gateway.adapters.upstream import PyreqwestUpstream
from gateway.duties import (
    agree_on_payload_keys,
    beat,
    look_at_durability,
    post_latencies,
    record_generation,
    watch_durability,
    watch_grants,
    watch_losses,
    watch_suspensions,
)
from gateway.duty import Duty
from gateway.engine import Engine
from gateway.generations import Generations
from gateway.ports import JournalUnavailable
from gateway.sending import Limits
from gateway.served_files import SERVED, ServedFiles
from gateway.settings import Settings
from gateway.starting import payload_keys
from gateway.tasks import spawn

JOURNAL_SECONDS = 10.0
"""How long a starting process waits for the journal before it gives up with a sentence."""

log = logging.getLogger("gateway")


@dataclass(slots=True)
class Parts:
    """What every process is made of."""

    settings: Settings
    generations: Generations
    journal: RedisJournal
    secrets: Secrets
    upstream: PyreqwestUpstream
    engine: Engine
    redis: Server
    announcer: Announcer


async def assemble(duty: Duty, settings: Settings) -> Parts:
    """Make the parts and connect them. Raises Mistakes or JournalUnavailable."""
    data, generations = duty.document.get("data"), _generations(duty)
    high_water = HighWater(Path(str(data)) / "high-water.json") if data else None
    cipher, replicas = PayloadCipher(payload_keys(settings, Path(str(data)))), settings.redis_replicas
    journal = RedisJournal.open(duty.redis_url, replicas=replicas, high_water=high_water, cipher=cipher)
    await _reach(journal, embedded=not settings.redis_url)
    await agree_on_payload_keys(journal, cipher)
    redis = client(duty.redis_url)
    await look_at_durability(journal, redis, settings)
    generations.record = partial(record_generation, RedisDeployment(journal))
    await generations.record(generations.current)
    secrets = Secrets()
    upstream = PyreqwestUpstream(read_secret=secrets.read, addresses=Addresses(), ca_file=settings.ca_file)
    limits = Limits(
        body=settings.body_limit, held_body=settings.held_body_limit, kept_answer=settings.kept_answer_limit
    )
    suspended: set[str] = set()
    announcer = Announcer()
    engine = Engine(
        journal=journal,
        upstream=upstream,
        generation=generations.serving,
        limits=limits,
        worker=random.token_hex(8),
        suspended=suspended,
        announce=announcer.announce,
    )
    spawn(beat(journal, engine.worker, engine.owing), "beat")
    measured = {"decision": engine.deciding, "journal": journal.appending}
    spawn(post_latencies(RedisLatencies(journal), measured), "post latencies")
    spawn(watch_losses(journal), "watch losses")
    spawn(watch_durability(journal, redis, settings), "watch durability")
    spawn(watch_suspensions(journal, generations, suspended), "watch suspensions")
    await engine.standing.refresh(RedisGrants(journal), journal.now())
    spawn(watch_grants(RedisGrants(journal), journal, engine.standing), "watch grants")
    return Parts(settings, generations, journal, secrets, upstream, engine, redis, announcer)


def _generations(duty: Duty) -> Generations:
    data, routes, policies = (str(duty.document[name]) for name in ("data", "routes", "policies"))
    served = ServedFiles(Path(data) / SERVED)
    return Generations.open(Path(routes), Path(policies), tells=duty.role == "steward", served=served)


async def _reach(journal: RedisJournal, *, embedded: bool) -> None:
    """Return when the journal answers: it may start at the same moment as we do.

    The embedded server may load for as long as it takes, and its supervisor ends us if it cannot be started.
    """
    began, said = time.monotonic(), False
    while True:
        try:
            await journal.learn_time()
            await journal.heed()
            return
        except JournalUnavailable as error:
            waited = time.monotonic() - began
            if waited > JOURNAL_SECONDS and not embedded:
                raise JournalUnavailable(f"for {JOURNAL_SECONDS:g} seconds: {error}") from error
            if not said and (journal.loss or not embedded or waited > JOURNAL_SECONDS):
                level = logging.ERROR if journal.loss else logging.WARNING
                log.log(level, "%s", journal.loss or f"waiting for the journal: {error}")
                said = True
            await asyncio.sleep(0.02 if embedded else 0.1)


def embedded(duty: Duty, settings: Settings) -> Path | None:
    """The data directory, if the journal is in it."""
    return None if settings.redis_url else Path(str(duty.document["data"]))
