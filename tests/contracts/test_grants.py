"""Every promise of `grant_ports.Grants`, kept by every adapter."""

import asyncio
import time
from dataclasses import replace

import pytest

from gateway.adapters.memory_grants import MemoryGrants
from gateway.adapters.redis.grants import RedisGrants
from gateway.adapters.redis.history import RedisHistory
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.call import partition_of
from gateway.core.grants import KEPT_MS, Granted, Revoked
from gateway.ports import Conflict
from gateway.ports import Revoked as Refused
from tests.contracts.journal_bench import AGENT, FIRST, MemoryBench, RedisBench, needed, new_call, on, write
from tests.playbook import ALLOW, FINANCE, claimed

HOUR = 3_600_000
PARTITION = f"{partition_of(AGENT):02d}"
ID = f"grant-{PARTITION}{'ab' * 11}"
OTHER = f"grant-{PARTITION}{'cd' * 11}"
TEXT = 'permit (principal == Agent::"bot", action, resource); // ü'


def of(it):
    return (
        MemoryGrants(it.journal.clock, it.journal.pointers) if isinstance(it, MemoryBench) else RedisGrants(it.journal)
    )


def now() -> int:
    return time.time_ns() // 1_000_000


def fact(by: str = "ann", grant: str = ID, until: int = 0) -> Granted:
    return Granted(
        grant=grant, agent=AGENT, tool="stripe.refund", shape="s", requirement=FINANCE, until=until or now() + HOUR,
        by=by, via="by token", call="", fingerprint="f",
    )  # fmt: skip


async def give(grants, given: Granted, expected: int = 0, text: str = TEXT) -> None:
    await grants.write(given, expected=expected, until=given.until, text=text)


async def revoke(grants, given: Granted, expected: int = 1) -> None:
    await grants.write(Revoked(grant=given.grant, by="bob"), expected=expected, until=given.until, text="")


def test_what_was_given_comes_back_with_its_text_and_the_time_of_the_journal(bench):
    async def story(it):
        grants, given = of(it), fact()
        assert await grants.read(ID) is None
        began = now()
        await give(grants, given)
        found = await grants.read(ID)
        assert found is not None
        assert replace(found.given[0], at=0) == given
        assert began <= found.begun <= now()
        assert (found.text, found.revoked, found.until) == (TEXT, None, given.until)

    on(bench, story)


def test_others_join_and_a_writer_that_has_not_read_everything_changes_nothing(bench):
    async def story(it):
        grants, given = of(it), fact()
        await give(grants, given)
        for expected in (0, 2):
            with pytest.raises(Conflict):
                await give(grants, replace(given, by="bob"), expected)
        await give(grants, replace(given, by="bob"), 1)
        found = await grants.read(ID)
        assert found is not None and found.people == ("ann", "bob")

    on(bench, story)


def test_of_many_who_give_it_first_one_does(bench):
    async def story(it):
        grants, given = of(it), fact()

        async def attempt(by: str) -> bool:
            try:
                await give(grants, replace(given, by=by))
            except Conflict:
                return False
            return True

        assert sum(await asyncio.gather(*(attempt(f"p{number}") for number in range(20)))) == 1

    on(bench, story)


def test_a_claim_may_need_it_until_it_is_revoked_and_never_after(bench):
    async def story(it):
        grants, given = of(it), fact()
        with pytest.raises(Refused):
            await it.journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[needed(ID)]))
        await give(grants, given)
        await it.journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[needed(ID)]))
        await revoke(grants, given)
        for _ in range(2):
            with pytest.raises(Refused):
                await it.journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[needed(ID)]))
        found = await grants.read(ID)
        assert found is not None and found.revoked is not None
        assert (found.revoked.by, found.text) == ("bob", "")

    on(bench, story)


def test_a_claim_may_need_it_until_its_end_and_never_after(bench):
    async def story(it):
        grants, given = of(it), fact(until=now() + 2_000)
        await give(grants, given)
        await it.journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[needed(ID)]))
        await asyncio.sleep((given.until - now()) / 1000 + 0.02)
        with pytest.raises(Refused):
            await it.journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[needed(ID)]))
        found = await grants.read(ID)  # it can be listed, without what it said
        assert found is not None and found.text == ""

    on(bench, story)


def test_what_is_over_when_it_is_given_can_never_be_needed(bench):
    async def story(it):
        await give(of(it), fact(until=now() - 5))
        with pytest.raises(Refused):
            await it.journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), pointers=[needed(ID)]))

    on(bench, story)


def test_the_index_says_how_many_facts_each_has_that_is_not_over(bench):
    async def story(it):
        grants, soon, later = of(it), fact(until=now() + 60_000), fact(grant=OTHER)
        elsewhere = fact(grant="grant-63" + "ef" * 11)
        await give(grants, soon)
        await give(grants, later)
        await give(grants, elsewhere)
        assert await grants.index(since=soon.until - 1) == {ID: 1, OTHER: 1, elsewhere.grant: 1}
        await give(grants, replace(later, by="bob"), 1)
        await revoke(grants, elsewhere)
        assert await grants.index(since=soon.until) == {OTHER: 2, elsewhere.grant: 2}
        assert await grants.index(since=now() - KEPT_MS) == {ID: 1, OTHER: 2, elsewhere.grant: 2}
        assert await grants.index(since=later.until) == {}

    on(bench, story)


def test_every_fact_about_a_grant_is_in_the_ledger_in_order_and_none_of_what_it_said(valkey):
    """The record is one for calls and grants; the text holds arguments, so it is kept beside, as payload is."""
    valkey.flush()

    async def story(it):
        grants, ledger, given = of(it), RedisLedger(it.journal), fact()
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        await give(grants, given)
        with pytest.raises(Conflict):
            await give(grants, given)
        await revoke(grants, given)
        entries = await ledger.read(PARTITION, "", 9)
        assert [(entry.call, len(entry.facts)) for entry in entries] == [(call, 1), ("", 0), ("", 0)]
        told = [replace(each, at=0) for entry in entries for each in entry.of_grant]
        assert told == [given, Revoked(grant=ID, by="bob")]
        assert await ledger.recent(9) == [call]
        stretch = (await ledger.stretches({PARTITION: ""}, 9))[PARTITION]
        assert [about for about, _ in stretch.entries] == [call] and stretch.last == entries[-1].id
        assert [begun.agent for begun in await RedisHistory(it.journal).begun(AGENT)] == [AGENT]
        raw = repr(await it.journal.ask("XRANGE", f"{{{PARTITION}}}:ledger", "-", "+"))
        assert "billing-bot" in raw and "permit" not in raw and "principal" not in raw
        assert it.journal.highest[PARTITION] == tuple(map(int, entries[-1].id.split("-")))

    on(lambda: RedisBench(valkey.url), story)


def test_a_grant_leaves_redis_a_month_after_its_end_and_its_text_at_once(valkey):
    valkey.flush()

    async def story(it):
        grants, given = of(it), fact()
        await give(grants, given)
        p = f"{{{PARTITION}}}"
        assert HOUR - 60_000 < await it.journal.ask("PTTL", f"{p}:grant:{ID}") <= HOUR
        assert KEPT_MS + HOUR - 60_000 < await it.journal.ask("PTTL", f"{p}:granted:{ID}") <= KEPT_MS + HOUR
        await it.journal.ask("ZADD", f"{p}:grants", str(now() - KEPT_MS - 1), "old 1")
        await revoke(grants, given)
        assert await it.journal.ask("EXISTS", f"{p}:grant:{ID}") == 0
        assert await it.journal.ask("ZRANGE", f"{p}:grants", "0", "-1") == [f"{ID} 2".encode()]

    on(lambda: RedisBench(valkey.url), story)


def test_nothing_is_granted_or_revoked_while_records_are_missing(valkey):
    from gateway.ports import JournalUnavailable

    valkey.flush()

    async def story(it):
        it.journal.memory.loss = "records are missing"
        with pytest.raises(JournalUnavailable, match="records are missing"):
            await give(of(it), fact())

    on(lambda: RedisBench(valkey.url), story)
