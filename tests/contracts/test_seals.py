"""The part that Redis has in sealing: who may, how far each log goes, and what waits. On a real Valkey, and on the one
that `tests.ledger.frail` imitates, so that what is tested there is true here."""

import asyncio
import time

import pytest

from gateway.adapters.redis.high_water import ACKNOWLEDGED
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.sealed_ledger import SealedLedger
from gateway.adapters.redis.seals import RedisSeals
from gateway.core.deployment import LOGS
from gateway.core.sealed import Sealed, Seam, UnreadableSeal, read_sealed, read_seams
from gateway.ledger.seals import Change
from tests.ledger.frail import Fate, FrailSeals, Redis

ROOT = b"r" * 32


class Real:
    def __init__(self, url):
        self.journal = RedisJournal.open(url)
        self.seals = RedisSeals(self.journal)

    async def add(self, partition, entry, fields):
        words = [word for pair in fields.items() for word in pair]
        await self.journal.ask("XADD", f"{{{partition}}}:ledger", entry, *words)

    async def next_entry(self, partition):
        found = await self.journal.ask("XADD", f"{{{partition}}}:ledger", "*", "call", "c")
        return found.decode()

    async def pass_time(self, seconds):
        await asyncio.sleep(seconds)

    async def close(self):
        await self.journal.close()


class Imitated:
    def __init__(self):
        self.redis, self.now = Redis(), time.time()
        self.seals = FrailSeals(self.redis, Fate(), lambda: self.now)

    async def add(self, partition, entry, fields):
        self.redis.add(partition, entry, fields)

    async def pass_time(self, seconds):
        self.now += seconds

    async def close(self):
        pass


@pytest.fixture(params=["real", "imitated"])
def on(request):
    def run(story):
        async def told():
            valkey = request.getfixturevalue("valkey") if request.param == "real" else None
            if valkey is not None:
                valkey.flush()
            it = Real(valkey.url) if valkey is not None else Imitated()
            try:
                await story(it, it.seals)
            finally:
                await it.close()

        asyncio.run(told())

    return run


def text(lease, size, entry="5-0"):
    return Sealed(lease, size, ROOT, entry).text


def test_what_redis_says_reads_back_and_nothing_else_does():
    assert read_sealed(text(3, 300)) == Sealed(3, 300, ROOT, "5-0")
    for wrong in (b"", text(3, 300) + b"\n", b"v2 " + text(3, 300), text(3, 300)[:-3], text(3, -300)):
        with pytest.raises(UnreadableSeal):
            read_sealed(wrong)
    assert (len(LOGS), LOGS[0], LOGS[63:]) == (65, "00", ("63", "64"))


def test_a_seal_is_set_only_where_the_expected_one_stands(on):
    async def story(it, seals):
        first, second, other = text(2, 1), text(2, 2), text(2, 9)
        assert await seals.seal({"07": Change(b"", first), "64": Change(b"", first)}, 2) == set()
        assert await seals.seal({"07": Change(first, second)}, 2) == set()
        assert await seals.seal({"07": Change(first, second)}, 2) == set(), "a lost reply may be asked for again"
        assert await seals.seal({"07": Change(first, other), "64": Change(first, second)}, 2) == {"07"}
        assert await seals.seal({"07": Change(b"", other)}, 2) == {"07"}
        assert await seals.states(("07", "64", "08")) == {
            "07": (second, "0-0"), "64": (second, "0-0"), "08": (b"", "0-0"),
        }  # fmt: skip

    on(story)


def test_a_holder_whose_number_was_overtaken_is_refused(on):
    async def story(it, seals):
        assert await seals.seal({"07": Change(b"", text(5, 1))}, 5) == set()
        assert await seals.seal({"07": Change(text(5, 1), text(4, 2))}, 4) == {"07"}
        assert await seals.seal({"07": Change(text(5, 1), text(5, 1))}, 4) == set(), "it says nothing new"
        assert await seals.seal({"07": Change(text(5, 1), text(6, 1))}, 6) == set()

    on(story)


def test_a_lease_has_one_place_and_a_number_that_grows(on):
    async def story(it, seals):
        assert await seals.free("a 1") and await seals.free("b 1")
        one = await seals.take("a 1", 60_000, 0)
        assert one > 0 and await seals.take("a 1", 60_000, 0) == one
        assert not await seals.free("b 1") and await seals.take("b 1", 60_000, 0) == 0
        assert await seals.free("a 2"), "a successor at the same place need not wait"
        two = await seals.take("a 2", 60_000, 0)
        assert two > one
        await seals.release("a 1")
        assert not await seals.free("b 1"), "only its holder lets go of it"
        assert await seals.take("a 2", 30, 0) == two
        await it.pass_time(0.06)
        three = await seals.take("b 1", 60_000, 0)
        assert three > two and await seals.take("a 2", 60_000, 0) == 0
        await seals.release("b 1")
        assert await seals.free("a 2")
        assert await seals.take("a 2", 60_000, 40) == 41, "above what was sealed with, which a restored Redis forgot"
        assert await seals.take("a 2", 60_000, 41) == 41

    on(story)


def test_what_waits_is_what_follows(on):
    async def story(it, seals):
        for number in range(1, 6):
            await it.add("07", b"%d-0" % number, {b"call": b"c%d" % number, b"from": b"0", b"facts": b"{}"})
        await it.add("64", b"3-1", {b"gateway": b"g"})
        found, everything = await seals.waiting({"07": "2-0", "64": "0-0", "08": "0-0"}, 100)
        assert found["07"][0] == (b"3-0", {b"call": b"c3", b"from": b"0", b"facts": b"{}"})
        assert {name: [entry for entry, _ in entries] for name, entries in found.items()} == {
            "07": [b"3-0", b"4-0", b"5-0"], "64": [b"3-1"],
        }  # fmt: skip
        assert everything
        assert await seals.waiting({"07": "5-0", "64": "3-1"}, 100) == ({}, True)
        assert (await seals.waiting({"07": "0-0"}, 2))[1] is False

    on(story)


def test_one_busy_partition_gets_what_the_quiet_ones_leave(valkey):
    valkey.flush()

    async def story():
        it = Real(valkey.url)
        for number in range(1, 301):
            await it.add("07", b"%d-0" % number, {b"call": b"c"})
        await it.add("08", b"1-0", {b"call": b"c"})
        places = dict.fromkeys(LOGS, "0-0")
        found, everything = await it.seals.waiting(places, 650)
        assert (len(found["07"]), len(found["08"]), everything) == (300, 1, True)
        assert [entry for entry, _ in found["07"]] == [b"%d-0" % number for number in range(1, 301)]
        found, everything = await it.seals.waiting(places, 130)
        assert 100 < len(found["07"]) < 260 and not everything
        await it.close()

    asyncio.run(story())


def test_a_stream_goes_on_behind_what_it_lost(valkey):
    """What a restored Redis gives out next comes after what was sealed, also if its clock is slow."""
    valkey.flush()

    async def story():
        it, far = Real(valkey.url), "99999999999999-7"
        for partition, wanted in (("07", "99999999999999-8"), ("08", "99999999999999-8")):
            if partition == "08":
                await it.add("08", b"3-0", {b"call": b"c"})
            assert await it.seals.seal({partition: Change(b"", text(1, 1), far)}, 1) == set()
            assert (await it.seals.states((partition,)))[partition] == (text(1, 1), far)
            assert await it.next_entry(partition) == wanted
        assert await it.seals.seal({"08": Change(text(1, 1), text(1, 2), "5-0")}, 1) == set()
        assert (await it.seals.states(("08",)))["08"][1] == "99999999999999-8", "and never goes back"
        await it.journal.ask("XTRIM", "{08}:ledger", "MAXLEN", "0")
        assert (await it.seals.states(("08",)))["08"][1] == "99999999999999-8", "a trimmed stream knows how far it was"
        await it.close()

    asyncio.run(story())


def test_where_a_stream_goes_on_after_a_loss_is_kept_with_how_far_it_is_sealed(valkey):
    """Whoever counts leaves by counting entries reads it."""
    valkey.flush()

    async def story():
        it, states = Real(valkey.url), [text(1, size) for size in range(1, 9)]
        reader = SealedLedger(it.journal)
        assert await reader.seams(["07", "08"]) == {"07": (), "08": ()}
        first, second = Seam("5-0", 5, 9), Seam("17-3", 11, 20)
        once = {"07": Change(states[0], states[1], "9-0", first.text)}
        assert await it.seals.seal(once, 1) == {"07"}
        assert (await reader.seams(["07"]))["07"] == (), "what is refused changes nothing"
        assert await it.seals.seal({"07": Change(b"", states[0])}, 1) == set()
        for _ in range(2):
            assert await it.seals.seal(once, 1) == set()
            assert (await reader.seams(["07"]))["07"] == (first,), "a lost reply may be asked for again"
        assert await it.seals.seal({"07": Change(states[1], states[2])}, 1) == set()
        assert await it.seals.seal({"07": Change(states[2], states[3], "20-0", second.text)}, 1) == set()
        assert (await reader.seams(["07"]))["07"] == (first, second)
        again = Seam("5-1", 6, 30)
        assert await it.seals.seal({"07": Change(states[3], states[4], "20-0", again.text)}, 1) == set()
        assert (await reader.seams(["07"]))["07"] == (first, again), "what was behind it is lost"
        with pytest.raises(UnreadableSeal):
            read_seams(b"5-0 5")
        await it.close()

    asyncio.run(story())


def test_a_loss_stops_everybody_until_a_person_knows(valkey):
    valkey.flush()

    async def story():
        finder, other = Real(valkey.url), Real(valkey.url)
        written = 99_999_999_999_999
        assert await finder.seals.acknowledged() == 0
        await finder.seals.report_loss("entries are missing", written)
        await other.journal.heed()
        assert other.journal.loss == "entries are missing"
        await other.journal.acknowledge_loss()
        await finder.journal.heed()
        assert (finder.journal.loss, other.journal.loss) == ("", "")
        assert await finder.seals.acknowledged() >= written
        assert int(await finder.journal.ask("GET", ACKNOWLEDGED)) == await finder.seals.acknowledged()
        assert (await finder.seals.sealer()) == ""
        await finder.seals.say_sealer("host-a, in '/data/ledger'")
        assert (await other.seals.sealer()) == "host-a, in '/data/ledger'"
        await finder.close()
        await other.close()

    asyncio.run(story())
