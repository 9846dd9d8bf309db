"""What a steward tells a collector, again and again: traces from the ledger, and figures.

Apart from the other duties, because what speaks OTLP is large, and a process that does not publish need not load it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.adapters.otlp import environment
from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.otlp.figures import MetricsCollector
from gateway.duties import unforeseen
from gateway.measures import Measures
from gateway.ports import JournalUnavailable
from gateway.trouble import Trouble

EXPORT_LEASE_MS = 10_000
"""How long one steward alone exports; another host's takes over after that."""
METRICS_GRACE_SECONDS = 15.0
"""After how much silence beyond the interval another steward tells the metrics."""

log = logging.getLogger("gateway")


async def export(exporter: TraceExporter, lease: Callable[[str, int], Coroutine[Any, Any, bool]]) -> None:
    """Publish the ledger, one steward at a time; what fails is tried again."""
    while True:
        try:
            sent = await exporter.step() if await lease("export", EXPORT_LEASE_MS) else 0
        except JournalUnavailable:
            sent = 0  # `beat` says so
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("exporting traces", error)
            sent = 0
        await asyncio.sleep(0.0 if sent else 0.25)


async def export_metrics(
    collector: MetricsCollector, measures: Measures, lease: Callable[[str, int], Coroutine[Any, Any, bool]]
) -> None:
    """Tell the figures again and again, one steward of the deployment. What does not arrive is not told again."""
    seconds = environment.interval_seconds()
    trouble = Trouble(log=log, level=logging.WARNING, bad="metrics do not arrive", good="metrics arrive again")
    while True:
        await asyncio.sleep(seconds)
        try:
            if await lease("metrics", round((seconds + METRICS_GRACE_SECONDS) * 1000)):
                said = await collector.export(await measures())
                trouble.is_over() if said.verdict == "accepted" else trouble.lasts(said.sentence)
        except JournalUnavailable:
            pass  # `beat` says so
        except Exception as error:  # noqa: BLE001 - `unforeseen` logs it
            await unforeseen("telling metrics", error)
