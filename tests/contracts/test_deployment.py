"""The deployment's own ledger: each fact once, in order, on the same terms as the facts of calls."""

import pytest

from gateway.adapters.redis.deployment import RedisDeployment
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.deployment import DEPLOYMENT, AgentReadmitted, AgentSuspended, Loaded, LoadedFile, LossAcknowledged
from gateway.core.leaf import leaves_of, read_leaf
from gateway.ports import JournalUnavailable
from tests.contracts.journal_bench import RedisBench, on

LOADED = Loaded(generation="ab" * 32, files=(LoadedFile(name="routes.yaml", sha256="cd" * 32),), version="1.2.3")


@pytest.fixture
def deployment(valkey):
    valkey.flush()

    def run(story):
        async def with_deployment(it):
            await story(it.journal, RedisDeployment(it.journal))

        on(lambda: RedisBench(valkey.url), with_deployment)

    return run


async def noted(journal):
    found = [fact for entry in await RedisLedger(journal).read(DEPLOYMENT, "", 99) for fact in entry.of_deployment]
    assert all(fact.at > 1_700_000_000_000 for fact in found)
    return [type(fact).__name__ for fact in found]


def test_a_generation_is_noted_once_whoever_loads_it(deployment):
    async def story(journal, it):
        await it.note(LOADED)
        await it.note(LOADED)
        await RedisDeployment(journal).note(Loaded(generation="ef" * 32, files=(), version="1.2.3"))
        assert await noted(journal) == ["Loaded", "Loaded"]

    deployment(story)


def test_what_people_do_is_noted_each_time(deployment):
    async def story(journal, it):
        for fact in (AgentSuspended(agent="bot", by="ann"), AgentReadmitted(agent="bot", by="ann")) * 2:
            await it.note(fact)
        assert await noted(journal) == ["AgentSuspended", "AgentReadmitted"] * 2

    deployment(story)


def test_the_facts_are_counted_and_can_be_sealed(deployment):
    async def story(journal, it):
        await it.note(LOADED)
        await it.note(AgentSuspended(agent="bot", by="ann"))
        entries = await journal.ask("XRANGE", "{64}:ledger", "-", "+")
        leaves = [
            read_leaf(leaf)
            for entry, fields in entries
            for leaf in leaves_of(entry, dict(zip(fields[::2], fields[1::2], strict=True)))
        ]
        assert [(leaf.about, leaf.name, leaf.position) for leaf in leaves] == [
            ("gateway", "deployment", 0), ("gateway", "deployment", 1),
        ]  # fmt: skip
        assert type(leaves[0].fact()) is Loaded

    deployment(story)


def test_nothing_is_noted_while_records_are_missing(deployment):
    async def story(journal, it):
        await it.note(LOADED)
        journal.memory.loss = "records are missing"
        with pytest.raises(JournalUnavailable, match="records are missing"):
            await it.note(AgentSuspended(agent="bot", by="ann"))
        assert await noted(journal) == ["Loaded"]
        await it.note(LossAcknowledged(by="ann", loss=journal.loss))
        assert await noted(journal) == ["Loaded", "LossAcknowledged"], "but that somebody knows"

    deployment(story)


def test_a_journal_that_forgot_the_deployment_is_noticed(deployment):
    async def story(journal, it):
        await it.note(LOADED)
        assert DEPLOYMENT in journal.highest
        await journal.ask("DEL", "{64}:ledger")
        journal.memory.compare(DEPLOYMENT, (0, 0))
        assert "partition 64" in journal.loss

    deployment(story)
