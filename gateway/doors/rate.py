"""How often an agent may call: a limit per worker that protects systems from a loop, not a quota to account by."""

import time
from dataclasses import dataclass, field

from gateway import errors


@dataclass(slots=True)
class Rate:
    """Calls per second and agent, at this worker; a second's worth may come at once."""

    per_second: float
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, agent: str) -> None:
        """Raises TooMany."""
        if not self.per_second:
            return
        now = time.monotonic()
        left, at = self._left.get(agent, (self.per_second, now))
        left = min(max(self.per_second, 1.0), left + (now - at) * self.per_second)
        if left < 1.0:
            raise errors.TooMany("calls by this agent", retry_seconds=1, setting="GATEWAY_RATE_LIMIT")
        self._left[agent] = left - 1.0, now
