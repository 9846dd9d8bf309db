"""What somebody looks for in the record, as the form says it: a value, and whether a call is one of those.

The index over the sealed log answers the same question for what is sealed; this is for what is not yet, and for a host
that has no log. The two must agree on what each field means: `gateway.ledger.index`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from gateway.core.facts import Admitted, Approved, Cancelled, Edited, Fact, Judged, Rejected, Resolved, Retracted
from gateway.core.record import recall
from gateway.core.timeline import state, state_named

STATES = ("answered", "denied", "unreachable", "in doubt", "settled", "held", "executing", "judging")
LONGEST = 300
"""Characters of a field."""


class OddQuery(ValueError):
    """A field of the form is not what it must be; the message is a clause that says which."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty fields are not asked about."""

    call: str = ""
    """The id, or how it begins."""
    agent: str = ""
    user: str = ""
    run: str = ""
    tool: str = ""
    system: str = ""
    resource: str = ""
    """What it was about, `Account/acme`."""
    outcome: str = ""
    """One of STATES."""
    person: str = ""
    """Who had a say: voted, edited, cancelled, settled a doubt; or in whose place somebody did."""
    policy: str = ""
    """`@id` of a policy that decided, held, was lifted, or matched in shadow."""
    since: int = 0
    """Begun at this time or later; milliseconds since the epoch."""
    until: int = 0
    """Begun before this time."""

    @property
    def anything(self) -> bool:
        return self != Wanted()

    def form(self) -> dict[str, str]:
        """What the fields of the form hold."""
        found = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return found | {name: _written(getattr(self, name)) for name in ("since", "until")}

    def query(self, **more: str) -> str:
        """The same as it stands behind a `?`."""
        told = {name: value for name, value in self.form().items() if value}
        return urlencode(told | {name: value for name, value in more.items() if value})


def wanted(query: Mapping[str, str]) -> Wanted:
    """What the form asks for. Raises OddQuery."""
    texts = {name: query.get(name, "").strip() for name in _TEXTS}
    for name, text in texts.items():
        if len(text) > LONGEST:
            raise OddQuery(f"{name} has more than {LONGEST} characters")
    texts["outcome"] = state_named(texts["outcome"])
    if texts["outcome"] and texts["outcome"] not in STATES:
        raise OddQuery(f"outcome is none of {', '.join(STATES)}")
    times = {name: _read(query.get(name, ""), name) for name in ("since", "until")}
    found: dict[str, Any] = {**texts, **times}
    return Wanted(**found)


def matches(told: Wanted, facts: Sequence[Fact]) -> bool:
    """True if a call that has these facts is one of those."""
    record = recall(facts)
    call = record.call
    return (
        call.id.startswith(told.call)
        and told.agent in ("", call.agent)
        and told.user in ("", call.user)
        and told.run in ("", call.run)
        and told.tool in ("", call.tool)
        and told.system in ("", call.system)
        and told.resource in ("", call.resource, _asked(facts[0]))
        and told.outcome in ("", state(record))
        and (not told.person or told.person in people(facts))
        and (not told.policy or told.policy in policies(facts))
        and told.since <= facts[0].at
        and (not told.until or facts[0].at < told.until)
    )


def _asked(first: Fact) -> str:
    """What the agent asked about, which a person may have changed since."""
    return first.call.resource if isinstance(first, Admitted) else ""


def people(facts: Sequence[Fact]) -> Iterator[str]:
    """Everybody who had a say."""
    for fact in facts:
        match fact:
            case Approved() | Edited() | Rejected():
                yield from filter(None, (fact.by, fact.on_behalf))
            case Cancelled() | Retracted() | Resolved():
                yield fact.by


def policies(facts: Sequence[Fact]) -> Iterator[str]:
    for fact in facts:
        if isinstance(fact, Judged):
            verdict = fact.verdict
            yield from (*verdict.policies, *verdict.shadow)
            yield from (item.policy for item in verdict.requirements)


_TEXTS = tuple(field.name for field in fields(Wanted) if field.name not in ("since", "until"))


def _read(text: str, name: str) -> int:
    """A time as forms write it, `2026-11-27T09:15`, in UTC; 0 if there is none."""
    if not text.strip():
        return 0
    try:
        found = datetime.fromisoformat(text.strip())
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return round(found.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise OddQuery(f"{name} is not a time like 2026-11-27T09:15") from error


def _written(milliseconds: int) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00")
