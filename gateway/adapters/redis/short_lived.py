"""What is kept for a while and may be forgotten: sessions of people, and who looks at what.

Beside the journal and never part of it: nothing here is a fact, and losing all of it costs people one sign-in.
"""

from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal


@dataclass(frozen=True, slots=True)
class RedisShortLived:
    """`gateway.console.sessions.ShortLived` and `gateway.console.pages.Looking`, for all hosts alike."""

    journal: RedisJournal

    async def put(self, key: str, value: bytes, milliseconds: int) -> None:
        await self.journal.ask("SET", _key(key), value, "PX", str(milliseconds))

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self.journal.ask("GET", _key(key))
        return found

    async def drop(self, key: str) -> None:
        await self.journal.ask("DEL", _key(key))

    async def look(self, key: str, person: str, milliseconds: int) -> list[str]:
        """Note that this person looks at it; everybody who did within that time, whoever came first first."""
        now = self.journal.now()
        _, _, _, found = await self.journal.ask_all(
            ("ZADD", _key(key), str(now), person),
            ("ZREMRANGEBYSCORE", _key(key), "-inf", str(now - milliseconds)),
            ("PEXPIRE", _key(key), str(milliseconds)),
            ("ZRANGE", _key(key), "0", "-1"),
        )
        return [name.decode() for name in found]


def _key(key: str) -> str:
    return f"gateway:console:{key}"
