"""Runs bench/decision.py, the cost of one verdict with 10 and with 10,000 policies, as a process of its own."""

import re
import subprocess
import sys
from typing import Any

from bench import ROOT
from bench.processes import on_cpu

# Its lines: what was decided, then median and least microseconds, then the ratio to the first line.
_LINE = re.compile(r"(\S.*\S)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)")
_MANY = "10000 policies"


def decisions(cpu: int) -> dict[str, Any]:
    """`columns` and `rows` of its table, and the `ratio` of many policies to few; empty if it does not run."""
    with on_cpu(cpu):
        process = subprocess.run(
            [sys.executable, "-m", "bench.decision"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    rows = [list(line.groups()) for line in map(_LINE.fullmatch, process.stdout.splitlines()) if line]
    if process.returncode or not rows:
        print(f"bench.decision gave no figures (exit code {process.returncode}): {process.stderr.strip()[-500:]}")
        return {}
    found: dict[str, Any] = {"columns": ["one decision", "CPU us, median", "least", "x the first"], "rows": rows}
    if many := [float(row[3]) for row in rows if row[0].startswith(_MANY)]:
        found["ratio"] = many[0]
    return found
