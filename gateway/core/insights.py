"""What people made of the questions that were put to them: how many, how fast, which policies, by whom.

A running count over facts, in the order of the ledger, and never a look back: it remembers which questions are open
(some 700 bytes each) and per day and name a few numbers, for KEPT_DAYS days. Times are kept in steps of five percent,
so a median is right to some two percent and costs no more after a million decisions than after ten.

It never decides anything. Pure: it reads no clock, and only adds up what it is given.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gateway.core.facts import Approved, Asked, Cancelled, Expired, Fact, Judged, Rejected, Withdrawn
from gateway.core.times import iso, span

DAY_MS = 86_400_000
KEPT_DAYS = 30
AGES_MS = (15 * 60_000, 3_600_000, 4 * 3_600_000, DAY_MS)
"""Limits of the groups in which what waits is counted by age; what is older is the last group."""
STEP = 1.05
MOST_NAMES = 500
"""Of policies, groups or people in one day; further ones are counted together as OTHERS."""
OTHERS = "(others)"
ASKED = b'"type":"Asked"'
"""What an entry of the ledger contains if it asks people, whatever else is in it."""

Ending = Literal["approved", "rejected", "expired", "dropped"]
Question = tuple[int, tuple[tuple[str, str], ...]]
"""When people were first asked, and which policies hold the call for which groups."""


@dataclass(slots=True)
class Tally:
    """How questions ended."""

    approved: int = 0
    rejected: int = 0
    expired: int = 0
    dropped: int = 0
    """Withdrawn, cancelled, or over for another reason than what people said or left unsaid."""
    times: dict[int, int] = field(default_factory=dict)
    """How long people took to say yes or no: decisions by step of STEP."""

    def count(self, ending: Ending, took: int) -> None:
        setattr(self, ending, getattr(self, ending) + 1)
        if ending in ("approved", "rejected"):
            step = round(math.log(max(1, took), STEP))
            self.times[step] = self.times.get(step, 0) + 1

    def add(self, other: "Tally") -> None:
        self.approved += other.approved
        self.rejected += other.rejected
        self.expired += other.expired
        self.dropped += other.dropped
        for step, count in other.times.items():
            self.times[step] = self.times.get(step, 0) + count

    def told(self) -> dict[str, Any]:
        asked = self.approved + self.rejected + self.expired
        return {
            "approved": self.approved, "rejected": self.rejected, "expired": self.expired, "dropped": self.dropped,
            "of": asked, "rate": round(self.approved / asked, 3) if asked else None,
            "median_seconds": _seconds(self.times, 0.5), "p95_seconds": _seconds(self.times, 0.95),
        }  # fmt: skip


@dataclass(slots=True)
class Day:
    all: Tally = field(default_factory=Tally)
    policies: dict[str, Tally] = field(default_factory=dict)
    groups: dict[str, Tally] = field(default_factory=dict)
    people: dict[str, list[int]] = field(default_factory=dict)
    """By person: how often yes, and how often no."""


@dataclass(frozen=True, slots=True)
class Ages:
    """Of the questions that are open."""

    all: int
    counts: Mapping[str, int]
    """By group of AGES_MS, as people call it."""
    oldest_ms: int
    """0 if there are none."""


@dataclass(slots=True)
class Insights:
    since: int = 0
    """The earliest time from which everything was read, milliseconds; 0 if nothing was."""
    open: dict[str, Question] = field(default_factory=dict)
    days: dict[int, Day] = field(default_factory=dict)
    _alike: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Most questions are held by the same few policies, so they share one value."""

    def concerned_by(self, call: str, facts: bytes) -> bool:
        """Whether an entry of the ledger has to be decoded at all: most are of calls that nobody was asked about."""
        return call in self.open or ASKED in facts

    def fold(self, call: str, facts: Iterable[Fact]) -> None:
        """Take in the facts of one entry, in the order of the ledger."""
        for fact in facts:
            if isinstance(fact, Asked):
                self._ask(call, fact)
            elif call in self.open:
                self._follow(call, fact)

    def _ask(self, call: str, fact: Asked) -> None:
        begun, known = self.open.get(call, (fact.at, ()))
        items = tuple(dict.fromkeys((*known, *((item.policy, item.group) for item in fact.requirements))))
        if len(self._alike) > MOST_NAMES:
            self._alike.clear()
        self.open[call] = begun, self._alike.setdefault(items, items)

    def _follow(self, call: str, fact: Fact) -> None:
        match fact:
            case Approved(by=by, at=at):
                self._vote(by, 0, at)
            case Rejected(by=by, group=group, at=at):
                self._vote(by, 1, at)
                self._end(call, "rejected", at, group)
            case Expired(at=at):
                self._end(call, "expired", at)
            case Withdrawn(at=at) | Cancelled(at=at):
                self._end(call, "dropped", at)
            case Judged(verdict=verdict, at=at) if verdict.decision != "hold":
                lifted = verdict.decision == "allow" and verdict.requirements
                self._end(call, "approved" if lifted else "dropped", at)
            case _:
                pass  # it waits on

    def _vote(self, person: str, which: int, at: int) -> None:
        votes = self._day(at).people
        votes.setdefault(_name(votes, person), [0, 0])[which] += 1

    def _end(self, call: str, ending: Ending, at: int, by_group: str = "") -> None:
        """Of a rejection, only the policies of the group that said no were rejected."""
        begun, items = self.open.pop(call)
        day, took = self._day(at), at - begun
        day.all.count(ending, took)
        for names, position in ((day.policies, 0), (day.groups, 1)):
            said: dict[str, Ending] = {}
            for item in items:
                mine = ending if by_group in ("", item[1]) else "dropped"
                said[item[position]] = mine if said.get(item[position], "dropped") == "dropped" else ending
            for name, mine in said.items():
                names.setdefault(_name(names, name), Tally()).count(mine, took)

    def _day(self, at: int) -> Day:
        number = at // DAY_MS
        if number not in self.days:
            self.days[number] = Day()
            for old in [day for day in self.days if day <= max(self.days) - KEPT_DAYS]:
                del self.days[old]
        return self.days.get(number) or Day()  # of a day that is long over: nobody will ask

    def read_from(self, at: int) -> None:
        """Say that the ledger was read at that time: what is told covers nothing earlier than the first such time."""
        self.since = min(self.since or at, at)

    # --- Telling -----------------------------------------------------------------------------------------------

    def report(self, now: int, days: int = KEPT_DAYS) -> dict[str, Any]:
        """The last `days` whole days (of UTC), today included, as plain values; `waiting` is of this moment."""
        first = now // DAY_MS - days + 1
        total = Day()
        for number, day in self.days.items():
            if number >= first:
                _merge(total, day)
        return {
            "from": iso(max(first * DAY_MS, self.since)),
            "to": iso(now),
            "waiting": self._waiting(now),
            "all": total.all.told(),
            "policies": _told("policy", total.policies),
            "groups": _told("group", total.groups),
            "people": [
                {"person": name, "yes": yes, "no": no}
                for name, (yes, no) in sorted(total.people.items(), key=lambda item: (-sum(item[1]), item[0]))
            ],
        }

    def ages(self, now: int) -> Ages:
        """How long the open questions have waited."""
        ages = sorted(max(0, now - begun) for begun, _ in self.open.values())
        limits = [*((f"under {span(limit)}", limit) for limit in AGES_MS), (f"{span(AGES_MS[-1])} and more", math.inf)]
        counts, before = {}, 0
        for name, limit in limits:
            upto = bisect_left(ages, limit)
            counts[name] = upto - before
            before = upto
        return Ages(len(ages), counts, ages[-1] if ages else 0)

    def _waiting(self, now: int) -> dict[str, Any]:
        ages = self.ages(now)
        counts = [{"age": name, "count": count} for name, count in ages.counts.items()]
        return {"count": ages.all, "oldest_seconds": ages.oldest_ms // 1000 if ages.all else None, "by_age": counts}

    # --- Keeping -----------------------------------------------------------------------------------------------

    def packed(self) -> dict[str, Any]:
        """Everything, as a JSON value."""
        days = {str(number): asdict(day) for number, day in self.days.items()}
        return {"since": self.since, "open": self.open, "days": days}

    @classmethod
    def unpacked(cls, value: Mapping[str, Any]) -> "Insights":
        """What `packed` made. Raises KeyError, TypeError or ValueError if it did not make this."""
        found = cls(since=value["since"])
        for call, (begun, items) in value["open"].items():
            pairs = tuple((policy, group) for policy, group in items)
            found.open[call] = begun, found._alike.setdefault(pairs, pairs)
        for number, day in value["days"].items():
            found.days[int(number)] = Day(
                _tally(day["all"]), {name: _tally(item) for name, item in day["policies"].items()},
                {name: _tally(item) for name, item in day["groups"].items()}, day["people"],
            )  # fmt: skip
        return found


def _tally(value: Mapping[str, Any]) -> Tally:
    times = {int(step): count for step, count in value["times"].items()}
    return Tally(value["approved"], value["rejected"], value["expired"], value["dropped"], times)


def _name(names: Mapping[str, object], name: str) -> str:
    return name if name in names or len(names) < MOST_NAMES else OTHERS


def _merge(total: Day, day: Day) -> None:
    total.all.add(day.all)
    for sums, parts in ((total.policies, day.policies), (total.groups, day.groups)):
        for name, tally in parts.items():
            sums.setdefault(name, Tally()).add(tally)
    for name, votes in day.people.items():
        mine = total.people.setdefault(name, [0, 0])
        mine[:] = [mine[0] + votes[0], mine[1] + votes[1]]


def _told(kind: str, tallies: Mapping[str, Tally]) -> list[dict[str, Any]]:
    """Those that people are asked about most come first."""
    found = [{kind: name} | tally.told() for name, tally in tallies.items()]
    return sorted(found, key=lambda item: (-item["of"], item[kind]))


def _seconds(times: Mapping[int, int], share: float) -> float | None:
    """The time within which that share of the decisions was made."""
    wanted, seen = math.ceil(sum(times.values()) * share), 0
    for step in sorted(times):
        seen += times[step]
        if seen >= wanted:
            return round(STEP**step / 1000, 1)
    return None
