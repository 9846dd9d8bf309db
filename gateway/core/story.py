"""A call's whole story for an auditor: who wanted what, what the policies said, who decided, what was sent, what came
back, how it ended. Pure words over facts; nothing of the payload, which facts carry only digests of.

`timeline` says each fact in one line, for whoever knows the gateway. This answers the questions of somebody who does
not, in sections. What an agent or a system wrote stands in quotes that it cannot close, and what the agent says of
itself is marked as its words. Every fact is told in some section: a test holds that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core.call import Call
from gateway.core.deployment import DEPLOYMENT
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Attached,
    Claimed,
    Delivered,
    Ended,
    Fact,
    Judged,
    Lost,
    Recorded,
    Resolved,
    Unsent,
)
from gateway.core.one_line import quoted, value, visible
from gateway.core.record import Record, recall
from gateway.core.segments import traces_of
from gateway.core.story_people import LONGEST, Row, asked, decided
from gateway.core.timeline import state
from gateway.core.times import moment, span

EFFECTS = {"read": "it only reads", "write": "it changes something", "destructive": "it destroys something"}
ENDINGS = {
    "answered": "The system answered.",
    "denied": "Nothing was sent to the system.",
    "unreachable": "It could not be sent, or was a read that got no answer: nothing happened at the system.",
    "in doubt": "It was sent, and nobody knows yet whether it took effect. It is never sent again by itself.",
    "settled": "It was sent, nobody knew whether it took effect, and a person found out.",
    "held": "It is not over: it waits for people.",
    "executing": "It is not over: it is being sent.",
    "judging": "It is not over: the policies have to judge it.",
}
"""By the state of a call (`timeline.state`)."""
PARTS = {"input": "what was asked", "edited": "what people made of it", "output": "what was answered"}
"""Of a copy that is kept."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Copies of the call were destroyed before their time: a fact of the deployment, not of the call."""

    at: int
    """Milliseconds since the epoch."""
    by: str
    reason: str
    leaf: int
    """In the deployment's log."""

    def __str__(self) -> str:
        """As a clause."""
        why = f": {quoted(self.reason, LONGEST)}" if self.reason else ""
        return visible(f"erased {moment(self.at)} at the word of {self.by}{why} (log {DEPLOYMENT}, leaf {self.leaf})")


def erasure_of(fact: Recorded, erasures: Sequence[Erasure]) -> Erasure | None:
    """The one that the copy which this fact speaks of fell to."""
    return next((each for each in erasures if each.at >= fact.at), None)


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    rows: tuple[Row, ...]
    """What each is about, or when it was, and a sentence. Nothing in them needs escaping for a terminal."""


def story(facts: Sequence[Fact], erasures: Sequence[Erasure] = ()) -> tuple[Section, ...]:
    """The sections that these facts of one call, oldest first, have something to say in. `erasures`: of its copies.

    Raises ValueError if they do not begin with the call's admission.
    """
    record, asked_for = recall(facts), recall(facts[:1]).call
    told = (
        ("Who asked", _asking(asked_for, facts)),
        ("For what", _wanted(asked_for, facts)),
        ("What the policies said", _policies(facts)),
        ("Who was asked", asked(facts)),
        ("Who decided", decided(record, facts)),
        ("What was sent", _sent(record, facts)),
        ("What came back", _came_back(facts)),
        ("How it ended", _ended(record, facts)),
        ("What is kept of it", _kept(facts, erasures)),
    )
    sections = (
        Section(heading, tuple((visible(name), visible(text)) for name, text in rows)) for heading, rows in told
    )
    return tuple(section for section in sections if section.rows)


def _asking(call: Call, facts: Sequence[Fact]) -> Iterator[Row]:
    yield "agent", call.agent
    yield "on behalf of", value(call.user) if call.user else "no user was named"
    if call.run:
        yield "run", value(call.run)
    if call.source_ip:
        yield "from", call.source_ip
    yield "when", moment(facts[0].at)
    words = quoted(call.reason, LONGEST) if call.reason else ""
    yield "its own words", f"{words} (the agent wrote this; nobody checked it)" if words else "it gave none"
    for trace in traces_of(facts):
        yield "trace", f"{trace.trace_id}, span {trace.span_id}"


def _wanted(call: Call, facts: Sequence[Fact]) -> Iterator[Row]:
    yield "tool", f"{call.tool} of {call.system}"
    yield "effect", f"{call.effect}: {EFFECTS.get(call.effect, 'unknown to this version')} ({call.method})"
    yield "resource", value(call.resource, LONGEST) if call.resource else "the system as a whole"
    yield "request", f"{call.fingerprint} (its fingerprint: whatever would be sent, where, and under which credential)"
    for fact in facts:
        if isinstance(fact, Attached):
            yield moment(fact.at), "another request turned out to be this call: the agent repeated itself"


def _policies(facts: Sequence[Fact]) -> Iterator[Row]:
    generations: dict[str, None] = {}
    for fact in facts:
        if isinstance(fact, Judged):
            generations[fact.generation] = None
            yield moment(fact.at), f"{_verdict(fact)}; generation {fact.generation[:12]}"
            if fact.verdict.shadow:
                yield "", f"not enforced (shadow), but it matched: {', '.join(fact.verdict.shadow)}"
    for generation in generations:
        yield f"generation {generation[:12]}", f"{generation} (digest of routes, schema and policies)"


def _verdict(fact: Judged) -> str:
    verdict = fact.verdict
    reasons = dict(zip(verdict.policies, verdict.reasons, strict=False))
    named = [f"{name}{_reason(name, reasons.get(name, ''))}" for name in verdict.policies]
    by = f" by {', '.join(named)}" if named else ""
    match verdict.decision:
        case "allow":
            granted = {item.policy: item for item in verdict.granted}
            lifted = [
                f"{item.policy} by {_lifter(granted[item.policy].by)} in standing grant {granted[item.policy].grant}"
                if item.policy in granted
                else f"{item.policy} by the approval of {item.group}"
                for item in verdict.requirements
            ]
            return f"allowed{by}" + (f"; lifted: {', '.join(lifted)}" if lifted else "")
        case "hold":
            needs = [f"{item.policy} needs a yes of {item.group}" for item in verdict.requirements]
            return f"held{by}: {', '.join(needs)}"
        case "deny":
            return f"denied{by}" + (f" (code {verdict.code})" if verdict.code else "")


def _reason(policy: str, reason: str) -> str:
    """What its author gave as one; a policy without any is said to be what it is, and its name says that already."""
    return "" if not reason or reason.startswith(f'Policy "{policy}" ') else f" ({quoted(reason, LONGEST)})"


def _lifter(people: Iterable[str]) -> str:
    return " and ".join(people)


def _sent(record: Record, facts: Sequence[Fact]) -> Iterator[Row]:
    """Every claim, and whether it is what people said yes to."""
    voted = {vote.fingerprint for vote in record.votes}
    sends = 0
    for fact in facts:
        match fact:
            case Claimed():
                sends += 1
                bound = ", exactly what people approved" if fact.fingerprint in voted else ""
                again = "again, which the system takes for the same by its key, " if sends > 1 else ""
                by = f" by process {fact.worker}" if fact.worker else ""
                yield moment(fact.at), f"request {fact.fingerprint[:12]}{bound}, was to be sent {again}once{by}"
            case Answered(token="") if not record.tokens:
                yield moment(fact.at), f"the read was sent to {record.call.system}; a read needs no claim"
            case _:
                pass
    if sends:
        yield "fingerprint", " and ".join(dict.fromkeys(f.fingerprint for f in facts if isinstance(f, Claimed)))


def _came_back(facts: Sequence[Fact]) -> Iterator[Row]:
    for fact in facts:
        match fact:
            case Answered():
                yield moment(fact.at), _answer(fact)
            case Ended():
                how = "ended" if fact.whole else "broke off"
                yield moment(fact.at), f"the body {how} after {fact.length} bytes; SHA-256 {fact.sha256}"
            case Unsent():
                yield moment(fact.at), f"provably not one byte was sent: {quoted(fact.error, LONGEST)}"
            case Lost():
                status = f" (status {fact.status}, which proves nothing)" if fact.status else ""
                yield moment(fact.at), f"nobody knows what came of it: {quoted(fact.error, LONGEST)}{status}"
            case _:
                pass


def _answer(fact: Answered) -> str:
    size = "a body that streams" if fact.length < 0 else f"{fact.length} bytes"
    digest = f", SHA-256 {fact.sha256}" if fact.sha256 else ""
    withheld = "; it held the credential, so the agent never got it" if fact.withheld else ""
    return f"the system answered {fact.status} with {size}{digest}{withheld}"


def _ended(record: Record, facts: Sequence[Fact]) -> Iterator[Row]:
    now = state(record)
    yield "state", f"{now}. {ENDINGS[now]}"
    for fact in facts:
        match fact:
            case Resolved():
                what = "it took effect" if fact.acted else "it did not take effect"
                note = f": {quoted(fact.note, LONGEST)}" if fact.note else ""
                yield moment(fact.at), f"{fact.by} settled the doubt: {what}{note}"
            case Abandoned():
                yield moment(fact.at), "the agent had gone away before it had the answer"
            case Delivered():
                how = "the agent saw how it ended by asking for it" if fact.polled else "the agent got the answer"
                yield moment(fact.at), how
            case _:
                pass
    if record.answer is not None and record.resolved is not None and not record.resolved.acted:
        yield "contradiction", f"{record.resolved.by} had found that it did not act, and then the system answered"
    first, last = facts[0], facts[-1]
    if isinstance(first, Admitted) and len(facts) > 1:
        yield "facts", f"{len(facts)}, over {span(last.at - first.at)}"


def _kept(facts: Sequence[Fact], erasures: Sequence[Erasure]) -> Iterator[Row]:
    for fact in facts:
        if isinstance(fact, Recorded):
            part = PARTS[fact.part]
            if fact.how == "digest":
                yield moment(fact.at), f"no copy of {part}, only its digest: {fact.why}"
                continue
            masked = f", without {', '.join(fact.masked)}" if fact.masked else ""
            erased = erasure_of(fact, erasures)
            end = erased or f"until {moment(fact.at + fact.keep)}"
            yield moment(fact.at), f"a copy of {part}{masked}: {fact.size} bytes, digest {fact.digest}, {end}"
