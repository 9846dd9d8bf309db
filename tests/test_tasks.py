"""A spawned task is kept, its failure is seen, and all of them can be ended."""

import asyncio
import gc
import logging

import pytest

from gateway.tasks import cancel_all, spawn


def test_a_task_that_nobody_holds_survives_the_garbage_collector():
    ended = []

    async def work():
        waiting = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(
            0.05, lambda reference: (f := reference()) and f.set_result(None), _weak(waiting)
        )
        await waiting
        ended.append(True)

    async def main():
        spawn(work(), "work")
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0.1)

    asyncio.run(main())
    assert ended == [True]


def _weak(value):
    import weakref

    return weakref.ref(value)


def test_an_unexpected_failure_is_logged_with_the_name_of_the_task(caplog):
    async def fail():
        raise ValueError("boom")

    async def main():
        task = spawn(fail(), "send call 17")
        await asyncio.wait({task})

    asyncio.run(main())
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "send call 17" in caplog.text
    assert "boom" in caplog.text


def test_an_expected_failure_reaches_who_awaits_it_and_not_the_log(caplog):
    async def fail():
        raise LookupError("as agreed")

    async def main():
        with pytest.raises(LookupError, match="as agreed"):
            await spawn(fail(), "look up", expected=(LookupError,))

    asyncio.run(main())
    assert not caplog.records


def test_cancelling_is_not_a_failure(caplog):
    async def main():
        task = spawn(asyncio.sleep(60), "sleep")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())
    assert not caplog.records


def test_cancel_all_ends_every_task_but_the_caller_and_waits_for_their_last_words():
    said = []

    async def work(number):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            said.append(number)

    async def caller():
        for number in range(3):
            spawn(work(number), f"work {number}")
        await asyncio.sleep(0)
        await cancel_all()
        return sorted(said)

    async def main():
        return await spawn(caller(), "caller")

    assert asyncio.run(main()) == [0, 1, 2]
