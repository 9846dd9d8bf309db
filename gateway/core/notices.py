"""What people are told about a held call: the message of one notice, from the facts and today's admission.

It must show what would really happen, whole: never a shortened copy of an argument, never a summary that a policy
or the system would read differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.admit import Admission
from gateway.core.approval import question, shown
from gateway.core.call import Call
from gateway.core.facts import Asked, Judged, Notice
from gateway.core.lifecycle import Record
from gateway.core.one_line import value
from gateway.core.routes import Group, Routes
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


def asked(
    call: Call, requirements: tuple[Requirement, ...], groups: Mapping[str, Group], *, batch: str, now: int
) -> Asked:
    """The question to every group of `requirements`, with one notice for each of its channels.

    `batch` is random and makes the ids of the notices unique. The shortest time of all groups is the time of all.
    """
    wanted = [groups[name] for name in dict.fromkeys(item.group for item in requirements)]
    channels = [(group.name, channel) for group in wanted for channel in range(len(group.channels))]
    notices = tuple(
        Notice(id=f"{call.id}-{batch}{number:02d}", group=group, channel=channel)
        for number, (group, channel) in enumerate(channels)
    )
    expire = round(min(group.expire_seconds for group in wanted) * 1000)
    return Asked(fingerprint=call.fingerprint, requirements=requirements, notices=notices, expire=expire, at=now)


def message(
    record: Record, judged: Judged, admission: Admission, notice: Notice, routes: Routes, *, control_url: str, now: int
) -> Message:
    """What `notice` says now, about a call that is held."""
    return Message(
        id=notice.id, body=requested(record, judged, admission, notice, routes, control_url=control_url, now=now)
    )


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
