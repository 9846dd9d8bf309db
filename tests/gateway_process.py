"""`gateway serve` as real processes, for tests that knock at its ports from outside.

    with serving(document, policies) as gateway:
        httpx.get(gateway.agents + "/bank/items/7", headers=bearer(key_of("bot")))

Nothing outlives a test: the gateway runs in a session of its own that is killed as a whole at the end, it dies with
the test process, and its data is one temporary directory below /tmp (a unix socket's path must be short).
"""

import base64
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.processes import PATIENCE_SECONDS, free_port

ROOT = Path(__file__).resolve().parents[1]
END_SECONDS = PATIENCE_SECONDS
PAYLOAD_KEY = base64.b64encode(b"k" * 32).decode()
"""Of deployments of several hosts, which must have the same."""
READY = r"The gateway is ready: agents at (\S+), control plane at ([^\s,]+),"

DIE_WITH_PARENT = """
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None: prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
os.execv(sys.argv[1], sys.argv[1:])
"""


def key_of(agent: str) -> str:
    """The gateway key of an agent, the same in every run."""
    return "gk_" + _random_looking(agent)


def token_of(person: str) -> str:
    return "gp_" + _random_looking(person)


def _random_looking(name: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(f"test {name}".encode()).digest()).decode().rstrip("=")


def digest(secret: str) -> dict[str, str]:
    """As routes.yaml stores a key or a token."""
    return {"sha256": hashlib.sha256(secret.encode()).hexdigest()}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def eventually(
    truth: Callable[[], Any], otherwise: str = "it never happened", seconds: float = PATIENCE_SECONDS
) -> Any:
    """What `truth` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := truth()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return found


@dataclass
class Gateway:
    folder: Path
    workers: int
    environment: Mapping[str, str] = field(repr=False)
    process: subprocess.Popen[bytes] = field(init=False, repr=False)
    agents: str = ""
    """The agents' URL."""
    control: str = ""

    def start(self) -> None:
        """Returns when it is ready. Its ports, data and configuration are those of an earlier start."""
        arguments = [sys.executable, "-c", DIE_WITH_PARENT, *command(self.folder, self.workers)]
        already = len(re.findall(READY, self.log))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                arguments, env=dict(self.environment), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            self.agents, self.control = _addresses(self, already)
            eventually(lambda: self.readyz().status_code == 200, "not ready")
        except BaseException:
            self.end()
            raise

    def restart(self, between: Callable[[], object] = lambda: None) -> None:
        """As a deployment does: stop it, change something, start it."""
        self.process.terminate()
        assert self.process.wait(END_SECONDS) == 0
        between()
        self.start()

    def end(self) -> None:
        """Twice SIGTERM ends running calls too; whatever is left in its session is killed."""
        for patience in (1.0, END_SECONDS):
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                break
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def readyz(self) -> httpx.Response:
        return httpx.get(f"{self.control}/readyz", trust_env=False, timeout=60)

    def pids(self, what: str) -> list[int]:
        """Process ids of its children: `worker`, `steward` or `valkey`."""
        return [pid for pid in _children(self.process.pid) if what in _kind(pid)]

    def kill(self, what: str) -> list[int]:
        """SIGKILL, as a power cut or the OOM killer would."""
        pids: list[int] = eventually(lambda: self.pids(what), f"there is no {what}")  # an earlier one was just killed
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def edit_routes(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change routes.yaml and return when the control plane and every worker serve the new one."""
        path = self.folder / "routes.yaml"
        document = yaml.safe_load(path.read_text())
        change(document)
        self.replace(path, yaml.safe_dump(document, sort_keys=False))

    def edit_policies(self, text: str) -> None:
        self.replace(self.folder / "policies" / "all.cedar", text)

    def replace(self, path: Path, text: str, *, serves: bool = True, sign: str = "") -> None:
        """Write a file the way a deployment does, and wait until every process has taken it.

        Of a broken edit (`serves=False`), or of any other `sign`, only the steward speaks.
        """
        processes = len(self.pids("worker")) + 1 if serves and not sign else 1
        sign = sign or (r"generation [0-9a-f]{12} serves now" if serves else "the edit is not used")
        wanted = len(re.findall(sign, self.log)) + processes
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(path)
        eventually(lambda: len(re.findall(sign, self.log)) >= wanted, f"not every process noticed the edit of {path}")


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _kind(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return "valkey"
        found = re.search(rb'"role": ?"(\w+)"', Path(f"/proc/{pid}/environ").read_bytes())
        return found[1].decode() if found else ""
    return ""


def environment(**values: str) -> dict[str, str]:
    """Ours, without settings of somebody else's that would change the story."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "OTEL_"))}
    return {**kept, **values}


def write_configuration(folder: Path, document: Mapping[str, Any], policies: str) -> None:
    (folder / "routes.yaml").write_text(yaml.safe_dump(dict(document), sort_keys=False))
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "all.cedar").write_text(policies)


def command(folder: Path, workers: int) -> list[str]:
    places = ("--routes", folder / "routes.yaml", "--policies", folder / "policies", "--data", folder / "data")
    return [sys.executable, "-m", "gateway", "serve", *map(str, places), "--workers", str(workers)]


@contextmanager
def serving(
    document: Mapping[str, Any],
    policies: str,
    *,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Iterator[Gateway]:
    """A gateway that is ready. `settings`: environment variables; `files`: further ones beside routes.yaml, such as
    secrets, where `{folder}` in the document stands for their directory."""
    with tempfile.TemporaryDirectory(prefix="gwt-") as name:
        folder = Path(name)
        for path, text in (files or {}).items():
            (folder / path).write_text(text)
        listen = {"agents": f"127.0.0.1:{free_port()}", "control": f"127.0.0.1:{free_port()}"}
        write_configuration(folder, {**_placed(document, name), "listen": listen}, policies)
        (folder / "log").touch()
        gateway = Gateway(folder, workers, environment(**(settings or {})))
        try:
            gateway.start()
            try:
                yield gateway
            finally:
                gateway.end()
        except BaseException:
            sys.stderr.write(f"--- the gateway said:\n{gateway.log[-8000:]}\n")
            raise


def _placed(value: Any, folder: str) -> Any:
    match value:
        case str():
            return value.replace("{folder}", folder)
        case dict():
            return {name: _placed(item, folder) for name, item in value.items()}
        case list():
            return [_placed(item, folder) for item in value]
    return value


def _addresses(gateway: Gateway, already: int) -> tuple[str, str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found := re.findall(READY, gateway.log)) <= already:
        assert gateway.process.poll() is None, f"the gateway ended with {gateway.process.returncode}"
        assert time.monotonic() < deadline, "the gateway did not become ready"
        time.sleep(0.02)
    agents, control = found[-1]
    return agents, control
