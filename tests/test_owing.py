"""What is owed is kept in mind until it is written, whatever goes wrong, and not longer."""

import asyncio

import pytest

from gateway import owing as owing_file
from gateway.owing import owe
from gateway.tasks import cancel_all


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(owing_file, "UNFORESEEN_RETRY_SECONDS", 0.001)


def test_a_call_is_owed_at_once_and_until_it_is_written(caplog):
    async def story():
        owing: set[str] = set()
        reached, go = asyncio.Event(), asyncio.Event()
        errors = [ValueError("damaged"), KeyError("odd")]

        async def write():
            assert owing == {"a"}
            if errors:
                raise errors.pop()
            reached.set()
            await go.wait()

        owe(owing, "a", write)
        assert owing == {"a"}
        async with asyncio.timeout(60):
            await reached.wait()
        assert owing == {"a"}
        go.set()
        await asyncio.sleep(0.01)
        assert owing == set()

    asyncio.run(story())
    assert caplog.text.count("call a could not be written; it is tried again") == 2


def test_a_process_that_ends_stops_trying():
    async def story():
        owing: set[str] = set()

        async def write():
            await asyncio.sleep(60)

        owe(owing, "a", write)
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await cancel_all()
        assert owing == {"a"}

    asyncio.run(story())
