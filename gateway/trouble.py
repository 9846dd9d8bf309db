"""Something that goes wrong for a while, told so that the log stays readable: when it begins, and when it is over.

Whoever tries again every second would otherwise bury, under one line per attempt, what was said before it; and the
last word on something that is long over would stay its error. It must never tell the same state twice in a row.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.core.times import span

AGAIN_SECONDS = 60.0
"""Between two lines about what lasts."""


@dataclass(slots=True, kw_only=True)
class Trouble:
    log: logging.Logger
    level: int
    """Of the line that says that it began."""
    bad: str
    """`the journal is unavailable`; the reason follows."""
    good: str
    """`the journal is available again`; how long it lasted follows."""
    reminds: bool = False
    """Say it again every AGAIN_SECONDS while it lasts; otherwise only if the reason is another one."""
    clock: Callable[[], float] = time.monotonic
    _since: float | None = field(default=None, init=False)
    _told: str = field(default="", init=False)
    _told_at: float = field(default=0.0, init=False)

    def lasts(self, why: str) -> None:
        """It is so now, whether or not it was so before."""
        now = self.clock()
        since = self._since if self._since is not None else now
        if self._since is not None:
            news = self.reminds or why != self._told
            if not news or now - self._told_at < AGAIN_SECONDS:
                return
        lasted = f", for {_seconds(now - since)} now" if now > since else ""
        self.log.log(self.level, "%s%s: %s", self.bad, lasted, why)
        self._since, self._told, self._told_at = since, why, now

    def is_over(self) -> None:
        """It is not so now; said only if it was."""
        if self._since is None:
            return
        self.log.info("%s after %s", self.good, _seconds(self.clock() - self._since))
        self._since = None


def _seconds(seconds: float) -> str:
    return span(round(seconds * 1000))
