"""Whether this Redis really keeps what it acknowledges: the question behind /readyz and promise 7.

A journal on a server that may forget is worse than none, because everybody trusts it. So the configuration is read
and not assumed, and each thing that is not as it must be becomes one sentence with its cure. It must never change
the server's configuration: that is somebody else's to decide, and would be undone by the next restart.

`examine` and `weaknesses` ask, `objections` and `may_forget` decide: the former for people, the latter stop effects.
A deployment that accepts a loss names it in GATEWAY_REDIS_DURABILITY.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from gateway.ports import JournalUnavailable

ONE_SECOND = "may-lose-one-second"
UNVERIFIED = "may-lose-everything-unverified"

# Above this share, a burst of held calls could meet a full server between two looks at it.
MEMORY_LIMIT = 0.9

# The first version with WAITAOF.
WAITAOF_SINCE = (7, 2)

# The settings that decide what survives a crash.
ASKED = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite")


class Node(Protocol):
    """One server: a client of a standalone deployment, or one primary of a Cluster."""

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one server says about itself."""

    info: Mapping[str, object]
    config: Mapping[str, str] | None
    """None: the server does not let us read it."""


async def examine(
    redis: Redis | RedisCluster,
    replicas: int,
    accepted: str,
    *,
    name: str = "Redis",
    explain: Callable[[], str] = str,
) -> list[str]:
    """What is not as promise 7 demands, one sentence each; empty if all is well. Never raises for what Redis does.

    `replicas` is GATEWAY_REDIS_REPLICAS, `accepted` GATEWAY_REDIS_DURABILITY. If `name` does not answer, `explain` is
    asked why first.
    """
    try:
        return await _of_each(redis, lambda report: objections(report, replicas, accepted))
    except (RedisError, RedisClusterException, OSError) as error:
        why = explain() or str(error).rstrip(". ") or type(error).__name__
        return [f"{name} does not answer: {why}."]


async def weaknesses(redis: Redis | RedisCluster, replicas: int, accepted: str) -> list[str]:
    """Why effects must not happen: this server may forget what it acknowledges. Raises JournalUnavailable."""
    try:
        return await _of_each(redis, lambda report: may_forget(report, replicas, accepted))
    except ResponseError as error:
        if accepted == UNVERIFIED:
            return []
        return [f"This Redis does not let us ask how it keeps what it acknowledges ({error}): allow INFO."]
    except (RedisError, OSError) as error:
        raise JournalUnavailable(str(error) or type(error).__name__) from error


async def _of_each(redis: Redis | RedisCluster, decide: Callable[["Report"], list[str]]) -> list[str]:
    """What is said of the server, or of every primary of a Cluster."""
    if not isinstance(redis, RedisCluster):
        return decide(await _ask(redis))
    await redis.initialize()
    found = []
    for node in redis.get_primaries():
        found += [f"{node.name}: {sentence}" for sentence in decide(await _ask(node))]
    return found or ([] if redis.get_primaries() else ["The Redis Cluster has no primary."])


async def _ask(node: Node) -> Report:
    info = await node.execute_command("INFO")
    try:
        config = await node.execute_command("CONFIG GET", *ASKED)
    except ResponseError:  # forbidden to this user, or removed by the provider; NoPermissionError is one too
        return Report(info=info, config=None)
    return Report(info=info, config={_text(name): _text(value) for name, value in config.items()} or None)


def objections(report: Report, replicas: int, accepted: str) -> list[str]:
    """What is wrong with this server, the most serious first."""
    return [
        *_role(report.info),
        *_persistence(report, accepted),
        *_eviction(report.info),
        *_memory(report.info),
        *_unwaited(report.info, replicas, accepted),
        *_replication(report.info, replicas),
    ]


def may_forget(report: Report, replicas: int, accepted: str) -> list[str]:
    """Those of the objections that allow no effect. The others say that Redis refuses writes, or soon will."""
    return [
        *_persistence(report, accepted),
        *_eviction(report.info),
        *_unwaited(report.info, replicas, accepted),
    ]


def _role(info: Mapping[str, object]) -> Iterator[str]:
    if _text(info.get("role", "master")) != "master":
        yield "This Redis is a replica and refuses writes: let GATEWAY_REDIS_URL name the primary, or the Sentinels."
    if _number(info, "loading"):
        yield "Redis is loading its data and answers when it is done."


def _persistence(report: Report, accepted: str) -> Iterator[str]:
    if report.config is None:
        if accepted != UNVERIFIED:
            yield (
                "The configuration of this Redis cannot be read, so nobody knows whether it keeps what it "
                "acknowledges: allow CONFIG GET, or accept that everything may be lost with "
                f"GATEWAY_REDIS_DURABILITY={UNVERIFIED}."
            )
    elif report.config.get("appendonly") != "yes":
        yield "appendonly is off, so a restart of Redis forgets the journal: set `appendonly yes`."
    else:
        yield from _fsync(report.config, accepted)
    if _text(report.info.get("aof_last_write_status", "ok")) != "ok":
        yield "Redis cannot write its append-only file: see its log, and free space on its disk."


def _fsync(config: Mapping[str, str], accepted: str) -> Iterator[str]:
    one_second_is_fine = accepted in {ONE_SECOND, UNVERIFIED}
    policy = config.get("appendfsync")
    if policy not in {"always", "everysec"}:
        yield (
            f"appendfsync is {policy}, so a crash loses whatever the operating system had not written yet: set "
            "`appendfsync always`."
        )
    elif policy == "everysec" and not one_second_is_fine:
        yield (
            "appendfsync is everysec, so a crash loses what was acknowledged in the last second: set "
            f"`appendfsync always`, or accept the loss with GATEWAY_REDIS_DURABILITY={ONE_SECOND}."
        )
    if config.get("no-appendfsync-on-rewrite") == "yes":
        # The operating system may take half a minute, so this is more than the second that may be accepted.
        yield (
            "no-appendfsync-on-rewrite is on, so a crash while the append-only file is rewritten loses acknowledged "
            "facts: set `no-appendfsync-on-rewrite no`."
        )


def _eviction(info: Mapping[str, object]) -> Iterator[str]:
    policy = _text(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield (
            f"maxmemory-policy is {policy}, so Redis deletes facts when memory is short: set "
            "`maxmemory-policy noeviction`."
        )


def _memory(info: Mapping[str, object]) -> Iterator[str]:
    used, limit, of = _number(info, "used_memory"), _number(info, "maxmemory"), "maxmemory"
    if not limit:
        used, limit, of = _number(info, "used_memory_rss"), _number(info, "total_system_memory"), "the machine's memory"
    if limit and used > MEMORY_LIMIT * limit:
        yield f"Redis uses {used / limit:.0%} of {of} and will soon refuse every write: give it more memory."


def _unwaited(info: Mapping[str, object], replicas: int, accepted: str) -> Iterator[str]:
    connected = int(_number(info, "connected_slaves"))
    if connected and not replicas and accepted != UNVERIFIED:
        yield (
            f"Replicas are connected ({connected}) but GATEWAY_REDIS_REPLICAS is 0, so a failover can forget a claim "
            "and an effect could happen twice: set it to how many replicas must have a claim on disk before it is sent."
        )


def _replication(info: Mapping[str, object], replicas: int) -> Iterator[str]:
    connected = int(_number(info, "connected_slaves"))
    if connected < replicas:
        yield (
            f"GATEWAY_REDIS_REPLICAS is {replicas} but only {connected} are connected, so effects of tools that are "
            "not repeatable are answered 503: bring the replicas back."
        )
    version = _text(info.get("redis_version", "0"))
    if replicas and tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < WAITAOF_SINCE:
        yield f"Redis {version} has no WAITAOF, which GATEWAY_REDIS_REPLICAS needs: upgrade to 7.2 or newer."


def _number(info: Mapping[str, object], name: str) -> float:
    value = info.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
