"""Standing grants: "the same tool, by this agent, up to this bound, until this time", and which forbid each one meets.

A grant is given by people who are being asked about a call, so that they are not asked about the next one. It is one
Cedar permit (`gateway.config.grant_text` writes it), kept in a set of its own: it permits nothing by itself, and when
it matches, the requirement of the one forbid that it names is met, as if its group had voted. It must never meet
anything else: not an edited forbid, not another group's, not for another agent or tool, not for a tool whose
arguments or address have changed since, not after its end, not once it is revoked, and not on the word of people who
could not approve that very call today.

A grant has facts of its own. They are written into the ledger of the agent's partition beside those of its calls, by
the same codec, and like those they carry no argument: the text, which does, is kept beside them and leaves with the
grant's end or revocation. The id is an HMAC over everything that the grant says, so equal ids mean the same grant,
and a quorum is reached by as many people giving the same one.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.core.approval import voters
from gateway.core.call import FORMAT, joined, partition_of
from gateway.core.record import BLANK, Record
from gateway.core.routes import Group, Routes, System, Tool, Variable
from gateway.core.value import keyword_value
from gateway.core.verdict import Lifted, Requirement

KEPT_MS = 30 * 24 * 3_600_000
"""How long a grant that is over can still be listed. The ledger keeps it for ever."""
PREFIX = "grant-"


class NotGrantable(Exception):
    """There can be no such grant. The sentence says why, without a full stop, and never repeats a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a person wants to allow beyond the call at hand. Every argument that is not named must be the same."""

    bounds: Mapping[str, int]
    """Arguments, whole numbers, that may be anything from 0 to this."""
    free: frozenset[str]
    """Arguments that may be anything at all."""
    until: int
    """Milliseconds since the epoch."""


@keyword_value
class Granted:
    """A person gave this grant. The first such fact made it; others add to its quorum."""

    grant: str
    agent: str
    tool: str
    shape: str
    """Digest of the tool, its arguments and where it leads, as they were (`shape`)."""
    requirement: Requirement
    """The forbid that it meets."""
    until: int
    """Milliseconds since the epoch."""
    by: str
    via: str
    call: str
    """The question at which it was given, and what was shown there."""
    fingerprint: str
    at: int = 0


@keyword_value
class Revoked:
    """It meets nothing any more. Final."""

    grant: str
    by: str
    at: int = 0


GrantFact = Granted | Revoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the facts of one grant amount to."""

    id: str
    agent: str
    tool: str
    shape: str
    requirement: Requirement
    until: int
    given: tuple[Granted, ...]
    """By different people, the first one first."""
    revoked: Revoked | None = None
    text: str = ""
    """The permit. Empty once the grant is over."""

    @property
    def begun(self) -> int:
        return self.given[0].at

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(fact.by for fact in self.given)

    def standing(self, now: int) -> str:
        """`revoked`, `ended` or `open`, as far as its facts alone say."""
        if self.revoked is not None:
            return "revoked"
        return "ended" if now >= self.until else "open"


def recall_grant(facts: Iterable[GrantFact], text: str = "") -> Grant | None:
    """The grant that these facts, oldest first, amount to; None if there are none."""
    given: list[Granted] = []
    revoked: Revoked | None = None
    for fact in facts:
        match fact:
            case Granted() if all(fact.by != other.by for other in given):
                given.append(fact)
            case Revoked():
                revoked = revoked or fact
            case _:
                pass
    if not given:
        return None
    first = given[0]
    return Grant(
        id=first.grant, agent=first.agent, tool=first.tool, shape=first.shape, requirement=first.requirement,
        until=first.until, given=tuple(given), revoked=revoked, text=text if revoked is None else "",
    )  # fmt: skip


def grant_id(key: bytes, agent: str, parts: Sequence[str]) -> str:
    """`grant-` and the partition of the agent, then an HMAC, under the deployment's key, of everything it says.

    Under a key, because an argument that few values are possible for could otherwise be guessed from the id.
    """
    told = joined([FORMAT, b"grant", agent.encode(), *(part.encode("utf-8", "surrogatepass") for part in parts)])
    return f"{PREFIX}{partition_of(agent):02d}{hmac.new(key, told, 'sha256').hexdigest()[:22]}"


def is_grant_id(text: str) -> bool:
    digits = text.removeprefix(PREFIX)
    hexadecimal = all(digit in "0123456789abcdef" for digit in digits)
    return text.startswith(PREFIX) and len(digits) == 24 and digits[:2].isdecimal() and hexadecimal


def partition_in(grant: str) -> str:
    """Two digits."""
    return grant[len(PREFIX) : len(PREFIX) + 2]


def shape(system: System, tool: Tool) -> str:
    """Digest of what the tool is and where its requests go: a grant was given for that, and for nothing that replaces
    it. A new optional argument, for example, is one that no earlier grant says anything about."""
    template = [[part.name, part.rest, part.encoded] if isinstance(part, Variable) else part for part in tool.template]
    arguments = [[each.name, each.place, each.optional, each.schema] for each in tool.parameters]
    told = [
        tool.name, tool.method, template, tool.effect, tool.body, arguments, tool.open, tool.resource_type,
        tool.resource_id, system.name, system.origin, system.base_path, str(system.credential or ""),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def stands(grant: Grant, record: Record, routes: Routes, *, now: int) -> bool:
    """True if this grant may meet its forbid for this call, whatever its text says."""
    call = record.call
    return (grant.agent, grant.tool) == (call.agent, call.tool) and not obstacle(grant, record, routes, now=now)


def obstacle(grant: Grant, record: Record, routes: Routes, *, now: int) -> str:
    """Why this grant meets nothing for this call of its agent, as a sentence without full stop; empty if it may.

    It must be open, about the tool as it is today, and given by as many people as its group wants, each of whom could
    approve this very call today.
    """
    group, tool = routes.groups.get(grant.requirement.group), routes.tool(grant.tool)
    if (standing := grant.standing(now)) != "open":
        return f"it is {standing}"
    if tool is None or shape(routes.systems[tool.system], tool) != grant.shape:
        return "the tool, its arguments or where it leads have changed since it was given"
    if group is None or now >= grant.begun + round(group.standing_seconds * 1000):
        return f"{grant.requirement.group!r} does not allow grants that last so long any more"
    lacking = group.quorum - len(_supporters(grant, record, routes))
    return f"it takes {lacking} more of {group.name!r} who give the same grant" if lacking > 0 else ""


def about_nobody(grant: Grant) -> Record:
    """A call that the grant could be about, on behalf of no user."""
    system = grant.tool.partition(".")[0]
    return BLANK.evolve(call=replace(BLANK.call, agent=grant.agent, system=system, tool=grant.tool))


def _supporters(grant: Grant, record: Record, routes: Routes) -> set[str]:
    """Who could approve this call today; that somebody is away since they gave the grant does not matter."""
    group = routes.groups[grant.requirement.group]
    return {fact.by for fact in grant.given if may_give(record, group, fact.by, routes, at=fact.at)}


def may_give(record: Record, group: Group, person: str, routes: Routes, *, at: int) -> bool:
    """True if that member could approve this call in their own right: a grant reaches beyond the call, so no delegate
    gives one, nor somebody to whom only this question was escalated."""
    return person in group.members and person in voters(record, group, routes, at=at)


def lifted(
    grants: Iterable[Grant], requirements: Sequence[Requirement], record: Record, fingerprint: str, routes: Routes
) -> Mapping[Requirement, Lifted]:
    """Of the unmet requirements those that these grants, which stand and match, meet.

    One person counts once per call, for one group only, by vote or by grant: the vote comes first, then the older
    grant.
    """
    sides: dict[str, str] = {}
    for vote in record.votes:
        if vote.fingerprint == fingerprint:
            sides.setdefault(vote.by, vote.group)
    found: dict[Requirement, Lifted] = {}
    for grant in sorted(grants, key=lambda item: (item.begun, item.id)):
        requirement = grant.requirement
        if requirement not in requirements or requirement in found:
            continue
        able = _supporters(grant, record, routes)
        group = requirement.group
        people = [each for each in grant.people if each in able and sides.get(each, group) == group]
        if len(people) >= routes.groups[group].quorum:
            sides |= dict.fromkeys(people, group)
            found[requirement] = Lifted(grant=grant.id, policy=requirement.policy, by=tuple(people))
    return found
