"""What every test may use: a private Valkey with the durability the gateway demands, and calm property tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import gateway.acting
from gateway.core.codec import decode
from gateway.core.facts import Fact
from gateway.core.lives import fault
from tests import world
from tests.valkey_server import Valkey

# No deadlines: a slow machine is not a failure. No database: what failed once belongs into a test of its own.
settings.register_profile("gateway", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")


@pytest.fixture(autouse=True)
def every_life_is_possible(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did to the engine's world, whoever reads its journal finds nothing impossible (`core.lives`)."""
    world.JOURNALS.clear()
    yield
    if request.node.get_closest_marker("writes_the_impossible") is not None:
        return
    for journal in world.JOURNALS:
        lives: dict[str, list[tuple[str, list[Fact]]]] = {}
        for number, (call, written) in enumerate(journal.ledger):
            lives.setdefault(call, []).append((str(number), [decode(envelope) for envelope in written]))
        for life in lives.values():
            assert not fault(life), life


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine tries the journal again at once."""
    monkeypatch.setattr(gateway.acting, "JOURNAL_RETRY_SECONDS", 0)


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
