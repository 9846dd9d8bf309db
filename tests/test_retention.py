"""Copies on their way from the journal to the payload store, with a real Redis: nothing is lost, whenever it dies."""

import pytest

from gateway.adapters.payload_cipher import PayloadCipher
from gateway.adapters.payload_store import LedgerFolder, PayloadStore
from gateway.adapters.redis.copies import RedisCopies
from gateway.core.facts import Abandoned, Expired
from gateway.core.ledger_settings import LedgerSettings, SharedDirectory
from gateway.ledger.store import StoreUnavailable
from gateway.retention import Retention, payload_store
from tests.contracts.journal_bench import RedisBench, new_call, on, write

DAY = 24 * 3_600_000
CIPHER = PayloadCipher((b"k" * 32,))
INPUT, OUTPUT = f"kept.input.{30 * DAY}", f"kept.output.{DAY}"


class Dies(BaseException):
    """The process ends here."""


@pytest.fixture
def story(valkey, tmp_path):
    """Run a story with a journal and what keeps its copies."""
    valkey.flush()

    def run(tell):
        async def whole(it):
            store = PayloadStore(LedgerFolder(tmp_path))
            await tell(it, Retention(RedisCopies(it.journal), store, it.journal.now))

        on(lambda: RedisBench(valkey.url, cipher=CIPHER), whole)

    yield run
    valkey.flush()


async def with_copies(it):
    call = new_call()
    await it.journal.append(write(call, 0, Expired(), payload={INPUT: b"salt asked", "request": b"r"}, expire_in=DAY))
    await it.journal.append(write(call, 1, Abandoned(), payload={OUTPUT: b"salt answered"}, expire_in=DAY))
    return call


def files(keeping):
    return sorted(path.rpartition("/")[2].split(".")[1] for path in keeping.store.home.list("payloads"))


async def in_redis(it, call):
    found = await it.journal.ask_all(
        ("EXISTS", f"{{{call[:2]}}}:kept:{call}"),
        ("ZCARD", f"{{{call[:2]}}}:copies"),
        ("PTTL", f"{{{call[:2]}}}:kept:{call}"),
    )
    return tuple(found)


def test_copies_outlive_the_rest_of_a_payload_in_the_journal_until_they_are_moved(story):
    async def tell(it, keeping):
        call = await with_copies(it)
        assert set(await it.journal.payload(call)) == {"request"}, "they are no part of what a call needs"
        assert await in_redis(it, call) == (1, 1, -1), "and never expire"
        assert await keeping.copies.waiting() == 1
        assert await keeping.round() == 1
        assert await in_redis(it, call) == (0, 0, -2) and files(keeping) == ["input", "output"]
        assert await keeping.round() == 0
        [copy] = [path for path in keeping.store.home.list("payloads") if ".input." in path]
        sealed = keeping.store.home.get(copy)
        assert CIPHER.open(call, INPUT, sealed) == b"salt asked"

    story(tell)


@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["put", "erased", "moved"])
def test_whenever_it_dies_the_next_one_ends_it_and_nothing_is_lost(story, step, effect, monkeypatch):
    async def tell(it, keeping):
        call = await with_copies(it)
        owner = PayloadStore if step == "put" else RedisCopies
        real = getattr(owner, step)

        def dies(*told):
            if effect and step == "put":
                real(*told)
            raise Dies

        async def dies_later(*told):
            if effect:
                await real(*told)
            raise Dies

        monkeypatch.setattr(owner, step, dies if step == "put" else dies_later)
        with pytest.raises(Dies):
            await keeping.round()
        monkeypatch.setattr(owner, step, real)
        there = await in_redis(it, call)
        assert there[0] == 1 or files(keeping) == ["input", "output"]
        await keeping.round()
        assert files(keeping) == ["input", "output"] and (await in_redis(it, call))[:2] == (0, 0)

    story(tell)


def test_a_store_that_does_not_take_them_leaves_them_where_they_are(story, tmp_path):
    async def tell(it, keeping):
        call = await with_copies(it)
        (tmp_path / "payloads").write_text("in the way")
        with pytest.raises(StoreUnavailable):
            await keeping.move(call)
        assert await in_redis(it, call) == (1, 1, -1)
        (tmp_path / "payloads").unlink()
        await keeping.round()
        assert files(keeping) == ["input", "output"]

    story(tell)


def test_a_copy_that_comes_while_others_are_moved_is_not_forgotten(story, monkeypatch):
    async def tell(it, keeping):
        call = new_call()
        await it.journal.append(write(call, 0, Expired(), payload={INPUT: b"salt asked"}))
        real = RedisCopies.erased

        async def meanwhile(self, calls):
            monkeypatch.setattr(RedisCopies, "erased", real)
            await it.journal.append(write(call, 1, Abandoned(), payload={OUTPUT: b"salt answered"}))
            return await real(self, calls)

        monkeypatch.setattr(RedisCopies, "erased", meanwhile)
        await keeping.round()
        assert files(keeping) == ["input"] and await in_redis(it, call) == (1, 1, -1)
        await keeping.round()
        assert files(keeping) == ["input", "output"]

    story(tell)


def test_what_is_erased_while_it_is_moved_stays_erased(story, monkeypatch):
    async def tell(it, keeping):
        call = await with_copies(it)
        read = await keeping.copies.of(call)
        await keeping.copies.erase(call, payload=True)
        assert keeping.store.erase([call]) == 0
        assert await it.journal.payload(call) == {}

        async def had_read(self, _):
            return read

        monkeypatch.setattr(RedisCopies, "of", had_read)
        await keeping.move(call)
        assert files(keeping) == []

    story(tell)


def test_erasing_leaves_what_an_open_call_needs(story):
    async def tell(it, keeping):
        call = await with_copies(it)
        await keeping.copies.erase(call, payload=False)
        assert set(await it.journal.payload(call)) == {"request"} and await in_redis(it, call) == (0, 0, -2)
        assert await it.journal.length(call) == 2, "facts stay"

    story(tell)


def test_once_an_hour_what_was_kept_for_its_time_is_destroyed(story):
    async def tell(it, keeping):
        await with_copies(it)
        now = [it.journal.now()]
        keeping.clock = lambda: now[0]
        await keeping.round()
        now[0] += 3 * DAY
        await keeping.round()
        assert files(keeping) == ["input"], "the answer was kept for a day"
        now[0] += 40 * DAY
        await keeping.round()
        assert files(keeping) == []

    story(tell)


def test_with_a_store_that_hosts_share_copies_are_there_and_nowhere_else(story, tmp_path):
    (tmp_path / "shared").mkdir()
    settings = LedgerSettings(store=SharedDirectory(path=str(tmp_path / "shared")))

    async def tell(it, keeping):
        keeping.store = payload_store(settings, tmp_path / "ledger", lambda _: "")
        await with_copies(it)
        await keeping.round()
        assert files(keeping) == ["input", "output"]
        assert list((tmp_path / "shared" / "payloads").rglob("*.input.*"))
        assert not (tmp_path / "ledger").exists()

    story(tell)
