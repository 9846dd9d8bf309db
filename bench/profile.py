"""Where a call's processor time goes: py-spy on the busiest process of a target under load, as short tables.

    python -m bench.profile --kind write --seconds 10
    python -m bench.profile --target aiohttp --kind read
    python -m bench.profile --kind write --under judge      only samples in which that function was running

*self* is time in the function itself, *total* in it and what it called (once per sample, however deep it recurses).
A function's microseconds are its share of a thread's samples times what that thread really used per call, read from
/proc over the same seconds. Being sampled slows the target, so compare shares, and take the cost of a call from
`make bench`. A thread of its own without Python frames (an HTTP client's) is in the first table only, unless --native.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from http.client import HTTPException
from operator import itemgetter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import ROOT
from bench.__main__ import OTHER_CPU, TARGET_CPU
from bench.load import KINDS, Generator, Kind, generator, template
from bench.processes import TICKS_PER_SECOND, BenchError, on_cpu, tree
from bench.targets import TARGETS, Live, live
from bench.upstream import Upstream, serving

# Not a divisor of the round intervals at which programs do things, so that samples do not fall in step with them.
# Every sample stops every thread for a moment, which is charged to that thread: a sleeping one shows 1 or 2 us for it.
SAMPLES_PER_SECOND = 197
WARM_SECONDS = 2.0
# The load starts before the samples and ends after them.
MARGIN_SECONDS = 2.0
# Less than this is left out.
SHOWN_SHARE = 0.0005
_LOOP = "asyncio/runners.py Runner.run"
_THREAD = re.compile(r"thread \((\d+)\)")
# Where no terminal says how wide it is: room for the longest names.
PIPED_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Profile:
    """CPU microseconds per call by function, `file function`: in itself, and with what it called."""

    own: Mapping[str, float]
    total: Mapping[str, float]


def profile(stacks: Iterable[str], costs: Mapping[int, float], *, lines: bool = False, under: str = "") -> Profile:
    """Spread what each thread cost (`costs`, by its id) over the functions it was seen in.

    py-spy's raw format: the thread, then frames from the outermost in, separated by semicolons, then a count. A
    thread that py-spy takes for busy while it sleeps cost nothing, so it adds nothing.
    """
    seen: dict[int, Counter[tuple[str, ...]]] = {}
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        thread, *places = [frame for frame in frames.split(";") if not frame.startswith("process ")]
        if (found := _THREAD.match(thread)) and places:
            names = tuple(_frame(place, lines=lines) for place in places)
            loop = next((at for at, name in enumerate(names) if name.startswith(_LOOP)), 0)
            names = names[loop:]  # what started the loop is in every stack and says nothing
            seen.setdefault(int(found[1]), Counter())[names] += int(count)
    own, total = defaultdict[str, float](float), defaultdict[str, float](float)
    for thread_id, counted in seen.items():
        each = costs.get(thread_id, 0.0) / counted.total()
        for names, times in counted.items():
            if not any(under in name for name in names):
                continue
            own[names[-1]] += times * each
            for name in set(names):
                total[name] += times * each
    return Profile(own, total)


def _frame(frame: str, *, lines: bool) -> str:
    """`handle (gateway/doors/proxy.py:41)` as `gateway/doors/proxy.py handle`, with its line if wanted."""
    name, _, place = frame.partition(" (")
    file, _, line = place.removesuffix(")").rpartition(":")
    if not line.isdigit():
        file, line = place.removesuffix(")"), ""
    short = file.rpartition("site-packages/")[2].removeprefix(f"{ROOT}/")
    return f"{short or 'native'} {name}{f':{line}' if lines and line else ''}"


def record(found: Live, pid: int, seconds: float, home: Path, *, native: bool) -> list[str]:
    """Let py-spy sample that process."""
    output = home / "stacks.txt"
    command = [
        str(Path(sys.executable).with_name("py-spy")),
        "record",
        "--pid",
        str(pid),
        "--format",
        "raw",
        "--threads",
    ]
    command += ["--rate", str(SAMPLES_PER_SECOND), "--duration", str(round(seconds)), "--output", str(output)]
    with on_cpu(OTHER_CPU):
        run = subprocess.run([*command, *["--native"] * native], capture_output=True, text=True, check=False)
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
    request = template(kind, found.base, found.port, found.key)
    with load.background(found.port, request, connections, seconds + 2 * MARGIN_SECONDS):
        count, used = upstream.count(), threads(pid)
        stacks = record(found, pid, seconds, home, native=arguments.native)
        calls = max(1, upstream.count() - count - 1)
        costs = {
            thread: Thread(now.name, (now.cost - (used[thread].cost if thread in used else 0.0)) / calls * 1e6)
            for thread, now in threads(pid).items()
        }
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    cost = sum(thread.cost for thread in costs.values())
    console.print(f"{found.name}, {kind}, {found.parts().get(pid, '?')}: {calls:,} calls at {cost:.1f} us each")
    by_thread = {f"{thread.name} ({number})": thread.cost for number, thread in costs.items()}
    show(console, "Threads", by_thread, cost, arguments.top)
    counted = {number: thread.cost for number, thread in costs.items()}
    seen = profile(stacks, counted, lines=arguments.lines, under=arguments.under)
    where = f", under {arguments.under!r} only" if arguments.under else ""
    show(console, f"Functions by self time{where}", seen.own, cost, arguments.top)
    show(console, f"Functions by total time{where}", seen.total, cost, arguments.top)


@dataclass(frozen=True, slots=True)
class Thread:
    name: str
    cost: float


def threads(pid: int) -> dict[int, Thread]:
    """Every thread of a process with the seconds of processor time it has used so far, by its id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        found[int(task.name)] = Thread(name, sum(map(int, rest.split()[11:13])) / TICKS_PER_SECOND)
    return found


def show(console: Console, title: str, costs: Mapping[str, float], whole: float, top: int) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("%", "us per call", "what"):
        table.add_column(column, justify="left" if column == "what" else "right", overflow="fold")
    for name, cost in nlargest(top, costs.items(), key=itemgetter(1)):
        if cost / max(whole, 1e-9) >= SHOWN_SHARE:
            table.add_row(f"{cost / whole:.1%}", f"{cost:.1f}", name)
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
