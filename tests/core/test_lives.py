"""Lives that could not have been are refused, each for its rule; every life that the core can reach is accepted.

Also every test of the engine's world holds the journals it made against these rules: see `tests/conftest.py`.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.core.facts import (
    Abandoned,
    Admitted,
    Approved,
    Attached,
    Cancelled,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Judged,
    Notice,
    Notified,
    Previewed,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Withdrawn,
)
from gateway.core.lives import Life, fault
from gateway.core.record import begin
from gateway.core.said import GrantLife
from gateway.core.verdict import Lifted, Requirement, Verdict
from tests.core.test_every_life import WALKS, State, Walk
from tests.playbook import (
    ALLOW,
    CALL,
    DENY,
    FINANCE,
    HOLD,
    LEGAL,
    OTHER_PRINT,
    PRINT,
    READ,
    REPEATABLE,
    answered,
    asked,
    claimed,
    judged,
    lost,
    no,
    unsent,
    yes,
)

EFFECT, SAFE, AGAIN = Admitted(call=CALL), Admitted(call=READ), Admitted(call=REPEATABLE)
OTHER_ALLOW = judged("allow", fingerprint=OTHER_PRINT)
LIFTED = Judged(verdict=Verdict(decision="allow", requirements=(FINANCE,)), generation="g", fingerprint=PRINT)
EDIT = Edited(by="ann", group="finance", before=PRINT, fingerprint=OTHER_PRINT, changed=("amount",), via="token")
BACK = Retracted(by="ann", group="finance", via="token")
SETTLED = Resolved(by="olga", acted=True)
SEEN = Previewed(name="charge", call="c", digest="d", bound="b", failed="", fingerprint=PRINT)
STILL, GONE, CHANGED = replace(SEEN, again=True), replace(SEEN, again=True, failed="no"), replace(SEEN, changed=("a",))

Append = tuple[Fact, ...] | Fact
HELD: tuple[Append, ...] = ((EFFECT, HOLD, asked(FINANCE)),)
SENT: tuple[Append, ...] = ((EFFECT, ALLOW, claimed("t1")),)
DOUBT: tuple[Append, ...] = ((AGAIN, ALLOW, claimed("t1")), lost("t1"))


def replace_text(item: Requirement) -> Requirement:
    """The same forbid after somebody edited it."""
    return replace(item, text="edited")


def told(*appends: Append, grants: Any = None) -> str:
    named = enumerate(append if isinstance(append, tuple) else (append,) for append in appends)
    return fault(((str(number), facts) for number, facts in named), grants)


POSSIBLE: dict[str, tuple[Append, ...]] = {
    "an effect": (*SENT, answered("t1"), Delivered()),
    "an effect that was written anew after the journal had lost it": ((EFFECT, ALLOW, claimed("t1"), answered("t1")),),
    "a read": ((SAFE, ALLOW, answered("")), Ended(length=1, sha256="", whole=True)),
    "a read that failed": ((SAFE, ALLOW, lost("")),),
    "a denial": ((EFFECT, DENY), Delivered()),
    "an answer that comes after all": (*SENT, lost("t1"), answered("t1")),
    "a loss that is noticed twice": (*SENT, lost("t1"), lost("t1")),
    "a doubt that a person settles, and the truth later": (*SENT, lost("t1"), SETTLED, answered("t1")),
    "three sends": (*DOUBT, (ALLOW, claimed("t2")), lost("t2"), (ALLOW, claimed("t3")), answered("t3"), answered("t1")),
    "policies that say no until the drive that sent says what it knows": (
        *DOUBT, DENY, lost("t1"), (ALLOW, claimed("t2")),
    ),
    "a vote": (*HELD, yes(), (LIFTED, claimed("t1")), answered("t1"), Reported(kind="call.finished", notices=())),
    "a held read": ((SAFE, HOLD, asked(FINANCE)), yes(), (LIFTED, claimed("t1")), answered("t1")),
    "a hold that policies lift": ((SAFE, HOLD, asked(FINANCE)), (ALLOW, claimed("t1")), answered("t1")),
    "an edit with its editor's yes": (
        *HELD, (EDIT, yes(fingerprint=OTHER_PRINT)),
        (replace(LIFTED, fingerprint=OTHER_PRINT), claimed("t1", fingerprint=OTHER_PRINT)),
    ),
    "a yes that is taken back, also from what policies deny today": (*HELD, yes(), DENY, BACK, HOLD, yes("bob"), no()),
    "a ladder": (
        *HELD, Reminded(group="finance", notices=(Notice(id="n2", group="finance", channel=0),)),
        Notified(notice="n2", attempt=1, status=200, done=True), Escalated(group="finance", to=("cfo",), notices=()),
        Expired(),
    ),
    "what is bound and still so": (*HELD, SEEN, yes(), (LIFTED, STILL, LIFTED, claimed("t1"))),
    "what changed and is asked anew": (
        *HELD, SEEN, yes(), (LIFTED, CHANGED, HOLD, asked(FINANCE)), yes(), (LIFTED, STILL, LIFTED, claimed("t1")),
    ),
    "what cannot be seen for a while": (*HELD, SEEN, yes(), (LIFTED, GONE), (LIFTED, STILL, LIFTED, claimed("t1"))),
    "what is seen too late": (*HELD, (ALLOW, claimed("t1")), SEEN),
    "a withdrawal": (*HELD, Withdrawn()),
    "a requester that left, and another one": (*SENT, Abandoned(), Attached(key="k", keep=1)),
}  # fmt: skip


@pytest.mark.parametrize("appends", POSSIBLE.values(), ids=POSSIBLE)
def test_what_can_happen_is_accepted(appends):
    assert told(*appends) == ""


IMPOSSIBLE: dict[str, tuple[Append, ...]] = {
    "it begins with Judged": (ALLOW,),
    "it is admitted twice": (EFFECT, EFFECT),
    # An allow is good in its own append, for its own bytes, once.
    "it is claimed without an allow in the same append": ((EFFECT, ALLOW), claimed()),
    "it is claimed for other bytes than those that were allowed": ((EFFECT, OTHER_ALLOW, claimed()),),
    "it is claimed after the policies denied it": ((EFFECT, DENY, ALLOW, claimed()),),
    "it is read without an allow in the same append": ((SAFE, ALLOW), answered("")),
    "it is read after the policies denied it": ((SAFE, DENY), (ALLOW, answered(""))),
    "Answered of an effect without a claim": ((EFFECT, ALLOW, answered("")),),
    "Lost of an effect without a claim": ((EFFECT, ALLOW, lost("")),),
    "Unsent of an effect without a claim": ((EFFECT, ALLOW, unsent("")),),
    # One claim, one send, one outcome.
    "Answered for a token that never claimed": (*SENT, answered("t2")),
    "Lost for a token that never claimed": ((SAFE, ALLOW, lost("t1")),),
    "one token claims twice": (*DOUBT, (ALLOW, claimed("t1"))),
    "it is claimed while an earlier claim is open": ((AGAIN, ALLOW, claimed("t1")), (ALLOW, claimed("t2"))),
    "it is claimed again, and its system does not recognise a repetition": (
        *SENT, lost("t1"), (ALLOW, claimed("t2")),
    ),
    "it is claimed again after it was provably never sent": (
        (AGAIN, ALLOW, claimed("t1")), unsent("t1"), (ALLOW, claimed("t2")),
    ),
    "it is claimed again for other bytes than the first time": (
        *DOUBT, (OTHER_ALLOW, claimed("t2", fingerprint=OTHER_PRINT)),
    ),
    "it is claimed more than 3 times": (
        *DOUBT, (ALLOW, claimed("t2")), lost("t2"), (ALLOW, claimed("t3")), lost("t3"), (ALLOW, claimed("t4")),
    ),
    "it is claimed after it was answered": (*DOUBT, answered("t1"), (ALLOW, claimed("t2"))),
    "it is claimed after it was settled": (*DOUBT, SETTLED, (ALLOW, claimed("t2"))),
    "Answered of a send whose outcome was known": (*SENT, answered("t1"), answered("t1")),
    "Lost of a send whose outcome was known": (*SENT, unsent("t1"), lost("t1")),
    "Unsent of a send whose outcome was known": (*SENT, lost("t1"), lost("t1"), unsent("t1")),
    "Answered without a claim, after it was sent before": ((SAFE, ALLOW, answered("")), (ALLOW, answered(""))),
    # No is final, for people and for time; nobody decides on what may have been sent.
    "it is claimed after Rejected": (*HELD, no(), (ALLOW, claimed())),
    "it is claimed after Expired": (*HELD, Expired(), (ALLOW, claimed())),
    "it is claimed after Withdrawn": (*HELD, Withdrawn(), (ALLOW, claimed())),
    "it is claimed after Cancelled": (*HELD, Cancelled(by="olga", via="token"), (ALLOW, claimed())),
    "it is read after Rejected": ((SAFE, HOLD, asked(FINANCE)), no(), (ALLOW, answered(""))),
    "Rejected after Expired": (*HELD, Expired(), no()),
    "Withdrawn after Rejected": (*HELD, no(), Withdrawn()),
    "Approved after it was sent": (*HELD, (ALLOW, claimed("t1")), yes()),
    "Rejected after it was sent": (*HELD, (ALLOW, claimed("t1")), answered("t1"), no()),
    "Edited after it was sent": (*HELD, (ALLOW, claimed("t1")), EDIT),
    "Retracted after it was sent": (*HELD, yes(), (LIFTED, claimed("t1")), BACK),
    "Cancelled after it was sent": (*HELD, (ALLOW, claimed("t1")), Cancelled(by="olga", via="token")),
    "Expired after it was sent": (*HELD, (ALLOW, claimed("t1")), Expired()),
    # Nobody's word is used who did not give it.
    "Approved for finance, which was not asked": (EFFECT, HOLD, yes()),
    "Rejected for finance, which was not asked": (EFFECT, no()),
    "Edited for finance, which was not asked": ((EFFECT, judged("hold", LEGAL), asked(LEGAL)), EDIT),
    "Retracted for finance, which was not asked": (EFFECT, BACK),
    "ann approved what nobody was asked about": (*HELD, yes("ann", replace_text(FINANCE))),
    "bob approved what nobody was asked about": (*HELD, yes("bob", fingerprint=OTHER_PRINT)),
    "ann took back a yes that there was not": (*HELD, yes("bob"), BACK),
    "it is claimed on an approval of finance that nobody gave for these bytes": (*HELD, (LIFTED, claimed())),
    "it is read on an approval of finance that nobody gave for these bytes": ((SAFE, LIFTED, answered("")),),
    "it is read on an approval without a claim, so the approval could be used again": (
        (SAFE, HOLD, asked(FINANCE)), yes(), (LIFTED, answered("")),
    ),
    "it is claimed without looking again at what was approved (charge)": (*HELD, SEEN, yes(), (LIFTED, claimed())),
    "Withdrawn of a call about which nobody was asked": (EFFECT, Withdrawn()),
    "Cancelled of a call about which nobody was asked": (EFFECT, Cancelled(by="olga", via="token")),
    "Expired of a call about which nobody was asked": (EFFECT, Expired()),
    "Reported of a call about which nobody was asked": (EFFECT, Reported(kind="call.finished", notices=())),
    "Previewed of a call about which nobody was asked": (EFFECT, SEEN),
    "Reminded for finance, which was not asked": (EFFECT, Reminded(group="finance", notices=())),
    "Escalated for legal, which was not asked": (*HELD, Escalated(group="legal", to=(), notices=())),
    "people are asked although it is not held": ((EFFECT, ALLOW, asked(FINANCE)),),
    "people are asked about something else than what is held": ((EFFECT, HOLD, asked(LEGAL)),),
    "a notice was delivered that nobody was to get": (*HELD, Notified(notice="x", attempt=1, status=200, done=True)),
    # What is said afterwards.
    "a person settled it although it was not in doubt": (*SENT, SETTLED),
    "a body ended that no answer had": (*SENT, Ended(length=0, sha256="", whole=True)),
    "an outcome was handed over before there was one": (*SENT, Delivered()),
}  # fmt: skip


@pytest.mark.parametrize(("sentence", "appends"), IMPOSSIBLE.items(), ids=IMPOSSIBLE)
def test_what_cannot_have_happened_is_refused_for_its_rule(sentence, appends):
    assert told(*appends).rpartition(" (fact ")[0] == sentence


MORE = {
    "votes for what was shown are void once it changed": (*HELD, SEEN, yes(), (LIFTED, CHANGED), (LIFTED, claimed())),
    "a yes to other bytes is none to these": (*HELD, (EDIT, yes(fingerprint=OTHER_PRINT)), (LIFTED, claimed())),
    "a yes that was taken back is none": (*HELD, yes(), BACK, (LIFTED, claimed())),
    "an allow is used once": ((AGAIN, ALLOW, claimed("t1"), lost("t1"), claimed("t2")),),
    "an allow is gone once somebody said something": (*HELD, (ALLOW, yes(), claimed())),
    "an allow is gone once what was shown has changed": (*HELD, SEEN, (ALLOW, CHANGED, claimed())),
    "an allow is gone if what it is bound to cannot be seen": (*HELD, SEEN, yes(), (LIFTED, STILL, GONE, claimed())),
    "a confirmation is good in its own append": (*HELD, SEEN, yes(), (LIFTED, STILL), (LIFTED, claimed())),
    "a settled call is settled once": (*SENT, lost("t1"), SETTLED, SETTLED),
    "an open claim is not in doubt": (*DOUBT, (ALLOW, claimed("t2")), SETTLED),
    "an unsent claim is not in doubt": (*SENT, unsent("t1"), SETTLED),
    "an answered call is not in doubt": (*DOUBT, (ALLOW, claimed("t2")), answered("t2"), SETTLED),
    "a read is never in doubt": ((SAFE, ALLOW, lost("")), SETTLED),
    "nobody is asked after a no": (*HELD, no(), (HOLD, asked(FINANCE))),
    "nobody is asked after it was sent": (*DOUBT, (HOLD, asked(FINANCE))),
    "nobody is asked after a vote that was not weighed": (*HELD, yes(), asked(FINANCE)),
    "nobody is asked about other bytes": ((EFFECT, HOLD, asked(FINANCE, fingerprint=OTHER_PRINT)),),
}  # fmt: skip


@pytest.mark.parametrize("appends", MORE.values(), ids=MORE)
def test_these_cannot_have_happened_either(appends):
    assert told(*appends)
    last = appends[-1]
    spared = (*appends[:-1], last[:-1]) if isinstance(last, tuple) else appends[:-1]
    assert told(*spared) == "", "it is the last fact alone that is wrong"


def test_the_number_of_the_fact_is_named():
    assert told((EFFECT, ALLOW, claimed("t1")), answered("t2")).endswith("(fact 3)")


# --- Grants -----------------------------------------------------------------------------------------------------------

GIVEN = GrantLife(givers=frozenset({"ann"}), until=100)
BY_GRANT = Judged(
    verdict=Verdict(
        decision="allow", requirements=(FINANCE,),
        granted=(Lifted(grant="grant-1", policy=FINANCE.policy, by=("ann",)),),
    ),
    generation="g", fingerprint=PRINT, at=99,
)  # fmt: skip


def test_a_call_relies_on_a_grant_that_stands():
    assert told((EFFECT, BY_GRANT, claimed()), grants={"grant-1": GIVEN}) == ""
    assert told((EFFECT, BY_GRANT, claimed())) == "", "nobody knows the grants"


@pytest.mark.parametrize(
    ("grants", "at", "why"),
    [
        ({}, 99, "which ann did not give"),
        ({"grant-1": replace(GIVEN, givers=frozenset({"bob"}))}, 99, "which ann did not give"),
        ({"grant-1": replace(GIVEN, revoked=True)}, 99, "which was revoked"),
        ({"grant-1": GIVEN}, 100, "which was over"),
    ],
)
def test_a_call_relies_on_no_other_grant(grants, at, why):
    assert why in told((EFFECT, replace(BY_GRANT, at=at), claimed()), grants=grants)


# --- Every life that there is -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told(State):
    """A state of the walk, and the life that was told all that led to it."""

    life: Life = field(default_factory=Life)

    def then(self, *facts: Fact) -> "Told":
        life, told = copy.copy(self.life), []
        for fact in facts:
            if isinstance(fact, Approved) and fact.fingerprint not in life.question.fingerprints:
                fact = replace(fact, fingerprint=self.record.asked_fingerprint)  # noqa: PLW2901 - of what they see
            told.append(replace(fact, at=0))
            life.tell(told[-1], "this append")
        life.entry, life.allow, life.confirmed = "", None, frozenset()  # as the next append finds it
        found = super().then(*facts)
        assert isinstance(found, Told)
        return replace(found, life=life)


class Accepted(Walk):
    """The same walk, of what `gateway.decisions` lets people say: the core bears with more."""

    def every_state(self) -> set[State]:
        first = Admitted(call=self.call)
        life = Life()
        life.tell(first, "")
        edge: set[State] = {Told(begin(first), life=life)}
        while edge:
            self.seen |= edge
            edge = {found for state in edge for found in self.nexts(state)} - self.seen
        return self.seen

    def people(self, state: State) -> Iterator[State]:
        record = state.record
        if record.refusal is None and not record.tokens and record.answer is None:
            yield from super().people(state)
            return
        for found in super().people(replace(state, record=replace(record, asked=()))):
            yield replace(found, record=replace(found.record, asked=record.asked))


@pytest.mark.parametrize(("call", "tomorrow", "requester"), WALKS)
def test_every_life_that_the_core_reaches_is_accepted(call, tomorrow, requester):
    walk = Accepted(call, tomorrow, requester, second_thoughts=not tomorrow)
    assert len(walk.every_state()) > 5_000
    assert walk.claims
