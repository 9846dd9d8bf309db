"""Whether the record is kept, as every process hears it; and for how long facts have waited to be sealed.

Whoever seals says here why it cannot, and everybody heeds that within a second (`RedisJournal.heed`): a claim or an
answer of a read that would leave no record is refused. Whoever seals takes it back. A steward that is dead says
nothing, so that is noticed from outside: by what waits, and by how far each log is sealed not changing any more.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.adapters.redis.journal import UNSEALED, RedisJournal
from gateway.core.deployment import LOGS
from gateway.core.sealed import BEGINNING, UnreadableSeal, read_sealed
from gateway.core.times import span

PATIENCE_SECONDS = 60.0
"""How long facts may wait while nobody seals any, before that is said."""


@dataclass(frozen=True, slots=True)
class RedisStop:
    """Implements `gateway.keeping.Stop`."""

    journal: RedisJournal

    @property
    def said(self) -> str:
        """Why effects are stopped, as far as this process has heard."""
        return self.journal.unsealed

    async def say(self, sentence: str) -> None:
        """Stop effects everywhere; an empty sentence lets them go on. Raises JournalUnavailable."""
        await (self.journal.ask("SET", UNSEALED, sentence) if sentence else self.journal.ask("DEL", UNSEALED))
        self.journal.unsealed = sentence


@dataclass(slots=True)
class SealingLag:
    journal: RedisJournal
    clock: Callable[[], float] = time.monotonic
    _seen: tuple[bytes | None, ...] = ()
    _since: float = 0.0
    """When how far the logs are sealed last changed, by our clock."""

    async def sentence(self, sealer: str) -> str:
        """That facts wait and nobody seals them; empty if all is well. `sealer`: who sealed last.

        Raises JournalUnavailable.
        """
        texts = tuple(await self.journal.ask_all(*(("GET", f"{{{name}}}:sealed") for name in LOGS)))
        if not self._seen or texts != self._seen:
            self._seen, self._since = texts, self.clock()
        if self.clock() - self._since < PATIENCE_SECONDS:
            return ""
        oldest = await self._oldest(texts)
        waits = self.journal.now() - oldest if oldest else 0
        if waits < PATIENCE_SECONDS * 1000:
            return ""
        who = f"{sealer} sealed last" if sealer else "nobody ever sealed"
        return (
            f"Facts have waited for {span(waits)} to be sealed, and {who}: see whether the steward there runs and what "
            "it says, or let another host have the log (`ledger.store`)."
        )

    async def _oldest(self, texts: tuple[bytes | None, ...]) -> int:
        """When the oldest entry was written that is in no log, milliseconds; 0: there is none."""
        places = [_place(text) for text in texts]
        asked = (
            ("XRANGE", f"{{{name}}}:ledger", f"({place}", "+", "COUNT", "1")
            for name, place in zip(LOGS, places, strict=True)
        )
        found = [items[0][0] for items in await self.journal.ask_all(*asked) if items]
        return min((int(entry.partition(b"-")[0]) for entry in found), default=0)


def _place(text: bytes | None) -> str:
    try:
        return read_sealed(text).entry if text else BEGINNING
    except UnreadableSeal:
        return BEGINNING
