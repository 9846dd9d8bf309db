"""What publishing calls as traces costs: CPU for each call, and so how many a second one core keeps up with.

    .venv/bin/python -m bench.exporting [--calls N] [--page]

Calls are written into a Valkey by the journal itself, as effects are (two appends, four facts, five spans), with
digests of their own; then one exporter publishes them all to a collector in another process that only says yes. What
is told is the CPU time of the exporter's process with its threads: reading, numbering and hashing leaves, making spans,
encoding, compressing, sending, moving cursors. The Valkey's CPU stands beside it. `--page` writes docs/performance.md.
"""

import argparse
import asyncio
import multiprocessing
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.results import versions
from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.core.call import PARTITION_NAMES, Call, call_id
from gateway.core.facts import Admitted, Answered, Claimed, Judged
from gateway.core.pointers import Upkeep
from gateway.core.sealed import Sealed
from gateway.core.verdict import Verdict
from gateway.ports import Append
from tests.valkey_server import Valkey

PAGE = ROOT / "docs/performance.md"
BEGIN = "<!-- exporting:begin (written by `bench.exporting --page`; edits here are lost) -->"
END = "<!-- exporting:end -->"
AGENTS = tuple(f"agent-{number}" for number in range(200))
AT_ONCE = 200
CALL = Call(
    id="", agent="", user=None, run="run-7", system="stripe", tool="stripe.create_refund", effect="write",
    method="POST", resource="Charge/ch_1", fingerprint="", match="", key="", key_given=True, repeatable=True,
    keeps_ms=86_400_000, keep_ms=86_400_000,
)  # fmt: skip
NOTHING = Upkeep((), None, None)
ALLOW = Verdict(decision="allow", policies=("small-refunds",))


def _listen(queue: Any) -> None:
    class Yes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Yes)
    queue.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def collector() -> Iterator[str]:
    """Says yes to everything, in a process of its own."""
    queue: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=_listen, args=(queue,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{queue.get()}"
    process.kill()
    process.join()


async def write(journal: RedisJournal, number: int) -> None:
    """One effect, as the engine writes it."""
    agent, token = AGENTS[number % len(AGENTS)], secrets.token_hex(8)
    print_ = secrets.token_hex(32)
    call = replace(CALL, id=call_id(agent, secrets.token_hex(10)), agent=agent, fingerprint=print_,
                   match=secrets.token_hex(32), key=secrets.token_hex(20))  # fmt: skip
    first = (
        Admitted(call=call), Judged(verdict=ALLOW, generation="9f" * 32, fingerprint=print_),
        Claimed(token=token, fingerprint=print_, lease=35_000, worker="w" * 16),
    )  # fmt: skip
    answered = Answered(token=token, status=200, length=83, sha256=secrets.token_hex(32), kept=True)
    for expected, facts in ((0, first), (3, (answered,))):
        append = Append(
            call=call.id, agent=agent, expected=expected, token=secrets.token_hex(8), facts=facts, upkeep=NOTHING
        )  # fmt: skip
        await journal.append(append)


async def seal(journal: RedisJournal) -> None:
    """As if a sealer had: the sizes are right, and nobody looks at the roots."""
    for name in PARTITION_NAMES:
        entries = await RedisLedger(journal).read(name, "", 10**6)
        if entries:
            size = sum(len(entry.facts) for entry in entries)
            await journal.ask("SET", f"{{{name}}}:sealed", Sealed(1, size, bytes(32), entries[-1].id).text)


async def measure(url: str, calls: int) -> tuple[float, float]:
    """CPU microseconds for each call: of the exporter, and of the Valkey."""
    journal = RedisJournal.open(url)
    for start in range(0, calls, AT_ONCE):
        await asyncio.gather(*(write(journal, number) for number in range(start, start + AT_ONCE)))
    await seal(journal)
    exporter = TraceExporter(SealedLedger(journal), journal.facts)
    before, began = await _valkey_seconds(journal), time.process_time()
    while await exporter.step():
        pass
    cpu, valkey = time.process_time() - began, await _valkey_seconds(journal) - before
    if exporter.problem or exporter.lag_leaves:
        raise SystemExit(f"not everything was published: {exporter.problem}")
    await exporter.close()
    await journal.close()
    return cpu / calls * 1e6, valkey / calls * 1e6


async def _valkey_seconds(journal: RedisJournal) -> float:
    found = (await journal.ask("INFO", "cpu")).decode()
    told = dict(line.split(":") for line in found.split() if ":" in line)
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for compression in ("none", "gzip"):
        with tempfile.TemporaryDirectory(prefix="gw-export-") as home, collector() as url:
            server = Valkey(Path(home)).start()
            os.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": compression}
            try:
                cpu, valkey = asyncio.run(measure(server.url, arguments.calls))
            finally:
                server.kill()
        what = f"{arguments.calls:,} effects, {compression}"
        rows.append(f"| {what} | {cpu:.0f} us | {1e6 / cpu:,.0f} | {valkey:.0f} us |")
        print(rows[-1])
    if arguments.page:
        table = "\n".join(["| published, compression | CPU per call | calls/s on one core | Valkey |",
                           "| --- | --- | --- | --- |", *rows])  # fmt: skip
        told = ", ".join(f"{name} {value}" for name, value in versions().items())
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        date = time.strftime("%Y-%m-%d")
        page = f"{before}{BEGIN}\n\n{table}\n\n{date}. Versions: {told}.\n\n{END}{rest.partition(END)[2]}"
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
