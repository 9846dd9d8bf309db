"""Which open pages hear of what, how often the journal is asked, and that a stream ends."""

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.adapters.redis.ledger import LedgerEntry
from gateway.console import live
from gateway.console.live import EVERYTHING, HEARTBEAT_SECONDS, MOST_ENTRIES, MOST_PAGES, Live, TooManyPages
from gateway.core.facts import Admitted, Answered, Approved, Asked, Claimed, Judged, Notified
from gateway.core.record import BLANK
from gateway.core.verdict import Verdict
from gateway.ports import JournalUnavailable
from gateway.tasks import cancel_all, spawn

ADMITTED = Admitted(call=BLANK.call)
JUDGED = Judged(verdict=Verdict(decision="allow"), generation="g", fingerprint="f")
CLAIMED = Claimed(token="t", fingerprint="f", lease=1)
ANSWERED = Answered(token="t", status=200)
ASKED = Asked(fingerprint="f", requirements=(), notices=(), expire=1)
APPROVED = Approved(by="ann", group="finance", fingerprint="f", requirements=(), via="token")
NOTIFIED = Notified(notice="n", attempt=1, status=200, done=True)


@dataclass
class Ledger:
    entries: list[LedgerEntry] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    def add(self, call, position, *facts):
        self.entries.append(LedgerEntry(f"{len(self.entries) + 1}-0", call, position, facts))

    async def ends(self):
        self.asked += 1
        if self.away:
            raise JournalUnavailable("away")
        return {"07": self.entries[-1].id} if self.entries else {}

    async def read(self, partition, after, limit):
        assert partition == "07"
        return self.entries[int(after.partition("-")[0] or 0) :][:limit]


async def forever():
    return True


def open_pages(looking, *calls):
    for call in calls:
        looking.open(call, forever)
    return {page.call: page.changed for page in looking._pages}


@pytest.mark.parametrize(
    ("position", "facts", "inbox"),
    [
        (0, (ADMITTED, JUDGED, CLAIMED), False), (3, (ANSWERED,), False), (4, (NOTIFIED,), False), (2, (ASKED,), True),
        (0, (ADMITTED, JUDGED, ASKED), True), (4, (APPROVED,), True), (5, (JUDGED, CLAIMED), True),
    ],
)  # fmt: skip
def test_the_inbox_hears_of_questions_and_a_card_of_its_call(position, facts, inbox):
    async def story():
        ledger = Ledger()
        ledger.add("before", 0, ADMITTED)
        looking = Live(ledger)
        changed = open_pages(looking, EVERYTHING, "c1", "c2")
        await looking.look()
        assert not any(event.is_set() for event in changed.values())  # what was there before is on the page
        ledger.add("c1", position, *facts)
        await looking.look()
        assert {call: event.is_set() for call, event in changed.items()} == {EVERYTHING: inbox, "c1": True, "c2": False}
        await cancel_all()

    asyncio.run(story())


def test_when_there_is_more_than_can_be_looked_at_everybody_is_told():
    async def story():
        ledger = Ledger()
        looking = Live(ledger)
        changed = open_pages(looking, EVERYTHING, "c2")
        await looking.look()
        for _ in range(MOST_ENTRIES):
            ledger.add("c1", 3, ANSWERED)
        await looking.look()
        assert all(event.is_set() for event in changed.values())
        await cancel_all()

    asyncio.run(story())


def test_whoever_has_the_first_line_hears_of_everything_that_happens_from_then_on(monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 2.0)

    async def story():
        ledger = Ledger()
        ledger.add("before", 0, ADMITTED)
        looking = Live(ledger)
        stream = looking.open("c1", forever)
        assert await anext(stream) == "retry: 5000\n\n"
        ledger.add("c1", 2, ASKED)  # before the loop had a turn
        assert await anext(stream) == "event: changed\ndata: \n\n"
        await cancel_all()

    asyncio.run(story())


def test_a_page_that_is_loaded_again_and_again_begins_no_second_loop(monkeypatch):
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)

    async def story():
        looking, loops = Live(Ledger()), []
        monkeypatch.setattr(live, "spawn", lambda work, name: loops.append(spawn(work, name)))
        for _ in range(5):  # each time the last page of all is closed, and one is opened before the loop has noticed
            stream = looking.open(EVERYTHING, forever)
            await anext(stream)
            await stream.aclose()
        assert len(loops) == 1
        await asyncio.wait(loops)
        looking.open(EVERYTHING, forever)
        assert len(loops) == 2, "but once it has rested there is one again"
        await cancel_all()

    asyncio.run(story())


def test_one_loop_for_all_pages_and_none_for_no_page(monkeypatch):
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)

    async def story():
        ledger = Ledger()
        looking = Live(ledger)
        streams = [looking.open(EVERYTHING, forever) for _ in range(20)]
        assert [await anext(stream) for stream in streams] == ["retry: 5000\n\n"] * 20
        await asyncio.sleep(0.1)
        assert 2 <= ledger.asked <= 8
        ledger.away = True
        await asyncio.sleep(0.05)
        ledger.away = False
        ledger.add("c1", 2, ASKED)
        assert [await anext(stream) for stream in streams] == ["event: changed\ndata: \n\n"] * 20
        for stream in streams:
            await stream.aclose()
        await asyncio.sleep(0.05)
        asked = ledger.asked
        await asyncio.sleep(0.1)
        assert ledger.asked == asked and not looking._pages

    asyncio.run(story())


def test_a_stream_beats_and_ends_with_the_session_and_with_the_process(monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.01)
    assert HEARTBEAT_SECONDS <= 30

    async def story():
        looking, signed_in = Live(Ledger()), [True]

        async def alive():
            return signed_in[0]

        stream = looking.open(EVERYTHING, alive)
        await anext(stream)
        assert await anext(stream) == ": still here\n\n"
        signed_in[0] = False
        assert [message async for message in stream] == []
        other = looking.open(EVERYTHING, forever)
        await anext(other)
        looking.close()
        assert [message async for message in other if message != ": still here\n\n"] == []
        await cancel_all()

    asyncio.run(story())


def test_a_stream_on_which_something_happens_all_the_time_ends_with_the_session_too(monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(live, "BREATH_SECONDS", 0.01)

    async def story():
        looking, signed_in, heard = Live(Ledger()), [True], []

        async def alive():
            return signed_in[0]

        stream = looking.open(EVERYTHING, alive)
        [page] = looking._pages
        async for message in stream:
            heard.append(message)
            page.changed.set()
            signed_in[0] = len(heard) < 20
            assert len(heard) < 200
        assert ": still here\n\n" not in heard
        await cancel_all()

    asyncio.run(story())


def test_there_is_a_limit_to_open_pages():
    async def story():
        looking = Live(Ledger())
        open_pages(looking, *["c"] * MOST_PAGES)
        with pytest.raises(TooManyPages):
            looking.open("c", forever)
        await cancel_all()

    asyncio.run(story())
