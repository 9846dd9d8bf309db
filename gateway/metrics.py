"""Figures in Prometheus' text format, each with its HELP and TYPE lines. A figure never carries a value of a call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Metric:
    """One gauge: a value, or one per label value."""

    name: str
    help: str
    value: float = 0.0
    label: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    """By the value of `label`, if there is one."""


def text(metrics: Iterable[Metric]) -> str:
    """What GET /metrics answers."""
    lines: list[str] = []
    for metric in sorted(metrics, key=lambda item: item.name):
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} gauge"]
        if metric.label:
            lines += [f'{metric.name}{{{metric.label}="{name}"}} {value:g}' for name, value in metric.values.items()]
        else:
            lines.append(f"{metric.name} {metric.value:g}")
    return "\n".join(lines) + "\n"
