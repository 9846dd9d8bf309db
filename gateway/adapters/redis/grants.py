"""Standing grants in Redis, beside the journal: in the partition of their agent, so that one script writes the fact,
the key that a claim needs, and the entry of the ledger, and no claim can follow a revocation.

The text holds arguments, so it is not in the ledger: its key leaves when the grant ends or is revoked. It must never
be written again after that; whoever wants it again gives another grant.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.call import PARTITION_NAMES
from gateway.core.codec import decode_grant, encode
from gateway.core.grants import KEPT_MS, Grant, GrantFact, partition_in, recall_grant
from gateway.ports import Conflict, JournalUnavailable

GRANT = (Path(__file__).parent / "grant.lua").read_text()


@dataclass(frozen=True, slots=True)
class RedisGrants:
    journal: RedisJournal

    async def write(self, fact: GrantFact, *, expected: int, until: int, text: str) -> None:
        if self.journal.loss:
            raise JournalUnavailable(self.journal.loss)
        named = _keys(fact.grant)
        reply = await self.journal.ask(
            "EVAL", GRANT, str(len(named)), *named,
            fact.grant, str(expected), secrets.token_hex(8), encode(fact), str(until), text.encode(), str(KEPT_MS),
        )  # fmt: skip
        if reply[0] == b"conflict":
            raise Conflict(fact.grant)
        self.journal.remember(partition_in(fact.grant), reply[2])

    async def read(self, grant: str) -> Grant | None:
        facts, text, *_ = _keys(grant)
        found, told = await self.journal.ask_all(("LRANGE", facts, "0", "-1"), ("GET", text))
        return recall_grant(map(decode_grant, found), told.decode() if told else "")

    async def index(self, *, since: int) -> dict[str, int]:
        asked: list[tuple[Any, ...]] = [
            ("ZRANGEBYSCORE", f"{{{p}}}:grants", f"({since}", "+inf") for p in PARTITION_NAMES
        ]
        members = [member.decode().split(" ") for found in await self.journal.ask_all(*asked) for member in found]
        return {grant: int(length) for grant, length in members}


def _keys(grant: str) -> tuple[str, ...]:
    """The keys of grant.lua."""
    p = "{" + partition_in(grant) + "}"
    return f"{p}:granted:{grant}", f"{p}:grant:{grant}", f"{p}:grants", f"{p}:ledger"
