"""Figures as OpenTelemetry metrics: what a collector gets, and what is made of its answer."""

import asyncio
import logging
import os

import pytest

from gateway.adapters.otlp.figures import MetricsCollector
from gateway.core.figures import APPENDING, CALLS, DUE, FINISHED, METRICS, UNDELIVERED, Value
from gateway.core.latency import BOUNDS, Spread
from gateway.exporting import export_metrics
from tests.adapters.otlp.receiver import YES, partial, receiving
from tests.processes import until

COUNTS = tuple(range(len(BOUNDS) + 1))
FIGURES: dict = {
    CALLS: {("held",): 3, ("in_doubt",): 0},
    FINISHED: {("bank.pay", "answered"): 7, ("bank.pay", "denied"): 2},
    APPENDING: Spread(COUNTS, 1.5),
    UNDELIVERED: 4,
}


@pytest.fixture(autouse=True)
def receiver(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with receiving() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
        yield found


def export(figures=FIGURES):
    async def main():
        collector = MetricsCollector()
        try:
            return await collector.export(figures)
        finally:
            await collector.close()

    return asyncio.run(main())


def points(data):
    return {tuple(pair.value.string_value for pair in point.attributes): point for point in data.data_points}


def test_gauges_counters_and_histograms_arrive_as_they_are(receiver):
    assert export().verdict == "accepted"
    (told,) = receiver.metrics
    assert set(told) == {metric.standard for metric in FIGURES}
    held = points(told["gateway.calls"].gauge)
    assert held[("held",)].as_int == 3 and held[("in_doubt",)].as_int == 0
    finished = told["gateway.calls.finished"].sum
    assert finished.is_monotonic and finished.aggregation_temporality == 2  # CUMULATIVE
    found = points(finished)
    assert {at: point.as_int for at, point in found.items()} == {("bank.pay", "answered"): 7, ("bank.pay", "denied"): 2}
    names = {pair.key for pair in found[("bank.pay", "answered")].attributes}
    assert names == {"gen_ai.tool.name", "gateway.outcome"}
    (histogram,) = told["gateway.journal.duration"].histogram.data_points
    assert tuple(histogram.bucket_counts) == COUNTS and tuple(histogram.explicit_bounds) == BOUNDS
    assert histogram.count == sum(COUNTS) and histogram.sum == 1.5
    assert not histogram.HasField("min") and not histogram.HasField("max")
    assert told["gateway.journal.duration"].unit == "s" and told["gateway.calls"].description
    assert points(told["gateway.notices.undelivered"].gauge)[()].as_int == 4


def test_every_figure_can_be_told(receiver):
    values: dict[str, Value] = {"histogram": Spread(), "counter": {}, "gauge": 1.0}
    figures: dict = {it: values[it.kind] if not it.labels else {tuple("x" for _ in it.labels): 1.0} for it in METRICS}
    assert export(figures).verdict == "accepted"
    assert set(receiver.metrics[0]) == {metric.standard for metric in METRICS}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (YES, "accepted"), (partial(2, "too many labels"), "rejected"), ((400, {}, b""), "rejected"),
        ((503, {}, b""), "unavailable"), ((302, {"location": "/"}, b""), "unavailable"),
        ((200, {"content-type": "text/html"}, b"<html>"), "unavailable"), (None, "unavailable"),
    ],
)  # fmt: skip
def test_only_a_yes_is_a_yes(receiver, answer, verdict):
    receiver.judge = lambda spans: answer
    said = export()
    assert said.verdict == verdict and (
        verdict == "accepted" or "metrics" in said.sentence or "collector" in said.sentence
    )


def test_one_steward_tells_them_again_and_again_and_says_once_that_they_do_not_arrive(receiver, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "gateway")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    holder: list[str] = []

    async def measures():
        return {DUE: {("calls",): 1}}

    def leased(name):
        async def lease(duty, milliseconds):
            assert duty == "metrics" and milliseconds > 1000
            holder[:] = holder or [name]
            return holder == [name]

        return lease

    async def main():
        collectors = {name: MetricsCollector() for name in ("one", "other")}
        duties = [
            asyncio.ensure_future(export_metrics(collector, measures, leased(name)))  # type: ignore[arg-type]
            for name, collector in collectors.items()
        ]
        await until(lambda: len(receiver.metrics) >= 3)
        receiver.judge = lambda spans: (404, {}, b"")
        seen = len(receiver.requests)
        await until(lambda: len(receiver.requests) > seen + 3)
        receiver.judge = lambda spans: YES
        seen = len(receiver.metrics)
        await until(lambda: len(receiver.metrics) > seen + 1)
        for duty in duties:
            duty.cancel()
        await asyncio.wait(duties)
        for collector in collectors.values():
            await collector.close()

    asyncio.run(main())
    lines = [message for message in caplog.messages if "metrics" in message]
    assert len(lines) == 2 and "404" in lines[0] and "again" in lines[1], lines
