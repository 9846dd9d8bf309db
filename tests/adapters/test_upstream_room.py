"""Places for connections: never more than there are, never one lost, and first come, first served."""

import asyncio
from contextlib import suppress

from gateway.adapters.upstream.room import Room
from tests.processes import PATIENCE_SECONDS


def run(story):
    return asyncio.run(asyncio.wait_for(story, PATIENCE_SECONDS))


async def settled():
    """Everything that can go on now has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


def free(room):
    """How many places can be taken now; they are taken."""
    count = 0
    while room.enter():
        count += 1
    return count


def test_there_are_as_many_places_as_there_are():
    assert free(Room(3)) == 3


def test_a_place_that_was_left_can_be_taken_again():
    room = Room(1)
    assert free(room) == 1
    room.leave()
    assert free(room) == 1


def test_whoever_leaves_gives_the_place_to_whoever_waits_longest():
    async def story():
        room, order = Room(1), []
        room.enter()

        async def wait(name):
            assert await room.wait(PATIENCE_SECONDS)
            order.append(name)

        waiting = [asyncio.create_task(wait(name)) for name in "ab"]
        await settled()
        room.leave()
        assert not room.enter(), "it is promised"
        await settled()
        assert order == ["a"]
        room.leave()
        await asyncio.gather(*waiting)
        assert order == ["a", "b"]
        room.leave()
        assert free(room) == 1

    run(story())


def test_whoever_waits_in_vain_is_told_and_gets_no_place_later():
    async def story():
        room = Room(1)
        room.enter()
        assert not await room.wait(0.001)
        room.leave()
        assert free(room) == 1

    run(story())


def test_a_place_for_somebody_who_is_told_to_stop_at_that_moment_is_not_lost():
    async def story():
        room = Room(1)
        room.enter()
        first, second = (asyncio.create_task(room.wait(PATIENCE_SECONDS)) for _ in range(2))
        await settled()
        room.leave()  # to the first, who does not know it yet
        first.cancel()
        assert await second
        with suppress(asyncio.CancelledError):
            await first
        room.leave()
        assert free(room) == 1

    run(story())


def test_a_place_for_somebody_whose_time_is_over_at_that_moment_is_not_lost():
    async def story():
        room = Room(1)
        room.enter()
        waiting = asyncio.create_task(room.wait(0.0))  # its time is over as soon as the loop looks at the clock
        asyncio.get_running_loop().call_soon(room.leave)
        got = await waiting
        assert free(room) == (0 if got else 1)

    run(story())


def test_whoever_was_told_to_stop_before_there_was_a_place_gets_none():
    async def story():
        room = Room(1)
        room.enter()
        waiting = asyncio.create_task(room.wait(PATIENCE_SECONDS))
        await settled()
        waiting.cancel()
        await settled()
        room.leave()
        assert free(room) == 1

    run(story())
