"""What a notice says when it is delivered: one body for every channel, from the facts and today's routes.

A question must show what would really happen, whole: never a shortened copy of an argument, never a summary that a
policy or the system would read differently. What became of a call is told without the system's answer. A notice
that nobody needs any more, because the question was answered or the doubt is settled, is `Moot`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.core.admit import Admission
from gateway.core.approval import question, shown
from gateway.core.facts import Approved, Judged, Notice, Rejected
from gateway.core.notices import arguments, discreet, summary, told_picture
from gateway.core.outcomes import became, outcome
from gateway.core.previews import Picture
from gateway.core.record import Record
from gateway.core.routes import Channel, EmailChannel, Person, Routes
from gateway.core.timeline import outcome_name
from gateway.core.times import iso


class Moot(Exception):
    """Nobody needs to hear this any more. Says why."""


class Unspeakable(Exception):
    """It cannot be said at this moment, and perhaps later. Says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notice as a channel has to tell it."""

    id: str
    """The notice's: constant over attempts."""
    body: Mapping[str, Any]
    """What a webhook receives, as a JSON value; other channels show the same `data` in their own way."""
    people: tuple[Person, ...] = ()
    """Whom the channel has to reach by name; empty if whoever reads it is meant."""
    receipt: str = ""
    """What the channel calls its earlier message about the same question; empty if there is none."""
    anew: bool = False
    """A message that changes while it stands (a digest) is now to be said again, so that people notice."""


def asks(notice: Notice) -> bool:
    """True if it puts a question, for which the call as it would be made today is needed."""
    return notice.kind.startswith("approval.")


def channel_of(notice: Notice, routes: Routes) -> Channel:
    """Where it goes. Raises Moot."""
    group = routes.groups.get(notice.group)
    if group is None or notice.channel >= len(group.channels):
        raise Moot("this channel is no longer in routes.yaml")
    return group.channels[notice.channel]


def message(
    record: Record, notice: Notice, routes: Routes, *, admission: Admission | None, payload: Mapping[str, bytes],
    pictures: Sequence[Picture] = (), control_url: str, now: int,
) -> Message:  # fmt: skip
    """What `notice` says now. `admission`: the call as it would be made today, if that is possible. `pictures`: what
    approvers are shown of the system.

    Raises Moot or Unspeakable.
    """
    channel = channel_of(notice, routes)
    if asks(notice):
        judged = _open(record, notice, routes)
        if admission is None:
            raise Unspeakable("the call cannot be made any more as routes.yaml is now")
        body = requested(record, judged, discreet(admission), notice, routes, control_url=control_url, now=now)
        body["data"]["preview"] = [told_picture(picture) for picture in pictures]
    else:
        body = ended(record, notice, routes, admission=admission, payload=payload, control_url=control_url, now=now)
    return Message(
        id=notice.id, body=body, people=meant(channel, notice, routes, now), receipt=_receipt(record, notice)
    )


def _open(record: Record, notice: Notice, routes: Routes) -> Judged:
    """The verdict by which the question of `notice` is open. Raises Moot or Unspeakable."""
    if record.refusal is None and record.claim is None:
        if record.judged is None:
            raise Unspeakable("the call was just being judged")
        if record.sight.unseen:
            raise Unspeakable("the system was just being looked at for this question")
        if _group(notice) in routes.groups and question(record, _group(notice)):
            return record.judged
    raise Moot("the question is no longer open")


def requested(
    record: Record, judged: Judged, admission: Admission, notice: Notice, routes: Routes, *, control_url: str, now: int
) -> dict[str, Any]:
    """The body of `approval.requested`, `.reminded` and `.escalated` (design section 9), as a JSON value."""
    call, group = admission.call, _group(notice)
    verdict = judged.verdict
    unmet = [item.policy for item in question(record, group)]
    reasons = dict(zip(verdict.policies, verdict.reasons, strict=False))
    data = {
        "call": call.id,
        "fingerprint": shown(record, group),
        "callback": f"{control_url}/approvals/{call.id}/decision",
        "page": page(control_url, call.id, group),
        "decide_in": list(routes.groups[group].decide_in),
        "approval": group,
        "summary": summary(admission),
        "agent": call.agent,
        "owner": routes.agents[call.agent].owner,
        "user": call.user,
        "run": call.run,
        "why": call.reason,
        "tool": call.tool,
        "resource": call.resource,
        "input": arguments(admission),
        "policies": [{"id": policy, "reason": reasons.get(policy, "")} for policy in unmet],
        "expires_at": iso(record.expires_at or now),
    }
    if absent := _absent((*routes.groups[group].members, *notice.to), routes, now):
        data["away"] = absent
    return {"type": notice.kind, "timestamp": iso(now), "data": data | ({"to": list(notice.to)} if notice.to else {})}


def ended(
    record: Record, notice: Notice, routes: Routes, *, admission: Admission | None, payload: Mapping[str, bytes],
    control_url: str, now: int,
) -> dict[str, Any]:  # fmt: skip
    """The body of `call.finished` and `call.in_doubt`: what became of it, in words and in one. Raises Moot."""
    over, call = outcome(record), record.call
    if over is None:
        raise Moot("the call goes on")
    state = outcome_name(record, over)
    if (notice.kind == "call.in_doubt") != (state == "in doubt"):
        raise Moot("what this says is no longer so")
    what, agent = became(record, payload, routes, now=now), routes.agents.get(call.agent)
    return {
        "type": notice.kind,
        "timestamp": iso(now),
        "data": {
            "call": call.id,
            "page": page(control_url, call.id, _group(notice)),
            "approval": _group(notice),
            "summary": summary(discreet(admission)) if admission is not None else f"{call.tool} for {call.agent}",
            "agent": call.agent,
            "owner": agent.owner if agent is not None else "",
            "user": call.user,
            "run": call.run,
            "why": call.reason,
            "tool": call.tool,
            "resource": (admission.call if admission is not None else call).resource,
            "state": state,
            "outcome": what.head,
            "told": what.text,
            "decided_by": _deciders(record),
        },
    }


def page(control_url: str, call: str, group: str) -> str:
    """Where people look at this question. Opening it decides nothing."""
    return f"{control_url}/inbox/{call}?approval={quote(group, safe='')}"


def _group(notice: Notice) -> str:
    return notice.about or notice.group


def _deciders(record: Record) -> list[str]:
    """Whose yes or no counted, each with the absent person in whose place it was said."""
    said: list[Approved | Rejected] = list(record.votes)
    if isinstance(record.refusal, Rejected):
        said.append(record.refusal)
    names = (f"{vote.by} for {vote.on_behalf}" if vote.on_behalf else vote.by for vote in said)
    return list(dict.fromkeys(names))


def meant(channel: Channel, notice: Notice, routes: Routes, now: int) -> tuple[Person, ...]:
    """Those who always read the channel by name, and those whom this notice is for; of the absent, their delegates."""
    names = (*(channel.people if isinstance(channel, EmailChannel) else ()), *notice.to)
    absent = _absent(names, routes, now)
    present = dict.fromkeys(absent.get(name, name) for name in names)
    return tuple(routes.people[name] for name in present if name in routes.people)


def _absent(names: Iterable[str], routes: Routes, now: int) -> dict[str, str]:
    """Those who are away, each with the delegate."""
    people = (routes.people[name] for name in names if name in routes.people)
    return {person.name: person.away.delegate for person in people if person.away and person.away.holds(now)}


def _receipt(record: Record, notice: Notice) -> str:
    """Of the last message about this question in the same channel that can still be changed."""
    same = {
        item.id
        for item in record.notices
        if (item.group, item.channel) == (notice.group, notice.channel)
        and (not asks(notice) or _group(item) == _group(notice))
    }
    found = [heard.receipt for heard in record.heard if heard.receipt and heard.notice in same - {notice.id}]
    return found[-1] if found else ""
