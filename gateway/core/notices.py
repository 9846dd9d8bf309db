"""Who is told about a call, and what it would do in a line: the notices of facts. What each says is in `messages`."""

from collections.abc import Mapping
from dataclasses import replace

from gateway.core.admit import Admission
from gateway.core.call import Call
from gateway.core.facts import Asked, Lost, NoticeKind, Reported
from gateway.core.ladder import ladder, to_channels
from gateway.core.lifecycle import Finish
from gateway.core.one_line import value
from gateway.core.previews import Picture
from gateway.core.record import Record
from gateway.core.recording import redacted
from gateway.core.routes import Group
from gateway.core.summaries import render
from gateway.core.times import iso
from gateway.core.verdict import Requirement

LONGEST_SUMMARY = 300
"""Characters, of a tool that has no `summary` of its own."""


def asked(
    call: Call, requirements: tuple[Requirement, ...], groups: Mapping[str, Group], *, owner: str, batch: str, now: int,
    expires_at: int | None = None,
) -> Asked:  # fmt: skip
    """The question to every group of `requirements`, with one notice for each of its channels, and its ladder.

    `owner` is the system's. `batch` is random and makes the ids of the notices unique. The shortest time of all groups
    is the time of all; of a call that was asked about before, `expires_at` is its end and stays.
    """
    wanted = [groups[name] for name in dict.fromkeys(item.group for item in requirements)]
    expire = round(min(group.expire_seconds for group in wanted) * 1000)
    left = expire if expires_at is None else max(expires_at - now, 0)
    return Asked(
        fingerprint=call.fingerprint, requirements=requirements, expire=expire, at=now,
        notices=to_channels(call.id, (group.name for group in wanted), groups, "approval.requested", batch=batch),
        ladder=ladder(requirements, groups, owner, now=now, expire=left),
    )  # fmt: skip


def reported(record: Record, step: Finish, groups: Mapping[str, Group], *, batch: str, now: int) -> Reported | None:
    """The news of how it ended, to the groups that were asked, if they were and have not heard it."""
    kind: NoticeKind = "call.in_doubt" if isinstance(step.outcome, Lost) and record.call.acts else "call.finished"
    if not record.asked or record.reported == kind:
        return None
    names = dict.fromkeys(notice.group for notice in record.notices)
    return Reported(kind=kind, notices=to_channels(record.call.id, names, groups, kind, batch=batch), at=now)


def so_far(record: Record, group: Group) -> list[str]:
    """How the question to that group stands, in sentences; none if nobody has said anything and nobody was added."""
    now = record.judged.fingerprint if record.judged is not None else ""
    yeses = [
        f"{vote.by} for {vote.on_behalf}" if vote.on_behalf else vote.by
        for vote in record.votes
        if vote.group == group.name and vote.fingerprint == now
    ]
    others = [person for name, person in record.escalated if name == group.name]
    found = [f"{len(yeses)} of {group.quorum} said yes: {', '.join(yeses)}."] if yeses else []
    return found + ([f"It also waits for {', '.join(others)}."] if others else [])


def told_picture(picture: Picture) -> Picture:
    """A picture as people's tools read it."""
    return {**picture, "at": iso(picture["at"])}


def arguments(admission: Admission) -> Mapping[str, object]:
    """Every argument, declared or not, as approvers see it."""
    return {**admission.extra, **admission.question.input}


def discreet(admission: Admission) -> Admission:
    """The same for those who hear of it without opening it: what the tool's `record:` masks is masked in notices and
    lists too."""
    record = admission.tool.record
    if record is None or not record.mask:
        return admission
    given, _ = redacted(dict(admission.question.input), record.mask)
    extra, _ = redacted(dict(admission.extra), record.mask)
    assert isinstance(given, dict)
    assert isinstance(extra, dict)
    return replace(admission, question=replace(admission.question, input=given), extra=extra)


def summary(admission: Admission) -> str:
    """One line for people: what the tool's own `summary` says, or who wants to do what with which arguments."""
    given = arguments(admission)
    if admission.tool.summary:
        return render(admission.tool.summary, given)
    told = ", ".join(f"{value(name)}={value(item)}" for name, item in given.items() if not isinstance(item, dict))
    line = f"{admission.call.agent} wants to call {admission.call.tool}({told})"
    return line if len(line) <= LONGEST_SUMMARY else line[: LONGEST_SUMMARY - 3] + "..."  # the whole stands beside it
