"""The duty of keeping the record: seal, and while that cannot be done, let nothing happen that would not be recorded.

Trouble that only a person can cure (a wrong key, a full disk, a damaged log) stops effects at once, on every worker of
the deployment; a store or a network that is away may come back by itself and is given a minute. The sentence that
stops them says what to do, and the first good round takes it back. Another host that can seal takes over meanwhile, so
a host that cannot says nothing to the others as long as one does.
"""

import asyncio
import logging
import secrets as random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.seals import RedisSeals
from gateway.adapters.redis.unsealed import RedisStop
from gateway.adapters.store import ReadSecret
from gateway.core.ledger_settings import AnchorFile
from gateway.first_look import say
from gateway.generations import Generations
from gateway.ledger.place import Unusable
from gateway.ledger.sealing import Sealer
from gateway.ports import JournalUnavailable
from gateway.sealing import sealer_of
from gateway.trouble import Trouble

ROUND_SECONDS = 0.5
"""Between the beginnings of two rounds, so that a checkpoint is younger than a second under any load."""
TROUBLED_SECONDS = 1.0
"""Between two rounds while nothing can be sealed."""
SOFT_SECONDS = 60.0
"""How long trouble that may pass by itself is let be."""

log = logging.getLogger("gateway.keeping")


class Stop(Protocol):
    """What stops effects on every process. Both raise JournalUnavailable."""

    @property
    def said(self) -> str:
        """Why they are stopped, as far as is known here."""
        ...

    async def say(self, sentence: str) -> None:
        """Stop them; an empty sentence lets them go on."""
        ...


def stopping(problem: str, *, hard: bool, lasts: float) -> str:
    """The sentence with which effects are stopped; empty: they are not. `lasts`: seconds since the problem is there."""
    if not problem or not (hard or lasts >= SOFT_SECONDS):
        return ""
    return f"Effects are stopped, because the record cannot be sealed: {problem}"


async def heedless(_: str) -> None:
    """Nobody waits for the first look."""


@dataclass(slots=True)
class Keeping:
    opens: Callable[[], Sealer]
    """Look at key and directory, and make what seals. Raises Unusable. Blocks."""
    others_seal: Callable[[], Awaitable[bool]]
    """Whether another host does."""
    stop: Stop
    clock: Callable[[], float] = time.monotonic
    looked: Callable[[str], Awaitable[None]] = heedless
    """Told after each round: empty if whatever is wrong with the record was said, else who did not look. Then somebody
    else seals; or this host did before it was restored, and the lease of that time is not over."""
    problem: str = ""
    """Why this steward does not seal, although nobody else does either; empty if all is well."""
    _sealer: Sealer | None = None
    _since: float | None = None
    """When the problem began."""
    _trouble: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self._trouble = Trouble(
            log=log, level=logging.ERROR, bad="the record cannot be sealed", good="the record is sealed again",
            clock=self.clock, reminds=True,
        )  # fmt: skip

    @property
    def holds(self) -> bool:
        """Whether this steward is the one that seals."""
        return self._sealer is not None and self._sealer.holds

    def knows(self, anchor: Path) -> bool | None:
        """Whether what that file has was held against the log; None: it was not tried yet."""
        return self._sealer.anchors.known(anchor) if self._sealer is not None else None

    async def run(self) -> None:
        while True:
            began = self.clock()
            try:
                await self.round()
                await self.looked(self._sealer.who if self._sealer and not (self.holds or self.problem) else "")
            except JournalUnavailable:
                pass  # `duties.beat` says so
            except Exception as error:
                log.exception("sealing failed in an unknown way; it is tried again")
                await self._unforeseen(error)
            behind = self._sealer is not None and self._sealer.behind
            rest = ROUND_SECONDS - (self.clock() - began)
            await asyncio.sleep(TROUBLED_SECONDS if self.problem else 0.0 if behind else max(rest, 0.0))

    async def _unforeseen(self, error: Exception) -> None:
        """As trouble that may pass by itself: it stops effects if it lasts."""
        if self._sealer is not None:
            self._sealer.doubt("")
        problem = f"Sealing failed in an unknown way ({type(error).__name__}); the log of the steward says more."
        with suppress(JournalUnavailable):
            await self._tell(problem, hard=False, holds=False)

    async def round(self) -> int:
        """Seal what waits; how many entries that were. Raises JournalUnavailable."""
        sealed, hard, holds = 0, True, False
        try:
            if self._sealer is None or self.problem:  # somebody may have put another key there
                self._sealer = await self._opened()
            sealed = await self._sealer.round()
            problem, hard, holds = self._sealer.problem, self._sealer.hard, self._sealer.holds
        except Unusable as error:
            problem = "" if await self.others_seal() else str(error)
            if not problem:
                self._trouble.lasts(f"{error} Another host seals meanwhile.")
                self.problem = ""
                return 0
        await self._tell(problem, hard=hard, holds=holds)
        return sealed

    async def _opened(self) -> Sealer:
        fresh = await asyncio.to_thread(self.opens)
        if self._sealer is None:
            return fresh
        self._sealer.signer = fresh.signer
        return self._sealer

    async def _tell(self, problem: str, *, hard: bool, holds: bool) -> None:
        """Stop effects, or let them go on, and say so in the log."""
        now = self.clock()
        self._since = None if not problem else now if self._since is None else self._since
        self.problem = problem
        if problem:
            self._trouble.lasts(problem)
        else:
            self._trouble.is_over()
        sentence = stopping(problem, hard=hard, lasts=now - self._since if self._since is not None else 0.0)
        if sentence != self.stop.said and (sentence or holds):
            await self.stop.say(sentence)


def keeping(generations: Generations, data: Path, journal: RedisJournal, read: ReadSecret, ca: Path | None) -> Keeping:
    """The duty, of a steward whose data directory is `data`. `ca`: more certificate authorities, PEM."""
    settings = generations.current.routes.ledger

    def anchors() -> list[Path]:
        wanted = generations.current.routes.ledger.anchors
        return [Path(anchor.path) for anchor in wanted if isinstance(anchor, AnchorFile)]

    async def others_seal() -> bool:
        return not await RedisSeals(journal).free(f"nowhere {random.token_hex(8)}")

    async def looked(who: str) -> None:
        if not who or await RedisSeals(journal).sealer() != who:
            say(data)

    return Keeping(
        lambda: sealer_of(settings, data, journal, read, ca, anchors), others_seal, RedisStop(journal),
        looked=looked,
    )  # fmt: skip
