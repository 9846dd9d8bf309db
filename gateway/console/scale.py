"""Time to scale: where on a picture a moment lies, which waits are cut out of it, and what stands on the axis.

Everything is on one scale, so that lengths can be compared. Where all else would shrink to a dot beside one long wait,
the wait is cut out, and the cut says how long it was.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from gateway.core.times import moment, since, span

EDGE = 7
"""Room beside the first and the last moment."""
LABEL = 74
"""Room of a time below the axis; the lengths of cuts stand on a line of their own, above."""
LONG_MS, TIMES_LONGER = 10_000, 10
"""A wait is cut out if it is at least so long, and so many times as long as all shorter waits together."""
FASTEST = 4.0
"""Units for one millisecond, at most: a call of 5 ms is not to look like one of 5 seconds."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A wait that is not drawn to scale."""

    x: float
    end: float
    says: str

    @property
    def middle(self) -> float:
        return round((self.x + self.end) / 2, 1)


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str
    anchor: Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Scale:
    """Distinct moments with their places; time between two of them is linear."""

    moments: tuple[int, ...]
    places: tuple[float, ...]
    cuts: tuple[Cut, ...]

    def x(self, time: int) -> float:
        return self.places[bisect_right(self.moments, time) - 1]


def scaled(times: Sequence[int], left: float, right: float, cut: float) -> Scale:
    """`times`: in order, at least one. `left` and `right`: what there is room for. `cut`: the room of a cut."""
    moments = sorted(set(times))
    waits = [later - earlier for earlier, later in pairwise(moments)]
    room = right - left - 2 * EDGE
    cut_out = _cut_out(waits, most=int(room / 2 // cut))
    rest = sum(wait for number, wait in enumerate(waits) if number not in cut_out)
    free = room - cut * len(cut_out)
    unit = min(FASTEST, free / rest) if rest else 0.0
    cut += (free - unit * rest) / len(cut_out) if cut_out else 0.0
    x = left + EDGE
    places, cuts = [x], []
    for number, wait in enumerate(waits):
        if number in cut_out:
            cuts.append(Cut(round(x + 10, 1), round(x + cut - 10, 1), span(wait)))
        x += cut if number in cut_out else unit * wait
        places.append(round(x, 1))
    return Scale(tuple(moments), tuple(places), tuple(cuts))


def _cut_out(waits: Sequence[int], most: int) -> frozenset[int]:
    """Which waits are too long to be drawn to scale beside the others; at most so many, so that something is left."""
    order = sorted(range(len(waits)), key=lambda number: waits[number])
    shorter = 0
    for rank, number in enumerate(order):
        if len(order) - rank <= most and waits[number] >= max(LONG_MS, TIMES_LONGER * shorter):
            return frozenset(order[rank:])
        shorter += waits[number]
    return frozenset()


def ticks_of(scale: Scale) -> Iterator[Tick]:
    """The time at which it began, and how much later the ends of each stretch are, as far as there is room."""
    begun, first, last = scale.moments[0], scale.places[0], scale.places[-1]
    yield Tick(first, f"{moment(begun)[11:-1]} UTC", "start")
    taken = first + LABEL + 24
    for time, x in zip(scale.moments[1:], scale.places[1:], strict=True):
        if x - LABEL / 2 >= taken and x <= last - LABEL * 1.5:
            yield Tick(x, since(time - begun), "middle")
            taken = x + LABEL / 2
    if last - LABEL >= taken:
        yield Tick(last, since(scale.moments[-1] - begun), "end")
