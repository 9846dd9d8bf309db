"""The part of a call's story that is about people: who was asked, who saw it, who decided what, and on whose word."""

from collections.abc import Iterator, Sequence

from gateway.core.facts import (
    Approved,
    Asked,
    Cancelled,
    Edited,
    Escalated,
    Expired,
    Fact,
    Notice,
    Notified,
    Previewed,
    Rejected,
    Reminded,
    Reported,
    Retracted,
    Viewed,
    Withdrawn,
)
from gateway.core.one_line import quoted, value
from gateway.core.record import Record
from gateway.core.times import iso, moment

LONGEST = 500
"""Characters of what somebody wrote that are shown: an agent's why is not longer (design section 8)."""
Row = tuple[str, str]
"""What it is about, or when it was, and a sentence."""


def asked(facts: Sequence[Fact]) -> Iterator[Row]:
    notices = {item.id: item for fact in facts for item in getattr(fact, "notices", ())}
    for fact in facts:
        match fact:
            case Asked():
                groups = ", ".join(dict.fromkeys(item.group for item in fact.requirements))
                until = iso(fact.at + fact.expire)
                yield moment(fact.at), f"{groups} was asked about request {fact.fingerprint[:12]}; open until {until}"
            case Previewed():
                yield moment(fact.at), _preview(fact)
            case Notified():
                yield moment(fact.at), _notice(fact, notices.get(fact.notice))
            case Reminded():
                yield moment(fact.at), f"{fact.group} was reminded, because nobody had decided"
            case Escalated():
                people = ", ".join(fact.to)
                yield moment(fact.at), f"nobody had decided for {fact.group}: {people} may decide too from now on"
            case Viewed():
                saw = fact.fingerprint[:12]
                yield moment(fact.at), f"{fact.by} was shown the arguments of request {saw}; authentication: {fact.via}"
            case Reported():
                yield moment(fact.at), f"those who were asked were to hear how it ended ({fact.kind})"
            case _:
                pass


def _preview(fact: Previewed) -> str:
    if fact.changed:
        changed = ", ".join(fact.changed)
        return f"{fact.name}, which they had been shown, had changed ({changed}): the votes so far did not count"
    if fact.failed:
        return f"{fact.name} could not be looked at for them: {quoted(fact.failed, LONGEST)}"
    seen = "was looked at again and was as they had seen it" if fact.again else "was looked up and shown to them"
    return f"{fact.name} {seen} (call {fact.call}, digest {fact.digest})"


def _ordinal(index: int) -> str:
    return ("first", "second", "third")[index] if index < 3 else f"{index + 1}th"


def _notice(fact: Notified, notice: Notice | None) -> str:
    whom = f"the {_ordinal(notice.channel)} channel of {notice.group}" if notice else "a channel"
    also = f" for {', '.join(notice.to)}" if notice and notice.to else ""
    kind = notice.kind if notice else "notice"
    if not fact.done:
        return f"{kind} did not reach {whom}{also} (attempt {fact.attempt}): {quoted(fact.error, LONGEST)}"
    how = f" in digest {fact.digest}" if fact.digest else ""
    return f"{kind} was accepted by {whom}{also}{how} (status {fact.status})"


def decided(record: Record, facts: Sequence[Fact]) -> Iterator[Row]:
    for fact in facts:
        match fact:
            case Approved():
                yield moment(fact.at), f"{_who(fact)} said yes for {fact.group}{_how(fact)}{_void(fact, record)}"
            case Edited():
                changed = ", ".join(fact.changed)
                became = f"request {fact.before[:12]} became {fact.fingerprint[:12]}"
                about = f", which is about {value(fact.resource, LONGEST)}" if fact.resource else ""
                yield moment(fact.at), f"{_who(fact)} changed {changed} for {fact.group}{_how(fact)}; {became}{about}"
            case Rejected():
                yield moment(fact.at), f"{_who(fact)} said no for {fact.group}{_how(fact)}"
            case Retracted():
                yield moment(fact.at), f"{fact.by} took back the yes for {fact.group}; authentication: {fact.via}"
            case Cancelled():
                why = f": {quoted(fact.reason, LONGEST)}" if fact.reason else ""
                yield moment(fact.at), f"{fact.by} cancelled it; authentication: {fact.via}{why}"
            case Expired():
                yield moment(fact.at), "nobody had decided in time, so it expired"
            case Withdrawn():
                yield moment(fact.at), "the agent took it back"
            case _:
                pass


def _who(fact: Approved | Edited | Rejected) -> str:
    return f"{fact.by}, for {fact.on_behalf} who was away," if fact.on_behalf else fact.by


def _how(fact: Approved | Edited | Rejected) -> str:
    """To what they said it, who vouches that it was them, and why they said so."""
    to = f" to request {fact.fingerprint[:12]}" if not isinstance(fact, Edited) else ""
    message = f" in message {fact.message}" if fact.message else ""
    why = f": {quoted(fact.reason, LONGEST)}" if fact.reason else ""
    return f"{to}; authentication: {fact.via}{message}{why}"


def _void(vote: Approved, record: Record) -> str:
    last = record.latest.fingerprint if record.latest else record.edits[-1].fingerprint if record.edits else ""
    if not any(kept is vote for kept in record.votes):
        return " (it did not count: it was taken back, or came when nothing could be decided any more)"
    return " (it did not count: the request was changed afterwards)" if last and vote.fingerprint != last else ""
