"""What the gateway adds to the time of a call when it is half busy.

Paced load at half of the rate at which it saturates, sent straight to the upstream and through the target in turns;
what is added is the difference of the percentiles. Wall time on a shared machine: read it as an order of magnitude.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.load import Generator, Kind, template
from bench.measure import Plan
from bench.processes import wait_until_quiet
from bench.targets import Live
from bench.upstream import Upstream

# More connections than calls that are ever out at half of saturation, so that none waits for a connection.
CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """One pair of paced loads."""

    target: str
    kind: Kind
    rate: float
    """Calls per second, on average."""
    direct_p50_ms: float
    direct_p99_ms: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def added_p50_ms(self) -> float:
        return self.p50_ms - self.direct_p50_ms

    @property
    def added_p99_ms(self) -> float:
        return self.p99_ms - self.direct_p99_ms


def added(found: Live, kind: Kind, rate: float, upstream: Upstream, load: Generator, plan: Plan) -> Iterator[Added]:
    """One pair per round, after a warm-up."""
    load.closed(found.port, template(kind, found.base, found.port, found.key), plan.connections, plan.warm_seconds)
    for _ in range(plan.rounds):
        wait_until_quiet(found.process.pid)
        request = template(kind, "", upstream.port, found.key)
        direct = load.paced(upstream.port, request, CONNECTIONS, plan.seconds, rate)
        request = template(kind, found.base, found.port, found.key)
        through = load.paced(found.port, request, CONNECTIONS, plan.seconds, rate)
        yield Added(
            target=found.name,
            kind=kind,
            rate=rate,
            direct_p50_ms=direct.p50_ms,
            direct_p99_ms=direct.p99_ms,
            p50_ms=through.p50_ms,
            p99_ms=through.p99_ms,
            failed=direct.failed + direct.broken + through.failed + through.broken,
        )
