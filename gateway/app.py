"""The composition root: settings and a duty in, a running worker or steward out. The only file that imports all.

Nothing is decided here. Both kinds of process hold the same engine, so either can drive any call; they differ in the
port they serve and in who looks after due times.
"""

import asyncio
import gc
import logging
import os
import secrets as random
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import uvicorn

from gateway.adapters.addresses import Addresses
from gateway.adapters.announcer import Announcer
from gateway.adapters.otlp.environment import NotSupported, configured
from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.otlp.figures import MetricsCollector
from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.redis.connecting import Server, client
from gateway.adapters.redis.copies import RedisCopies
from gateway.adapters.redis.deployment import RedisDeployment
from gateway.adapters.redis.digests import RedisDigests
from gateway.adapters.redis.grants import RedisGrants
from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.high_water import HighWater
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.latencies import RedisLatencies
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.adapters.redis.trimming import RedisTrimming
from gateway.adapters.secrets import Secrets
from gateway.adapters.upstream import PyreqwestUpstream
from gateway.anchors import anchoring
from gateway.config.mistakes import Mistakes
from gateway.decisions import Decisions
from gateway.doors.agents import AgentsDoor, Rate
from gateway.doors.control import Check, ControlPlane
from gateway.doors.ending import EndingServer
from gateway.doors.grants import GrantsDoor
from gateway.doors.protocol import StrictProtocol
from gateway.doors.refusals import Refusals
from gateway.doors.stalled import close_stalled
from gateway.duties import (
    agree_on_payload_keys,
    beat,
    export,
    export_metrics,
    keep_high_water,
    look_at_durability,
    mend_held,
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
from gateway.granting import Granting
from gateway.insights import Counting
from gateway.keeping import keeping
from gateway.ledger.place import Place
from gateway.listening import shown
from gateway.logs import log_aside, told
from gateway.measures import Measures
from gateway.notifying import notifying
from gateway.open_calls import OpenCalls
from gateway.page import console, sealed_log
from gateway.payload_keys import PayloadKeysMistake
from gateway.ports import JournalUnavailable
from gateway.readiness import readiness_of, watch_readiness
from gateway.retention import Retention, payload_store, retain
from gateway.sending import Limits
from gateway.served_files import SERVED, ServedFiles
from gateway.settings import Settings
from gateway.starting import payload_keys
from gateway.steward import Steward
from gateway.supervisor import CONFIGURATION_MISTAKE, JOURNAL_UNREACHABLE
from gateway.tasks import spawn
from gateway.trimming import trim
from gateway.valkey_log import no_answer

KEEP_ALIVE_SECONDS = 75
"""Longer than the usual 60 s of load balancers, so that they close idle connections and not we."""
COLLECT_AFTER = 50_000
"""Objects between two collections of the youngest generation; a few hundred calls."""
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
    await _serve(duty, parts, door, [])


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
    looking = Steward(parts.engine, parts.journal, channels, control_url, lease, RedisDigests(parts.journal))
    traced, origin = configured("TRACES"), parts.generations.origin
    exporter = TraceExporter(SealedLedger(parts.journal), parts.journal.facts, origin=origin) if traced else None
    granting = await _granting(parts, ledger)
    counting = Counting(ledger, parts.journal.now)
    measures = Measures(parts.generations, ledger, open_calls, counting, RedisLatencies(parts.journal), exporter)
    sealed = sealed_log(parts.generations.current.routes.ledger, Path(str(duty.document["data"])), parts.secrets.read)
    people = console(settings, granting, parts.journal, held, ledger, control_url, counting.report, sealed)
    plane = ControlPlane(
        decisions=granting.decisions,
        journal=parts.journal,
        ledger=ledger,
        open_calls=open_calls,
        held=held,
        secrets=parts.secrets,
        readiness=readiness_of(settings, parts.redis, parts.generations, parts.journal, _embedded(duty, settings)),
        whisper=chat.whisper,
        measures=measures,
        grants=GrantsDoor(granting),
        stats=counting.report,
        note=deployment.note,
        record_generation=lambda: record_generation(deployment, parts.generations.current),
        pages=people.routes(),
    )
    data = Path(str(duty.document["data"]))
    keep = keeping(parts.generations, data, parts.journal, parts.secrets.read, settings.ca_file)
    duties: list[Coroutine[Any, Any, None]] = [
        looking.run(),
        keep.run(),
        anchoring(parts.generations, data, lambda: keep.holds, keep.knows, parts.secrets.read, channels.post),
        keep_high_water(parts.journal),
        mend_held(open_calls),
        counting.run(),
        trim(RedisTrimming(parts.journal, configured("TRACES")), parts.generations, counting.kept, lease),
        retain(_retention(parts, duty, settings), lease),
        watch_readiness(plane.readiness),
        *([export(exporter, lease)] if exporter is not None else []),
        *([export_metrics(MetricsCollector(), measures, lease)] if configured("METRICS") else []),
    ]
    await _serve(duty, parts, plane.app(), duties, plane.readiness, people.live.close)


def _retention(parts: Parts, duty: Duty, settings: Settings) -> Retention:
    """Copies for the record, in the place that the ledger has when the steward starts."""
    ledger = parts.generations.current.routes.ledger
    directory = Place.of(ledger, Path(str(duty.document["data"]))).directory
    store = payload_store(ledger, directory, parts.secrets.read, settings.ca_file)
    return Retention(RedisCopies(parts.journal), store, parts.journal.now)


async def _granting(parts: Parts, ledger: RedisLedger) -> Granting:
    key = await parts.journal.deployment_key(random.token_bytes(32))
    return Granting(parts.engine, Decisions(parts.engine), RedisGrants(parts.journal), ledger.unsettled, key)


async def _serve(
    duty: Duty, parts: Parts, app: Any, duties: list[Coroutine[Any, Any, None]], readiness: Check | None = None,
    close_streams: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    listen = parts.generations.current.routes.listen
    config = uvicorn.Config(
        app,
        http=StrictProtocol,
        ws="none",
        loop="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(parts.settings.shutdown_grace),
        ssl_certfile=listen.certificate or None,
        ssl_keyfile=listen.private_key or None,
    )
    server = EndingServer(config, close_streams)
    spawn(parts.generations.watch(), "watch the configuration")
    spawn(_end_with_the_supervisor(duty, server), "end with the supervisor")
    spawn(close_stalled(lambda: filter(_strict, server.server_state.connections)), "close stalled connections")
    spawn(_tell_when_ready(duty, server, readiness), "tell when ready")
    for coroutine in duties:
        spawn(coroutine, "a duty of the steward")
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: spawn(parts.generations.reload(), "reload"))
    # What is loaded now lives as long as the process, so the collector need not look at it again, and a call makes no
    # cycles, so it need not look often: a quarter of the CPU of a call otherwise.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    await server.serve(sockets=duty.sockets())
    await parts.upstream.close()
    await parts.journal.close()


def _strict(connection: object) -> TypeGuard[StrictProtocol]:
    """All connections are: uvicorn makes them with the class that it is given."""
    return isinstance(connection, StrictProtocol)


async def _tell_when_ready(duty: Duty, server: uvicorn.Server, readiness: Check | None) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    duty.ready(await readiness() if readiness is not None else ())


async def _end_with_the_supervisor(duty: Duty, server: uvicorn.Server) -> None:
    await duty.orphaned()
    server.should_exit = True


def _embedded(duty: Duty, settings: Settings) -> Path | None:
    """The data directory, if the journal is in it."""
    return None if settings.redis_url else Path(str(duty.document["data"]))


def _address(duty: Duty) -> str:
    with socket.socket(fileno=os.dup(duty.listen[0])) as listener:
        return shown(listener)


def run(duty: Duty, settings: Settings) -> int:
    """One child process, from its duty to its exit code."""
    import uvloop  # noqa: PLC0415 - other commands do not need it

    lines = log_aside(settings.log_level, f"%(asctime)s %(levelname)s {duty.role} {duty.number}: %(message)s")
    try:
        uvloop.run((work if duty.role == "worker" else steward)(duty, settings))
    except (Mistakes, NotSupported) as mistakes:
        print(mistakes, file=sys.stderr)  # noqa: T201 - a command talking to its user
        return CONFIGURATION_MISTAKE
    except PayloadKeysMistake as mistake:
        duty.hopeless(str(mistake))
        return CONFIGURATION_MISTAKE
    except JournalUnavailable as error:
        data = _embedded(duty, settings)
        cure = "start that Redis, or correct GATEWAY_REDIS_URL."
        duty.hopeless(no_answer(data, error) if data else f"the journal cannot be reached ({error}): {cure}")
        return JOURNAL_UNREACHABLE
    finally:
        told(lines)
    return 0
