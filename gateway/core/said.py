"""What people were asked, said and granted, as far as it could have happened: the part of `lives` that is about people.

Only a call that was held has a `Question`. It is a value, so whoever reads a record can go back to what it was before.
Nothing here says who may decide, or how many have to: those are the routes of a moment, which no record repeats; what
is checked is that nobody's word is used who did not give it, for anything but what it was given for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.facts import (
    Approved,
    Asked,
    Edited,
    Escalated,
    Judged,
    Notice,
    Previewed,
    Rejected,
    Reminded,
    Retracted,
)
from gateway.core.grants import Granted, GrantFact, Revoked
from gateway.core.verdict import Lifted, Requirement

Said = Approved | Rejected | Edited | Retracted


class Impossible(Exception):
    """A fact that cannot have happened where it stands. The message is a sentence about the call, without full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What people were asked about one call, and said."""

    requirements: frozenset[Requirement] = frozenset()
    """All that were ever put to somebody."""
    fingerprints: frozenset[str] = frozenset()
    """Of all that was ever asked about, or made of it by an edit."""
    fingerprint: str = ""
    """What was asked about last."""
    votes: tuple[Approved, ...] = ()
    """Neither taken back, nor void because the system changed."""
    bound: frozenset[str] = frozenset()
    """Previews that a yes to this is bound to."""
    notices: frozenset[str] = frozenset()
    """Ids of all messages that somebody was to get."""

    def asked(self, fact: Asked, hold: Judged | None) -> "Question":
        """`hold`: the judging that holds the call. Raises Impossible."""
        if hold is None:
            raise Impossible("people are asked although it is not held")
        if fact.fingerprint != hold.fingerprint or not set(fact.requirements) <= set(hold.verdict.requirements):
            raise Impossible("people are asked about something else than what is held")
        return replace(
            self.told(fact.notices), fingerprint=fact.fingerprint,
            requirements=self.requirements | set(fact.requirements),
            fingerprints=self.fingerprints | {fact.fingerprint},
            bound=self.bound if self.fingerprint == fact.fingerprint else frozenset(),
        )  # fmt: skip

    def said(self, fact: Said) -> "Question":
        """Raises Impossible."""
        self._asks(fact)
        match fact:
            case Approved():
                if fact.fingerprint not in self.fingerprints or not set(fact.requirements) <= self.requirements:
                    raise Impossible(f"{fact.by} approved what nobody was asked about")
                return replace(self, votes=(*self.votes, fact))
            case Edited():
                return replace(self, fingerprints=self.fingerprints | {fact.fingerprint})
            case Retracted():
                votes = tuple(vote for vote in self.votes if (vote.by, vote.group) != (fact.by, fact.group))
                if votes == self.votes:
                    raise Impossible(f"{fact.by} took back a yes that there was not")
                return replace(self, votes=votes)
            case Rejected():
                return self

    def climbed(self, fact: Reminded | Escalated) -> "Question":
        """Raises Impossible."""
        self._asks(fact)
        return self.told(fact.notices)

    def _asks(self, fact: Said | Reminded | Escalated) -> None:
        if all(item.group != fact.group for item in self.requirements):
            raise Impossible(f"{type(fact).__name__} for {fact.group}, which was not asked")

    def told(self, notices: Iterable[Notice]) -> "Question":
        """Somebody is to get these too."""
        return replace(self, notices=self.notices | {notice.id for notice in notices})

    def looked(self, fact: Previewed) -> "Question":
        """Approvers see something new of the system: votes for something else are void."""
        bound = self.bound | {fact.name} if fact.bound else self.bound - {fact.name}
        return replace(self, bound=bound, votes=() if fact.changed else self.votes)

    def must_have_allowed(self, what: str, allow: Judged, confirmed: frozenset[str]) -> None:
        """An allow that lifts a forbid needs somebody's yes to exactly these bytes, or a standing grant; and what a yes
        is bound to is looked at again. Raises Impossible; `what` is what would not have been allowed to happen."""
        lifted, granted = allow.verdict.requirements, {item.policy for item in allow.verdict.granted}
        if not lifted:
            return
        yeses = [vote.requirements for vote in self.votes if vote.fingerprint == allow.fingerprint]
        for item in lifted:
            if item.policy not in granted and not any(item in met for met in yeses):
                raise Impossible(f"{what} on an approval of {item.group} that nobody gave for these bytes")
        unseen = self.bound - confirmed
        if unseen and self.fingerprint == allow.fingerprint:
            raise Impossible(f"{what} without looking again at what was approved ({', '.join(sorted(unseen))})")


NOBODY_ASKED = Question()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLife:
    """One standing grant."""

    terms: tuple[object, ...] = ()
    until: int = 0
    givers: frozenset[str] = frozenset()
    revoked: bool = False

    def tell(self, fact: GrantFact) -> "GrantLife":
        """The grant once this has happened too. Raises Impossible."""
        if self.revoked:
            raise Impossible(f"{type(fact).__name__} after it was revoked")
        match fact:
            case Revoked():
                if not self.givers:
                    raise Impossible("it is revoked and was never given")
                return replace(self, revoked=True)
            case Granted():
                terms = (fact.agent, fact.tool, fact.shape, fact.requirement, fact.until)
                if self.givers and terms != self.terms:
                    raise Impossible("it is given on other terms than the first time")
                if fact.by in self.givers:
                    raise Impossible(f"{fact.by} gives it twice")
                return replace(self, terms=terms, until=fact.until, givers=self.givers | {fact.by})

    def must_stand(self, what: str, item: Lifted, at: int) -> None:
        """Raises Impossible unless a call may rely on it at that time. The end of a grant is a time of the same clock
        as `at`, looked at when that was stamped: no other times are compared anywhere."""
        if not set(item.by) <= self.givers:
            raise Impossible(f"{what} by {item.grant}, which {' and '.join(item.by)} did not give")
        if self.revoked or at >= self.until:
            raise Impossible(f"{what} by {item.grant}, which was {'revoked' if self.revoked else 'over'}")


NEVER_GIVEN = GrantLife()
