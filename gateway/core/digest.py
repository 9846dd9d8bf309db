"""What a group hears instead of one message per question, when more come than it wants (`batch`): one digest for each
channel, which says how many wait and lists the soonest to end.

Pure: how far apart digests are, and what one says. Nothing can be decided from a digest: a line holds no fingerprint,
because a summary is not what a decision is about.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from gateway.core.admit import Admission
from gateway.core.approval import question
from gateway.core.call import joined
from gateway.core.facts import Notice
from gateway.core.messages import page
from gateway.core.notices import discreet, summary
from gateway.core.quota import Quota
from gateway.core.record import Record
from gateway.core.routes import Channel, EmailChannel, Group, Slack, Webhook
from gateway.core.times import iso

MOST_LISTED = 50
"""Questions, and as many that are over. The others are counted, and stand on the page."""
SHORTEST_MS, LONGEST_MS = 60_000, 15 * 60_000
"""Between two digests, whatever the quota says."""
QUIET_MS = 5_000
"""Between two changes of a message that calls nobody when it changes."""
RINGS_MS = 3_600_000
"""What can be changed is said anew after that time, while somebody is wanted: nobody notices a change."""


def name(group: str, channel: Channel) -> str:
    """Which digest that is: of this place, wherever it stands in `notify`."""
    return hashlib.sha256(joined([part.encode() for part in (group, *_place(channel))])).hexdigest()[:24]


def _place(channel: Channel) -> tuple[str, ...]:
    match channel:
        case Webhook(url=url):
            return "webhook", url
        case Slack(workspace=workspace, channel=room):
            return "slack", workspace, room
        case EmailChannel(people=people):
            return "email", *people
        case _:
            assert_never(channel)


def spacing(group: Group, batch: Quota) -> int:
    """Milliseconds between two digests: not more of them than of questions told by themselves, and no question spends
    more than a quarter of its time waiting for one."""
    wanted = min(max(round(batch.seconds * 1000) // batch.most, SHORTEST_MS), LONGEST_MS)
    return min(wanted, round(group.expire_seconds * 250))


def pause(group: Group, batch: Quota, channel: Channel) -> int:
    """Milliseconds after a digest that was accepted, until the next may follow."""
    return min(QUIET_MS, spacing(group, batch)) if isinstance(channel, Slack) else spacing(group, batch)


def said_anew(batch: Quota, *, waiting: int, began: int, now: int) -> bool:
    """True if the message that stands in the channel should no longer be changed but followed by a new one."""
    return waiting > 0 and now - began >= min(round(batch.seconds * 1000), RINGS_MS)


def told_singly(record: Record, notice: Notice) -> bool:
    """True if the channel of `notice` has a message about this call that is about nothing else."""
    taken = {heard.notice for heard in record.heard if heard.done and not heard.digest}
    place = notice.group, notice.channel
    return any((item.group, item.channel) == place and item.id in taken for item in record.notices)


def waits(record: Record, group: str) -> bool:
    """True if `group` is still wanted."""
    return record.refusal is None and record.claim is None and bool(question(record, group))


def line(record: Record, admission: Admission | None, group: str, owner: str, *, control_url: str) -> dict[str, Any]:
    """One question, as it stands in a list."""
    call = record.call
    return {
        "call": call.id,
        "page": page(control_url, call.id, group),
        "summary": summary(discreet(admission)) if admission is not None else f"{call.tool} for {call.agent}",
        "agent": call.agent,
        "owner": owner,
        "user": call.user,
        "tool": call.tool,
        "expires_at": iso(record.expires_at or 0),
    }


def digest(
    group: str, questions: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]], *, waiting: int, ended: int,
    control_url: str, now: int,
) -> dict[str, Any]:  # fmt: skip
    """The body of `approval.digest`. `questions`, as `line` makes them, and `over`, as the `data` of `call.finished`,
    are the listed ones of so many."""
    members = ("call", "page", "summary", "agent", "tool", "state", "outcome", "told", "decided_by")
    return {
        "type": "approval.digest",
        "timestamp": iso(now),
        "data": {
            "approval": group,
            "page": f"{control_url}/inbox",
            "waiting": waiting,
            "expires_at": min((item["expires_at"] for item in questions), default=None),
            "questions": list(questions),
            "ended": ended,
            "over": [{member: item[member] for member in members} for item in over],
        },
    }
