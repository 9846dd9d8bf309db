"""What every test may use: a private Valkey with the durability the gateway demands, and calm property tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import gateway.engine
from tests.valkey_server import Valkey

# No deadlines: a slow machine is not a failure. No database: what failed once belongs into a test of its own.
settings.register_profile("gateway", deadline=None, database=None)
settings.load_profile("gateway")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine tries the journal again at once."""
    monkeypatch.setattr(gateway.engine, "JOURNAL_RETRY_SECONDS", 0)


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
