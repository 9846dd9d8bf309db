"""Every span that a gateway's journal stands for, computed from what is stored: what a collector must end up with."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.adapters.otlp.entries import numbered
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.config.routes_file import load_routes
from gateway.core.call import PARTITION_NAMES
from gateway.core.spans import SpanValue, spans_of


def spans_of_journal(url: str, routes: Path, secrets: Mapping[str, str]) -> list[SpanValue]:
    """`routes`: those under which everything was judged."""
    entries, facts = asyncio.run(_read(url))
    found, mistakes = load_routes(routes, secrets)
    assert found is not None, mistakes
    origins = {name: system.origin for name, system in found.systems.items()}
    return [
        span
        for entry in entries
        for span in spans_of(entry, facts.get(entry.call, [])[: entry.position], lambda _, system: origins[system])
    ]


async def _read(url):
    journal = RedisJournal.open(url)
    try:
        raw = await SealedLedger(journal).read(dict.fromkeys(PARTITION_NAMES, ("", "+")), 100_000)
        entries = [entry for items in raw.values() for entry in numbered(items, 0)]
        facts = {call: await journal.facts(call) for call in {entry.call for entry in entries} - {""}}
    finally:
        await journal.close()
    return entries, facts
