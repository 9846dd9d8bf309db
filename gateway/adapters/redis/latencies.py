"""What all processes measured, added up in one hash: it only grows, and needs no list of who is alive.

A reply that is lost is not asked for again: a figure may miss a second, but nothing is counted twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal

KEY = "gateway:latencies"
ADD = """
for i = 1, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
"""


@dataclass(slots=True)
class RedisLatencies:
    journal: RedisJournal

    async def add(self, amounts: Mapping[str, int]) -> None:
        """All of them or none. Raises JournalUnavailable."""
        arguments = [part for name, amount in amounts.items() for part in (name, str(amount))]
        await self.journal.ask("EVAL", ADD, "1", KEY, *arguments)

    async def sums(self) -> dict[str, int]:
        """Raises JournalUnavailable."""
        found = await self.journal.ask("HGETALL", KEY)
        items = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {name.decode(): int(value) for name, value in items}
