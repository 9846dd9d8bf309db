"""Calls as the control plane shows them: what happened and who is asked, never what is in the request."""

from typing import Any

from gateway.core import timeline
from gateway.core.approval import shown
from gateway.core.record import Record
from gateway.core.times import iso


def brief(record: Record, begun: int) -> dict[str, Any]:
    call = record.call
    return {
        "call": call.id, "state": timeline.state(record), "agent": call.agent, "tool": call.tool,
        "resource": call.resource, "user": call.user, "run": call.run, "begun": iso(begun) if begun else None,
        "status": record.answer.status if record.answer else None,
        "contradicted": record.answer is not None and record.resolved is not None and not record.resolved.acted,
    }  # fmt: skip


def _groups(record: Record) -> list[str]:
    judged = record.judged
    return sorted({item.group for item in judged.verdict.requirements}) if judged is not None else []


def reasons(record: Record) -> list[dict[str, str]]:
    """Which policies hold the call, for whom, and why."""
    if record.judged is None:
        return []
    verdict = record.judged.verdict
    told = dict(zip(verdict.policies, verdict.reasons, strict=False))
    return [
        {"id": item.policy, "approval": item.group, "reason": told.get(item.policy, "")}
        for item in verdict.requirements
    ]


def pending(record: Record, now: int) -> dict[str, Any]:
    judged = record.judged
    verdict = judged.verdict if judged else None
    return {
        "call": record.call.id, "agent": record.call.agent, "tool": record.call.tool, "resource": record.call.resource,
        "questions": [{"approval": group, "fingerprint": shown(record, group)} for group in _groups(record)],
        "reasons": list(verdict.reasons) if verdict else [], "why": record.call.reason,
        "expires_at": iso(record.expires_at) if record.expires_at else None,
        "seconds_left": max(0, record.expires_at - now) // 1000 if record.expires_at else None,
        "votes": [
            {"by": vote.by, "group": vote.group, "via": vote.via, "reason": vote.reason, "at": iso(vote.at)}
            for vote in record.votes
        ],
    }  # fmt: skip
