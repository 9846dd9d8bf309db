"""How long `gateway audit verify` takes: a record of a million facts, as so many agents would have left it.

    .venv/bin/python -m bench.record [--facts N] [--agents N] [--page]

The lives are those of calls as they mostly are: effects, reads, denials, and a few that people decided. They are
written as leaves, bundles, tiles and signed checkpoints by the specification, then verified by the command itself, in
its own processes. `--page` puts the figures into docs/performance.md.
"""

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import ROOT
from bench.results import versions
from gateway.core.call import Call, call_id
from gateway.core.codec import encode, envelope
from gateway.core.deployment import DEPLOYMENT, NAME, DeploymentFact, Loaded, LoadedFile
from gateway.core.facts import (
    Admitted,
    Answered,
    Approved,
    Asked,
    Claimed,
    Delivered,
    Fact,
    Judged,
    Notice,
    Notified,
    Reported,
)
from gateway.core.leaf import leaves_of
from gateway.core.verdict import Requirement, Verdict
from gateway.ledger.merkle import Tree, leaf_hash, node_hash
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.tiles import CHECKPOINT, WIDTH, bundle, bundle_path, tile_path

PAGE = ROOT / "docs/performance.md"
BEGIN, END = "<!-- record:begin (written by `bench.record --page`; edits here are lost) -->", "<!-- record:end -->"
DAY_MS = 86_400_000
START_MS = 1_795_168_800_000
GENERATION = "9f" * 32
FINANCE = Requirement("finance", "refunds-over-50-need-finance", "5e" * 32)
ALLOW = Verdict(decision="allow", policies=("billing-may-refund",), reasons=("Billing refunds charges.",))
DENY = Verdict(decision="deny", policies=("no-refunds-at-night",), reasons=("Refunds wait until the morning.",))
HOLD = Verdict(decision="hold", policies=(FINANCE.policy,), requirements=(FINANCE,), reasons=("Over 50 is a lot.",))
LIFTED = replace(ALLOW, requirements=(FINANCE,))


def judged(call: Call, verdict: Verdict) -> Judged:
    return Judged(verdict=verdict, generation=GENERATION, fingerprint=call.fingerprint)


def appends(dice: random.Random, call: Call) -> list[tuple[Fact, ...]]:
    """The life of one call."""
    print_ = call.fingerprint
    first = Admitted(call=call)
    token, digest = dice.randbytes(8).hex(), dice.randbytes(32).hex()
    claim = Claimed(token=token, fingerprint=print_, lease=35_000, worker="worker-1")
    answer = Answered(token=token, status=200, length=412, sha256=digest, kept=True)
    if not call.acts:
        return [(first, judged(call, ALLOW), replace(answer, token="", kept=False))]
    kind = dice.random()
    if kind < 0.15:
        return [(first, judged(call, DENY))]
    if kind < 0.9:
        return [(first, judged(call, ALLOW), claim), (answer,)]
    notice = Notice(id=f"{call.id}-a00", group="finance", channel=0)
    end = Reported(kind="call.finished", notices=(replace(notice, id=f"{call.id}-b00", kind="call.finished"),))
    yes = Approved(by="ann", group="finance", fingerprint=print_, requirements=(FINANCE,), via="token", reason="fine")
    question = Asked(fingerprint=print_, requirements=(FINANCE,), notices=(notice,), expire=DAY_MS)
    return [
        (first, judged(call, HOLD), question),
        (Notified(notice=notice.id, attempt=1, status=200, done=True),), (yes,), (judged(call, LIFTED), claim),
        (answer, end), (Delivered(),),
    ]  # fmt: skip


def calls(facts: int, agents: int) -> Iterator[tuple[str, list[tuple[Fact, ...]]]]:
    """Lives of about so many facts, by partition, a few of them under way at once."""
    dice, made = random.Random(4), 0
    while made < facts:
        agent = f"agent-{dice.randrange(agents)}"
        effect = "read" if dice.random() < 0.4 else "write"
        call = Call(
            id=call_id(agent, dice.randbytes(11).hex()), agent=agent, system="stripe", effect=effect,
            tool="stripe.create_refund" if effect == "write" else "stripe.get_charge", run=f"run-{made // 40}",
            method="POST" if effect == "write" else "GET", resource=f"Charge/ch_{dice.randbytes(6).hex()}",
            fingerprint=dice.randbytes(32).hex(), match=dice.randbytes(32).hex() if effect == "write" else "",
            key=dice.randbytes(20).hex() if effect == "write" else "", source_ip="10.1.2.3",
            traceparent=f"00-{dice.randbytes(16).hex()}-{dice.randbytes(8).hex()}-01",
        )  # fmt: skip
        life = appends(dice, call)
        made += sum(map(len, life))
        yield call.id, life


class Log:
    """One log, written as it grows."""

    def __init__(self, ledger: Path, partition: str, signer: Signer) -> None:
        self.directory, self.signer = ledger / partition, signer.of(partition)
        self.tree, self.waiting = Tree(), list[bytes]()
        self.hashes: list[list[bytes]] = []
        self.tiles: list[int] = []

    def append(self, leaves: tuple[bytes, ...]) -> None:
        self.waiting += leaves
        while len(self.waiting) >= WIDTH:
            self._bundle(self.waiting[:WIDTH])
            del self.waiting[:WIDTH]

    def close(self) -> None:
        if self.waiting:
            self._bundle(self.waiting)
        for level, hashes in enumerate(self.hashes):
            if hashes:
                self._write(tile_path(level, self.tiles[level], len(hashes)), b"".join(hashes))
        self._write(CHECKPOINT, sign_checkpoint(self.signer, self.tree.size, self.tree.root).encode())

    def _bundle(self, leaves: list[bytes]) -> None:
        self._write(bundle_path(self.tree.size // WIDTH, len(leaves)), bundle(leaves))
        found = [leaf_hash(leaf) for leaf in leaves]
        self.tree = self.tree.append(found)
        for hashed in found:
            self._hash(0, hashed)

    def _hash(self, level: int, hashed: bytes) -> None:
        if len(self.hashes) <= level:
            self.hashes.append([])
            self.tiles.append(0)
        row = self.hashes[level]
        row.append(hashed)
        if len(row) == WIDTH:
            self._write(tile_path(level, self.tiles[level]), b"".join(row))
            self.hashes[level], self.tiles[level] = [], self.tiles[level] + 1
            while len(row) > 1:
                row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
            self._hash(level + 1, row[0])

    def _write(self, name: str, data: bytes) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write(ledger: Path, facts: int, agents: int, signer: Signer) -> int:
    """A record of about so many facts; how many there are."""
    logs = {DEPLOYMENT: Log(ledger, DEPLOYMENT, signer)}
    loaded = Loaded(generation=GENERATION, files=(LoadedFile(name="routes.yaml", sha256="ab" * 32),), version="0.1.0")
    logs[DEPLOYMENT].append(_leaves(b"gateway", NAME, 0, START_MS, (loaded,)))
    for number, (call, life) in enumerate(calls(facts, agents), 1):
        log = logs.get(call[:2]) or logs.setdefault(call[:2], Log(ledger, call[:2], signer))
        position = 0
        for turn, told in enumerate(life):
            log.append(_leaves(b"call", call, position, START_MS + 10 * number + turn, told))
            position += len(told)
    for log in logs.values():
        log.close()
    return sum(log.tree.size for log in logs.values())


def _leaves(
    about: bytes, name: str, first: int, at: int, facts: tuple[Fact | DeploymentFact, ...]
) -> tuple[bytes, ...]:
    told = b"\n".join(envelope(encode(fact), at, f"{at:016x}") for fact in facts)
    return leaves_of(b"%d-0" % at, {about: name.encode(), b"from": b"%d" % first, b"facts": told})


def verified(ledger: Path, signer: Signer) -> tuple[float, float, str]:
    """Seconds that the command takes, those of CPU, and what it says."""
    command = [
        sys.executable,
        "-m",
        "gateway",
        "audit",
        "verify",
        "--ledger",
        str(ledger),
        "--key",
        str(signer.verifier),
    ]
    begun, used = time.monotonic(), _used()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - begun, _used() - used, done.stdout


def _used() -> float:
    """Seconds of CPU of all processes that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--page", action="store_true")
    arguments, load = parser.parse_args(), os.getloadavg()[0]
    home = Path(tempfile.mkdtemp(prefix="gw-record-"))
    try:
        signer, rows = Signer.new("gateway.bench/audit"), []
        for agents in (arguments.agents, 1):
            ledger = home / f"of-{agents}"
            facts = write(ledger, arguments.facts, agents, signer)
            size = sum(path.stat().st_size for path in ledger.rglob("*") if path.is_file())
            seconds, used, said = verified(ledger, signer)
            took = f"{seconds:.1f} s; CPU {used:.1f} s"
            print(f"{facts:,} facts of {agents} agents, {size / 2**20:,.0f} MiB: {took}\n{said}")
            what = f"of {agents} agents" if agents > 1 else "of one agent, so in one log, on one core"
            rows.append(f"| {facts:,} facts {what}, {size / 2**20:,.0f} MiB | {took} |")
            shutil.rmtree(ledger)
        if arguments.page:
            table = "\n".join(["| verified from its files | |", "| --- | --- |", *rows])
            told = ", ".join(f"{name} {value}" for name, value in versions().items())
            before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
            busy = f"Measured {time.strftime('%Y-%m-%d')}, load average {load:.1f} when it began."
            page = f"{before}{BEGIN}\n\n{table}\n\n{busy} Versions: {told}.\n\n{END}{rest.partition(END)[2]}"
            PAGE.write_text(page, encoding="utf-8")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
