"""What an agent did lately, newest first, from the ledger of its partition. For people to look at, never to decide by.

It looks back a fixed number of entries, so that the card of a busy agent costs what that of a quiet one costs.
"""

from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import Call, partition_of
from gateway.core.codec import decode
from gateway.core.facts import Admitted

LOOKED_AT = 2_000
"""Entries of the partition, which a few other agents share. A call that was carried out has two or three."""


@dataclass(frozen=True, slots=True)
class RedisHistory:
    """`gateway.console.past.History`."""

    journal: RedisJournal

    async def begun(self, agent: str) -> list[Call]:
        """The calls that this agent began within the last LOOKED_AT entries, newest first."""
        ledger = f"{{{partition_of(agent):02d}}}:ledger"
        entries = await self.journal.ask("XREVRANGE", ledger, "+", "-", "COUNT", str(LOOKED_AT))
        found = []
        for _, fields in entries:
            told = dict(zip(fields[::2], fields[1::2], strict=True))
            if b"call" in told and told[b"from"] == b"0":  # other entries are about standing grants
                first = decode(told[b"facts"].partition(b"\n")[0])
                if isinstance(first, Admitted) and first.call.agent == agent:
                    found.append(first.call)
        return found
