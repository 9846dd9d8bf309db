"""What people are told about a held call: the message of one notice, from the facts and today's admission.

It must show what would really happen, whole: never a shortened copy of an argument, never a summary that a policy
or the system would read differently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.core.admit import Admission
from gateway.core.approval import question, shown
from gateway.core.call import Call
from gateway.core.facts import Asked, Judged, Lost, Notice, NoticeKind, Reported
from gateway.core.ladder import ladder, to_channels
from gateway.core.lifecycle import Finish, Record
from gateway.core.one_line import value
from gateway.core.previews import Picture
from gateway.core.routes import EmailChannel, Group, Person, Routes
from gateway.core.summaries import render
from gateway.core.times import iso
from gateway.core.verdict import Requirement

LONGEST_SUMMARY = 300
"""Characters, of a tool that has no `summary` of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notice as a channel has to tell it."""

    id: str
    """The notice's: constant over attempts."""
    body: Mapping[str, Any]
    """What a webhook receives, as a JSON value; other channels show the same `data` in their own way."""
    people: tuple[Person, ...] = ()
    """Whom the channel has to reach; empty if whoever reads it is meant."""
    receipt: str = ""
    """What the channel calls its earlier message about the same question; empty if there is none."""


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


def message(
    record: Record, judged: Judged, admission: Admission, notice: Notice, routes: Routes, *, control_url: str, now: int,
    pictures: Sequence[Picture] = (),
) -> Message:  # fmt: skip
    """What `notice` says now, about a call that is held. `pictures`: what its approvers are shown of the system."""
    body = requested(record, judged, admission, notice, routes, control_url=control_url, now=now)
    body["data"]["preview"] = [told_picture(picture) for picture in pictures]
    return Message(id=notice.id, body=body, people=_meant(notice, routes))


def _meant(notice: Notice, routes: Routes) -> tuple[Person, ...]:
    """Whom the channel has to reach by name."""
    channel = routes.groups[notice.group].channels[notice.channel]
    names = channel.people if isinstance(channel, EmailChannel) else ()
    return tuple(routes.people[name] for name in dict.fromkeys(names) if name in routes.people)


def told_picture(picture: Picture) -> Picture:
    """A picture as people's tools read it."""
    return {**picture, "at": iso(picture["at"])}


def requested(
    record: Record, judged: Judged, admission: Admission, notice: Notice, routes: Routes, *, control_url: str, now: int
) -> dict[str, Any]:
    """The body of `approval.requested` (design section 9), as a JSON value."""
    call = admission.call
    agent = routes.agents[call.agent]
    verdict = judged.verdict
    unmet = [item.policy for item in question(record, notice.group)]
    reasons = dict(zip(verdict.policies, verdict.reasons, strict=False))
    return {
        "type": "approval.requested",
        "timestamp": iso(now),
        "data": {
            "call": call.id,
            "fingerprint": shown(record, notice.group),
            "callback": f"{control_url}/approvals/{call.id}/decision",
            "page": page(control_url, call.id, notice.group),
            "decide_in": list(routes.groups[notice.group].decide_in),
            "approval": notice.group,
            "summary": summary(admission),
            "agent": call.agent,
            "owner": agent.owner,
            "user": call.user,
            "run": call.run,
            "why": call.reason,
            "tool": call.tool,
            "resource": call.resource,
            "input": arguments(admission),
            "policies": [{"id": policy, "reason": reasons.get(policy, "")} for policy in unmet],
            "expires_at": iso(record.expires_at or now),
        },
    }


def page(control_url: str, call: str, group: str) -> str:
    """Where people look at this question. Opening it decides nothing."""
    return f"{control_url}/inbox/{call}?approval={quote(group, safe='')}"


def arguments(admission: Admission) -> Mapping[str, object]:
    """Every argument, declared or not, as approvers see it."""
    return {**admission.extra, **admission.question.input}


def summary(admission: Admission) -> str:
    """One line for people: what the tool's own `summary` says, or who wants to do what with which arguments."""
    given = arguments(admission)
    if admission.tool.summary:
        return render(admission.tool.summary, given)
    told = ", ".join(f"{value(name)}={value(item)}" for name, item in given.items() if not isinstance(item, dict))
    line = f"{admission.call.agent} wants to call {admission.call.tool}({told})"
    return line if len(line) <= LONGEST_SUMMARY else line[: LONGEST_SUMMARY - 3] + "..."  # the whole stands beside it
