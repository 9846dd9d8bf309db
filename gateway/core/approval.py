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
from gateway.core.lifecycle import Record
from gateway.core.routes import Agent, Group, Person, Routes
from gateway.core.verdict import Requirement


class Stale(Exception):
    """The question is no longer open, or no longer the one that was shown. Nothing was recorded."""


class NotEligible(Exception):
    """That person may not decide this call. Nothing was recorded."""


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


def eligible(group: Group, person: str, call: Call, routes: Routes) -> bool:
    """True if `person` may decide for `group` on `call`: a member and approver who did not request it."""
    found = routes.people.get(person)
    agent = routes.agents.get(call.agent)
    if found is None or agent is None or "approver" not in found.roles or person not in group.members:
        return False
    return person not in (agent.owner, call.user)


def question(record: Record, group: str) -> tuple[Requirement, ...]:
    """What `group` is being asked now: the unmet forbids that were put to it under the current fingerprint."""
    judged = record.judged
    if judged is None or judged.verdict.decision != "hold" or record.asked_fingerprint != judged.fingerprint:
        return ()
    return tuple(item for item in judged.verdict.requirements if item.group == group and item in record.asked)


def shown(record: Record, group: str) -> str:
    """Digest of what the people of `group` see: the call's fingerprint and exactly these forbids.

    A notice carries it and a decision returns it, so nobody's yes can count for a question that came later.
    """
    judged = record.judged
    fingerprint = judged.fingerprint if judged is not None else ""
    parts = [fingerprint, group, *(text for item in sorted(_texts(question(record, group))) for text in item)]
    return hashlib.sha256(joined([FORMAT, *(part.encode() for part in parts)])).hexdigest()


def _texts(requirements: tuple[Requirement, ...]) -> list[tuple[str, str]]:
    return [(item.policy, item.text) for item in requirements]


def may_vote(record: Record, decision: Decision, routes: Routes, *, now: int) -> tuple[Requirement, ...]:
    """The requirements that this decision speaks to. Raises Stale or NotEligible with a sentence."""
    judged = record.judged
    if record.refusal is not None or record.claim is not None or record.answer is not None or judged is None:
        raise Stale("this call is no longer waiting for a decision")
    if record.expires_at is not None and now >= record.expires_at:
        raise Stale("the time to decide on this call is over")
    if judged.verdict.decision != "hold":
        raise Stale("this call is no longer held")
    group, asked = routes.groups.get(decision.group), question(record, decision.group)
    if group is None or not asked:
        raise Stale(f"this call does not wait for {decision.group!r}")
    if decision.fingerprint != shown(record, decision.group):
        raise Stale("this call or what is asked about it has changed since it was shown; look at it again")
    if not eligible(group, decision.by, record.call, routes):
        raise NotEligible(_why_not(group, decision.by, record.call, routes.people))
    if not decision.approve:
        return asked  # whatever this person said before: a yes that was not used yet can be taken back
    cast = [vote for vote in record.votes if vote.by == decision.by and vote.fingerprint == judged.fingerprint]
    if any(vote.group != decision.group or set(asked) <= set(vote.requirements) for vote in cast):
        raise NotEligible(f"{decision.by!r} has already decided on this call; one person counts once")
    return asked


def _why_not(group: Group, person: str, call: Call, people: Mapping[str, Person]) -> str:
    if person not in people:
        return f"{person!r} is not declared under `people` in routes.yaml"
    if person not in group.members:
        return f"{person!r} is not a member of {group.name!r}"
    if "approver" not in people[person].roles:
        return f"{person!r} does not have the role `approver`"
    return f"{person!r} requested this call or owns {call.agent!r}; somebody else has to decide"


def met(votes: tuple[Approved, ...], *, fingerprint: str, call: Call, routes: Routes) -> frozenset[Requirement]:
    """The requirements that enough distinct, still eligible people approved, for exactly this fingerprint."""
    supporters = _supporters(votes, fingerprint, call, routes)
    return frozenset(item for item, people in supporters.items() if len(people) >= routes.groups[item.group].quorum)


def lacking(votes: tuple[Approved, ...], judged: Judged, call: Call, routes: Routes) -> tuple[int, ...]:
    """How many more people each requirement of a hold takes today, in their order."""
    supporters = _supporters(votes, judged.fingerprint, call, routes)
    return tuple(
        routes.groups[item.group].quorum - len(supporters.get(item, ())) for item in judged.verdict.requirements
    )


def _supporters(
    votes: tuple[Approved, ...], fingerprint: str, call: Call, routes: Routes
) -> dict[Requirement, set[str]]:
    """One person counts once: for each forbid, and for one group only, the first that the person voted for."""
    groups: dict[str, str] = {}
    supporters: dict[Requirement, set[str]] = {}
    for vote in votes:
        group = routes.groups.get(vote.group)
        if vote.fingerprint != fingerprint or groups.setdefault(vote.by, vote.group) != vote.group:
            continue
        if group is None or not eligible(group, vote.by, call, routes):
            continue
        for requirement in vote.requirements:
            if requirement.group == vote.group:
                supporters.setdefault(requirement, set()).add(vote.by)
    return supporters


def unmanned(group: Group, agent: Agent, routes: Routes) -> bool:
    """True if too few people could ever lift a hold of `group` for `agent`."""
    able = [name for name in group.members if name in routes.people and name != agent.owner]
    return sum("approver" in routes.people[name].roles for name in able) < group.quorum
