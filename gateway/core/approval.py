"""Whose yes counts, for what, and which forbids the recorded votes meet today.

Membership, quorum and separation of duties are checked when a vote is cast (`may_vote`) and again at every judging
(`met`), with the routes of that moment, so a member who left in between no longer counts. A vote meets only the
requirements that its notice named, under the fingerprint it named; one person counts once per call.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.call import FORMAT, Call, joined
from gateway.core.facts import Approved, Judged
from gateway.core.record import Record
from gateway.core.routes import Agent, Group, Person, Routes, Way
from gateway.core.times import iso
from gateway.core.verdict import Requirement


class Stale(Exception):
    """The question is no longer open, or no longer the one that was shown. Nothing was recorded."""


class NotEligible(Exception):
    """That person may not decide this call. Nothing was recorded."""


class CannotEdit(Exception):
    """The call cannot be made with these arguments. Nothing was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody says about a held call, before it is checked."""

    approve: bool
    by: str
    group: str
    fingerprint: str
    """What was shown (`shown`), so that the decision cannot count for anything else."""
    via: str
    message: str = ""
    reason: str = ""
    way: Way = "token"


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a decision speaks to, and in whose place."""

    requirements: tuple[Requirement, ...]
    on_behalf: str = ""


def voters(record: Record, group: Group, routes: Routes, *, at: int) -> dict[str, str]:
    """Everybody who may decide for `group` on this call at that time, and in whose place: "" in their own right.

    Members, and those to whom the question was escalated, if they are approvers and did not request the call. Who is
    away decides nothing; a delegate decides in their place, and may only where both of them may.
    """
    escalated = [person for name, person in record.escalated if name == group.name]
    seats = dict.fromkeys((*group.members, *escalated))
    present = {name: person for name in seats if (person := _voter(name, group, record.call, routes))}
    found = {name: "" for name, person in present.items() if person.away is None or not person.away.holds(at)}
    for name, person in present.items():
        if name in found or person.away is None:
            continue
        delegate = _voter(person.away.delegate, group, record.call, routes)
        if delegate is not None and not (delegate.away and delegate.away.holds(at)):
            found.setdefault(delegate.name, name)
    return found


def _voter(name: str, group: Group, call: Call, routes: Routes) -> Person | None:
    """That person, if the role and the separation of duties let them decide on this call."""
    person, agent = routes.people.get(name), routes.agents.get(call.agent)
    if person is None or agent is None or "approver" not in person.roles:
        return None
    return None if not group.allow_owner and name in (agent.owner, call.user) else person


def eligible(record: Record, group: Group, person: str, routes: Routes, *, at: int) -> bool:
    """True if `person` may decide for `group` on this call at that time."""
    return person in voters(record, group, routes, at=at)


def question(record: Record, group: str) -> tuple[Requirement, ...]:
    """What `group` is being asked now: the unmet forbids that were put to it under the current fingerprint."""
    judged = record.judged
    if judged is None or judged.verdict.decision != "hold" or record.asked_fingerprint != judged.fingerprint:
        return ()
    return tuple(item for item in judged.verdict.requirements if item.group == group and item in record.asked)


def shown(record: Record, group: str) -> str:
    """Digest of what the people of `group` see: the call's fingerprint, exactly these forbids, and what of the system
    their yes is bound to.

    A notice carries it and a decision returns it, so nobody's yes can count for a question that came later.
    """
    judged = record.judged
    fingerprint = judged.fingerprint if judged is not None else ""
    parts = [fingerprint, group, *(text for item in sorted(_texts(question(record, group))) for text in item)]
    bound = sorted((item.name, item.bound) for item in record.sight.pictures if item.bound)
    parts += ["preview", *(text for item in bound for text in item)] if bound else []
    return hashlib.sha256(joined([FORMAT, *(part.encode() for part in parts)])).hexdigest()


def _texts(requirements: tuple[Requirement, ...]) -> list[tuple[str, str]]:
    return [(item.policy, item.text) for item in requirements]


def may_vote(record: Record, decision: Decision, routes: Routes, *, now: int) -> Ballot:
    """What this decision speaks to. Raises Stale or NotEligible with a sentence."""
    judged = record.judged
    if record.refusal is not None or record.tokens or record.answer is not None or judged is None:
        raise Stale("this call is no longer waiting for a decision")  # also of what may have been sent: see `resolve`
    if record.expires_at is not None and now >= record.expires_at:
        raise Stale("the time to decide on this call is over")
    if judged.verdict.decision != "hold":
        raise Stale("this call is no longer held")
    if record.sight.unseen:
        raise Stale("the system is just being looked at for this question; look at it again in a few seconds")
    group, asked = routes.groups.get(decision.group), question(record, decision.group)
    if group is None or not asked:
        raise Stale(f"this call does not wait for {decision.group!r}")
    if decision.way not in group.decide_in:
        raise NotEligible(f"{decision.group!r} decides only in: {', '.join(group.decide_in)} (`decide_in`)")
    if decision.fingerprint != shown(record, decision.group):
        raise Stale("this call or what is asked about it has changed since it was shown; look at it again")
    able = voters(record, group, routes, at=now)
    if decision.by not in able:
        raise NotEligible(_why_not(record, group, decision.by, routes.people, now))
    ballot = Ballot(asked, able[decision.by])
    if not decision.approve:
        return ballot  # whatever this person said before: a yes that was not used yet can be taken back
    cast = [vote for vote in record.votes if vote.by == decision.by and vote.fingerprint == judged.fingerprint]
    if any(vote.group != decision.group or set(asked) <= set(vote.requirements) for vote in cast):
        raise NotEligible(f"{decision.by!r} has already decided on this call; one person counts once")
    if any(vote.on_behalf == decision.by and vote.fingerprint == judged.fingerprint for vote in record.votes):
        raise NotEligible(f"somebody decided in place of {decision.by!r} while {decision.by!r} was away")
    return ballot


def _why_not(record: Record, group: Group, person: str, people: Mapping[str, Person], now: int) -> str:
    if person not in people:
        return f"{person!r} is not declared under `people` in routes.yaml"
    if person not in group.members and (group.name, person) not in record.escalated:
        return f"{person!r} is not a member of {group.name!r}"
    known = people[person]
    if "approver" not in known.roles:
        return f"{person!r} does not have the role `approver`"
    if known.away is not None and known.away.holds(now):
        return (
            f"{person!r} is away until {iso(known.away.until)}, and {known.away.delegate!r} decides meanwhile; "
            "remove `away` in routes.yaml to decide"
        )
    return f"{person!r} requested this call or owns {record.call.agent!r}; somebody else has to decide"


def may_retract(record: Record, by: str, group: str) -> None:
    """Raises Stale unless `by` said yes for `group` and nothing was released because of it."""
    if record.refusal is not None or record.tokens or record.answer is not None:
        raise Stale("it is too late to take this approval back: the call was released or is over")
    if not any((vote.by, vote.group) == (by, group) for vote in record.votes):
        raise Stale(f"there is no approval by {by!r} for {group!r} that could be taken back")


def may_cancel(record: Record, by: str, routes: Routes) -> None:
    """Raises NotEligible or Stale unless `by` answers for the agent or the system, or operates the gateway."""
    agent, system = routes.agents.get(record.call.agent), routes.systems.get(record.call.system)
    person = routes.people.get(by)
    owners = {party.owner for party in (agent, system) if party is not None}
    if person is None or not (by in owners or "operator" in person.roles):
        raise NotEligible(f"{by!r} neither owns the agent or the system of this call nor has the role `operator`")
    if record.refusal is not None or record.tokens or record.answer is not None or not record.asked:
        raise Stale("only a call that is held can be cancelled")


def met(record: Record, *, fingerprint: str, routes: Routes, now: int) -> frozenset[Requirement]:
    """The requirements that enough distinct, still eligible people approved, for exactly this fingerprint, so that they
    can no longer take it back.

    A vote that nobody can take back counts whatever the time: `now` may be a moment behind the journal's that it bears.
    """
    final = record.evolve(votes=tuple(vote for vote in record.votes if not vote.undo or vote.at + vote.undo <= now))
    supporters = _supporters(final, fingerprint, routes)
    return frozenset(item for item, people in supporters.items() if len(people) >= routes.groups[item.group].quorum)


def lacking(record: Record, judged: Judged, routes: Routes) -> tuple[int, ...]:
    """How many more people each requirement of a hold takes today, in their order."""
    supporters = _supporters(record, judged.fingerprint, routes)
    return tuple(
        routes.groups[item.group].quorum - len(supporters.get(item, ())) for item in judged.verdict.requirements
    )


def _supporters(record: Record, fingerprint: str, routes: Routes) -> dict[Requirement, set[str]]:
    """One person counts once: for each forbid, and for one group only, the first that the person voted for.

    Who may vote is asked of today's routes, and of the time of the vote: a delegate's yes outlives the absence.
    """
    groups: dict[str, str] = {}
    supporters: dict[Requirement, set[str]] = {}
    for vote in record.votes:
        if vote.fingerprint != fingerprint or groups.setdefault(vote.by, vote.group) != vote.group:
            continue
        if not _counts(record, vote, routes):
            continue
        for requirement in vote.requirements:
            if requirement.group == vote.group:
                supporters.setdefault(requirement, set()).add(vote.by)
    return supporters


def _counts(record: Record, vote: Approved, routes: Routes) -> bool:
    """A seat that its holder and a delegate both filled counts once: whoever was first, of those whose vote counts."""
    seat = vote.on_behalf or vote.by
    same = (item for item in record.votes if item.fingerprint == vote.fingerprint and seat in (item.by, item.on_behalf))
    first = next((item for item in same if _may_still(record, item, routes)), None)
    return first is not None and first.by == vote.by and _may_still(record, vote, routes)


def _may_still(record: Record, vote: Approved, routes: Routes) -> bool:
    group = routes.groups.get(vote.group)
    return group is not None and voters(record, group, routes, at=vote.at).get(vote.by) == vote.on_behalf


def unmanned(group: Group, agent: Agent, routes: Routes) -> bool:
    """True if too few people could ever lift a hold of `group` for `agent`."""
    barred = () if group.allow_owner else (agent.owner,)
    able = [name for name in group.members if name in routes.people and name not in barred]
    return sum("approver" in routes.people[name].roles for name in able) < group.quorum
