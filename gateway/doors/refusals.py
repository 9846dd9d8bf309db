"""One line on standard output per request that was refused before a call existed: an agent that probes is seen.

Such a request leaves nothing in the journal, which is for calls. The line names the agent (if its key was good), the
kind of refusal, the system and the method, and nothing else of the request: what was refused was read by nobody. Lines
are limited per process, so that whoever knocks all night cannot fill a disk; how many were left out is said.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.times import moment
from gateway.doors.exchange import Scope
from gateway.errors import GatewayError
from gateway.wire import http
from gateway.wire.index import Index

AT_ONCE = 60
"""Lines that may come at once: a developer's afternoon of mistakes is told whole."""
PER_SECOND = 1.0
"""After that: at most 15 MB a day and process."""


def _nothing(line: Mapping[str, object]) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Refusals:
    say: Callable[[Mapping[str, object]], None] = _nothing
    clock: Callable[[], float] = time.monotonic
    _left: float = AT_ONCE
    _at: float = 0.0
    _left_out: int = field(default=0)

    def tell(self, error: GatewayError, scope: Scope, index: Index, now: int) -> None:
        """`now`: the journal's time, milliseconds. Errors about a call are told with the call, not here."""
        if error.call is not None:
            return
        heard = self.clock()
        self._left = min(AT_ONCE, self._left + (heard - self._at) * PER_SECOND)
        self._at = heard
        if self._left < 1.0:
            self._left_out += 1
            return
        self._left -= 1.0
        line = {"at": moment(now), "refused": error.slug, "status": error.status} | _asked(scope, index)
        left_out, self._left_out = self._left_out, 0
        self.say(line | {"left_out": left_out} if left_out else line)


def _asked(scope: Scope, index: Index) -> dict[str, object]:
    """Who asked for what, as far as it is known; never a word that the requester chose."""
    try:
        agent = http.visit(scope, index).agent.name
    except GatewayError:
        agent = None
    name = scope["path"].split("/")[1] if "/" in scope["path"] else ""
    return {"agent": agent, "system": name if name in index.entrances else None, "method": scope["method"]}
