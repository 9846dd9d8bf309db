"""What follows while nobody decides: reminders, escalations, and at last the system's owner.

The ladder of a question is fixed when it is asked, as durations, and travels in the fact; so a deployment, a restart
or another host changes nothing about when somebody hears of it, and a rung is climbed exactly once, by whoever appends
the fact. It must never read a clock, and never decide who may vote: `gateway.core.approval` does.
"""

from collections.abc import Iterable, Mapping

from gateway.core.facts import Escalated, Notice, NoticeKind, Reminded, Rung
from gateway.core.routes import Group
from gateway.core.verdict import Requirement
from gateway.core.working_hours import after_working


def ladder(
    requirements: Iterable[Requirement], groups: Mapping[str, Group], owner: str, *, now: int, expire: int
) -> tuple[Rung, ...]:
    """Every rung of every group that is asked, in the order of time. `now` and `expire` in milliseconds.

    `owner` of the system is the last rung of each group, half-way between the rung before it and the end.
    """
    urgent = {item.group: item.urgent for item in sorted(requirements, key=lambda item: item.urgent)}
    found = (_rungs(groups[name], owner, urgent=it, now=now, expire=expire) for name, it in urgent.items())
    rungs = [rung for group in found for rung in group]
    return tuple(sorted(rungs, key=lambda rung: rung.after))


def _rungs(group: Group, owner: str, *, urgent: bool, now: int, expire: int) -> list[Rung]:
    hours = None if urgent else group.hours

    def after(seconds: float) -> int:
        return after_working(now, round(seconds * 1000), hours) - now

    rungs = [Rung(group=group.name, after=after(seconds), kind="remind") for seconds in group.remind_seconds]
    rungs += [
        Rung(group=group.name, after=after(it.after_seconds), kind="escalate", to=it.people, groups=it.groups)
        for it in group.escalations
    ]
    rungs = [rung for rung in rungs if rung.after < expire]
    last = max((rung.after for rung in rungs), default=0)
    return [*rungs, Rung(group=group.name, after=(last + expire) // 2, kind="escalate", to=(owner,))]


def climbed(rung: Rung, groups: Mapping[str, Group], call: str, *, batch: str, now: int) -> Reminded | Escalated:
    """The fact of a rung, with a notice for each channel of the group and of the groups that it turns to."""
    kind: NoticeKind = "approval.reminded" if rung.kind == "remind" else "approval.escalated"
    names = (rung.group, *rung.groups)
    notices = to_channels(call, names, groups, kind, batch=batch, to=rung.to, about=rung.group)
    if rung.kind == "remind":
        return Reminded(group=rung.group, notices=notices, at=now)
    return Escalated(group=rung.group, to=rung.to, notices=notices, at=now)


def to_channels(
    call: str, names: Iterable[str], groups: Mapping[str, Group], kind: NoticeKind, *, batch: str,
    to: tuple[str, ...] = (), about: str = "",
) -> tuple[Notice, ...]:  # fmt: skip
    """One notice for each channel of these groups. `batch` is random and makes their ids unique. `about`: whose
    question it is, if it is only one group's."""
    channels = [(name, channel) for name in dict.fromkeys(names) if name in groups
                for channel in range(len(groups[name].channels))]  # fmt: skip
    return tuple(
        Notice(
            id=f"{call}-{batch}{number:02d}",
            group=name,
            channel=channel,
            kind=kind,
            to=to,
            about="" if about == name else about,
        )
        for number, (name, channel) in enumerate(channels)
    )
