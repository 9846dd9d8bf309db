"""The figures of a gateway: one table of all there are, with their names in Prometheus and in OpenTelemetry.

Both ways out, GET /metrics and OTLP, tell the same values under the names of this table. A figure never carries a value
of a call: its labels are tools, which are declared, and words of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.core import attributes as names
from gateway.core.latency import Spread

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
SEAL_LAG = Metric(
    "gateway_seal_lag_seconds", "gateway.seal.lag", "s", "gauge",
    "Age of the oldest entry that is not sealed; 0 if all are.",
)  # fmt: skip
ANCHOR_LAG = Metric(
    "gateway_anchor_lag_seconds", "gateway.anchor.lag", "s", "gauge",
    "For how long the anchor that lacks checkpoints longest lacks them; 0: none does.",
)  # fmt: skip
# --- The configuration ---
MISTAKES = Metric(
    "gateway_configuration_mistakes", "gateway.configuration.mistakes", "{mistake}", "gauge",
    "Mistakes of the last edit that was refused.",
)  # fmt: skip

METRICS = (
    CALLS, FINISHED, HELD_BY_AGE, HELD_OLDEST, DECIDING, APPENDING, UNDELIVERED, DUE, DUE_OLDEST, EXPORT_LAG,
    EXPORT_OLDEST, EXPORT_STUCK, SEAL_LAG, ANCHOR_LAG, MISTAKES,
)  # fmt: skip
