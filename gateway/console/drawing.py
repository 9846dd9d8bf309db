"""A call's timeline as a picture: facts in, shapes with places out. `drawing.html` turns them into an SVG.

Time runs from left to right on one scale (`scale`), in a lane for each of those who take part. What happened so close
together that it cannot be told apart is stacked, and beyond that counted in one mark.

A picture must never invent anything: every mark is a fact, or says how many it stands for; every bar lies between two
facts. Nothing is told by colour alone: tones are shapes, lanes are places, and each mark has the number of its fact in
the list beside it, which says everything that the picture says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.console.scale import Cut, Tick, scaled, ticks_of
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Attached,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Judged,
    Lost,
    Notified,
    Previewed,
    Recorded,
    Rejected,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Unsent,
    Viewed,
    Withdrawn,
)
from gateway.core.timeline import line
from gateway.core.times import moment, span

Lane = Literal["agent", "policies", "people", "system"]
Tone = Literal["noted", "good", "waits", "bad", "doubt"]
LANES: tuple[Lane, ...] = ("agent", "policies", "people", "system")
TONES: Mapping[Tone, str] = {
    "noted": "took note", "good": "went well", "waits": "waits", "bad": "stopped or failed", "doubt": "nobody knows",
}  # fmt: skip
"""What each shape says; the worst last."""

WIDE, NARROW = 660, 330
"""Units, which are pixels of a screen that is wide enough: of a desk and of a telephone."""
NAMES_WIDTH = 72
"""Room for the lanes' names, left of them if the picture is wide, else above them."""
MARGIN = 14
TRACK, LANE_PADDING, NAME, AXIS = 30, 6, 26, 40
TRACKS = 3
"""Marks on top of each other in one lane; what finds no room on the last is counted in its last mark."""
MARK, DIGIT, COUNT = 16, 6.5, 34
"""Room of a mark, of each digit of its number, and of a mark that may come to count others."""
CUT = {WIDE: 60, NARROW: 48}
"""Room of a wait that is cut out."""


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    y: float
    lane: Lane
    tone: Tone
    numbers: tuple[int, ...]
    """Of the facts it stands for, from 1."""
    says: str

    @property
    def label(self) -> str:
        return str(self.numbers[0]) if len(self.numbers) == 1 else f"\u00d7{len(self.numbers)}"

    @property
    def room(self) -> float:
        return max(MARK, DIGIT * len(self.label) + 4)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasted."""

    x: float
    end: float
    y: float
    kind: Literal["waits", "sends", "doubt"]
    says: str


@dataclass(frozen=True, slots=True)
class Row:
    """One lane."""

    name: Lane
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    width: float
    height: float
    left: float
    """Where time begins."""
    rows: tuple[Row, ...]
    bars: tuple[Bar, ...]
    thread: tuple[tuple[float, float], ...]
    """The way from fact to fact: who had it in hand."""
    cuts: tuple[Cut, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    says: str
    """The whole picture in a few sentences."""


_SIMPLE: Mapping[type, tuple[Lane, Tone]] = {
    Admitted: ("agent", "noted"), Attached: ("agent", "noted"), Abandoned: ("agent", "noted"),
    Delivered: ("agent", "good"), Withdrawn: ("agent", "bad"), Asked: ("people", "waits"),
    Reminded: ("people", "waits"), Escalated: ("people", "waits"), Approved: ("people", "good"),
    Retracted: ("people", "waits"), Edited: ("people", "noted"), Rejected: ("people", "bad"),
    Cancelled: ("people", "bad"), Expired: ("people", "bad"), Reported: ("people", "noted"),
    Recorded: ("policies", "noted"), Viewed: ("people", "noted"), Claimed: ("system", "noted"),
    Unsent: ("system", "bad"), Lost: ("system", "doubt"),
}  # fmt: skip


def placed(fact: Fact) -> tuple[Lane, Tone]:
    """In whose lane a fact is drawn, and as what."""
    match fact:
        case Judged(verdict=verdict):
            tones: Mapping[str, Tone] = {"allow": "good", "hold": "waits", "deny": "bad"}
            return "policies", tones[verdict.decision]
        case Answered(status=status):
            return "system", "good" if status < 400 else "bad"
        case Ended(whole=whole):
            return "system", "good" if whole else "bad"
        case Notified(done=done):
            return "people", "noted" if done else "bad"
        case Previewed(failed=failed, changed=changed):
            return "system", "bad" if failed or changed else "noted"
        case Resolved(acted=acted):
            return "people", "good" if acted else "bad"
    return _SIMPLE[type(fact)]


def draw(facts: Sequence[Fact], *, width: int, now: int = 0) -> Drawing:
    """The picture of these facts, oldest first, of which there is at least one. `now`: of a call that is not over."""
    left = MARGIN + (NAMES_WIDTH if width >= WIDE else 0)
    times = _forward(facts, now)
    scale = scaled(times, left, width - MARGIN, CUT[width if width in CUT else NARROW])
    at = [scale.x(time) for time in times]
    marks, depth = _marks(facts, at)
    rows = tuple(_rows(depth, names_above=width < WIDE))
    tops = {row.name: row.top + LANE_PADDING + (0 if width >= WIDE else NAME - LANE_PADDING) for row in rows}
    marks = [replace(mark, y=tops[mark.lane] + mark.y) for mark in marks]
    bars = tuple(replace(bar, y=tops[_lane_of(bar)] + TRACK - 8) for bar in _bars(facts, at))
    bottom = rows[-1].top + rows[-1].height
    ticks = tuple(ticks_of(scale))
    return Drawing(
        width, bottom + AXIS, left, rows, bars, tuple((mark.x, mark.y) for mark in _in_order(marks)), scale.cuts,
        tuple(marks), ticks, _says(facts, times, scale.cuts),
    )  # fmt: skip


def _forward(facts: Sequence[Fact], now: int) -> list[int]:
    """The times of the facts, none before the one that precedes it: a clock that was set back draws no loop."""
    found: list[int] = []
    for fact in facts:
        found.append(max(fact.at, found[-1] if found else 0))
    return [*found, max(now, found[-1])] if now else found


# --- Marks ------------------------------------------------------------------------------------------------------


def _marks(facts: Sequence[Fact], at: Sequence[float]) -> tuple[list[Mark], dict[Lane, int]]:
    """Marks at their height within their lane, and how many tracks each lane takes."""
    tracks: dict[Lane, list[list[Mark]]] = {lane: [] for lane in LANES}
    for number, (fact, x) in enumerate(zip(facts, at, strict=False), start=1):
        lane, tone = placed(fact)
        mark = Mark(x, 0, lane, tone, (number,), f"{number}. {line(fact)}")
        _stack(tracks[lane], mark)
    marks = [
        replace(mark, y=TRACK * track + TRACK - 8)
        for lane in LANES for track, found in enumerate(tracks[lane]) for mark in found
    ]  # fmt: skip
    return marks, {lane: max(1, len(found)) for lane, found in tracks.items()}


def _stack(tracks: list[list[Mark]], mark: Mark) -> None:
    for number, track in enumerate(tracks, start=1):
        room = (mark.room + track[-1].room) / 2
        if mark.x - track[-1].x >= (max(COUNT, room) if number == TRACKS else room):
            track.append(mark)
            return
    if len(tracks) < TRACKS:
        tracks.append([mark])
        return
    other = tracks[-1][-1]
    numbers = (*other.numbers, *mark.numbers)
    tone = max(other.tone, mark.tone, key=list(TONES).index)
    listed = f"{numbers[0]} to {numbers[-1]}"
    tracks[-1][-1] = replace(other, tone=tone, numbers=numbers, says=f"{len(numbers)} facts, {listed}")


def _in_order(marks: Sequence[Mark]) -> list[Mark]:
    return sorted(marks, key=lambda mark: mark.numbers[0])


def _rows(depth: Mapping[Lane, int], *, names_above: bool) -> Iterator[Row]:
    top = 0.0
    for lane in LANES:
        height = TRACK * depth[lane] + 2 * LANE_PADDING + (NAME - LANE_PADDING if names_above else 0)
        yield Row(lane, top, height)
        top += height + 2


# --- What lasted ------------------------------------------------------------------------------------------------


def _bars(facts: Sequence[Fact], at: Sequence[float]) -> Iterator[Bar]:
    """The waits for people, the sends, and the doubts; what is not over lasts to the end of the picture."""
    begun: dict[str, int] = {}
    for number, fact in enumerate(facts):
        for kind in _ended_by(fact):
            if kind in begun:
                yield _bar(kind, facts, at, begun.pop(kind), number)
        match fact:
            case Asked():
                begun.setdefault("waits", number)
            case Claimed():
                begun["sends"] = number
            case Lost():
                begun.setdefault("doubt", number)
    if len(at) > len(facts):
        for kind, number in begun.items():
            yield _bar(kind, facts, at, number, len(facts))


def _ended_by(fact: Fact) -> tuple[str, ...]:
    match fact:
        case Judged(verdict=verdict) if verdict.decision != "hold":
            return ("waits",)
        case Rejected() | Expired() | Withdrawn() | Cancelled():
            return ("waits",)
        case Unsent() | Lost():
            return ("sends",)
        case Answered():
            return ("sends", "doubt")
        case Resolved():
            return ("doubt",)
    return ()


_LASTED: Mapping[str, tuple[Literal["waits", "sends", "doubt"], str]] = {
    "waits": ("waits", "people were asked"), "sends": ("sends", "with the system"), "doubt": ("doubt", "in doubt"),
}  # fmt: skip


def _bar(kind: str, facts: Sequence[Fact], at: Sequence[float], begun: int, ended: int) -> Bar:
    named, what = _LASTED[kind]
    over = ended < len(facts)
    lasted = f" for {span(max(0, facts[ended].at - facts[begun].at))}" if over else ", and it is not over"
    return Bar(at[begun], at[ended], 0, named, what + lasted)


def _lane_of(bar: Bar) -> Lane:
    return "people" if bar.kind == "waits" else "system"


def _says(facts: Sequence[Fact], times: Sequence[int], cuts: Sequence[Cut]) -> str:
    count = f"{len(facts)} fact" + ("" if len(facts) == 1 else "s")
    first = f"{count} in lanes for the agent, the policies, the people and the system, from {moment(times[0])}"
    lasted = f" over {span(times[-1] - times[0])}" if times[-1] > times[0] else ""
    waits = ", ".join(cut.says for cut in cuts)
    short = f" Cut short where nothing happened for long: {waits}." if cuts else ""
    return f"{first}{lasted}.{short} The list of facts says in words what is drawn here."
