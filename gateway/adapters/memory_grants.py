"""The contract of `grant_ports.Grants`, kept in memory for tests and readers. It says in Python what grant.lua says."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.core.grants import KEPT_MS, Grant, GrantFact, recall_grant
from gateway.ports import Conflict


@dataclass(slots=True)
class MemoryGrants:
    clock: Callable[[], int]
    """Milliseconds since the epoch."""
    pointers: dict[str, tuple[str, int | None]]
    """Those of the journal, among which a claim finds the grant that it needs."""
    facts: dict[str, list[GrantFact]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    async def write(self, fact: GrantFact, *, expected: int, until: int, text: str) -> None:
        await asyncio.sleep(0)  # let other writers in, as a network would
        have = self.facts.get(fact.grant, [])
        if len(have) != expected:
            raise Conflict(fact.grant)
        now, grant = self.clock(), fact.grant
        self.facts[grant] = [*have, replace(fact, at=now)]
        self.ends[grant] = until
        self.texts.pop(grant, None)
        self.pointers.pop(f"grant:{grant}", None)
        if text and until > now:
            self.texts[grant] = text
            self.pointers[f"grant:{grant}"] = grant, until

    async def read(self, grant: str) -> Grant | None:
        now, end = self.clock(), self.ends.get(grant, 0)
        if now >= end + KEPT_MS:
            return None
        return recall_grant(self.facts.get(grant, ()), self.texts.get(grant, "") if now < end else "")

    async def index(self, *, since: int) -> dict[str, int]:
        return {grant: len(facts) for grant, facts in self.facts.items() if self.ends[grant] > since}
