"""What a process does beside its port, for as long as it lives: loops that look, act and sleep.

None of them may end: whatever goes wrong is logged and the next round comes. None of them decides anything about a
call; due times and notices have a file of their own, `gateway.steward`.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping

from gateway import __version__
from gateway.adapters import durability
from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.redis import payloads
from gateway.adapters.redis.connecting import Server
from gateway.adapters.redis.deployment import RedisDeployment
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.latencies import RedisLatencies
from gateway.core.deployment import Loaded
from gateway.core.latency import Latency
from gateway.generations import Generations, LoadedGeneration
from gateway.grant_ports import Grants
from gateway.open_calls import OpenCalls
from gateway.payload_keys import WRONG_KEYS, PayloadKeysMistake
from gateway.ports import Journal, JournalUnavailable
from gateway.settings import Settings
from gateway.standing import Standing
from gateway.tasks import spawn
from gateway.trouble import Trouble

SUSPENSION_SECONDS = 1.0
"""How long a suspended agent's reads may still reach systems; the answers are withheld from the first moment."""
GRANT_SECONDS = 1.0
"""How long people may still be asked about what another host's approver just granted."""
BEAT_SECONDS = 0.5
"""Well below BEAT_MS and `gateway.beside.SILENCE_SECONDS`: a busy process may be late."""
LATENCY_SECONDS = 1.0
"""How often a process hands on how long what it does takes."""
HIGH_WATER_SECONDS = 1.0
"""How often it is written down how far the ledger is; what everybody forgets at once is younger than this."""
DURABILITY_SECONDS = 2.0
"""How often a server is asked whether it still keeps what it acknowledges."""
MEND_SECONDS = 60.0
"""How often the list of held calls is compared with what is not over."""
RECORD_SECONDS = 0.5
"""Until the journal is asked again to keep what a generation is made of."""
PAUSE_SECONDS = 5.0
"""After a failure that nobody foresaw."""

log = logging.getLogger("gateway")


async def keep_high_water(journal: RedisJournal) -> None:
    """Remember on disk how far the ledger is, so that a restored Redis is noticed even by a process that is new."""
    trouble = ""
    while True:
        try:
            await journal.keep_high_water()
            trouble = ""
        except JournalUnavailable:
            pass  # whoever wants to append says so
        except OSError as error:
            if str(error) != trouble:
                log.warning(
                    "high-water.json cannot be written (%s): until it can, a gateway that starts anew does not notice "
                    "a journal that was restored from an older state", (error.strerror or str(error)).lower(),
                )  # fmt: skip
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("remembering how far the ledger is", error)
        await asyncio.sleep(HIGH_WATER_SECONDS)


async def mend_held(open_calls: OpenCalls) -> None:
    """Keep the list of held calls true while gateways that are too old to keep it run, or ran, on the same journal."""
    while True:
        try:
            await open_calls.mend()
        except JournalUnavailable:
            pass  # `beat` says so
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("listing held calls", error)
        await asyncio.sleep(MEND_SECONDS)


async def beat(journal: RedisJournal, worker: str, owing: Collection[str]) -> None:
    """Say that this process is at work: whoever meets a call that it is sending need not take it for a dead one's.
    Not while it owes the journal an outcome, since whoever asked for that got no answer.

    As this asks the journal most often, it is here that the log hears when that is away, and when it is back.
    """
    trouble = Trouble(
        log=log, level=logging.WARNING, bad="the journal is unavailable", good="the journal is available again",
        reminds=True,
    )  # fmt: skip
    while True:
        try:
            await (journal.last_beat(worker) if owing else journal.beat(worker))
            trouble.lasts(journal.loss) if journal.loss else trouble.is_over()
        except JournalUnavailable as error:
            trouble.lasts(str(error))
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("saying that this process is at work", error)
        await asyncio.sleep(BEAT_SECONDS)


async def post_latencies(latencies: RedisLatencies, measured: Mapping[str, Latency]) -> None:
    """Hand on, again and again, how long what this process does takes. What is lost with it is a second's figures."""
    while True:
        await asyncio.sleep(LATENCY_SECONDS)
        amounts = {name: amount for kind, latency in measured.items() for name, amount in latency.take(kind).items()}
        try:
            if amounts:
                await latencies.add(amounts)
        except JournalUnavailable:
            pass  # `beat` says so
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("telling how long things take", error)


async def watch_losses(journal: RedisJournal) -> None:
    """Hear within a second of what another process found to be missing, also if nobody asks this one for anything."""
    while True:
        try:
            await journal.heed()
        except JournalUnavailable:
            pass  # then nothing can be written anyway
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("hearing of losses", error)
        await asyncio.sleep(HIGH_WATER_SECONDS)


async def look_at_durability(journal: RedisJournal, redis: Server, settings: Settings) -> None:
    """Stop effects if this server may forget them, or let them happen again. Raises JournalUnavailable."""
    found = await durability.weaknesses(redis, settings.redis_replicas, settings.redis_durability)
    journal.weakness = " ".join(["Effects are stopped:", *found]) if found else ""


async def agree_on_payload_keys(journal: RedisJournal, cipher: PayloadCipher) -> None:
    """Raises PayloadKeysMistake if this host could not read what the others write."""
    lacks = await payloads.register(journal, cipher.ids)
    if lacks:
        raise PayloadKeysMistake(WRONG_KEYS.format(newest=lacks, ours=", ".join(cipher.ids)))
    if gone := await payloads.retired(journal, cipher.ids):
        log.warning("payloads that were encrypted with %s can no longer be read here", ", ".join(gone))


async def watch_durability(journal: RedisJournal, redis: Server, settings: Settings) -> None:
    """Somebody may configure the server anew, and a failover is another server."""
    while True:
        before = journal.weakness
        try:
            await look_at_durability(journal, redis, settings)
        except JournalUnavailable:
            pass  # then nothing can be written anyway
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("looking at what Redis keeps", error)
        if journal.weakness != before:
            log.warning("%s", journal.weakness or "Redis keeps what it acknowledges again; effects are possible.")
        await asyncio.sleep(DURABILITY_SECONDS)


async def watch_suspensions(journal: RedisJournal, generations: Generations, known: set[str]) -> None:
    while True:
        try:
            now = await journal.suspended(generations.current.routes.agents)
            known |= now
            known &= now
        except JournalUnavailable:
            pass  # then nothing can be written for anybody
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("looking who is suspended", error)
        await asyncio.sleep(SUSPENSION_SECONDS)


async def watch_grants(grants: Grants, journal: Journal, standing: Standing) -> None:
    """Learn of standing grants that others gave or revoked. A claim asks the journal again, so this may be late."""
    while True:
        try:
            await standing.refresh(grants, journal.now())
        except JournalUnavailable:
            pass  # then nothing can be written for anybody
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("learning of standing grants", error)
        await asyncio.sleep(GRANT_SECONDS)


async def record_generation(deployment: RedisDeployment, loaded: LoadedGeneration) -> None:
    """Write down what a generation is made of before it serves; after that if the journal is away, as verdicts are.

    It does not wait for the journal: an edit may be what it takes to get out of that.
    """
    fact = Loaded(generation=loaded.digest, files=loaded.files, version=__version__)
    try:
        await deployment.note(fact)
    except JournalUnavailable:
        spawn(_keep_noting(deployment, fact), "record the generation")


async def _keep_noting(deployment: RedisDeployment, fact: Loaded) -> None:
    while True:
        await asyncio.sleep(RECORD_SECONDS)
        try:
            await deployment.note(fact)
            return
        except JournalUnavailable:
            continue  # `beat` says so


async def unforeseen(doing: str, error: Exception) -> None:
    """A duty that ends would be missed only when it is needed."""
    log.error("%s failed in an unknown way; it is tried again", doing, exc_info=error)
    await asyncio.sleep(PAUSE_SECONDS)
