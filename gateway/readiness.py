"""Whether this gateway may be trusted with effects now, and its figures: what /readyz and /metrics show."""

import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

from redis.asyncio import Redis, RedisCluster

from gateway.adapters import durability
from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.config.references import missing_secrets
from gateway.generations import Generations
from gateway.settings import Settings

log = logging.getLogger("gateway")


def readiness_of(
    settings: Settings, redis_url: str, generations: Generations, journal: RedisJournal, exporter: TraceExporter | None
) -> Callable[[], Coroutine[Any, Any, list[str]]]:
    client: Redis | RedisCluster = (
        RedisCluster.from_url(redis_url.replace("redis+cluster://", "redis://"))
        if redis_url.startswith("redis+cluster://")
        else Redis.from_url(redis_url, decode_responses=True)
    )

    async def readiness() -> list[str]:
        found = list(generations.mistakes)
        found += await durability.examine(client, settings.redis_replicas, settings.redis_durability)
        if journal.loss:
            found.append(journal.loss)
        found += [str(item) for item in missing_secrets(generations.current.routes, os.environ)]
        if exporter is not None and exporter.problem:
            log.warning("traces: %s", exporter.problem)
        return found

    return readiness


def measures_of(
    generations: Generations, ledger: RedisLedger, exporter: TraceExporter | None
) -> Callable[[], Coroutine[Any, Any, dict[str, float]]]:
    async def measures() -> dict[str, float]:
        found = {
            "gateway_calls_unsettled": float(len(await ledger.unsettled())),
            "gateway_configuration_mistakes": float(len(generations.mistakes)),
        }
        if exporter is not None:
            found["gateway_export_lag_entries"] = float(exporter.lag_entries)
            found["gateway_export_oldest_waiting_ms"] = float(exporter.oldest_waiting_ms or 0)
        return found

    return measures
