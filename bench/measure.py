"""One window of load on one target, and what it consumed meanwhile."""

import os
import time
from dataclasses import dataclass

from bench.load import Generator, Kind, template
from bench.processes import busy_seconds, seconds, tree, wait_until_quiet
from bench.targets import Live, Target
from bench.upstream import Upstream

VALKEY = "valkey"
# Requests that are out when the load ends may or may not reach the upstream; more difference means a miscount.
TOLERATED_MISCOUNT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One target, one kind of call, one round."""

    target: str
    kind: Kind
    round: int
    calls: int
    """Served, as the upstream counted (as the load generator did where there is no upstream)."""
    parts: dict[str, float]
    """CPU microseconds per call, by role of the process."""
    per_second: float
    p50_ms: float
    p99_ms: float
    busy: float
    """Share of its processor that the target used; far below 1, something else was the bottleneck."""
    foreign: float
    """Share of all processors used by processes that have no part in this measurement."""
    after_seconds: float
    """How long it went on working after the load had ended (counted)."""
    failed: int
    """Answers of 400 and above, broken connections, and calls that the upstream never saw."""

    @property
    def microseconds(self) -> float:
        """CPU per call of everything but Valkey."""
        return sum(value for role, value in self.parts.items() if role != VALKEY)

    @property
    def valkey(self) -> float:
        return self.parts.get(VALKEY, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how often, with how many connections."""

    rounds: int
    warm_seconds: float
    seconds: float
    connections: int


def sample(
    found: Live, wanted: Target, kind: Kind, number: int, upstream: Upstream, load: Generator, plan: Plan
) -> Sample:
    """Warm up, wait for quiet, load, wait for quiet, and read the difference."""
    load.closed(found.port, template(kind, found.base, found.port, found.key), plan.connections, plan.warm_seconds)
    wait_until_quiet(found.process.pid)
    request = template(kind, found.base, found.port, found.key)
    count, used, machine = upstream.count(), _used(found), busy_seconds()
    ours = seconds(os.getpid())  # the target, the upstream and the load are all descendants of this process
    began = time.monotonic()
    loaded = load.closed(found.port, request, plan.connections, plan.seconds)
    wall = time.monotonic() - began
    foreign = busy_seconds() - machine - (seconds(os.getpid()) - ours)
    after = wait_until_quiet(found.process.pid)
    seen = upstream.count() - count - 1
    calls = seen if wanted.reaches_upstream else loaded.requests
    missing = max(0, loaded.requests - calls)
    parts = _difference(used, _used(found))
    return Sample(
        target=wanted.name,
        kind=kind,
        round=number,
        calls=calls,
        parts={role: value / max(calls, 1) * 1e6 for role, value in parts.items()},
        per_second=loaded.requests / loaded.seconds,
        p50_ms=loaded.p50_ms,
        p99_ms=loaded.p99_ms,
        busy=sum(value for role, value in parts.items() if role != VALKEY) / loaded.seconds,
        foreign=max(0.0, foreign / wall / (os.cpu_count() or 1)),
        after_seconds=after,
        failed=loaded.failed + loaded.broken + (missing if missing > TOLERATED_MISCOUNT * loaded.requests else 0),
    )


def _used(found: Live) -> dict[str, float]:
    """Seconds of processor time so far, by role."""
    processes, total = tree(found.process.pid), dict[str, float]()
    for pid, role in found.parts().items():
        if pid in processes:
            total[role] = total.get(role, 0.0) + processes[pid].seconds
    return total


def _difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {role: value - before.get(role, 0.0) for role, value in after.items()}
