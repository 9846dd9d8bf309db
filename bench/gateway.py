"""The gateway under measurement: started as a user starts it, and seen to govern before it is measured."""

import hashlib
import os
import re
import secrets
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import ROOT
from bench.load import body, headers, target
from bench.processes import BenchError, Process, Running, ask, pin, running, tree
from bench.targets import Live, check_answers
from bench.upstream import ANSWER, Upstream, free_port

HERE = ROOT / "bench"
BASE = "/ledger"
NOBODYS_KEY = "0" * 64
"""Stands in bench/routes.yaml where the agent's key belongs."""
# The supervisor tells each child in its environment what it is (gateway/duty.py).
_ROLE = re.compile(rb'GATEWAY_CHILD=[^\0]*"role": ?"(\w+)"')
TOO_MUCH = 9999
"""An amount above what bench/policies let an agent post alone."""


@contextmanager
def live(upstream: Upstream, home: Path, cpu: int, other_cpu: int) -> Iterator[Live]:
    """`gateway serve` with one worker on `cpu`; its Valkey is moved to `other_cpu` and reported by itself."""
    key = f"gk_{secrets.token_urlsafe(32)}"
    agents, control = free_port(), free_port()
    # Each start has a journal of its own, on a real disk: the journal's fsync is part of what is measured.
    with tempfile.TemporaryDirectory(prefix="gateway-", dir=home) as data:
        routes = Path(data) / "routes.yaml"
        shipped = (HERE / "routes.yaml").read_text(encoding="utf-8")
        routes.write_text(shipped.replace(NOBODYS_KEY, hashlib.sha256(key.encode()).hexdigest()), encoding="utf-8")
        command = [sys.executable, "-m", "gateway", "serve", "--routes", str(routes)]
        command += ["--policies", str(HERE / "policies"), "--data", str(Path(data) / "data"), "--workers", "1"]
        with running("gateway", command, cpu, home, environment(upstream, agents, control)) as process:
            process.wait_until_answers(control, "/readyz")
            seconds = process.wait_until_answers(agents, "/healthz")  # agents are served too, if /readyz said the truth
            move_valkey(process, other_cpu)
            found = Live(
                name="gateway", port=agents, process=process, ready_seconds=seconds, base=BASE, key=key, roles=roles
            )
            check_answers(found)
            check_governs(found)
            yield found


def environment(upstream: Upstream, agents: int, control: int) -> dict[str, str]:
    """What bench/routes.yaml reads. Raises BenchError if somebody's settings would change what is measured."""
    foreign = {name: "" for name in os.environ if name.startswith(("GATEWAY_", "OTEL_"))}
    if foreign:
        raise BenchError(f"Unset {', '.join(foreign)} first: the gateway is measured with its default settings.")
    return {
        "BENCH_UPSTREAM": upstream.url,
        "BENCH_LEDGER_KEY": f"sk_{secrets.token_urlsafe(24)}",
        "BENCH_APPROVALS": f"{upstream.url}/approvals",
        "BENCH_APPROVALS_SECRET": _webhook_secret(),
        "BENCH_CALLBACK_SECRET": _webhook_secret(),
        "BENCH_AGENTS": f"127.0.0.1:{agents}",
        "BENCH_CONTROL": f"127.0.0.1:{control}",
    }


def _webhook_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def check_governs(found: Live) -> None:
    """It must refuse a stranger, hold what needs a person, and replay a repeated request instead of repeating it."""
    method, path = target("read", BASE)
    _expect(found, "a request without a key", ask(found.port, method, path), 401, b"gateway-credential")
    method, path = target("write", BASE)
    fields = headers("write", found.key, "preflight1")
    held = ask(found.port, method, path, {**fields, "Prefer": "wait=0"}, body("preflight1", TOO_MUCH).encode())
    _expect(found, "a write that needs approval", held, 409, b"approval-pending")
    fields, content = headers("write", found.key, "preflight2"), body("preflight2").encode()
    _expect(found, "a write", ask(found.port, method, path, fields, content), 200, ANSWER)
    _expect(found, "the same write again", ask(found.port, method, path, fields, content), 200, ANSWER)
    other = body("preflight2").replace("eur", "usd").encode()
    reused = ask(found.port, method, path, fields, other)
    _expect(found, "another write under the same key", reused, 422, b"idempotency-key-reused")


def _expect(found: Live, what: str, answer: tuple[int, bytes], status: int, part: bytes) -> None:
    if answer[0] != status or part not in answer[1]:
        said = answer[1][:400].decode(errors="replace")
        raise BenchError(
            f"The gateway does not govern, so measuring it says nothing: {what} should be answered {status} "
            f"{part.decode()}, but was answered {answer[0]} {said}\n{found.process.tail()}"
        )


def roles(processes: dict[int, Process], root: int) -> dict[int, str]:
    """What each process of the gateway's tree is for: supervisor, worker, steward, valkey (and what it forks)."""
    named = {pid: _role(pid, root) for pid in processes}
    found = {}
    for pid, process in processes.items():
        role, above = named[pid], process.parent
        while role == "other" and above in named and above != root:
            role, above = named[above], processes[above].parent
        found[pid] = role
    return found


def _role(pid: int, root: int) -> str:
    if pid == root:
        return "supervisor"
    try:
        program = Path(f"/proc/{pid}/exe").readlink().name  # not its title, which servers rewrite
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return "other"
    if program.startswith(("valkey", "redis")):
        return "valkey"
    found = _ROLE.search(environment)
    return found[1].decode() if found else "other"


def move_valkey(process: Running, cpu: int) -> None:
    """Its server does not run on the processor under measurement: in production it is another machine."""
    found = tree(process.pid)
    servers = [pid for pid, role in roles(found, process.pid).items() if role == "valkey"]
    if not servers:
        raise BenchError("The gateway runs no Valkey of its own, so its durable writes cannot be measured apart.")
    for pid in servers:
        pin(pid, cpu)
