"""What the streams in Redis let go of, once it is in the sealed log and everybody else is done with it.

`trim.lua` is what may not go wrong; this file says how old and how many. It must never trim by guess: where a reader
that should have a place has none, everything stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.deployment import DEPLOYMENT, LOGS
from gateway.core.ledger_settings import Trim

SCRIPT = (Path(__file__).parent / "trim.lua").read_text()
MOST = 1_000
"""Entries that one step looks at: some milliseconds of the server's time."""


def kept(lengths: Mapping[str, int], beyond: int) -> dict[str, int]:
    """How many entries of each partition stay by number: the same part of each, `beyond` of all together."""
    whole = sum(lengths.values())
    return {name: length if whole <= beyond else length * beyond // whole for name, length in lengths.items()}


@dataclass(frozen=True, slots=True)
class RedisTrimming:
    journal: RedisJournal
    publishes: bool
    """Somebody publishes traces, so what is not published stays."""
    clock: Callable[[], int] | None = None
    """Milliseconds since the epoch; None: the journal's."""

    async def step(self, limits: Trim, counted: Mapping[str, str]) -> int:
        """Let some entries go; how many that were, 0 if there are none that may. Raises JournalUnavailable.

        `counted`: per partition of calls the last entry that the numbers about decisions include, durably.
        """
        lengths = await self.journal.ask_all(*(("XLEN", f"{{{name}}}:ledger") for name in LOGS))
        keep = kept(dict(zip(LOGS, lengths, strict=True)), limits.beyond)
        before = str(round((self.clock or self.journal.now)() - limits.after_seconds * 1000))
        asked = []
        for name in LOGS:
            keys = (f"{{{name}}}:ledger", f"{{{name}}}:sealed", f"{{{name}}}:cursor:traces", f"{{{name}}}:due")
            of_calls = name != DEPLOYMENT  # what is about no call is neither published nor counted
            if of_calls and name not in counted:
                continue
            readers = ("1" if self.publishes and of_calls else "", counted[name] if of_calls else "")
            limit = (before, str(keep[name]), str(MOST))
            asked.append(("EVAL", SCRIPT, "4", *keys, f"{{{name}}}:call:", *readers, *limit))
        return sum(await self.journal.ask_all(*asked)) if asked else 0
