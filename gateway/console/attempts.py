"""How often somebody may try to sign in: enough for a person who mistypes, too little to guess or to keep us busy.

Only failures count, per address and per process, tokens apart from sign-ins with the identity provider. A right token
is never kept waiting, since people share an address with strangers: an office, or a proxy that is not named in
GATEWAY_TRUSTED_PROXIES. A token has more bits than anybody can try; this keeps trying from filling the log.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FAILURES = 10
"""At once, from one address."""
AGAIN_SECONDS = 6.0
"""After which one more is allowed."""
MOST_ADDRESSES = 10_000
"""Kept in mind; beyond it the one that failed longest ago is forgotten."""


@dataclass(slots=True)
class Attempts:
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By address: how many count now, and since when that is so. The last to fail is last."""

    def wait(self, address: str) -> int:
        """Seconds until somebody there may try again; 0: now."""
        count, _ = self._now(address)
        return 0 if count <= FAILURES - 1 else max(1, round((count - FAILURES + 1) * AGAIN_SECONDS))

    def failed(self, address: str) -> None:
        count, now = self._now(address)
        self._failures.pop(address, None)
        self._failures[address] = count + 1, now
        if len(self._failures) > MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def _now(self, address: str) -> tuple[float, float]:
        now = self.clock()
        count, since = self._failures.get(address, (0.0, now))
        return max(0.0, count - (now - since) / AGAIN_SECONDS), now
