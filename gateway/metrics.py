"""The figures of a gateway: one table of all there are, and how each is told to Prometheus.

Both ways out, GET /metrics and OTLP (`gateway.adapters.otlp.figures`), tell the same values under the names of this
table. A figure never carries a value of a call: its labels are tools, which are declared, and words of ours. The text
is written by prometheus_client, which escapes it and speaks OpenMetrics too where that is asked for; its own counters
are not used, since what we tell is counted in the ledger and not in this process.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gateway.core import attributes as names
from gateway.core.latency import BOUNDS, Spread

Value = float | Spread | Mapping[tuple[str, ...], float]
"""One value, a histogram, or a value for each combination of label values."""
Figures = Mapping["Metric", Value]


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    """For Prometheus; of a counter with its `_total`."""
    standard: str
    """For OpenTelemetry."""
    unit: str
    """In UCUM, for OpenTelemetry."""
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[tuple[str, str], ...] = ()
    """The label of Prometheus, and the attribute of OpenTelemetry that it is."""


STATE, QUEUE, AGE = ("state", names.STATE), ("queue", names.QUEUE), ("age", names.AGE)
TOOL, OUTCOME = ("tool", names.GEN_AI_TOOL_NAME), ("outcome", names.OUTCOME)

# --- Calls ---
CALLS = Metric("gateway_calls", "gateway.calls", "{call}", "gauge", "Calls that are not over, by state.", (STATE,))
FINISHED = Metric(
    "gateway_calls_finished_total", "gateway.calls.finished", "{call}", "counter",
    "Outcomes of calls, by tool, counted from the ledger.", (TOOL, OUTCOME),
)  # fmt: skip
HELD_BY_AGE = Metric(
    "gateway_held_calls", "gateway.held.calls", "{call}", "gauge", "Calls that wait for people, by age.", (AGE,)
)
HELD_OLDEST = Metric(
    "gateway_held_oldest_seconds", "gateway.held.oldest", "s", "gauge", "Age of the oldest question; 0 if none waits."
)
# --- How long things take ---
DECIDING = Metric(
    "gateway_decision_duration_seconds", "gateway.decision.duration", "s", "histogram", "Time to judge a call, once."
)
APPENDING = Metric(
    "gateway_journal_duration_seconds", "gateway.journal.duration", "s", "histogram",
    "Time until an append was confirmed by the journal.",
)  # fmt: skip
# --- What waits ---
UNDELIVERED = Metric(
    "gateway_notices_undelivered", "gateway.notices.undelivered", "{notice}", "gauge",
    "Notices to approvers that wait for delivery.",
)  # fmt: skip
DUE = Metric(
    "gateway_due", "gateway.due", "{item}", "gauge", "What is due and not done: calls to drive on, notices.", (QUEUE,)
)
DUE_OLDEST = Metric(
    "gateway_due_oldest_seconds", "gateway.due.oldest", "s", "gauge",
    "How long the oldest of them has been due; 0 if none is.", (QUEUE,),
)  # fmt: skip
EXPORT_LAG = Metric(
    "gateway_export_lag_entries", "gateway.export.lag", "{entry}", "gauge",
    "Ledger entries not yet exported as traces.",
)  # fmt: skip
EXPORT_OLDEST = Metric(
    "gateway_export_oldest_waiting_ms", "gateway.export.oldest_waiting", "ms", "gauge",
    "When the oldest of them was written; 0: none.",
)  # fmt: skip
EXPORT_STUCK = Metric(
    "gateway_export_stuck_partitions", "gateway.export.stuck", "{partition}", "gauge",
    "Partitions whose next entry the collector refuses.",
)  # fmt: skip
# --- The configuration ---
MISTAKES = Metric(
    "gateway_configuration_mistakes", "gateway.configuration.mistakes", "{mistake}", "gauge",
    "Mistakes of the last edit that was refused.",
)  # fmt: skip

METRICS = (
    CALLS, FINISHED, HELD_BY_AGE, HELD_OLDEST, DECIDING, APPENDING, UNDELIVERED, DUE, DUE_OLDEST, EXPORT_LAG,
    EXPORT_OLDEST, EXPORT_STUCK, MISTAKES,
)  # fmt: skip


def exposition(figures: Figures, accept: str = "") -> tuple[bytes, str]:
    """What GET /metrics answers to that Accept header, and its content type."""
    write, content_type = choose_encoder(accept)
    return write(_Collected(figures)), content_type


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    figures: Figures

    def collect(self) -> Iterable[Family]:
        for metric, value in sorted(self.figures.items(), key=lambda item: item[0].name):
            yield _family(metric, value)


def _family(metric: Metric, value: Value) -> Family:
    if isinstance(value, Spread):
        return HistogramMetricFamily(metric.name, metric.help, buckets=_buckets(value), sum_value=value.seconds)
    labels = [label for label, _ in metric.labels]
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = make(metric.name, metric.help, labels=labels)
    for at, number in (value if isinstance(value, Mapping) else {(): value}).items():
        family.add_metric(at, number)
    return family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """As Prometheus has them: each with all that is below it."""
    found, sum_ = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), spread.counts, strict=True):
        sum_ += count
        found.append((bound, float(sum_)))
    return found
