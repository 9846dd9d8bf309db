"""Where a call's processor time goes: py-spy on the busiest process of a target under load, as two short tables.

    python -m bench.profile --kind write --seconds 10
    python -m bench.profile --target aiohttp --kind read
    python -m bench.profile --kind write --under judge      only samples in which that function was running

*self* is time in the function itself, *total* in it and what it called (once per sample, however deep it recurses).
A function's microseconds are the share of samples times the cost of a call, measured in the same seconds; the
profiler's own work is not in them, but it does slow the target a little.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import ROOT
from bench.__main__ import OTHER_CPU, TARGET_CPU
from bench.load import KINDS, Generator, Kind, generator, template
from bench.processes import BenchError, on_cpu, tree
from bench.targets import TARGETS, Live, live
from bench.upstream import Upstream, serving

# Not a divisor of the round intervals at which programs do things, so that samples do not fall in step with them.
SAMPLES_PER_SECOND = 487
WARM_SECONDS = 2.0
# The load starts before the samples and ends after them.
MARGIN_SECONDS = 2.0
# Threads that wait here use no time, though py-spy cannot always tell.
WAITING = ("threading.py Condition.wait", "concurrent/futures/thread.py _worker")
# Where no terminal says how wide it is: room for the longest names.
PIPED_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples by function, `file:function`."""

    own: Counter[str]
    total: Counter[str]
    samples: int


def profile(stacks: Iterable[str], *, lines: bool = False, under: str = "", idle: bool = False) -> Profile:
    """Add up py-spy's raw format: frames from the outermost in, separated by semicolons, then a count."""
    own, total, samples = Counter[str](), Counter[str](), 0
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        names = [_frame(frame, lines=lines) for frame in frames.split(";") if not frame.startswith("process ")]
        waiting = not idle and names and names[-1].startswith(WAITING)
        if not names or waiting or not any(under in name for name in names):
            continue
        samples += int(count)
        own[names[-1]] += int(count)
        for name in set(names):
            total[name] += int(count)
    return Profile(own, total, samples)


def _frame(frame: str, *, lines: bool) -> str:
    """`handle (gateway/doors/proxy.py:41)` as `gateway/doors/proxy.py handle`, with its line if wanted."""
    name, _, place = frame.partition(" (")
    file, _, line = place.removesuffix(")").rpartition(":")
    if not line.isdigit():
        file, line = place.removesuffix(")"), ""
    short = file.rpartition("site-packages/")[2].removeprefix(f"{ROOT}/")
    return f"{short or 'native'} {name}{f':{line}' if lines and line else ''}"


def record(found: Live, pid: int, seconds: float, home: Path, *, native: bool, idle: bool) -> list[str]:
    """Let py-spy sample that process."""
    output = home / "stacks.txt"
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--format", "raw"]
    command += ["--rate", str(SAMPLES_PER_SECOND), "--duration", str(round(seconds)), "--output", str(output)]
    command += (["--native"] if native else []) + (["--idle"] if idle else [])
    with on_cpu(OTHER_CPU):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode or not output.exists():
        raise BenchError(f"py-spy could not sample {found.name} (is ptrace allowed here?): {run.stderr.strip()}")
    return output.read_text(encoding="utf-8").splitlines()


def busiest(found: Live, before: dict[int, float]) -> int:
    """The process that used the most processor time since: the worker, unless --role says otherwise."""
    now = {pid: process.seconds for pid, process in tree(found.process.pid).items()}
    roles = found.parts()
    served = [pid for pid in now if roles.get(pid) != "valkey"]
    return max(served, key=lambda pid: now[pid] - before.get(pid, 0.0))


def choose(found: Live, role: str, before: dict[int, float]) -> int:
    if not role:
        return busiest(found, before)
    chosen = [pid for pid, its in found.parts().items() if its == role]
    if not chosen:
        raise BenchError(
            f"{found.name} has no process of the role {role!r}; it has {sorted(set(found.parts().values()))}"
        )
    return chosen[0]


def measure(found: Live, upstream: Upstream, load: Generator, arguments: argparse.Namespace, home: Path) -> None:
    kind: Kind = arguments.kind
    connections, seconds = arguments.connections, arguments.seconds
    before = {pid: process.seconds for pid, process in tree(found.process.pid).items()}
    load.closed(found.port, template(kind, found.base, found.port, found.key), connections, WARM_SECONDS)
    pid = choose(found, arguments.role, before)
    with load.background(
        found.port, template(kind, found.base, found.port, found.key), connections, seconds + 2 * MARGIN_SECONDS
    ):
        count, used = upstream.count(), tree(pid)[pid].seconds
        stacks = record(found, pid, seconds, home, native=arguments.native, idle=arguments.idle)
        calls, used = upstream.count() - count - 1, tree(pid)[pid].seconds - used
    cost = used / max(1, calls) * 1e6
    whole = profile(stacks, lines=arguments.lines, idle=arguments.idle)
    seen = profile(stacks, lines=arguments.lines, idle=arguments.idle, under=arguments.under)
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    role = found.parts().get(pid, "?")
    console.print(
        f"{found.name}, {kind}, process {role}: {calls:,} calls at {cost:.1f} us of this process, "
        f"{whole.samples:,} samples"
        + (f", {seen.samples:,} of them under {arguments.under!r}" if arguments.under else "")
    )
    for title, counts in (("self", seen.own), ("total", seen.total)):
        show(console, title, counts, whole.samples, cost, arguments.top)


def show(console: Console, title: str, counts: Counter[str], samples: int, cost: float, top: int) -> None:
    table = Table(title=f"Top {top} by {title} time", title_justify="left")
    for column in ("%", "us per call", "function"):
        table.add_column(column, justify="left" if column == "function" else "right", overflow="fold")
    for name, count in counts.most_common(top):
        share = count / max(1, samples)
        table.add_row(f"{share:.1%}", f"{share * cost:.1f}", name)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__.partition("\n")[0])
    parser.add_argument("--target", choices=[target.name for target in TARGETS], default="gateway")
    parser.add_argument("--kind", choices=KINDS, default="write")
    parser.add_argument("--role", default="", help="worker, steward or supervisor instead of the busiest process")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--lines", action="store_true", help="by line instead of by function")
    parser.add_argument("--under", default="", help="only samples with this text in a frame")
    parser.add_argument("--native", action="store_true", help="C and Rust frames too")
    parser.add_argument("--idle", action="store_true", help="count sleeping threads too")
    arguments = parser.parse_args()
    target = next(target for target in TARGETS if target.name == arguments.target)
    (ROOT / "build/bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=ROOT / "build/bench") as directory:
        home = Path(directory)
        try:
            with (
                serving(home, OTHER_CPU) as upstream,
                live(target, upstream, home, TARGET_CPU, OTHER_CPU) as found,
            ):
                measure(found, upstream, generator("auto", OTHER_CPU, home), arguments, home)
        except (BenchError, OSError, HTTPException) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
