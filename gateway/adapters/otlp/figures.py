"""The figures as OpenTelemetry metrics, to the collector that the standard OTEL_* variables name.

They are values of the whole deployment, computed when asked, and not what this process counted; so they are put into
the SDK's data classes and given to its exporter, and its instruments and readers are not used. What does not arrive is
not sent again: the next one says more. It must never be taken for the record.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import cast

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gateway import __version__
from gateway.adapters.otlp import environment
from gateway.adapters.otlp.answers import Said, Witness, said
from gateway.core.attributes import SCHEMA_URL
from gateway.core.figures import Figures, Metric, Value
from gateway.core.latency import BOUNDS, Spread

# The library logs every attempt. We log once that the collector does not take metrics, and once that it does again.
logging.getLogger(OTLPMetricExporter.__module__).setLevel(logging.CRITICAL)

UNKNOWN = 0
"""When counting began, nanoseconds: before this process did, and it goes on after it."""


class MetricsCollector:
    """Used by one thread at a time. `export` blocks: OTEL_EXPORTER_OTLP_TIMEOUT seconds (10), if nothing trickles."""

    def __init__(self) -> None:
        self._host = environment.host("METRICS")
        self._witness = Witness(self._host)
        self._exporter = OTLPMetricExporter(session=self._witness)
        self._resource = environment.resource()
        self._scope = InstrumentationScope("policy-gateway", __version__, SCHEMA_URL)

    def export(self, figures: Figures) -> Said:
        now = time.time_ns()
        metrics = [_metric(metric, value, now) for metric, value in figures.items()]
        scope = sdk.ScopeMetrics(self._scope, metrics, SCHEMA_URL)
        self._witness.forget()
        self._exporter.export(sdk.MetricsData([sdk.ResourceMetrics(self._resource, [scope], SCHEMA_URL)]))
        if self._witness.answer is None:
            return Said("unavailable", f"no answer from the collector at {self._host} ({self._witness.failure})")
        return said(self._witness.answer, "metrics")

    def close(self) -> None:
        """Ends a running `export` early: its waiting, not its socket."""
        self._exporter.shutdown()


def _metric(metric: Metric, value: Value, now: int) -> sdk.Metric:
    return sdk.Metric(metric.standard, metric.help, metric.unit, _data(metric, value, now))


def _data(metric: Metric, value: Value, now: int) -> sdk.Sum | sdk.Gauge | sdk.Histogram:
    if isinstance(value, Spread):
        return sdk.Histogram([_histogram(value, now)], sdk.AggregationTemporality.CUMULATIVE)
    attributes = [attribute for _, attribute in metric.labels]
    values: Mapping[tuple[str, ...], float] = value if isinstance(value, Mapping) else {(): value}
    points: Sequence[sdk.NumberDataPoint] = [
        sdk.NumberDataPoint(dict(zip(attributes, at, strict=True)), UNKNOWN, now, number)
        for at, number in values.items()
    ]
    if metric.kind == "counter":
        return sdk.Sum(points, sdk.AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return sdk.Gauge(points)


def _histogram(spread: Spread, now: int) -> sdk.HistogramDataPoint:
    unmeasured = cast("float", None)  # the least and the most are not known of all processes, and may be left out
    return sdk.HistogramDataPoint(
        {}, UNKNOWN, now, sum(spread.counts), spread.seconds, spread.counts, BOUNDS, unmeasured, unmeasured
    )
