"""The figures as Prometheus' text, and as OpenMetrics for whoever asks for that.

It is written by prometheus_client, which escapes it and knows both forms; its own counters are not used, since what we
tell is counted in the ledger and not in this process.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gateway.core.figures import Figures, Metric, Value
from gateway.core.latency import BOUNDS, Spread


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
