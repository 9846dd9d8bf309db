"""A call as one event of the Open Cybersecurity Schema Framework: API Activity (class 6003), version 1.6.0.

With the profiles `security_control`, for what was decided, and `trace`. What OCSF has no word for stands under
`unmapped.gateway`. Pure. Tests validate every event against the framework's own schema.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway import __version__
from gateway.core.facts import Admitted, Answered, Approved, Cancelled, Edited, Fact, Judged, Rejected, Resolved
from gateway.core.segments import traces_of
from gateway.core.times import moment
from gateway.ledger.gist import Gist

VERSION = "1.6.0"
CATEGORY, CLASS = 6, 6003
ACTIVITIES = {"POST": 1, "GET": 2, "HEAD": 2, "PUT": 3, "PATCH": 3, "DELETE": 4}
"""Create, Read, Update, Delete, as far as a method tells; what the tool does is in `unmapped.gateway.effect`."""
OTHER = 99
INFORMATIONAL, MEDIUM = 1, 3
SUCCESS, FAILURE = 1, 2
ALLOWED, DENIED = 1, 2
BLOCKED, APPROVED, REJECTED = 2, 8, 25
"""Dispositions."""


def event(gist: Gist, facts: Sequence[Fact], leaves: Sequence[Mapping[str, Any]], origin: str) -> dict[str, Any]:
    """`facts` are the call's, oldest first, and begin with its admission; `leaves` say where they are in the log."""
    first = facts[0]
    assert isinstance(first, Admitted), "a call begins with its admission"
    call = first.call
    activity = ACTIVITIES.get(call.method, OTHER)
    found: dict[str, Any] = {
        "category_uid": CATEGORY, "class_uid": CLASS, "activity_id": activity, "type_uid": CLASS * 100 + activity,
        "time": gist.begun, "start_time": gist.begun, "end_time": gist.last, "duration": gist.last - gist.begun,
        "severity_id": MEDIUM if gist.outcome == "in doubt" else INFORMATIONAL,
        "message": f"{call.agent} asked for {call.tool}: {gist.outcome}",
        "metadata": {
            "version": VERSION, "uid": call.id, "log_name": origin, "original_time": moment(gist.begun),
            "product": {"name": "policy-gateway", "vendor_name": "policy-gateway", "version": __version__},
            "profiles": ["security_control", "trace"], "sequence": gist.leaves[0],
        },
        "actor": {"app_name": call.agent, "app_uid": call.agent},
        "api": {"operation": call.tool, "service": {"name": call.system}, "request": {"uid": call.id}},
        "src_endpoint": {"ip": call.source_ip} if call.source_ip else {"name": call.agent},
        "http_request": {"http_method": call.method, "uid": call.id},
        "authorizations": [_authorization(fact) for fact in facts if isinstance(fact, Judged)],
        **_status(gist, facts),
        **_control(gist, facts),
        "unmapped": {"gateway": _ours(gist, facts, leaves)},
    }  # fmt: skip
    if activity == OTHER:
        found["activity_name"] = call.method
    if call.user:
        found["actor"]["user"] = {"name": call.user}
    if call.run:
        found["metadata"]["correlation_uid"] = call.run
    if gist.resource:
        found["resources"] = [{"uid": gist.resource, "type": gist.resource.partition("/")[0]}]
    if gist.status:
        found["http_response"] = {"code": gist.status}
        found["api"]["response"] = {"code": gist.status, "message": gist.outcome}
    if traces := traces_of(facts):
        span = {"uid": traces[0].span_id, "start_time": gist.begun, "end_time": gist.last}
        found["trace"] = {"uid": traces[0].trace_id, "span": span}
    return found


def _status(gist: Gist, facts: Sequence[Fact]) -> dict[str, Any]:
    acted = any(isinstance(fact, Resolved) and fact.acted for fact in facts)
    match gist.outcome:
        case "answered":
            known = SUCCESS if gist.status < 400 else FAILURE
        case "settled":
            known = SUCCESS if acted else FAILURE
        case "denied" | "unreachable":
            known = FAILURE
        case _:
            known = OTHER
    found: dict[str, Any] = {"status_id": known, "status_detail": gist.outcome}
    if known == OTHER:
        found["status"] = gist.outcome
    return found | ({"status_code": str(gist.status)} if gist.status else {})


def _control(gist: Gist, facts: Sequence[Fact]) -> dict[str, Any]:
    """What the gateway did about it."""
    if gist.outcome == "denied":
        rejected = any(isinstance(fact, Rejected) for fact in facts)
        return {"action_id": DENIED, "disposition_id": REJECTED if rejected else BLOCKED}
    if gist.outcome in ("held", "judging", "unreadable"):
        return {"action_id": OTHER, "action": gist.outcome, "disposition_id": OTHER, "disposition": gist.outcome}
    approved = any(isinstance(fact, Approved) for fact in facts)
    return {"action_id": ALLOWED, "disposition_id": APPROVED if approved else ALLOWED}


def _authorization(fact: Judged) -> dict[str, Any]:
    verdict = fact.verdict
    named = ", ".join(verdict.policies) or verdict.code or verdict.decision
    return {"decision": verdict.decision, "policy": {"name": named, "version": fact.generation}}


def _ours(gist: Gist, facts: Sequence[Fact], leaves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    people = [
        {
            "decision": type(fact).__name__, "by": fact.by, "via": getattr(fact, "via", ""),
            "group": getattr(fact, "group", ""), "on_behalf_of": getattr(fact, "on_behalf", ""), "at": moment(fact.at),
        }
        for fact in facts
        if isinstance(fact, Approved | Rejected | Edited | Cancelled | Resolved)
    ]  # fmt: skip
    first = facts[0]
    assert isinstance(first, Admitted), "looked at before"
    answer = next((fact for fact in facts if isinstance(fact, Answered)), None)
    return {
        "effect": gist.effect, "outcome": gist.outcome, "policies": gist.policies, "people": people,
        "fingerprint": first.call.fingerprint, "answer_sha256": answer.sha256 if answer else None,
        "generations": list(dict.fromkeys(fact.generation for fact in facts if isinstance(fact, Judged))),
        "leaves": list(leaves),
    }  # fmt: skip
