"""Searching: the newest first, page after page, each call once, and never more work than is allowed."""

import asyncio

from gateway.console.finding import LOOKED_AT, OF_A_PARTITION, ON_A_PAGE, Finding
from gateway.console.searching import Wanted
from tests.console.test_feed import World


class Journalled(World):
    async def latest(self, after, limit):
        assert limit == OF_A_PARTITION
        return self.entries[::-1]


def find(world, wanted=None, before=""):
    return asyncio.run(Finding(world, world).find(wanted or Wanted(), before))


def test_pages_follow_each_other_without_gap_or_repeat():
    world = Journalled()
    for number in range(ON_A_PAGE + 3):
        world.happens(f"07{number:04}", 9)
        world.happens(f"07{number:04}", 9)
    first = find(world)
    second = find(world, before=first.next)
    assert len(first.rows) == ON_A_PAGE and first.next and not second.next
    seen = [row.call for row in (*first.rows, *second.rows)]
    assert seen == [f"07{number:04}" for number in reversed(range(ON_A_PAGE + 3))]


def test_only_what_is_asked_for_is_found():
    world = Journalled()
    world.happens("07a", 3)
    world.happens("07b", 9)
    assert [row.call for row in find(world, Wanted(outcome="held")).rows] == ["07a"]
    assert [row.call for row in find(world, Wanted(call="07b")).rows] == ["07b"]
    assert find(world, Wanted(agent="nobody")).rows == ()


def test_a_call_is_found_by_its_whole_id_however_long_ago_it_was():
    world = Journalled()
    world.told["07old"] = 9
    assert find(world).rows == ()
    assert [row.call for row in find(world, Wanted(call="07old")).rows] == ["07old"]


def test_no_more_calls_are_read_than_are_allowed():
    world = Journalled()
    for number in range(LOOKED_AT + 50):
        world.happens(f"07{number:04}", 9)
    find(world)
    assert world.reads == LOOKED_AT
