"""The steward: the control plane and its pages, due times, notices, sealing, and the export of traces.

Loaded only where there is a steward: what it needs beside a worker's parts takes some 25 MiB and half a second.
"""

import os
import secrets as random
import socket
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.adapters.channels import Post
from gateway.adapters.otlp.environment import configured
from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.otlp.figures import MetricsCollector
from gateway.adapters.redis.copies import RedisCopies
from gateway.adapters.redis.deployment import RedisDeployment
from gateway.adapters.redis.digests import RedisDigests
from gateway.adapters.redis.grants import RedisGrants
from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.latencies import RedisLatencies
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.adapters.redis.trimming import RedisTrimming
from gateway.anchors import Anchors, anchoring
from gateway.decisions import Decisions
from gateway.doors.control import ControlPlane
from gateway.doors.grants import GrantsDoor
from gateway.duties import (
    keep_high_water,
    mend_held,
    record_generation,
)
from gateway.duty import Duty
from gateway.exporting import export, export_metrics
from gateway.first_look import first_look
from gateway.granting import Granting
from gateway.insights import Counting
from gateway.keeping import keeping
from gateway.ledger.place import Place
from gateway.listening import shown
from gateway.measures import Measures
from gateway.notifying import notifying
from gateway.open_calls import OpenCalls
from gateway.page import console, sealed_log
from gateway.parts import Parts, assemble, embedded
from gateway.readiness import readiness_of, watch_readiness
from gateway.refreshing import Refreshing
from gateway.retention import Retention, payload_store, retain
from gateway.serving import serve
from gateway.settings import Settings
from gateway.steward import Steward
from gateway.tasks import spawn
from gateway.trimming import trim


async def steward(duty: Duty, settings: Settings) -> None:
    """The control plane, due times, notices and the export of traces, until it is told to stop."""
    parts = await assemble(duty, settings)
    ledger, deployment = RedisLedger(parts.journal), RedisDeployment(parts.journal)
    open_calls = OpenCalls(held := HeldCalls(parts.journal), parts.journal)
    holder = random.token_hex(8)

    async def lease(name: str, milliseconds: int) -> bool:
        return await ledger.lease(name, holder, milliseconds)

    with_tls = bool(parts.generations.current.routes.listen.certificate)
    control_url = settings.control_url or f"{'https' if with_tls else 'http'}://{_address(duty)}"
    channels, chat = notifying(settings, parts.secrets.read)
    parts = replace(parts, engine=Refreshing(chat.refresh, parts.secrets.read, control_url).following(parts.engine))
    looking = Steward(parts.engine, parts.journal, channels, control_url, lease, RedisDigests(parts.journal))
    traced, origin = configured("TRACES"), parts.generations.origin
    exporter = TraceExporter(SealedLedger(parts.journal), parts.journal.facts, origin=origin) if traced else None
    granting = await _granting(parts, ledger)
    counting = Counting(ledger, parts.journal.now)
    anchors = await _keeping(parts, duty, settings, channels.post)
    latencies = RedisLatencies(parts.journal)
    measures = Measures(parts.generations, ledger, open_calls, counting, latencies, exporter, anchors)
    sealed = sealed_log(parts.generations.current.routes.ledger, Path(str(duty.document["data"])), parts.secrets.read)
    people = console(settings, granting, parts.journal, held, ledger, control_url, counting.report, sealed)
    plane = ControlPlane(
        decisions=granting.decisions,
        journal=parts.journal,
        ledger=ledger,
        open_calls=open_calls,
        held=held,
        secrets=parts.secrets,
        readiness=readiness_of(settings, parts.redis, parts.generations, parts.journal, embedded(duty, settings)),
        whisper=chat.whisper,
        measures=measures,
        grants=GrantsDoor(granting),
        stats=counting.report,
        note=deployment.note,
        record_generation=lambda: record_generation(deployment, parts.generations.current),
        pages=people.routes(),
    )
    duties: list[Coroutine[Any, Any, None]] = [
        looking.run(),
        anchors.run(),
        keep_high_water(parts.journal),
        mend_held(open_calls),
        counting.run(),
        trim(RedisTrimming(parts.journal, configured("TRACES")), parts.generations, counting.kept, lease),
        retain(_retention(parts, duty, settings), lease),
        watch_readiness(plane.readiness),
        *([export(exporter, lease)] if exporter is not None else []),
        *([export_metrics(MetricsCollector(), measures, lease)] if configured("METRICS") else []),
    ]
    await serve(duty, parts, plane.app(), duties, plane.readiness, people.live.close)


async def _keeping(parts: Parts, duty: Duty, settings: Settings, post: Post) -> Anchors:
    """Keep the record from now on. Returns after the first look at it: the steward drives calls, too."""
    data, read = Path(str(duty.document["data"])), parts.secrets.read
    keep = keeping(parts.generations, data, parts.journal, read, settings.ca_file)
    spawn(keep.run(), "keep the record")
    await first_look(data)
    return anchoring(parts.generations, data, lambda: keep.holds, keep.knows, read, post)


def _retention(parts: Parts, duty: Duty, settings: Settings) -> Retention:
    """Copies for the record, in the place that the ledger has when the steward starts."""
    ledger = parts.generations.current.routes.ledger
    directory = Place.of(ledger, Path(str(duty.document["data"]))).directory
    store = payload_store(ledger, directory, parts.secrets.read, settings.ca_file)
    return Retention(RedisCopies(parts.journal), store, parts.journal.now)


async def _granting(parts: Parts, ledger: RedisLedger) -> Granting:
    key = await parts.journal.deployment_key(random.token_bytes(32))
    return Granting(parts.engine, Decisions(parts.engine), RedisGrants(parts.journal), ledger.unsettled, key)


def _address(duty: Duty) -> str:
    with socket.socket(fileno=os.dup(duty.listen[0])) as listener:
        return shown(listener)
