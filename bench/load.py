"""Load: the same prepared bytes to every target, from the other processor.

A template is one whole HTTP request; twelve `@` in it stand for a counter, so that each write is another intent
(another key and another body: otherwise the gateway would rightly answer it from its journal). wrk sends it if
installed, else bench/client.py. Both drive a closed loop: the next request goes out when the answer came.
"""

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench import ROOT
from bench.processes import BenchError, on_cpu

Kind = Literal["read", "write"]
KINDS: tuple[Kind, ...] = ("read", "write")
COUNTER = "@" * 12
# A load generator that has not ended this long after its time is stuck.
GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load generator saw."""

    requests: int
    seconds: float
    failed: int
    """Answers with a status of 400 and above."""
    broken: int
    """Connections that failed, and requests without an answer in time."""
    p50_ms: float
    p99_ms: float


def headers(kind: Kind, key: str, prefix: str) -> dict[str, str]:
    """What an SDK sends, and nothing more."""
    found = {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": "bench/1"}
    if kind == "write":
        found |= {"Content-Type": "application/json", "Idempotency-Key": f"bench-{prefix}-{COUNTER}"}
    return found


def body(prefix: str, amount: int = 1234) -> str:
    """86 bytes of JSON where the amount has four digits and the prefix ten."""
    return f'{{"charge":"ch_1","amount":{amount},"currency":"eur","reference":"{prefix}-{COUNTER}"}}'


def target(kind: Kind, base: str) -> tuple[str, str]:
    """Method and path. `base` is where the target keeps the system, `/ledger` for the gateway."""
    return ("GET", f"{base}/v1/entries/en_001") if kind == "read" else ("POST", f"{base}/v1/entries")


def template(kind: Kind, base: str, port: int, key: str) -> bytes:
    """One request, with a prefix that no earlier load has used."""
    prefix = secrets.token_hex(5)
    method, path = target(kind, base)
    content = body(prefix) if kind == "write" else ""
    fields = {"Host": f"127.0.0.1:{port}", **headers(kind, key, prefix)}
    if content:
        fields["Content-Length"] = str(len(content))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{content}".encode()


@dataclass(frozen=True, slots=True)
class Generator:
    """Runs one load at a time on one processor."""

    software: str
    """`wrk` or `python`."""
    cpu: int
    home: Path

    def closed(self, port: int, request: bytes, connections: int, seconds: float) -> Loaded:
        """As much as the target takes from that many connections."""
        return self._run(self._closed_command(port, request, connections, seconds), seconds)

    def _closed_command(self, port: int, request: bytes, connections: int, seconds: float) -> list[str]:
        if self.software == "python":
            return self._client_command(port, request, connections, seconds, 0)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        command += ["-s", str(ROOT / "bench/load.lua"), f"http://127.0.0.1:{port}", "--", self._template(request)]
        return command

    def paced(self, port: int, request: bytes, connections: int, seconds: float, rate: float) -> Loaded:
        """Requests at random moments, `rate` per second on average, whether or not earlier ones are answered.

        Latencies count from the moment at which each request should have gone out, so a stall is not forgiven.
        """
        return self._run(self._client_command(port, request, connections, seconds, rate), seconds)

    def _client_command(self, port: int, request: bytes, connections: int, seconds: float, rate: float) -> list[str]:
        command = [sys.executable, "-m", "bench.client", "--port", str(port), "--template", self._template(request)]
        command += ["--connections", str(connections), "--seconds", str(seconds), "--rate", str(rate)]
        return command

    def _template(self, request: bytes) -> str:
        file = self.home / "template.http"
        file.write_bytes(request)
        return str(file)

    @contextmanager
    def background(self, port: int, request: bytes, connections: int, seconds: float) -> Iterator[None]:
        """The closed loop, while something else is done; what is inside must take less than that long."""
        process = self._start(self._closed_command(port, request, connections, seconds))
        try:
            yield
        finally:
            process.terminate()
            process.communicate()

    def _run(self, command: list[str], seconds: float) -> Loaded:
        process = self._start(command)
        try:
            output, _ = process.communicate(timeout=seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            raise BenchError(f"the load of {seconds:g} s did not end: a target that no longer answers?") from None
        finally:
            process.kill()
            process.wait()
        result = next((line.removeprefix("RESULT ") for line in output.splitlines() if line.startswith("RESULT ")), "")
        if not result:
            raise BenchError(f"the load generator ended with exit code {process.returncode}:\n{output}")
        return Loaded(**json.loads(result))

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        with on_cpu(self.cpu):
            return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def generator(software: str, cpu: int, home: Path) -> Generator:
    """`software`: `wrk`, `python`, or `auto` for wrk where there is one."""
    if software == "wrk" and not shutil.which("wrk"):
        raise BenchError("wrk is not installed; leave out --load to use the built-in client.")
    return Generator("wrk" if software != "python" and shutil.which("wrk") else "python", cpu, home)
