"""`make bench`: all targets in interleaved rounds, then latency; tables, JSON, and docs/performance.md."""

import argparse
import os
import shutil
import sys
import tempfile
from http.client import HTTPException
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench import ROOT, report
from bench.decisions import decisions
from bench.latency import added
from bench.load import KINDS, Generator, generator
from bench.measure import VALKEY, Plan, sample
from bench.processes import BenchError, memory
from bench.results import Results
from bench.targets import BASELINE, GATEWAY, TARGETS, Live, Target, live
from bench.upstream import Upstream, serving

PAGE = ROOT / "docs/performance.md"
# One processor belongs to the target alone; load, upstream and Valkey share the other.
TARGET_CPU, OTHER_CPU = 0, 1
# Where no terminal says how wide it is: room for the widest table.
PIPED_WIDTH = 180


class Bench:
    """One run: what is measured, with what, and what was found so far."""

    def __init__(self, arguments: argparse.Namespace, home: Path, upstream: Upstream, load: Generator) -> None:
        quick = arguments.quick
        self.plan = Plan(
            rounds=arguments.rounds or (1 if quick else 3),
            warm_seconds=1 if quick else 2,
            seconds=arguments.seconds or (3 if quick else 6),
            connections=arguments.connections,
        )
        self.home, self.upstream, self.load = home, upstream, load
        self.results = Results(self.plan, upstream.software, load.software)
        self.broken: dict[str, str] = {}
        """Targets that could not be measured, and why."""
        self.console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)

    def rounds(self, targets: list[Target]) -> None:
        """Every target once per round, started anew, so that each round sees the same weather."""
        for number in range(1, self.plan.rounds + 1):
            for target in targets:
                if target.name not in self.broken:
                    self._guarded(target, number)

    def _guarded(self, target: Target, number: int) -> None:
        try:
            self._round(target, number)
        except (BenchError, OSError, HTTPException) as error:
            self.broken[target.name] = str(error)
            self.console.print(f"[red]{target.title} cannot be measured:[/] {escape(str(error))}", highlight=False)

    def _round(self, target: Target, number: int) -> None:
        with live(target, self.upstream, self.home, TARGET_CPU, OTHER_CPU) as found:
            # Reads before writes in one round, after them in the next: what comes first must not gain by it.
            for kind in KINDS if number % 2 else reversed(KINDS):
                one = sample(found, target, kind, number, self.upstream, self.load, self.plan)
                self.results.samples.append(one)
                self.console.print(
                    f"round {number}  {target.name:14}{kind:6}{one.microseconds:9,.1f} us  {one.per_second:9,.0f}/s"
                    f"  valkey {one.valkey:5.1f} us  busy {one.busy:4.0%}  foreign {one.foreign:4.1%}"
                    f"  after {one.after_seconds:.1f} s  failed {one.failed}",
                    highlight=False,
                )
            if target.governed:
                self._gateway(found)

    def _gateway(self, found: Live) -> None:
        self.results.start_seconds.append(found.ready_seconds)
        for pid, role in found.parts().items():
            if role != VALKEY:
                self.results.memories.setdefault(role, []).append(memory(pid))

    def latency(self, targets: list[Target]) -> None:
        """At half of what the gateway bears, for it and for the baseline (at the same rate)."""
        for target in targets:
            if target.name in self.broken:
                continue
            with live(target, self.upstream, self.home, TARGET_CPU, OTHER_CPU) as found:
                for kind in KINDS:
                    saturated = sorted(one.per_second for one in self.results.of(targets[0].name, kind))
                    if not saturated:
                        continue
                    rate = saturated[len(saturated) // 2] / 2
                    for one in added(found, kind, rate, self.upstream, self.load, self.plan):
                        self.results.latencies.append(one)
                        self.console.print(
                            f"latency  {target.name:14}{kind:6} at {rate:,.0f}/s: added p50 {one.added_p50_ms:.2f} ms, "
                            f"p99 {one.added_p99_ms:.2f} ms, failed {one.failed}",
                            highlight=False,
                        )


def arguments() -> argparse.Namespace:
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--targets", default=",".join(names), help="some of: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one short round; the page is not touched")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=0.0, help="of load per target, kind and round (default 6)")
    parser.add_argument("--connections", type=int, default=32, help="keep-alive connections (default %(default)s)")
    parser.add_argument("--no-latency", action="store_true", help="leave out the latency at half of saturation")
    parser.add_argument("--no-decision", action="store_true", help="leave out the decision benchmark")
    parser.add_argument("--load", choices=("auto", "wrk", "python"), default="auto", help="load generator")
    parser.add_argument("--upstream", choices=("auto", "nginx", "python"), default="auto", help="static upstream")
    parser.add_argument("--json", type=Path, default=ROOT / "build/bench/results.json", help="where all figures go")
    parser.add_argument("--page", action="store_true", help="refresh docs/performance.md even after a partial run")
    found = parser.parse_args()
    found.targets = [name for name in found.targets.split(",") if name]
    if unknown := [name for name in found.targets if name not in names]:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(names)}")
    return found


def main() -> int:
    found = arguments()
    if not Path("/proc/self/stat").exists():
        print("make bench reads processor time from /proc, so it runs on Linux only.", file=sys.stderr)
        return 1
    if not {TARGET_CPU, OTHER_CPU} <= os.sched_getaffinity(0):
        print("make bench needs two processors: one for the target, one for everything else.", file=sys.stderr)
        return 1
    home = ROOT / "build/bench"
    home.mkdir(parents=True, exist_ok=True)
    run_home = Path(tempfile.mkdtemp(prefix="run-", dir=home))
    try:
        with serving(run_home, OTHER_CPU, found.upstream) as upstream:
            bench = Bench(found, run_home, upstream, generator(found.load, OTHER_CPU, run_home))
            return run(bench, found)
    except (BenchError, OSError, HTTPException) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(run_home, ignore_errors=True)


def run(bench: Bench, found: argparse.Namespace) -> int:
    targets = [target for target in TARGETS if target.name in found.targets]
    bench.rounds(targets)
    timed = [target for target in targets if target in {GATEWAY, BASELINE}]
    if timed and not found.no_latency:
        bench.latency(timed)
    if not found.no_decision:
        bench.results.decision = decisions(TARGET_CPU)
    report.show(bench.results, bench.console)
    found.json.parent.mkdir(parents=True, exist_ok=True)
    found.json.write_text(bench.results.as_json(), encoding="utf-8")
    bench.console.print(f"All figures: {found.json}")
    whole = len(targets) == len(TARGETS) and not bench.broken and not found.quick
    if whole or found.page:
        report.refresh(PAGE, report.markdown(bench.results))
        bench.console.print(f"Refreshed {PAGE}")
    return 1 if bench.broken else 0


if __name__ == "__main__":
    sys.exit(main())
