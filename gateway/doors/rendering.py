"""From where a call stands to what its requester is told. Pure: one function, one row of design section 8 each."""

import base64
from typing import assert_never
from urllib.parse import quote

from gateway import errors
from gateway.core import timeline
from gateway.core.admit import Admission
from gateway.core.facts import Answered, Cancelled, Expired, Judged, Lost, Rejected, Resolved, Unsent, Withdrawn
from gateway.core.lifecycle import Finish, Wait
from gateway.core.notices import arguments
from gateway.core.payload import Answer
from gateway.core.record import Record
from gateway.core.times import iso
from gateway.life import Life

Rendered = tuple[int, str, int]
"""Status, digest and length of an answer that is to be passed on."""


def refusal(life: Life, step: Wait | Finish) -> errors.GatewayError | Rendered:  # noqa: PLR0911 - one row each
    """The gateway's own answer, or what is known of the system's answer, which then is the answer."""
    record = life.record
    if isinstance(step, Wait):
        return _not_yet(record)
    call, system, outcome = record.call.id, record.call.system, step.outcome
    match outcome:
        case Answered(withheld=True):
            return errors.CredentialEchoed(system, call=call)
        case Answered():
            return _answered(record, outcome)
        case Judged():
            return _denied(record, outcome)
        case Rejected():
            return errors.ApprovalRejected(call, [outcome.group], outcome.reason)
        case Expired():
            return errors.ApprovalExpired(call, _groups(record), iso(record.expires_at or outcome.at))
        case Cancelled():
            return errors.CallCancelled(call, outcome.by, outcome.reason)
        case Withdrawn():
            return errors.CallWithdrawn(call)
        case Unsent():
            return errors.UpstreamUnreachable(system, call=call)
        case Lost():
            return _lost(life, outcome)
        case Resolved():
            return (outcome.status, "", -1) if outcome.acted else errors.FoundNotDone(call)
        case _:
            assert_never(outcome)


def _answered(record: Record, answered: Answered) -> errors.GatewayError | Rendered:
    """What is known of the answer. Of a body that streamed past, its end told the rest."""
    ended = record.ended
    if ended is not None and not ended.whole and not record.call.acts and not record.asked:
        return errors.ReadFailed(record.call.system, call=record.call.id)
    if ended is not None and ended.whole and answered.length < 0:
        return answered.status, ended.sha256, ended.length
    return answered.status, answered.sha256, answered.length


def _not_yet(record: Record) -> errors.GatewayError:
    if record.claim is None and record.asked and not record.doubts:
        return errors.ApprovalPending(record.call.id, _groups(record), iso(record.expires_at or 0))
    return errors.CallInProgress(record.call.id)


def _groups(record: Record) -> list[str]:
    judged = record.judged
    waiting = judged.verdict.requirements if judged is not None and judged.verdict.decision == "hold" else record.asked
    return sorted({item.group for item in waiting})


def _denied(record: Record, judged: Judged) -> errors.GatewayError:
    verdict, call = judged.verdict, record.call
    if verdict.code == "agent-suspended":
        return errors.AgentSuspended(call.agent, call=call.id)
    if verdict.code == "policies-unavailable":
        return errors.PoliciesUnavailable(call=call.id)
    return errors.PolicyDenied.of(verdict, tool=call.tool, call=call.id)


def _lost(life: Life, lost: Lost) -> errors.GatewayError | Rendered:
    call = life.record.call
    if not call.acts:
        judged = life.record.judged
        denied = judged is not None and judged.verdict.decision == "deny"
        return _denied(life.record, judged) if judged and denied else errors.ReadFailed(call.system, call=call.id)
    if lost.status and life.answer is not None:
        return lost.status, "", len(life.answer.body)  # what came from between passes; the record says lost
    return errors.OutcomeUnknown(call.id, call.system)


def status_document(
    record: Record, answer: Answer | None = None, admission: Admission | None = None
) -> dict[str, object]:
    """What `GET /calls/{id}` tells the agent. `admission`: the call as it is now, if its request is at hand."""
    call = record.call
    document: dict[str, object] = {
        "call": call.id, "status": timeline.state(record), "tool": call.tool,
        "resource": (admission.call if admission is not None else call).resource, "run": call.run,
    }  # fmt: skip
    if document["status"] == "held":
        document |= {"approvals": _groups(record), "expires_at": iso(record.expires_at or 0)}
    if isinstance(record.refusal, Rejected | Cancelled):
        document["reason"] = record.refusal.reason
    elif record.judged is not None and record.judged.verdict.decision == "deny":
        document["reasons"] = list(record.judged.verdict.reasons)
    if record.resolved is not None:
        document["acted"] = record.resolved.acted
    if record.edits:
        document["edited"] = _edited(record, admission)
    if answer is not None:
        document["answer"] = {"status": answer.status, "headers": _fields(answer)} | _body(answer)
    elif record.answer is not None:
        document["answer"] = {"status": record.answer.status, "kept": False, "sha256": record.answer.sha256}
    return document


def edited_fields(record: Record) -> list[tuple[bytes, bytes]]:
    """The header that says that an answer is to a call with other arguments than the agent gave."""
    names = dict.fromkeys(name for edit in record.edits for name in edit.changed)
    return [(b"gateway-edited", ", ".join(quote(name) for name in names).encode("ascii"))] if names else []


def _edited(record: Record, admission: Admission | None) -> dict[str, object]:
    """Who changed which arguments, and what they are now."""
    names = dict.fromkeys(name for edit in record.edits for name in edit.changed)
    last = record.edits[-1]
    found: dict[str, object] = {"by": last.by, "reason": last.reason, "changed": list(names)}
    if admission is not None:
        given = arguments(admission)
        found["now"] = {name: given.get(name) for name in names}
    return found


def _fields(answer: Answer) -> dict[str, str]:
    """By name; repeated ones as one list with commas, which means the same (RFC 9110 section 5.3)."""
    found: dict[str, str] = {}
    for name, value in answer.headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _body(answer: Answer) -> dict[str, object]:
    try:
        return {"body": answer.body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(answer.body).decode()}
