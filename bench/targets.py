"""What is measured, and how each of it is started: exactly as its user would, on the processor under measurement."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import KINDS, body, headers, target
from bench.processes import BenchError, Process, Running, ask, running, tree
from bench.upstream import ANSWER, Upstream, free_port

Roles = Callable[[dict[int, Process], int], dict[int, str]]
"""Names for the processes of a tree, given the tree and its root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A target that runs and has answered rightly."""

    name: str
    port: int
    process: Running
    ready_seconds: float
    """From its start until it answered (the gateway: until /readyz said yes)."""
    base: str = ""
    key: str = "gk_nobody-asks-for-it"
    roles: Roles | None = None

    def parts(self) -> dict[int, str]:
        """The role of each of its processes now."""
        processes = tree(self.process.pid)
        return self.roles(processes, self.process.pid) if self.roles else dict.fromkeys(processes, "proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    title: str
    governed: bool = False
    reaches_upstream: bool = True


GATEWAY = Target(name="gateway", title="gateway, governed", governed=True)
BASELINE = Target(name="aiohttp", title="Starlette + aiohttp, ungoverned")
TARGETS = (
    GATEWAY,
    BASELINE,
    Target(name="httpx", title="Starlette + httpx, ungoverned"),
    Target(name="httpx-sniffio", title="the same with sniffio installed"),
    Target(name="pyreqwest", title="raw ASGI + pyreqwest"),
    Target(name="uvicorn", title="uvicorn alone, no upstream", reaches_upstream=False),
)


@contextmanager
def live(wanted: Target, upstream: Upstream, home: Path, cpu: int, other_cpu: int) -> Iterator[Live]:
    """Start a target on `cpu` and see that it answers rightly; afterwards nothing of it is left."""
    if wanted.governed:
        from bench import gateway

        with gateway.live(upstream, home, cpu, other_cpu) as found:
            yield found
        return
    port = free_port()
    command = [sys.executable, "-m", "bench.passthroughs", wanted.name]
    command += ["--port", str(port), "--upstream", upstream.url]
    with running(wanted.name, command, cpu, home) as process:
        seconds = process.wait_until_answers(port, "/v1/entries/en_001")
        found = Live(name=wanted.name, port=port, process=process, ready_seconds=seconds)
        check_answers(found)
        yield found


def check_answers(found: Live) -> None:
    """A target that answers wrongly is not measured."""
    for kind in KINDS:
        method, path = target(kind, found.base)
        prefix = "preflight0"
        content = body(prefix).encode() if kind == "write" else b""
        status, answer = ask(found.port, method, path, headers(kind, found.key, prefix), content)
        if (status, answer) != (200, ANSWER):
            said = answer[:400].decode(errors="replace")
            raise BenchError(f"{found.name} answers {method} {path} with {status} {said}\n{found.process.tail()}")
