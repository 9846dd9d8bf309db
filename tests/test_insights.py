"""The numbers about decisions on a real ledger: counted as it grows, and gone on with by whoever comes next."""

import asyncio

import pytest

from gateway import insights
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.facts import Expired
from gateway.insights import Counting
from tests.contracts.journal_bench import FIRST, RedisBench, new_call, on, write
from tests.gateway_process import eventually
from tests.gateway_world import BRIEF, PAIR, slug, world
from tests.playbook import ALLOW, FINANCE, HOLD, answered, asked, claimed
from tests.scripted_upstream import fresh

AGENTS = tuple(f"agent-{number}" for number in range(5))


@pytest.fixture
def ledger(valkey):
    valkey.flush()

    def run(story):
        async def with_ledger(it):
            await story(it.journal, RedisLedger(it.journal))

        on(lambda: RedisBench(valkey.url), with_ledger)

    return run


def counting(journal, it) -> Counting:
    return Counting(it, journal.now)


async def holds(journal, number: int) -> list[tuple[str, str]]:
    made = [(new_call(AGENTS[i % len(AGENTS)]), AGENTS[i % len(AGENTS)]) for i in range(number)]
    for call, agent in made:
        await journal.append(write(call, 0, FIRST, HOLD, asked(FINANCE), agent=agent))
    return made


async def waiting(counted: Counting) -> int:
    told = await counted.report()
    assert told["behind"] is False
    count: int = told["waiting"]["count"]
    return count


def test_it_counts_what_is_new_and_nothing_twice(ledger):
    async def story(journal, it):
        counted = counting(journal, it)
        assert await waiting(counted) == 0
        made = await holds(journal, 7)
        assert await waiting(counted) == 7
        for call, agent in made[:3]:
            await journal.append(write(call, 3, Expired(), agent=agent))
        assert await waiting(counted) == 4
        told = await counted.report()
        assert told["all"]["expired"] == 3 and told == await counted.report() | {"to": told["to"]}

    ledger(story)


def test_more_than_one_step_is_counted_to_the_end(ledger, monkeypatch):
    monkeypatch.setattr(insights, "PER_STEP", 3)

    async def story(journal, it):
        await holds(journal, 40)
        counted = counting(journal, it)
        assert await counted.step() is True and len(counted.counted.open) == 3 * len(AGENTS)
        assert await waiting(counted) == 40
        assert await counted.step() is False

    ledger(story)


def test_only_who_has_more_is_asked_again_and_nothing_new_is_missed_by_it(ledger, monkeypatch):
    monkeypatch.setattr(insights, "PER_STEP", 3)

    async def story(journal, it):
        partitions: list[int] = []

        class Listening(RedisLedger):
            async def stretches(self, after, limit):
                partitions.append(len(after))
                return await super().stretches(after, limit)

        busy = AGENTS[0]
        for _ in range(5):
            await journal.append(write(new_call(busy), 0, FIRST, HOLD, asked(FINANCE), agent=busy))
        counted = counting(journal, Listening(journal))
        assert await counted.step() is True and len(counted.counted.open) == 3
        await holds(journal, len(AGENTS))
        assert await waiting(counted) == 5 + len(AGENTS)
        assert partitions == [64, 1, 64], "the busy one again, then all: who asks gets what was there when they asked"

    ledger(story)


def test_calls_that_nobody_was_asked_about_are_not_decoded(ledger, monkeypatch):
    decoded: list[bytes] = []
    monkeypatch.setattr(insights, "decode", decoded.append)

    async def story(journal, it):
        for _ in range(20):
            await journal.append(write(new_call(), 0, FIRST, ALLOW, claimed(), answered()))
        assert await waiting(counting(journal, it)) == 0 and decoded == []

    ledger(story)


def test_a_new_process_goes_on_where_the_last_one_kept_its_count(ledger, monkeypatch):
    monkeypatch.setattr(insights, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(insights, "LOOK_SECONDS", 0.0)

    async def story(journal, it):
        made = await holds(journal, 5)
        first = asyncio.ensure_future(counting(journal, it).run())
        for _ in range(6000):
            if await it.note("insights") is not None:
                break
            await asyncio.sleep(0.01)
        first.cancel()
        for call, agent in made[:2]:
            await journal.append(write(call, 3, Expired(), agent=agent))
        read: list[str] = []

        class Listening(RedisLedger):
            async def stretches(self, after, limit):
                found = await super().stretches(after, limit)
                read.extend(call for stretch in found.values() for call, _ in stretch.entries)
                return found

        second = counting(journal, Listening(journal))
        assert await waiting(second) == 3 and (await second.report())["all"]["expired"] == 2
        assert sorted(read) == sorted(call for call, _ in made[:2]), "only what came after"

    ledger(story)


@pytest.mark.parametrize(
    "kept", [b"{", b"[]", b'{"format":0,"cursors":{}}', b'{"format":1,"cursors":{},"counted":{}}', b"null"]
)
def test_a_count_that_cannot_be_read_is_made_anew(ledger, kept):
    async def story(journal, it):
        await it.keep("insights", kept)
        await holds(journal, 4)
        assert await waiting(counting(journal, it)) == 4

    ledger(story)


def test_it_begins_thirty_days_back(ledger):
    async def story(journal, it):
        made = await holds(journal, 3)
        late = Counting(it, lambda: journal.now() + 31 * 86_400_000)
        assert await waiting(late) == 0
        assert await waiting(counting(journal, it)) == len(made)

    ledger(story)


def test_what_only_a_newer_gateway_can_read_is_left_out(ledger):
    async def story(journal, it):
        await holds(journal, 2)
        strange = b'{"at":1,"by":"x","fact":{"type":"Asked","strange":1}}'
        await journal.ask("XADD", "{07}:ledger", "*", "call", "07aa", "from", "0", "facts", strange)
        assert await waiting(counting(journal, it)) == 2

    ledger(story)


# --- At the control plane ---------------------------------------------------------------------------------------------


def test_decisions_are_told_over_the_control_plane():
    with world() as scene:
        told = scene.person("auditor").get("/approvals/stats").json()
        assert told["all"]["of"] == 0 and told["days"] == 30
        approved, rejected, pair = scene.hold(fresh("pay")), scene.hold(fresh("pay")), scene.hold(fresh("pay"), PAIR)
        scene.pay(fresh("pay"), BRIEF, prefer="wait=0")
        scene.approvers.approve(approved)
        scene.approvers.reject(rejected)
        eventually(lambda: scene.state(approved) == "answered")
        told = eventually(
            lambda: (found := scene.person("auditor").get("/approvals/stats", params={"days": 1}).json())
            and found["all"]["of"] == 3 and not found["behind"] and found
        )  # fmt: skip
        assert (told["all"]["approved"], told["all"]["rejected"], told["all"]["expired"]) == (1, 1, 1)
        assert told["waiting"]["count"] == 1
        rows = {item["policy"]: (item["approved"], item["of"]) for item in told["policies"]}
        assert rows == {"large-needs-finance": (1, 2), "brief-hold": (0, 1)}
        assert told["people"] == [{"person": "lead", "yes": 1, "no": 1}]
        assert told["behind"] is False and told["days"] == 1 and scene.state(pair) == "held"

        for days in ("0", "31", "x"):
            answer = scene.person("auditor").get("/approvals/stats", params={"days": days})
            assert (answer.status_code, slug(answer)) == (400, "invalid-query") and "days" in answer.json()["detail"]
