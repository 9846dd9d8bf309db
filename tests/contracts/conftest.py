"""What the contracts of a journal are tried on."""

import pytest

from tests.contracts.journal_bench import MemoryBench, RedisBench


@pytest.fixture(params=["memory", "redis"])
def bench(request):
    """A contract holds for the journal in memory and for a real server alike."""
    if request.param == "memory":
        return MemoryBench
    server = request.getfixturevalue("valkey")
    server.flush()
    return lambda: RedisBench(server.url)
