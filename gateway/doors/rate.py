"""How often and how many at once an agent may call: limits per worker that keep one agent from taking everything.

They protect the gateway and its systems from a loop; they are no quota to account by.
"""

import time
from dataclasses import dataclass, field

from gateway import errors


@dataclass(slots=True)
class Rate:
    per_second: float
    """Calls of one agent; 0: no limit. A second's worth, but at least one, may come at once."""
    at_once: int
    """Requests of one agent that may be under way, waiting for people included."""
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _under_way: dict[str, int] = field(default_factory=dict)

    def enter(self, agent: str) -> None:
        """A request is under way; `leave` must follow. Raises TooMany, and then it is not."""
        under_way = self._under_way.get(agent, 0)
        if under_way >= self.at_once:
            raise errors.TooMany("requests of this agent at once", retry_seconds=1, setting="GATEWAY_CONCURRENCY_LIMIT")
        if self.per_second:
            self._take(agent)
        self._under_way[agent] = under_way + 1

    def leave(self, agent: str) -> None:
        self._under_way[agent] -= 1

    def _take(self, agent: str) -> None:
        now, most = time.monotonic(), max(self.per_second, 1.0)
        left, at = self._left.get(agent, (most, now))
        left = min(most, left + (now - at) * self.per_second)
        if left < 1.0:
            raise errors.TooMany("calls by this agent", retry_seconds=1, setting="GATEWAY_RATE_LIMIT")
        self._left[agent] = left - 1.0, now
