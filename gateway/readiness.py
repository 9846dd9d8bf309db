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
from gateway.adapters.redis.line import client
from gateway.config.references import missing_secrets
from gateway.generations import Generations
from gateway.metrics import Metric
from gateway.open_calls import OpenCalls
from gateway.settings import Settings

log = logging.getLogger("gateway")

Server = Redis | RedisCluster


def server_at(url: str) -> Server:
    """A client beside the journal's own line, to ask the server about itself."""
    if url.startswith("redis+cluster://"):
        return RedisCluster.from_url(url.replace("redis+cluster://", "redis://"))
    return client(url, decode_responses=True)


def readiness_of(
    settings: Settings, redis: Server, generations: Generations, journal: RedisJournal, exporter: TraceExporter | None
) -> Callable[[], Coroutine[Any, Any, list[str]]]:
    async def readiness() -> list[str]:
        found = list(generations.mistakes)
        found += await durability.examine(redis, settings.redis_replicas, settings.redis_durability)
        if journal.loss:
            found.append(journal.loss)
        found += [str(item) for item in missing_secrets(generations.current.routes, os.environ)]
        if exporter is not None and exporter.problem:
            log.warning("traces: %s", exporter.problem)
        return found

    return readiness


def measures_of(
    generations: Generations, ledger: RedisLedger, open_calls: OpenCalls, exporter: TraceExporter | None
) -> Callable[[], Coroutine[Any, Any, list[Metric]]]:
    async def measures() -> list[Metric]:
        counts = {name.replace(" ", "_"): float(count) for name, count in (await open_calls.counted()).items()}
        undelivered, mistakes = await ledger.undelivered(), len(generations.mistakes)
        found = [
            Metric("gateway_calls", "Calls that are not over, by state.", label="state", values=counts),
            Metric("gateway_notices_undelivered", "Notices to approvers that wait for delivery.", undelivered),
            Metric("gateway_configuration_mistakes", "Mistakes of the last edit that was refused.", mistakes),
        ]
        if exporter is not None:
            lag, oldest = exporter.lag_entries, exporter.oldest_waiting_ms or 0
            found += [
                Metric("gateway_export_lag_entries", "Ledger entries not yet exported as traces.", lag),
                Metric("gateway_export_oldest_waiting_ms", "When the oldest of them was written; 0: none.", oldest),
            ]
        return found

    return measures
