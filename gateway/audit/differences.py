"""Two calls side by side, or what was asked against what was executed. Pure: facts in, rows out.

Values of arguments are not in facts, so an edit is shown by the names of what changed and by the digests of before and
after; the kept copies, where a tool has them, hold the values.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gateway.core.facts import (
    Admitted,
    Answered,
    Approved,
    Asked,
    Cancelled,
    Claimed,
    Edited,
    Ended,
    Fact,
    Judged,
    Rejected,
    Resolved,
)
from gateway.core.one_line import quoted, value, visible
from gateway.core.record import recall
from gateway.core.timeline import state
from gateway.core.times import moment, span


class Line(NamedTuple):
    """One thing about both."""

    about: str
    one: str
    other: str

    @property
    def differs(self) -> bool:
        return self.one != self.other


def side_by_side(one: Sequence[Fact], other: Sequence[Fact]) -> list[Line]:
    """What can be said of both calls, line by line, in an order. Raises ValueError of what is no life of a call."""
    left, right = dict(_profile(one)), dict(_profile(other))
    return [Line(name, left.get(name, ""), right.get(name, "")) for name in dict.fromkeys((*left, *right))]


def _profile(facts: Sequence[Fact]) -> Iterator[tuple[str, str]]:
    record = recall(facts)
    call = record.call
    yield "state", state(record)
    yield "begun", moment(facts[0].at)
    yield "took", span(facts[-1].at - facts[0].at)
    for name, text in (
        ("agent", call.agent), ("user", call.user or ""), ("run", call.run or ""), ("from", call.source_ip),
        ("tool", call.tool), ("effect", call.effect), ("method", call.method), ("resource", call.resource),
    ):  # fmt: skip
        yield name, value(text) if text else "-"
    yield "agent's own words", quoted(call.reason, 500) if call.reason else "-"
    yield "request asked for", call.fingerprint
    yield "request sent", _joined([fact.fingerprint for fact in facts if isinstance(fact, Claimed)])
    yield "same intent", call.match or "-"
    verdicts = [fact for fact in facts if isinstance(fact, Judged)]
    yield "verdicts", visible(_joined([f"{fact.verdict.decision} by {_policies(fact)}" for fact in verdicts]))
    yield "generations", _joined([fact.generation for fact in verdicts])
    groups = [item.group for fact in facts if isinstance(fact, Asked) for item in fact.requirements]
    yield "asked", visible(_joined(groups))
    yield "decided", visible(_joined([_decision(fact) for fact in facts]))
    answers = [fact for fact in facts if isinstance(fact, Answered)]
    yield "answer", _joined([str(fact.status) for fact in answers])
    bodies = [fact for fact in facts if isinstance(fact, Answered | Ended) and fact.length >= 0]
    yield "answer's bytes", _joined([str(fact.length) for fact in bodies])
    yield "answer's SHA-256", _joined([fact.sha256 for fact in bodies])
    yield "facts", visible(" ".join(type(fact).__name__ for fact in facts))


def _policies(fact: Judged) -> str:
    return ", ".join(fact.verdict.policies) or fact.verdict.code or "no policy"


def _decision(fact: Fact) -> str:
    match fact:
        case Approved() | Rejected():
            return f"{fact.by} {'yes' if isinstance(fact, Approved) else 'no'} for {fact.group}"
        case Edited():
            return f"{fact.by} changed {', '.join(fact.changed)}"
        case Cancelled():
            return f"{fact.by} cancelled"
        case Resolved():
            return f"{fact.by} settled: {'acted' if fact.acted else 'did not act'}"
        case _:
            return ""


def _joined(found: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, found))) or "-"


def asked_and_executed(facts: Sequence[Fact]) -> Iterator[str]:
    """Whether what was sent is what the agent asked for, and who made the difference. Raises ValueError."""
    record = recall(facts)
    first = facts[0]
    assert isinstance(first, Admitted), "recall looked"
    asked, sent = first.call.fingerprint, [fact for fact in facts if isinstance(fact, Claimed)]
    yield f"asked for  {asked}"
    edits = [fact for fact in facts if isinstance(fact, Edited)]
    for edit in edits:
        why = f": {quoted(edit.reason, 500)}" if edit.reason else ""
        yield visible(f"  {moment(edit.at)}  {edit.by}, for {edit.group}, changed {', '.join(edit.changed)}{why}")
        yield f"  from     {edit.before}"
        yield f"  to       {edit.fingerprint}"
    for claim in sent:
        yield f"sent       {claim.fingerprint}"
    yield _conclusion(asked, [claim.fingerprint for claim in sent], edits, read=not record.call.acts)


def _conclusion(asked: str, sent: Sequence[str], edits: Sequence[Edited], *, read: bool) -> str:
    if not sent:
        return "It was a read, sent as it was asked for." if read and not edits else "Nothing was sent."
    if all(each == asked for each in sent):
        return "What was sent is exactly what was asked for."
    if edits and all(each == edits[-1].fingerprint for each in sent):
        names = ", ".join(dict.fromkeys(name for edit in edits for name in edit.changed))
        return visible(f"What was sent is what people made of it. Other than asked for: {names}. All else is the same.")
    return (
        "What was sent is not what was asked for, and no edit explains it: where it leads, the credential or the "
        "form of the request had changed with the configuration, and it was judged anew as it was sent."
    )
