"""What of each fact leaves the gateway in a span: names, digests, numbers and enumerations, nothing else.

A trace is read by more people than may read a call: a collector, its vendor, everybody with a dashboard. So no
argument and no answer appears here, no part of a path, and no sentence that an agent, a person or a system wrote:
an agent's `Gateway-Reason`, an approver's reason, an operator's note, an upstream's error and the id in
`Charge/ch_1` stay in the timeline. The Cedar type of the resource is the schema's word and may go.
"""

from collections.abc import Mapping
from typing import assert_never
from urllib.parse import urlsplit

from gateway.core import attributes as names
from gateway.core.call import Call
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Attached,
    Cancelled,
    Claimed,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Judged,
    Lost,
    Notified,
    Previewed,
    Recorded,
    Rejected,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Unsent,
    Viewed,
    Withdrawn,
)

Value = str | int | bool | tuple[str, ...]
Attributes = dict[str, Value]

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
LONGEST = 1000
"""Characters of one value. Ours are names and digests; a name somebody chose may be absurd."""
BROKEN_POLICY = "policy-error"


def clean(values: Mapping[str, Value]) -> Attributes:
    """Without empty values, and with text that every encoder takes (no lone surrogates)."""
    found: Attributes = {}
    for name, value in values.items():
        if type(value) is str and value.isascii() and len(value) <= LONGEST:  # nearly all, and a tenth of the work
            if value:
                found[name] = value
        elif value not in ("", ()):
            found[name] = _plain(value)
    return found


def of_call(call: Call) -> Attributes:
    """What identifies the call and those behind it; it is on every root and on `gateway.admitted`."""
    return {
        names.GEN_AI_OPERATION_NAME: "execute_tool",
        names.GEN_AI_TOOL_TYPE: "extension",
        names.GEN_AI_TOOL_CALL_ID: call.id,
        names.SYSTEM: call.system,
        names.EFFECT: call.effect,
        names.USER_ID: call.user or "",
        names.RUN: call.run or "",
        names.RESOURCE_TYPE: call.resource.partition("/")[0],
        names.KEY: call.key,
        names.KEY_GIVEN: call.key_given,
        names.MATCH: call.match,
        names.REPEATABLE: call.repeatable,
    }


def of_judging(judged: Judged) -> Attributes:
    verdict = judged.verdict
    found: Attributes = {
        names.DECISION: verdict.decision,
        names.POLICY_IDS: verdict.policies,
        names.POLICY_SHADOW_IDS: verdict.shadow,
        names.POLICY_CODE: verdict.code,
        names.APPROVAL_GROUPS: tuple(dict.fromkeys(item.group for item in verdict.requirements)),
        names.APPROVAL_GRANTS: tuple(f"{item.grant} of {', '.join(item.by)}" for item in verdict.granted),
        names.GENERATION: judged.generation,
        names.FINGERPRINT: judged.fingerprint,
    }
    # A denial is the gateway doing its work. A policy that cannot be evaluated is somebody's mistake.
    return found | ({names.ERROR_TYPE: BROKEN_POLICY} if verdict.code == BROKEN_POLICY else {})


def of_outcome(fact: Fact, call: Call) -> Attributes:  # noqa: PLR0911 - one line per outcome
    """How a segment of a call ended, for its root. A hold is not an outcome, and a denial is not an error."""
    match fact:
        case Judged(verdict=verdict) if verdict.decision == "deny":
            return {names.OUTCOME: "denied", names.DENIED_BY: "policy"}
        case Rejected():
            return {names.OUTCOME: "denied", names.DENIED_BY: "person", names.APPROVAL_BY: fact.by}
        case Expired():
            return {names.OUTCOME: "denied", names.DENIED_BY: "time"}
        case Withdrawn():
            return {names.OUTCOME: "denied", names.DENIED_BY: "agent"}
        case Cancelled():
            return {names.OUTCOME: "denied", names.DENIED_BY: "owner", names.APPROVAL_BY: fact.by}
        case Unsent():
            return {names.OUTCOME: "unreachable", names.ERROR_TYPE: "unsent"}
        case Lost():
            outcome = "in doubt" if call.acts else "unreachable"
            return {names.OUTCOME: outcome, names.ERROR_TYPE: "lost", **_status(fact.status)}
        case Answered():
            failed = fact.status >= 500 or fact.withheld
            return {names.OUTCOME: "answered", **_status(fact.status), **(_error(fact) if failed else {})}
        case Resolved():
            return {names.OUTCOME: "settled", names.RESOLVED_ACTED: fact.acted, names.RESOLVED_BY: fact.by}
        case Delivered():
            return {names.REPLAYED: True}
        case _:
            return {}


def of_fact(fact: Fact, waited: int) -> Attributes:  # noqa: C901, PLR0911, PLR0912 - one line per fact is the point
    """What the fact itself says. `waited`: milliseconds since the question was asked, where there was one."""
    match fact:
        case Admitted(call=call):
            return of_call(call) | {names.FINGERPRINT: call.fingerprint}
        case Attached():
            return {names.KEY: fact.key}
        case Judged():
            return of_judging(fact)
        case Asked():
            groups = tuple(dict.fromkeys(item.group for item in fact.requirements))
            policies = tuple(dict.fromkeys(item.policy for item in fact.requirements))
            found: Attributes = {names.APPROVAL_GROUPS: groups, names.POLICY_IDS: policies}
            return found | {names.FINGERPRINT: fact.fingerprint, names.APPROVAL_EXPIRES_MS: fact.expire}
        case Previewed():
            return _of_preview(fact)
        case Notified():
            found = {names.NOTICE_ID: fact.notice, names.NOTICE_ATTEMPT: fact.attempt, names.NOTICE_DONE: fact.done}
            found |= {names.NOTICE_DIGEST: fact.digest} if fact.digest else {}
            return found | _status(fact.status) | ({} if fact.done else {names.ERROR_TYPE: _code(fact.status)})
        case Reminded(group=group):
            return {names.APPROVAL_GROUPS: (group,), names.APPROVAL_WAITED_MS: waited}
        case Escalated(group=group, to=to):
            return {names.APPROVAL_GROUPS: (group,), names.APPROVAL_TO: to, names.APPROVAL_WAITED_MS: waited}
        case Approved() | Rejected() | Edited():
            return _of_vote(fact) | {names.APPROVAL_WAITED_MS: waited}
        case Retracted() | Cancelled():
            found = {names.APPROVAL_BY: fact.by, names.APPROVAL_VIA: fact.via, names.APPROVAL_WAITED_MS: waited}
            return found | ({names.APPROVAL_GROUPS: (fact.group,)} if isinstance(fact, Retracted) else {})
        case Reported(kind=kind):
            return {names.NOTICE_KIND: kind}
        case Expired() | Withdrawn():
            return {names.APPROVAL_WAITED_MS: waited}
        case Claimed():
            return {names.FINGERPRINT: fact.fingerprint, names.LEASE_MS: fact.lease}
        case Unsent() | Lost() | Answered() | Ended():
            return _of_result(fact)
        case Resolved():
            return {names.RESOLVED_BY: fact.by, names.RESOLVED_ACTED: fact.acted, **_status(fact.status)}
        case Recorded():
            return {names.RECORDED_PART: fact.part, names.RECORDED_HOW: fact.how, names.RECORDED_MASKED: fact.masked}
        case Viewed():
            return {names.VIEWED_BY: fact.by, names.VIEWED_VIA: fact.via, names.FINGERPRINT: fact.fingerprint}
        case Abandoned() | Delivered():
            return {}  # their names say it all
        case _:
            assert_never(fact)


def of_exchange(call: Call, number: int, origin: str) -> Attributes:
    """The exchange with the system by the stable HTTP conventions, without `url.full`: it is made of arguments."""
    known = call.method in KNOWN_METHODS
    found: Attributes = {names.HTTP_REQUEST_METHOD: call.method if known else "_OTHER"}
    if not known:
        found[names.HTTP_REQUEST_METHOD_ORIGINAL] = call.method
    if number > 1:
        found[names.HTTP_REQUEST_RESEND_COUNT] = number - 1
    place = urlsplit(origin)
    if place.hostname:
        default = 443 if place.scheme == "https" else 80
        found[names.SERVER_ADDRESS] = place.hostname
        found[names.SERVER_PORT] = place.port or default
        found[names.URL_SCHEME] = place.scheme
    return found


def _of_preview(fact: Previewed) -> Attributes:
    return {
        names.PREVIEW_NAME: fact.name, names.PREVIEW_CALL: fact.call, names.PREVIEW_DIGEST: fact.digest,
        names.PREVIEW_BOUND: fact.bound, names.PREVIEW_AGAIN: fact.again, names.PREVIEW_CHANGED: fact.changed,
        names.FINGERPRINT: fact.fingerprint, names.ERROR_TYPE: "preview-failed" if fact.failed else "",
    }  # fmt: skip


def _of_vote(vote: Approved | Rejected | Edited) -> Attributes:
    return {
        names.APPROVAL_ON_BEHALF: vote.on_behalf,
        names.APPROVAL_CHANGED: vote.changed if isinstance(vote, Edited) else (),
        names.APPROVAL_BY: vote.by,
        names.APPROVAL_GROUPS: (vote.group,),
        names.APPROVAL_VIA: vote.via,
        names.APPROVAL_MESSAGE: vote.message,
        names.FINGERPRINT: vote.fingerprint,
    }


def _of_result(fact: Unsent | Lost | Answered | Ended) -> Attributes:
    match fact:
        case Unsent():
            return {names.ERROR_TYPE: "unsent"}
        case Lost():
            return {names.ERROR_TYPE: "lost", **_status(fact.status)}
        case Answered():
            return _of_answer(fact)
        case Ended():
            found: Attributes = {names.HTTP_RESPONSE_BODY_SIZE: fact.length, names.ANSWER_SHA256: fact.sha256}
            return found | {names.ANSWER_WHOLE: fact.whole} | ({} if fact.whole else {names.ERROR_TYPE: "broken-body"})


def _of_answer(fact: Answered) -> Attributes:
    found: Attributes = {**_status(fact.status), names.ANSWER_SHA256: fact.sha256, names.ANSWER_KEPT: fact.kept}
    if fact.length >= 0:
        found[names.HTTP_RESPONSE_BODY_SIZE] = fact.length
    if fact.withheld:
        found[names.ANSWER_WITHHELD] = True
    # By the conventions an exchange failed for its client from 400 on; whether the call failed, the root says.
    return found | (_error(fact) if fact.status >= 400 or fact.withheld else {})


def _error(fact: Answered) -> Attributes:
    return {names.ERROR_TYPE: "credential-echoed" if fact.withheld else str(fact.status)}


def _status(status: int) -> Attributes:
    return {names.HTTP_RESPONSE_STATUS_CODE: status} if status else {}


def _code(status: int) -> str:
    return str(status) if status else "no-answer"


def _plain(value: Value) -> Value:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()[:LONGEST]
        case tuple():
            return tuple(item.encode("utf-8", "replace").decode()[:LONGEST] for item in value)
        case _:
            return value
