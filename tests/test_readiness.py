"""Every form of GATEWAY_REDIS_URL has a client that can ask the server about itself."""

import asyncio

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from gateway.readiness import server_at


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://127.0.0.1:1/2", Redis),
        ("unix:///tmp/none.sock", Redis),
        ("redis+sentinel://u:p@127.0.0.1:1,127.0.0.1:2/main", Redis),
        ("redis+cluster://127.0.0.1:1", RedisCluster),
    ],
)
def test_every_form_of_the_address_has_a_client(url, kind):
    async def main():
        made = server_at(url)
        assert isinstance(made, kind)
        if isinstance(made, Redis):
            assert isinstance(made.connection_pool, SentinelConnectionPool) is url.startswith("redis+sentinel")
        await made.aclose()

    asyncio.run(main())
