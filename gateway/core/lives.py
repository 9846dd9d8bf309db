"""Whether what is recorded of a call could have happened: for whoever reads a record and trusts nobody who wrote it.

The rules are in words of their own and share no line with `gateway.core.lifecycle`, which decides what happens next: a
mistake there that let something happen which must not, shows here. Each rule is a sentence that `Life.tell` raises when
a fact breaks it, and none is broken by any life that the gateway can write, whoever dies, races or comes late. So no
rule compares the times of two facts: they are the journal's word, and a server's clock may be set back.

An allow is good only in the append that it stands in, so a life must know where an append ends. What came of a claim is
said once and, after Lost, once more, by whoever knows better: a late answer settles a doubt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

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
from gateway.core.said import NEVER_GIVEN, NOBODY_ASKED, GrantLife, Impossible, Question, Said

MOST_SENDS = 3
"""Of one call, even if its system recognises a repetition."""

Known = Literal["open", "lost", "unsure", "unsent", "answered"]
"""What is known of a send. `open`: nothing yet. `lost`: it may have acted, and its drive may still say more; `unsure`:
it may have acted, and nobody is left to say more."""
NOT_KNOWN = frozenset({"lost", "unsure"})
Grants = Mapping[str, GrantLife]


@dataclass(slots=True, unsafe_hash=True)
class Life:
    """One call, told fact by fact, oldest first."""

    begun: bool = False
    acts: bool = False
    repeatable: bool = False
    entry: str = field(default="", compare=False)
    """The append that the last fact stood in."""
    facts: int = field(default=0, compare=False)
    """How many were told."""
    allow: Judged | None = None
    """The last judging of this append, if it let the call happen and nothing happened because of it yet."""
    confirmed: frozenset[str] = frozenset()
    """Previews that were looked at again in this append and found unchanged."""
    hold: Judged | None = None
    """The last judging, if it held the call and nobody said anything since."""
    denied: bool = False
    """Policies said no, and nothing happened since that they would have to weigh."""
    sends: tuple[tuple[str, Known], ...] = ()
    """By the claim's token; that of a read which needed no claim is empty."""
    fingerprint: str = ""
    """Of the first claim."""
    refused: str = ""
    """The fact by which somebody, or time, ended it before it was sent."""
    over: bool = False
    """It had an outcome at some time."""
    answers: int = 0
    endings: int = 0
    resolved: bool = False
    question: Question = NOBODY_ASKED

    def tell(self, fact: Fact, entry: str, grants: Grants | None = None) -> None:
        """Raises Impossible if `fact` cannot have happened next. Then this life is of no more use.

        `entry` names its append. `grants`: the standing grants of the partition as they were at this moment; None if
        they are not known, and then whether a grant stood is not looked at.
        """
        if entry != self.entry:
            self.entry, self.allow, self.confirmed = entry, None, frozenset()
        if not self.begun and not isinstance(fact, Admitted):
            raise Impossible(f"it begins with {type(fact).__name__}")
        self._tell(fact, grants)
        self.facts += 1

    def _tell(self, fact: Fact, grants: Grants | None) -> None:  # noqa: C901, PLR0912 - one line per fact
        match fact:
            case Admitted(call=call):
                if self.begun:
                    raise Impossible("it is admitted twice")
                self.begun, self.acts, self.repeatable = True, call.acts, call.repeatable
            case Judged():
                self._judged(fact)
            case Claimed():
                self._claimed(fact, grants)
            case Answered() | Lost() | Unsent() if fact.token:
                self._sent(fact)
            case Answered() | Lost() | Unsent():
                self._read(fact, grants)
            case Asked():
                self.question = self.question.asked(fact, None if self.sends or self.refused else self.hold)
            case Approved() | Rejected() | Edited() | Retracted():
                self._said(fact)
            case Expired() | Withdrawn() | Cancelled():
                self._ends(fact)
            case Previewed():
                self._looked(fact)
            case Reminded() | Escalated():
                self.question = self.question.climbed(fact)
            case Reported(notices=notices):
                self._must_be_asked(fact)
                self.question = self.question.told(notices)
            case Notified(notice=notice):
                if notice not in self.question.notices:
                    raise Impossible("a notice was delivered that nobody was to get")
            case Ended():
                self.endings += 1
                if self.endings > self.answers:
                    raise Impossible("a body ended that no answer had")
            case Delivered():
                if not self.over:
                    raise Impossible("an outcome was handed over before there was one")
            case Resolved():
                self._resolved()
            case Attached() | Abandoned() | Recorded() | Viewed():
                pass
            case _:
                assert_never(fact)

    # --- What policies say -------------------------------------------------------------------------------------------

    def _judged(self, fact: Judged) -> None:
        decision = fact.verdict.decision
        self.allow = fact if decision == "allow" else None
        self.hold = fact if decision == "hold" else None
        self.denied = self.denied or decision == "deny"
        self.over = self.over or self.denied

    def _weigh_anew(self) -> None:
        """Something happened that policies have to weigh."""
        self.allow, self.hold, self.denied = None, None, False

    def _release(self, what: str, grants: Grants | None) -> Judged:
        """The allow by which it happens now; it is used up."""
        allow, self.allow, self.hold = self.allow, None, None
        if self.refused:
            raise Impossible(f"{what} after {self.refused}")
        if self.answers or self.resolved:
            raise Impossible(f"{what} after it was {'answered' if self.answers else 'settled'}")
        if self.denied:
            raise Impossible(f"{what} after the policies denied it")
        if allow is None:
            raise Impossible(f"{what} without an allow in the same append")
        self.question.must_have_allowed(what, allow, self.confirmed)
        if grants is not None:
            for item in allow.verdict.granted:
                grants.get(item.grant, NEVER_GIVEN).must_stand(what, item, allow.at)
        return allow

    # --- Sending -----------------------------------------------------------------------------------------------------

    def _claimed(self, fact: Claimed, grants: Grants | None) -> None:
        allow = self._release("it is claimed", grants)
        if allow.fingerprint != fact.fingerprint:
            raise Impossible("it is claimed for other bytes than those that were allowed")
        if self.sends:
            self._must_be_repeatable(fact)
        self.fingerprint = self.fingerprint or fact.fingerprint
        self.sends = (*self.sends, (fact.token, "open"))

    def _must_be_repeatable(self, fact: Claimed) -> None:
        results = [known for _, known in self.sends]
        if any(token == fact.token for token, _ in self.sends):
            raise Impossible("one token claims twice")
        if "open" in results:
            raise Impossible("it is claimed while an earlier claim is open")
        if not (self.acts and self.repeatable):
            raise Impossible("it is claimed again, and its system does not recognise a repetition")
        if NOT_KNOWN.isdisjoint(results):
            raise Impossible("it is claimed again after it was provably never sent")
        if fact.fingerprint != self.fingerprint:
            raise Impossible("it is claimed again for other bytes than the first time")
        if len(results) >= MOST_SENDS:
            raise Impossible(f"it is claimed more than {MOST_SENDS} times")

    def _sent(self, fact: Answered | Lost | Unsent) -> None:
        """What came of a claim."""
        known = dict(self.sends).get(fact.token)
        if known is None:
            raise Impossible(f"{type(fact).__name__} for a token that never claimed")
        if known not in ("open", "lost"):
            raise Impossible(f"{type(fact).__name__} of a send whose outcome was known")
        self._note(fact, known)

    def _read(self, fact: Answered | Lost | Unsent, grants: Grants | None) -> None:
        """A read without a claim: it is the answer that has to be allowed."""
        name = type(fact).__name__
        if self.acts:
            raise Impossible(f"{name} of an effect without a claim")
        if self.sends:
            raise Impossible(f"{name} without a claim, after it was sent before")
        verdict = self._release("it is read", grants).verdict
        if len(verdict.requirements) > len(verdict.granted):
            raise Impossible("it is read on an approval without a claim, so the approval could be used again")
        self.sends = (("", "open"),)
        self._note(fact, "open")

    def _note(self, fact: Answered | Lost | Unsent, before: Known) -> None:
        known: Known
        match fact:
            case Answered():
                known, self.answers = "answered", self.answers + 1
            case Unsent():
                known = "unsent"
            case Lost():
                known = "lost" if before == "open" and fact.token else "unsure"
        self.sends = tuple((token, known if token == fact.token else other) for token, other in self.sends)
        self.over = True
        self._weigh_anew()

    def _resolved(self) -> None:
        results = {known for _, known in self.sends}
        doubtful = self.acts and "open" not in results and not NOT_KNOWN.isdisjoint(results)
        if not doubtful or self.answers or self.resolved:
            raise Impossible("a person settled it although it was not in doubt")
        self.resolved = True

    # --- People ------------------------------------------------------------------------------------------------------

    def _said(self, fact: Said) -> None:
        self._must_be_undecided(fact)
        self.question = self.question.said(fact)
        if isinstance(fact, Rejected):
            self.refused, self.over = "Rejected", True
        else:
            self._weigh_anew()

    def _ends(self, fact: Expired | Withdrawn | Cancelled) -> None:
        self._must_be_asked(fact)
        self._must_be_undecided(fact)
        self.refused, self.over = type(fact).__name__, True

    def _looked(self, fact: Previewed) -> None:
        self._must_be_asked(fact)
        self.question = self.question.told(fact.notices)
        if "open" in dict(self.sends).values() or fact.fingerprint != self.question.fingerprint:
            return  # too late to matter
        if fact.changed or not fact.again:
            self.question, self.confirmed = self.question.looked(fact), frozenset()
            if fact.changed:
                self._weigh_anew()
        elif fact.failed:
            self.allow = None  # it stays held until it can be seen
        else:
            self.confirmed |= {fact.name}

    def _must_be_asked(self, fact: Fact) -> None:
        if self.question is NOBODY_ASKED:
            raise Impossible(f"{type(fact).__name__} of a call about which nobody was asked")

    def _must_be_undecided(self, fact: Fact) -> None:
        """Nobody decides on what is over, or may have been sent."""
        if self.refused or self.sends:
            raise Impossible(f"{type(fact).__name__} after {self.refused or 'it was sent'}")


def fault(appends: Iterable[tuple[str, Iterable[Fact]]], grants: Grants | None = None) -> str:
    """Why the facts of one call, oldest first, cannot all have happened; empty if they can.

    `appends`: the name of each, and its facts.
    """
    life = Life()
    try:
        for entry, facts in appends:
            for fact in facts:
                life.tell(fact, entry, grants)
    except Impossible as no:
        return f"{no} (fact {life.facts})"
    return ""
