"""How a Redis URL becomes connections: standalone, unix socket, TLS, Sentinel. redis-py makes and heals them.

What it says about failures that an operator meets becomes a sentence here; it must never show an object's insides.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff

CONNECT_SECONDS = 2.0

Made = Callable[[], Awaitable[AbstractConnection]]
Server = Redis | RedisCluster


class _Sentinels(Sentinel):
    """Of one deployment."""

    def __init__(self, places: list[tuple[str, int]]) -> None:
        asking = {"socket_timeout": CONNECT_SECONDS, "retry": _once()}
        super().__init__(places, sentinel_kwargs=asking, socket_timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        self._places = ", ".join(f"{host}:{port}" for host, port in places)

    async def discover_master(self, service_name: str) -> Any:
        try:
            return await super().discover_master(service_name)
        except MasterNotFoundError:
            sentence = f"no Sentinel of {self._places} answers and knows a master called {service_name!r}"
            raise MasterNotFoundError(sentence) from None


def maker(url: str) -> Made:
    """How to make connections to `url`: redis://, rediss://, unix://, or redis+sentinel://host:port,.../service."""
    options: dict[str, Any] = {
        "protocol": 3,
        "socket_timeout": None,  # one timeout per batch, in `Line._exchange`, is cheaper than one per reply
        "socket_connect_timeout": CONNECT_SECONDS,
        "decode_responses": False,
    }
    pool: ConnectionPool = _standalone(url, options).connection_pool

    async def make() -> AbstractConnection:
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    return make


def client(url: str) -> Server:
    """A client for a question now and then, with text for replies; of any of the URLs above, or redis+cluster://."""
    options: dict[str, Any] = {"decode_responses": True, "socket_connect_timeout": CONNECT_SECONDS}
    if url.startswith("redis+cluster://"):
        return RedisCluster.from_url(url.replace("redis+cluster://", "redis://"), **options)
    return _standalone(url, options)


def _standalone(url: str, options: dict[str, Any]) -> Redis:
    if not url.startswith("redis+sentinel://"):
        return Redis.from_url(url, **options)
    parts = urlsplit(url)
    places = [place.rpartition(":") for place in parts.netloc.rpartition("@")[2].split(",")]
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    sentinels = _Sentinels([(host, int(port)) for host, _, port in places])
    master: Redis = sentinels.master_for(
        parts.path.strip("/"),
        username=parts.username,
        password=parts.password,
        db=int(query.get("db", 0)),
        retry=_once(),  # whoever asked tries again, and hears why before the patience of everybody ends
        **options,
    )
    return master


def _once() -> Retry:
    return Retry(NoBackoff(), 0)


def spoken(error: Exception) -> str:
    """What an error of a connection says, without the full stop that redis-py puts behind some."""
    text = str(error).rstrip(". ")
    return text or type(error).__name__
