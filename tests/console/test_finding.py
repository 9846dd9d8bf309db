"""Searching: the newest first, page after page, each call once, and never more work than is allowed."""

import asyncio
from dataclasses import dataclass, field, replace

from gateway.adapters.redis.lately import SealedUpTo, Touched
from gateway.console.finding import FAR_MS, LOOKED_AT, OF_A_PARTITION, ON_A_PAGE, SINCE_MS, Finding, order
from gateway.console.sealed import SealedLog
from gateway.console.searching import Wanted
from gateway.core.leaf import read_leaf
from gateway.ledger.files import LogFiles
from tests.console.test_feed import World
from tests.sealed_lives import LIVES, id_of, sealed
from tests.sealed_log import SIGNER


@dataclass
class Journalled(World):
    up_to: dict[str, SealedUpTo] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    """From where on it was asked for what happened last."""

    async def latest(self, after, limit):
        assert limit == OF_A_PARTITION
        self.after = dict(after)
        return [one for one in self.entries[::-1] if order(one.entry) > order(after.get(one.call[:2], ""))]

    async def sealed(self):
        return self.up_to

    async def sealer(self):
        return "host-a in /data/ledger"


def find(world, wanted=None, before="", log=None):
    return asyncio.run(Finding(world, world, log).find(wanted or Wanted(), before))


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


# --- beside a sealed log ------------------------------------------------------------------------------------------


def beside(tmp_path):
    """A journal that says of a log what is so, and that log."""
    ledger = sealed(tmp_path)
    world = Journalled()
    for partition in {id_of(name)[:2] for name in LIVES}:
        log = LogFiles.open(ledger, partition)
        world.up_to[partition] = SealedUpTo(log.size, read_leaf(next(log.leaves(log.size - 1))).entry)
    return world, SealedLog(ledger, SIGNER.verifier)


def happens_later(world, call, facts, milliseconds=1):
    """Something that is not sealed yet."""
    world.told[call] = facts
    time, _ = order(world.up_to[call[:2]].entry)
    world.entries.append(Touched(f"{time + milliseconds}-0", call))


def test_what_is_sealed_and_what_is_not_yet_are_one_list(tmp_path):
    world, log = beside(tmp_path)
    partition = id_of("held")[:2]
    happens_later(world, f"{partition}new", 9)
    happens_later(world, id_of("held"), 9)
    found = find(world, log=log)
    calls = [row.call for row in found.rows]
    assert sorted(calls) == sorted([f"{partition}new", *map(id_of, LIVES)]) and found.left_out == ()
    unsealed = {row.call for row in found.rows if row.unsealed}
    assert unsealed == {f"{partition}new", id_of("held")}
    assert next(row.state for row in found.rows if row.call == id_of("held")) == "answered"  # as it is now
    assert calls == [row.call for row in sorted(found.rows, key=lambda row: (row.begun, row.call), reverse=True)]


def test_the_journal_is_asked_for_little_more_than_what_is_not_sealed(tmp_path):
    world, log = beside(tmp_path)
    find(world, log=log)
    for partition, told in world.up_to.items():
        assert order(told.entry)[0] - order(world.after[partition])[0] == SINCE_MS
    happens_later(world, id_of("held"), 3, -SINCE_MS + 1)
    assert not any(row.unsealed for row in find(world, log=log).rows)  # it is in the journal too, and sealed


def test_pages_of_both_follow_each_other(tmp_path):
    world, log = beside(tmp_path)
    everything = [row.call for row in find(world, log=log).rows]
    row = find(world, log=log).rows[3]
    assert [row.call for row in find(world, before=f"{row.begun}.{row.call}", log=log).rows] == everything[4:]
    assert [row.call for row in find(world, before="nonsense", log=log).rows] == []


def test_a_log_on_another_host_is_named_and_the_journal_searched(tmp_path):
    world, _ = beside(tmp_path)
    partition = id_of("held")[:2]
    happens_later(world, f"{partition}new", 9, -10 * SINCE_MS)
    nowhere = SealedLog(tmp_path / "empty", SIGNER.verifier)
    for log in (None, nowhere):
        found = find(world, log=log)
        assert [row.call for row in found.rows] == [f"{partition}new"] and not found.rows[0].unsealed
        [said] = found.left_out
        assert said.startswith("The sealed log is on host-a in /data/ledger; here only what the journal still holds")
        where = asyncio.run(Finding(world, world, log).where(f"{partition}new"))
        assert where == "What is sealed of it is on host-a in /data/ledger: open this page there for the proof."
    assert asyncio.run(Finding(world, world, log).where("01unknown")) == ""  # of that partition nothing is sealed


def test_a_log_that_is_a_moment_behind_is_no_other_hosts(tmp_path):
    world, log = beside(tmp_path)
    partition = id_of("held")[:2]
    told = world.up_to[partition]
    for later, elsewhere in ((FAR_MS, False), (FAR_MS + 1, True)):
        entry = f"{order(told.entry)[0] + later}-0"
        world.up_to[partition] = replace(told, size=told.size + 1, entry=entry)
        assert bool(find(world, log=log).left_out) is elsewhere
        assert bool(asyncio.run(Finding(world, world, log).where(id_of("held")))) is elsewhere


def test_a_log_that_cannot_be_read_is_said_and_the_journal_searched(tmp_path):
    world, log = beside(tmp_path)
    partition = id_of("held")[:2]
    happens_later(world, f"{partition}new", 9, -10 * SINCE_MS)
    (tmp_path / partition / "checkpoint").write_text("nonsense")
    found = find(world, log=log)
    [said] = found.left_out
    assert said.startswith("The sealed log cannot be read here: ") and said.endswith("journal still holds is found.")
    assert [row.call for row in found.rows] == [f"{partition}new"]
