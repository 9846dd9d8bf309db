"""What only a real server can break: lost replies, lost connections, kills, restores, replicas that lag."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import pytest

import gateway.adapters.redis.journal as journal_module
import gateway.adapters.redis.line as line_module
from gateway.adapters.redis.journal import RedisJournal
from gateway.core.facts import Expired
from gateway.ports import JournalUnavailable, TooFewReplicas
from tests.contracts.journal_bench import FIRST, RedisBench, attempt, key, new_call, on, opened, timeless, write
from tests.contracts.lossy import Lossy
from tests.gateway_process import eventually
from tests.playbook import ALLOW, HOLD, answered, claimed
from tests.processes import PATIENCE_SECONDS, free_port
from tests.valkey_server import Valkey


@pytest.fixture
def server(valkey):
    valkey.flush()
    return valkey


def through(server, folder, story):
    """Run a story on a journal behind a line that loses things."""

    async def run():
        async with Lossy(server.path, folder / "lossy.sock") as lossy:
            journal = RedisJournal.open(lossy.url)
            try:
                await journal.learn_time()
                await story(journal, lossy)
            finally:
                await journal.close()

    asyncio.run(run())


# --- Lost replies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lose", ["request", "reply"])
def test_an_append_whose_request_or_reply_is_lost_is_written_once(server, tmp_path, lose):
    async def story(journal, lossy):
        call = new_call()
        lossy.lose = lose
        first = write(call, 0, FIRST, ALLOW, claimed(), pointers=[key("k", "take"), opened("o", "test")])
        done = await journal.append(first)
        assert lossy.lost == 1
        facts = await journal.facts(call)
        assert timeless(facts) == [FIRST, ALLOW, claimed()]
        assert facts[0].at == done.at
        lossy.lose = lose
        await journal.append(write(call, 3, Expired()))
        assert (lossy.lost, await journal.length(call)) == (2, 4)

    through(server, tmp_path, story)


def test_a_lost_reply_is_still_found_when_somebody_else_wrote_meanwhile(server, tmp_path):
    async def story(journal, lossy):
        call = new_call()

        async def somebody_else():
            other = RedisJournal.open(server.url)
            await other.append(write(call, 1, HOLD))
            await other.close()

        lossy.lose, lossy.meanwhile = "reply", somebody_else
        await journal.append(write(call, 0, FIRST, pointers=[key("k", "take")]))
        assert timeless(await journal.facts(call)) == [FIRST, HOLD]

    through(server, tmp_path, story)


def test_an_append_that_was_lost_and_overtaken_is_a_conflict(server, tmp_path):
    async def story(journal, lossy):
        call = new_call()
        await journal.append(write(call, 0, FIRST))

        async def somebody_else():
            other = RedisJournal.open(server.url)
            await other.append(write(call, 1, HOLD))
            await other.close()

        lossy.lose, lossy.meanwhile = "request", somebody_else
        assert await attempt(journal.append(write(call, 1, ALLOW, claimed()))) == ("conflict",)
        assert timeless(await journal.facts(call)) == [FIRST, HOLD]

    through(server, tmp_path, story)


@pytest.mark.parametrize("lose", ["request", "reply"])
def test_a_connection_lost_in_the_middle_of_many_appends_writes_each_once(server, tmp_path, lose):
    async def story(journal, lossy):
        calls = [new_call() for _ in range(50)]
        lossy.lose = lose
        await asyncio.gather(*(journal.append(write(call, 0, FIRST, ALLOW)) for call in calls))
        assert lossy.lost == 1 and lossy.connections == 2
        assert {call: await journal.length(call) for call in calls} == dict.fromkeys(calls, 2)

    through(server, tmp_path, story)


def test_a_replayed_append_counts_as_acknowledged(server, tmp_path):
    """Otherwise a server restored to the moment before it would not be noticed."""

    async def story(journal, lossy):
        call = new_call()
        lossy.lose = "reply"
        await journal.append(write(call, 0, FIRST))
        [last] = [entry for entry, _ in await journal.ask("XRANGE", "{" + call[:2] + "}:ledger", "-", "+")]
        assert journal.highest[call[:2]] == tuple(map(int, last.split(b"-")))

    through(server, tmp_path, story)


def test_a_caller_that_gives_up_takes_nobody_with_it(server):
    async def story(it):
        calls = [new_call() for _ in range(20)]
        tasks = [asyncio.create_task(it.journal.append(write(call, 0, FIRST))) for call in calls]
        await asyncio.sleep(0)
        tasks[3].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [index for index, result in enumerate(done) if isinstance(result, BaseException)] == [3]
        assert await it.journal.length(calls[7]) == 1

    on(lambda: RedisBench(server.url), story)


# --- A server that refuses ------------------------------------------------------------------------------------------


def test_a_server_that_forgot_the_script_learns_it_again(server):
    async def story(it):
        await it.journal.append(write(new_call(), 0, FIRST))
        server.command("SCRIPT", "FLUSH")
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        assert await it.journal.length(call) == 1

    on(lambda: RedisBench(server.url), story)


@pytest.mark.parametrize(("setting", "bad", "good"), [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")])
def test_a_full_or_lonely_server_writes_nothing_and_says_so(server, setting, bad, good):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        server.command("CONFIG", "SET", setting, bad)
        try:
            refused = write(call, 1, ALLOW, claimed(), pointers=[key("k", "take")], due_in=5, payload={"answer": b"x"})
            with pytest.raises(JournalUnavailable):
                await it.journal.append(refused)
        finally:
            server.command("CONFIG", "SET", setting, good)
        assert await it.journal.length(call) == 1
        assert await it.pointer("key", "k") is None
        assert await it.journal.payload(call) == {}
        await it.journal.append(refused)

    on(lambda: RedisBench(server.url), story)


def test_a_server_that_says_nothing_is_given_up_and_the_append_written_once(own_valkey, monkeypatch):
    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        silent = write(call, 1, ALLOW)
        monkeypatch.setattr(line_module, "REPLY_SECONDS", 0.1)
        monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", 0.3)
        os.kill(own_valkey.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(JournalUnavailable):
                await it.journal.append(silent)
        finally:
            os.kill(own_valkey.process.pid, signal.SIGCONT)
            monkeypatch.undo()
        await it.journal.append(silent)
        assert await it.journal.length(call) == 2

    on(lambda: RedisBench(own_valkey.url), story)


# --- Kill and restart -----------------------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_a_kill_and_service_returns_by_itself(own_valkey, monkeypatch):
    monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", PATIENCE_SECONDS)  # a server may take its time to start

    async def story(it):
        calls = [new_call() for _ in range(30)]
        await asyncio.gather(*(it.journal.append(write(call, 0, FIRST, due_in=0)) for call in calls))
        own_valkey.kill()
        waiting = asyncio.create_task(it.journal.append(write(calls[0], 1, ALLOW)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        own_valkey.start()
        await waiting
        assert timeless(await it.journal.facts(calls[0])) == [FIRST, ALLOW]
        assert {await it.journal.length(call) for call in calls[1:]} == {1}
        assert len(await it.journal.due(99)) == 29

    on(lambda: RedisBench(own_valkey.url), story)


def test_a_server_that_stays_away_is_said_to_be_unavailable(own_valkey, monkeypatch):
    monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", 0.1)

    async def story(it):
        call = new_call()
        await it.journal.append(write(call, 0, FIRST))
        own_valkey.kill()
        for wish in (it.journal.append(write(call, 1, ALLOW)), it.journal.facts(call), it.journal.length(call)):
            with pytest.raises(JournalUnavailable):
                await wish

    on(lambda: RedisBench(own_valkey.url), story)


# --- A server restored from an older state ----------------------------------------------------------------------------


def restore_older_state(server, folder):
    server.kill()
    server.restore_data(folder / "backup")
    server.start()


def test_a_server_that_comes_back_with_less_gets_nothing_until_a_person_knows(own_valkey, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", 1.0)

    async def story(it):
        old, lost = new_call(), new_call()
        await it.journal.append(write(old, 0, FIRST))
        own_valkey.kill()
        own_valkey.copy_data(tmp_path / "backup")
        own_valkey.start()
        await it.journal.append(write(lost, 0, FIRST, ALLOW, claimed()))
        witness = RedisJournal.open(own_valkey.url)
        await witness.append(write(lost, 3, Expired()))

        restore_older_state(own_valkey, tmp_path)
        calls = [new_call() for _ in range(20)]
        race = []
        for call in calls:  # some are there before we connect, some come while we do
            race.append(asyncio.create_task(it.journal.append(write(call, 0, FIRST, ALLOW, claimed(), guarded=True))))
            await asyncio.sleep(0)
        refused = await asyncio.gather(*race, return_exceptions=True)
        assert [type(error) for error in refused] == [JournalUnavailable] * 20
        assert "acknowledge-loss" in str(refused[0])
        with pytest.raises(JournalUnavailable, match="restored"):
            await it.journal.append(write(new_call(), 0, FIRST))
        assert [await it.journal.length(call) for call in calls] == [0] * 20  # reading goes on
        assert await it.journal.length(old) == 1

        with pytest.raises(JournalUnavailable, match="restored"):
            await witness.append(write(new_call(), 0, FIRST))
        await it.journal.acknowledge_loss()
        await it.journal.append(write(calls[0], 0, FIRST))
        await asyncio.sleep(1.1)  # every other process looks once a second
        await witness.append(write(calls[1], 0, FIRST))
        await witness.close()

    on(lambda: RedisBench(own_valkey.url), story)


def test_an_acknowledged_loss_does_not_excuse_the_next_one(own_valkey, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", 1.0)

    async def story(it):
        await it.journal.append(write(new_call(), 0, FIRST))
        await it.journal.acknowledge_loss()
        own_valkey.kill()
        own_valkey.copy_data(tmp_path / "backup")
        own_valkey.start()
        await it.journal.append(write(new_call(), 0, FIRST))
        restore_older_state(own_valkey, tmp_path)
        with pytest.raises(JournalUnavailable, match="restored"):
            await it.journal.append(write(new_call(), 0, FIRST))

    on(lambda: RedisBench(own_valkey.url), story)


# --- Replicas -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    """A primary, and a replica that has caught up with it."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        port = free_port()
        fast = ("--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
        primary = Valkey(Path(folder) / "p", ("--port", str(port), *fast)).start()
        replica = Valkey(Path(folder) / "r", ("--port", "0", *fast, "--replicaof", "127.0.0.1", str(port)))
        try:
            replica.start()
            wait_for(lambda: replica.command("INFO", "replication")["master_link_status"] == "up")
            # One that has just synchronised writes its append-only file anew before it takes part.
            wait_for(lambda: primary.durable_on() >= 1)
            yield primary, replica
        finally:
            replica.kill()
            primary.kill()


def wait_for(condition):
    eventually(condition, "it never came to that")


def claim_of(call, **how):
    return write(call, 0, FIRST, ALLOW, claimed(), guarded=True, replicated=True, **how)


def test_a_claim_goes_through_once_a_replica_has_it_on_disk(pair, monkeypatch):
    monkeypatch.setattr(journal_module, "REPLICA_MS", 60_000)
    primary, replica = pair

    async def story(it):
        call = new_call()
        await it.journal.append(claim_of(call))
        assert replica.command("LLEN", "{" + call[:2] + "}:call:" + call) == 3

    on(lambda: RedisBench(primary.url, replicas=1), story)


def test_without_enough_replicas_a_claim_is_refused_and_other_appends_are_not(pair, monkeypatch):
    monkeypatch.setattr(journal_module, "REPLICA_MS", 100)
    primary, replica = pair

    async def story(it):
        os.kill(replica.process.pid, signal.SIGSTOP)
        try:
            call = new_call()
            claim = claim_of(call)
            with pytest.raises(TooFewReplicas, match="0 of 1"):
                await it.journal.append(claim)
            assert await it.journal.length(call) == 3  # durable here: whoever reads it must know it was not sent
            with pytest.raises(TooFewReplicas):
                await it.journal.append(claim)
            other = new_call()
            await it.journal.append(write(other, 0, FIRST, ALLOW, claimed()))
        finally:
            os.kill(replica.process.pid, signal.SIGCONT)
        wait_for(lambda: replica.command("INFO", "replication")["master_link_status"] == "up")
        monkeypatch.setattr(journal_module, "REPLICA_MS", 60_000)
        await it.journal.append(claim)

    on(lambda: RedisBench(primary.url, replicas=1), story)


def test_a_server_that_may_forget_gets_no_claim_and_no_disclosure_but_everything_else(valkey):
    async def story(it):
        call = new_call()
        it.journal.weakness = "appendonly is off."
        with pytest.raises(JournalUnavailable, match="appendonly is off"):
            await it.journal.append(write(call, 0, FIRST, ALLOW, claimed(), guarded=True))
        assert await it.journal.facts(call) == []
        await it.journal.append(write(call, 0, FIRST))
        it.journal.weakness = ""
        await it.journal.append(write(call, 1, ALLOW, claimed(), guarded=True))
        it.journal.weakness = "appendonly is off."
        await it.journal.append(write(call, 3, answered()))  # what happened is written wherever it can be

    on(lambda: RedisBench(valkey.url), story)


def test_a_claim_whose_reply_was_lost_is_not_taken_for_replicated(pair, tmp_path, monkeypatch):
    """WAITAOF waits only for what its own connection wrote, and the retry comes over another one."""
    monkeypatch.setattr(journal_module, "REPLICA_MS", 100)
    primary, replica = pair

    async def story(journal, lossy):
        journal.replicas = 1
        os.kill(replica.process.pid, signal.SIGSTOP)
        try:
            lossy.lose = "reply"
            with pytest.raises(TooFewReplicas):
                await journal.append(claim_of(new_call()))
            assert lossy.lost == 1
        finally:
            os.kill(replica.process.pid, signal.SIGCONT)

    through(primary, tmp_path, story)


def test_with_no_replica_at_all_no_unrepeatable_claim_goes_through(own_valkey, monkeypatch):
    monkeypatch.setattr(journal_module, "REPLICA_MS", 50)

    async def story(it):
        with pytest.raises(TooFewReplicas):
            await it.journal.append(claim_of(new_call()))

    on(lambda: RedisBench(own_valkey.url, replicas=1), story)
