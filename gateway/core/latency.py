"""How long something takes, as a histogram: counted where it happens, added up where it is told.

A process counts what it does and hands on, again and again, what is new since it last did; whoever adds that up needs
to know no process, and what it has only grows, also when a process dies. It happens in every call, so it must cost no
more than some hundred nanoseconds. Pure: it reads no clock.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

BOUNDS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0,
)  # fmt: skip
"""Upper limits of the groups, in seconds; what takes longer is in a last group without one."""
_NAMES = (*(str(round(bound * 1e6)) for bound in BOUNDS), "more")
"""A group is called by its limit, so that what was added up under other limits is not taken for it."""
_TOTAL = "microseconds"


class Latency:
    """What one process measured, until it is taken: some thousand numbers, if that is done every second."""

    __slots__ = ("_seconds", "add")

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self.add = self._seconds.append
        """Note one duration, in seconds. Into which group it falls is found out later, for many at once."""

    def take(self, name: str) -> dict[str, int]:
        """What came since this was last asked, by `<name>:<group>`; empty if nothing did."""
        if not self._seconds:
            return {}
        counts = [0] * (len(BOUNDS) + 1)
        for seconds in self._seconds:
            counts[bisect_left(BOUNDS, seconds)] += 1
        found = {f"{name}:{group}": count for group, count in zip(_NAMES, counts, strict=True) if count}
        found[f"{name}:{_TOTAL}"] = round(sum(self._seconds) * 1e6)
        self._seconds.clear()
        return found


@dataclass(frozen=True, slots=True)
class Spread:
    """What all processes measured."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    """Of each group alone, in the order of BOUNDS, the last without a limit."""
    seconds: float = 0.0

    @classmethod
    def read(cls, name: str, sums: Mapping[str, int]) -> "Spread":
        """What was added up of `Latency.take(name)`."""
        counts = tuple(sums.get(f"{name}:{group}", 0) for group in _NAMES)
        return cls(counts, sums.get(f"{name}:{_TOTAL}", 0) / 1e6)
