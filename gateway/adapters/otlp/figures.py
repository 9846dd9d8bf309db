"""The figures as OpenTelemetry metrics, to the collector that the standard OTEL_* variables name.

They are values of the whole deployment, computed when asked, and not what this process counted; so they are put into
the SDK's data classes and given to its encoder, and its instruments and readers are not used. What does not arrive is
not sent again: the next one says more. It must never be taken for the record.
"""

import time
from collections.abc import Mapping, Sequence
from typing import cast

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gateway import __version__
from gateway.adapters.otlp import environment
from gateway.adapters.otlp.answers import Said
from gateway.adapters.otlp.posting import Post
from gateway.core.attributes import SCHEMA_URL
from gateway.core.figures import Figures, Metric, Value
from gateway.core.latency import BOUNDS, Spread

UNKNOWN = 0
"""When counting began, nanoseconds: before this process did, and it goes on after it."""


class MetricsCollector:
    def __init__(self) -> None:
        self._post = Post("METRICS")
        self._resource = environment.resource()
        self._scope = InstrumentationScope("policy-gateway", __version__, SCHEMA_URL)

    async def export(self, figures: Figures) -> Said:
        """Takes OTEL_EXPORTER_OTLP_TIMEOUT seconds (10) at most."""
        now = time.time_ns()
        metrics = [_metric(metric, value, now) for metric, value in figures.items()]
        scope = sdk.ScopeMetrics(self._scope, metrics, SCHEMA_URL)
        data = sdk.MetricsData([sdk.ResourceMetrics(self._resource, [scope], SCHEMA_URL)])
        return await self._post.send(bytes(encode_metrics(data).SerializeToString()))

    async def close(self) -> None:
        """Ends a running `export` early."""
        await self._post.close()


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
