"""A call as a person reads it: its state in one word, and every fact as one line.

Pure words over facts. It must never need the payload, so that a timeline can be shown to whoever may know that a
call happened but not what was in it.
"""

from typing import assert_never

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
    Notice,
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
from gateway.core.lifecycle import Finish, Outcome, next_step
from gateway.core.one_line import quoted
from gateway.core.record import Record
from gateway.core.times import iso, span

LONGEST = 500
"""Characters of what somebody wrote that a line has."""


def state(record: Record) -> str:
    """`answered`, `denied`, `unreachable`, `in doubt`, `settled`, `held`, `executing` or `judging`."""
    step = next_step(record, now=0, me="", today=record.judged.generation if record.judged else "")
    if isinstance(step, Finish):
        return outcome_name(record, step.outcome)
    if record.claim is not None:
        return "executing"
    if record.doubts:
        return "in doubt"
    return "held" if record.judged is not None and record.judged.verdict.decision == "hold" else "judging"


def state_named(typed: str) -> str:
    """A state as somebody typed it, `in-doubt` or `in_doubt` too, as `state` names it."""
    return typed.strip().replace("-", " ").replace("_", " ")


def outcome_name(record: Record, outcome: Outcome) -> str:
    match outcome:
        case Answered():
            return "answered"
        case Judged() | Rejected() | Expired() | Withdrawn() | Cancelled():
            return "denied"
        case Unsent():
            return "unreachable"
        case Lost():
            return "in doubt" if record.call.acts else "unreachable"
        case Resolved():
            return "settled"


def line(fact: Fact) -> str:  # noqa: C901, PLR0911, PLR0912 - one sentence per fact
    """What happened, in one sentence."""
    match fact:
        case Admitted(call=call):
            on = f" on {call.resource}" if call.resource else ""
            run = f" in run {call.run}" if call.run else ""
            why = f", saying {quoted(call.reason, LONGEST)}" if call.reason else ""
            return f"{call.agent} asked for {call.tool}{on} ({call.method}, {call.effect}){run}{why}"
        case Attached():
            return "another request turned out to be this call; its key leads here too"
        case Judged(verdict=verdict):
            return _judged(fact) + (f"; shadow: {', '.join(verdict.shadow)}" if verdict.shadow else "")
        case Asked(requirements=requirements, notices=notices, expire=expire):
            groups = ", ".join(dict.fromkeys(item.group for item in requirements))
            return f"{groups} was asked ({_count(notices)}); open for {span(expire)}"
        case Previewed():
            return _previewed(fact)
        case Notified(done=True, digest=digest, status=status) if digest:
            return f"told in a digest of what waits ({status}, {digest})"
        case Notified(done=True, status=status, attempt=attempt):
            return f"notice delivered ({status}, attempt {attempt})"
        case Notified(error=error, attempt=attempt, last=last):
            return f"notice not delivered (attempt {attempt}{', the last' if last else ''}): {error}"
        case Reminded(group=group, notices=notices):
            return f"{group} was reminded ({_count(notices)})"
        case Escalated(group=group, to=to, notices=notices):
            return f"nobody decided for {group} yet: escalated to {', '.join(to)} ({_count(notices)})"
        case Approved(group=group, via=via, reason=reason):
            return f"{_who(fact)} approved for {group}, {via}{_saying(reason)}"
        case Retracted(by=by, group=group, via=via):
            return f"{by} took the approval for {group} back, {via}"
        case Edited():
            return _edited(fact)
        case Rejected(group=group, via=via, reason=reason):
            return f"{_who(fact)} rejected for {group}, {via}{_saying(reason)}"
        case Cancelled(by=by, via=via, reason=reason):
            return f"{by} cancelled it, {via}{_saying(reason)}"
        case Reported(kind=kind, notices=notices):
            return f"those who were asked hear of the end: {kind} ({_count(notices)})"
        case Expired():
            return "nobody decided in time"
        case Withdrawn():
            return "the agent withdrew it"
        case Claimed(lease=lease):
            return f"may be sent once within {span(lease)}"
        case Unsent(error=error):
            return f"provably never sent: {error}"
        case Lost(error=error):
            return f"sent, outcome unknown: {error}"
        case Answered(status=status, length=length, withheld=withheld):
            size = "streaming" if length < 0 else f"{length} bytes"
            return f"the system answered {status} ({'withheld: it carried the credential' if withheld else size})"
        case Ended(length=length, whole=whole):
            return f"the body ended after {length} bytes" if whole else f"the body broke off after {length} bytes"
        case Abandoned():
            return "the requester went away before it had the answer"
        case Delivered(polled=polled):
            return "the agent saw the answer at /calls" if polled else "the answer was handed over"
        case Resolved(by=by, acted=acted, note=note):
            return f"{by} settled the doubt: it {'acted' if acted else 'did not act'}" + (
                f" ({quoted(note, LONGEST)})" if note else ""
            )
        case Recorded():
            return _recorded(fact)
        case Viewed(by=by, via=via):
            return f"{by} was shown what it would do, {via}"
        case _:
            assert_never(fact)


def _count(notices: tuple[Notice, ...]) -> str:
    return f"{len(notices)} notice" + ("" if len(notices) == 1 else "s")


def _edited(fact: Edited) -> str:
    now = f", now on {fact.resource}" if fact.resource else ""
    return f"{_who(fact)} changed {', '.join(fact.changed)} for {fact.group}{now}, {fact.via}{_saying(fact.reason)}"


def _who(fact: Approved | Edited | Rejected) -> str:
    return f"{fact.by}, for {fact.on_behalf} who is away," if fact.on_behalf else fact.by


def _saying(reason: str) -> str:
    return f": {quoted(reason, LONGEST)}" if reason else ""


def _previewed(fact: Previewed) -> str:
    if fact.changed:
        why = f" ({fact.failed})" if fact.failed else ""
        return f"{fact.name} has changed since it was shown: {', '.join(fact.changed)}{why}; the votes so far are void"
    if fact.failed:
        then = "; nothing is sent until it can be" if fact.again else ""
        return f"{fact.name} could not be looked at{' again' if fact.again else ''}: {fact.failed}{then}"
    seen = "is still as it was shown" if fact.again else "was looked at for the approvers"
    return f"{fact.name} {seen} (call {fact.call})"


def _recorded(fact: Recorded) -> str:
    what = {"input": "what was asked", "edited": "what was made of it", "output": "what was answered"}[fact.part]
    if fact.how == "digest":
        return f"no copy of {what} is kept, only its digest: {fact.why}"
    masked = f", with {', '.join(fact.masked)} masked" if fact.masked else ""
    return f"a copy of {what} is kept for {span(fact.keep)}{masked} ({fact.how}, {fact.size} bytes)"


def _judged(fact: Judged) -> str:
    verdict = fact.verdict
    names = ", ".join(verdict.policies) or verdict.code
    match verdict.decision:
        case "allow":
            granted = {item.policy: f"{item.grant} of {' and '.join(item.by)}" for item in verdict.granted}
            lifted = ", ".join(
                f"{item.policy} by {granted.get(item.policy, item.group)}" for item in verdict.requirements
            )
            return f"allowed by {names}" + (f", lifting {lifted}" if lifted else "")
        case "hold":
            needs = ", ".join(f"{item.policy} needs {item.group}" for item in verdict.requirements)
            return f"held: {needs}"
        case "deny":
            return f"denied by {names}" + (f": {' '.join(verdict.reasons)}" if verdict.reasons else "")


def timeline(facts: list[Fact]) -> list[dict[str, object]]:
    """Every fact as `{at, fact, text}`, oldest first."""
    return [{"at": iso(fact.at), "fact": type(fact).__name__, "text": line(fact)} for fact in facts]
