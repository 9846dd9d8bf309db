"""Payload in a real Redis: sealed at rest, read by whoever has the keys, and said to be gone by others."""

import pytest

from gateway.adapters.payload_cipher import PayloadCipher, key_id
from gateway.adapters.redis import payloads
from gateway.core.admit import REQUEST_NOT_KEPT, Inadmissible
from gateway.core.payload import UNREADABLE, not_kept
from gateway.ports import JournalUnavailable
from tests.contracts.journal_bench import FIRST, RedisBench, new_call, on, write

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
SECRET = {"request": b"amount=9000", "salt": b"s" * 16}


@pytest.fixture
def at(valkey):
    """A bench whose journal has these keys."""
    valkey.flush()
    yield lambda *keys: RedisBench(valkey.url, cipher=PayloadCipher(keys))
    valkey.flush()


async def raw(it, call):
    return await it.journal.ask("HGETALL", f"{{{call[:2]}}}:payload:{call}")


def test_nothing_is_at_rest_in_plain(at):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST, payload=SECRET))
        assert await it.journal.payload(call) == SECRET
        kept = await raw(it, call)
        assert set(kept) == {b"request", b"salt"}
        assert not any(b"9000" in value or b"ssss" in value for value in kept.values())

    on(lambda: at(OLD), story)


def test_what_was_written_before_there_were_keys_is_read(at):
    call = new_call()

    async def before(it):
        await it.journal.append(write(call, 0, FIRST, payload=SECRET))

    async def after(it):
        assert await it.journal.payload(call) == SECRET

    on(at, before)
    on(lambda: at(OLD), after)


def test_a_payload_whose_key_is_gone_is_one_that_is_not_kept_and_the_sentence_names_the_key(at):
    call = new_call()

    async def before(it):
        await it.journal.append(write(call, 0, FIRST, payload=SECRET))

    async def after(it):
        found = await it.journal.payload(call)
        assert set(found) == {UNREADABLE}
        assert key_id(OLD) in not_kept(found)

    on(lambda: at(OLD), before)
    on(lambda: at(NEW), after)


def test_a_payload_that_was_changed_or_moved_is_not_kept(at):
    async def story(it):
        mine, others = new_call(), new_call()
        await it.journal.append(write(mine, 0, FIRST, payload=SECRET))
        await it.journal.append(write(others, 0, FIRST, payload=SECRET | {"request": b"amount=1"}))
        stolen = (await raw(it, others))[b"request"]
        await it.journal.ask("HSET", f"{{{mine[:2]}}}:payload:{mine}", "request", stolen)
        found = await it.journal.payload(mine)
        assert set(found) == {"salt", UNREADABLE} and "was changed" in not_kept(found)

    on(lambda: at(OLD), story)


def test_a_host_with_other_keys_than_the_deployment_is_told_which_it_lacks(at):
    async def register(it):
        return await payloads.register(it.journal, it.journal.cipher.ids)

    def said(*keys):
        found = []

        async def story(it):
            found.append(await register(it))

        on(lambda: at(*keys), story)
        return found[0]

    assert said(OLD) == ""
    assert said(OLD) == "" and said(OTHER) == key_id(OLD)
    assert said(OLD, NEW) == ""  # first step of a rotation, on every host
    assert said(NEW, OLD) == ""  # second step
    assert said(OLD) == key_id(NEW), "it could not read what the others write"
    assert said(OLD, NEW) == "", "a host that has both may come late"
    assert said(NEW) == key_id(OLD), "which is why the old one is removed only when no host encrypts with it"
    assert said(NEW, OLD) == "" == said(NEW)


def test_keys_that_were_used_and_are_gone_are_known(at):
    async def story(it):
        await payloads.register(it.journal, [key_id(OLD)])
        await payloads.register(it.journal, [key_id(NEW), key_id(OLD)])
        assert await payloads.retired(it.journal, [key_id(NEW)]) == [key_id(OLD)]

    on(lambda: at(OLD), story)


def test_a_host_that_is_behind_the_others_takes_no_payload_for_lost(at):
    """Else it would deny, for ever, a held call whose request every other host can read."""
    call = new_call()

    async def ahead(it):
        await payloads.register(it.journal, it.journal.cipher.ids)
        await it.journal.append(write(call, 0, FIRST, payload=SECRET))

    async def behind(it):
        with pytest.raises(JournalUnavailable, match=f"{key_id(NEW)} by another host"):
            await it.journal.payload(call)

    on(lambda: at(NEW), ahead)
    on(lambda: at(OLD), behind)


def test_the_sentence_reaches_whoever_judges():
    why = {UNREADABLE: b"it is encrypted with the payload key 1234abcd, which this gateway does not have"}
    no = Inadmissible(REQUEST_NOT_KEPT, not_kept(why))
    assert no.reason == (
        "The request of this call cannot be read: it is encrypted with the payload key 1234abcd, which this gateway "
        "does not have."
    )
