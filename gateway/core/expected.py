"""How many more votes the people who were asked believe to be missing, requirement by requirement.

A judging says how many are missing today. If that is more, votes ceased to count or a quorum rose, and whoever voted
believes that nothing more is wanted from anybody: they must be asked again (promise 11).
"""

from collections.abc import Collection, Iterable

from gateway.core.facts import Approved, Asked, Judged
from gateway.core.verdict import Requirement

Expected = tuple[tuple[Requirement, int], ...]


def unheard_of(judged: Judged, asked: Collection[Requirement], expected: Expected) -> tuple[Requirement, ...]:
    """What nobody was asked yet, or is believed to be missing fewer votes than it is."""
    known = {item: missing for item, missing in expected if item in asked}
    return tuple(item for item, missing in _lacking(judged) if item not in known or missing > known[item])


def still_wanted(judged: Judged) -> set[str]:
    """Groups that lack votes. One that only waits until its yes can no longer be taken back lacks none."""
    return {item.group for item, missing in _lacking(judged) if missing or not judged.lacking}


def after_asking(expected: Expected, fact: Asked, judged: Judged | None) -> Expected:
    """Whoever is asked now knows what the judging found that led to the question."""
    found = dict(_lacking(judged)) if judged is not None else {}
    return tuple((dict(expected) | {item: found.get(item, 0) for item in fact.requirements}).items())


def after_voting(expected: Expected, vote: Approved, votes: Iterable[Approved], asked_fingerprint: str) -> Expected:
    """One fewer for all that this person had not voted for yet in `votes`: one person counts once."""
    mine = [cast for cast in votes if cast.by == vote.by and cast.fingerprint == vote.fingerprint]
    counts = set(vote.requirements) - {item for cast in mine for item in cast.requirements}
    if vote.fingerprint != asked_fingerprint:
        return expected
    return tuple((item, max(missing - 1, 0) if item in counts else missing) for item, missing in expected)


def _lacking(judged: Judged) -> Expected:
    """How many more people each requirement takes; 0 if the fact was written before that was counted."""
    requirements = judged.verdict.requirements
    return tuple(zip(requirements, judged.lacking or (0,) * len(requirements), strict=True))
