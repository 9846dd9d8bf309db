"""The list of calls as they happen: each once, in its place, bounded, and read no oftener than it must be."""

import asyncio
from dataclasses import dataclass, field, replace

from gateway.adapters.redis.lately import Touched
from gateway.console.feed import LOOK_SECONDS, MOST_ENTRIES, MOST_SHOWN, Feed
from tests.console.test_drawing import APPROVED


@dataclass
class World:
    """`Lately` and the journal's facts at once."""

    entries: list[Touched] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    """By call, how many facts it has."""
    looks: int = 0
    reads: int = 0

    def happens(self, call, facts):
        self.told[call] = facts
        self.entries.append(Touched(f"{len(self.entries) + 1}-0", call))

    async def latest(self, after, limit):
        self.looks += 1
        assert limit == MOST_ENTRIES
        found = [one for one in self.entries if _number(one.entry) > _number(after.get(one.call[:2], "0-0"))]
        return found[::-1][:limit]

    async def facts(self, call):
        self.reads += 1
        first = replace(APPROVED[0], call=replace(APPROVED[0].call, id=call))
        told = self.told.get(call, 0)
        return [first, *APPROVED[1:told]] if told else []


def _number(entry):
    return int(entry.partition("-")[0])


def rows(world, *steps):
    """What the list says after each step, each long enough after the other."""

    async def story():
        time = [0.0]
        feed, found = Feed(world, world, clock=lambda: time[0]), []
        for step in steps:
            step()
            time[0] += LOOK_SECONDS + 0.01
            found.append([(row.call, row.state) for row in await feed.rows()])
        return found

    return asyncio.run(story())


def test_the_newest_is_on_top_and_each_call_is_there_once_in_its_place():
    world = World()
    assert rows(
        world,
        lambda: [world.happens("07a", 1), world.happens("08b", 3)],
        lambda: world.happens("07a", 3),
        lambda: world.happens("09c", 9),
    ) == [
        [("08b", "held"), ("07a", "judging")],
        [("08b", "held"), ("07a", "held")],
        [("09c", "answered"), ("08b", "held"), ("07a", "held")],
    ]


def test_it_is_bounded_and_what_left_comes_back_on_top():
    world = World()

    def many():
        for number in range(MOST_SHOWN + 5):
            world.happens(f"07{number}", 9)

    first, then = rows(world, many, lambda: world.happens("070", 9))
    assert len(first) == MOST_SHOWN == len(then)
    assert first[0] == (f"07{MOST_SHOWN + 4}", "answered") and ("070", "answered") not in first
    assert then[0] == ("070", "answered")


def test_only_what_changed_is_read_again_and_only_now_and_then():
    async def story():
        world, time = World(), [0.0]
        feed = Feed(world, world, clock=lambda: time[0])
        world.happens("07a", 9)
        await asyncio.gather(*(feed.rows() for _ in range(20)))
        assert (world.looks, world.reads) == (1, 1)
        time[0] += LOOK_SECONDS + 0.01
        await feed.rows()
        assert (world.looks, world.reads) == (2, 1)

    asyncio.run(story())


def test_a_call_whose_facts_are_gone_is_left_out():
    world = World()
    assert rows(world, lambda: world.happens("07a", 0)) == [[]]
