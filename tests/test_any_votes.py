"""Whatever people, policies and clocks do to a held call, in any order: it acts only on a quorum, and once.

The count of who may and who did is made here anew, from routes.yaml's words and from what was said, and shares no line
with `gateway.core.approval`. Both directions are held: no effect without a quorum of distinct eligible people for
exactly these bytes under the policies of that moment, and no call that strands although it has one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gateway.decisions
from gateway.adapters.memory_journal import MemoryJournal
from gateway.core.approval import CannotEdit, Decision, NotEligible, Stale, shown
from gateway.core.facts import (
    Approved,
    Cancelled,
    Claimed,
    Escalated,
    Expired,
    Fact,
    Rejected,
    Retracted,
    Withdrawn,
)
from gateway.core.routes import Away, Escalation, Group, Person, Routes
from gateway.core.verdict import Requirement
from gateway.decisions import Decisions
from tests.company import FINANCE, HOOK, ROUTES, Generation, Policies, admission, allow, deny, holding
from tests.world import RUNNER, World

LEGAL, CHANGED = Requirement("legal", "abroad", "text-2"), Requirement("finance", "over-50", "text-3")
POLICIES = {
    "finance": (FINANCE,), "both": (FINANCE, LEGAL), "legal": (LEGAL,), "changed": (CHANGED, LEGAL),
}  # fmt: skip
MEMBERS = ("ann", "bob", "cat", "dan", "fay")
EVERYBODY = (*MEMBERS, "eve", "zed", "carl", "olga", "stranger")
"""Members; a delegate; whom it is escalated to; an auditor; the system's owner; and somebody unknown."""
BARRED = ("bob", "cat")
"""bob owns the agent, and it acts on behalf of cat."""
FOR_EVER = 4 * 10**12


def person(name: str) -> Person:
    return Person(name=name, roles=frozenset({"auditor"} if name == "carl" else {"approver"}))


def group(name: str, *, quorum: int, undo: float, owners: bool) -> Group:
    return Group(
        name=name, members=MEMBERS, quorum=quorum, channels=(HOOK,), undo_seconds=undo, allow_owner=owners,
        remind_seconds=(300.0,), escalations=(Escalation(after_seconds=900.0, people=("zed",)),), expire_seconds=3600,
    )  # fmt: skip


@dataclass
class Story:
    """A world with one held call, and what this test itself knows about it."""

    world: World
    routes: Routes
    policy: str = "both"
    amount: int = 1
    call: str = ""
    changes: int = 0
    said: list[Decision] = field(default_factory=list)

    @property
    def needed(self) -> tuple[Requirement, ...]:
        return POLICIES.get(self.policy, ())

    def facts(self) -> list[Fact]:
        return RUNNER.run(MemoryJournal.facts(self.world.journal, self.call))

    # --- What happens -----------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """A new generation, of what routes and policies are now."""
        self.changes += 1
        decide = {"deny": deny, "allow": allow}.get(self.policy) or holding(*self.needed)
        self.world.generation = Generation(
            digest=f"generation-{self.changes}", routes=self.routes, policies=Policies(decide)
        )

    def regroup(self, name: str, **changes: Any) -> None:
        groups = {**self.routes.groups, name: replace(self.routes.groups[name], **changes)}
        self.routes = replace(self.routes, groups=groups)
        self.serve()

    def look(self) -> None:
        self.world.live(partial(self.world.engine().unattended, self.call))

    def decide(self, act: str, *args: Any, **how: Any) -> bool:
        """True if it was recorded."""

        async def story() -> bool:
            try:
                await getattr(Decisions(self.world.engine()), act)(self.call, *args, **how)
            except (CannotEdit, NotEligible, Stale):
                return False
            return True

        done = self.world.live(story)
        assert isinstance(done, bool), done
        return done

    def decision(self, by: str, name: str, *, approve: bool) -> Decision:
        self.look()
        fingerprint = shown(self.world.record(self.call), name)
        told = Decision(
            approve=approve, by=by, group=name, fingerprint=fingerprint, via="t", message=f"m-{len(self.said)}"
        )
        self.said.append(told)
        return told

    def do(self, step: tuple[Any, ...]) -> None:
        self._say(step)
        self._change(step)
        self.look()

    def _say(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("say", by, name, approve):
                self.decide("vote", self.decision(by, name, approve=approve))
            case ("again", number) if self.said:
                self.decide("vote", self.said[number % len(self.said)])
            case ("late", number, by, name) if self.said:
                old = self.said[number % len(self.said)].fingerprint
                self.decide("vote", Decision(approve=True, by=by, group=name, fingerprint=old, via="t"))
            case ("edit", by, name, amount):
                edits = len(self.world.record(self.call).edits)
                self.decide("edit", self.decision(by, name, approve=True), {"amount": amount})
                if len(self.world.record(self.call).edits) > edits:
                    self.amount = amount
            case ("retract", by, name):
                self.decide("retract", by=by, group=name, via="t")
            case ("cancel", by):
                self.decide("cancel", by=by, via="t")
            case ("withdraw",):
                self.decide("withdraw", "support-bot")

    def _change(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("policy", name):
                self.policy = name
                self.serve()
            case ("members", name, members):
                self.regroup(name, members=members)
            case ("quorum", name, quorum):
                self.regroup(name, quorum=quorum)
            case ("long away", name, delegate):  # written into routes.yaml only now
                changed = replace(self.routes.people[name], away=Away(until=FOR_EVER, delegate=delegate))
                self.routes = replace(self.routes, people={**self.routes.people, name: changed})
                self.serve()
            case ("away", name, delegate):
                away = Away(begin=self.world.now, until=FOR_EVER, delegate=delegate) if delegate else None
                changed = replace(self.routes.people[name], away=away)
                self.routes = replace(self.routes, people={**self.routes.people, name: changed})
                self.serve()
            case ("clock", milliseconds):
                self.world.now += milliseconds

    # --- What must be so --------------------------------------------------------------------------------------------

    def check(self, before: int) -> None:
        facts = self.facts()
        claims = [place for place, fact in enumerate(facts) if isinstance(fact, Claimed)]
        assert len(claims) == self.world.effects <= 1
        refusals = (Rejected, Cancelled, Withdrawn, Expired)
        refused = [place for place, fact in enumerate(facts) if isinstance(fact, refusals)]
        assert not (claims and refused)
        if claims and claims[0] >= before:  # in this step, so under what serves now
            claim = facts[claims[0]]
            assert isinstance(claim, Claimed)
            assert self.policy != "deny"
            assert self.lacking(facts[: claims[0]], claim.at) == [], self.routes.groups
            assert claim.fingerprint == self.fingerprint()
            (body,) = self.world.upstream.effects
            assert json.loads(body) == {"amount": self.amount}
        if self.world.outcome(self.call) is None:
            assert self.call in self.world.journal.due_times
            assert self.lacking(facts, self.world.now), "it has what it needs and was looked at, and is still held"

    def fingerprint(self) -> str:
        found = admission(amount=self.amount, agent="support-bot", user="cat", routes=self.routes)
        return found.call.fingerprint

    def lacking(self, facts: list[Fact], now: int) -> list[Requirement]:
        """What the policies of now demand and has no quorum of distinct eligible people, for these bytes."""
        yeses = [fact for fact in standing(facts) if fact.fingerprint == self.fingerprint()]
        found = []
        for item in self.needed:
            found_by = list(self.counting(item, yeses, facts, now))
            seats = {fact.on_behalf or fact.by for fact in found_by}
            if min(len(seats), len({fact.by for fact in found_by})) < self.routes.groups[item.group].quorum:
                found.append(item)
        return found

    def counting(self, item: Requirement, yeses: list[Approved], facts: list[Fact], now: int) -> Iterator[Approved]:
        for fact in yeses:
            here = fact.group == item.group and item in fact.requirements
            first = next(other for other in yeses if other.by == fact.by)  # one person counts once per call
            seat = fact.on_behalf or fact.by
            filled = [other for other in yeses if seat in (other.by, other.on_behalf) and self.may(other, facts)]
            final = fact.undo == 0 or fact.at + fact.undo <= now
            if here and final and first.group == fact.group and fact in filled and filled[0].by == fact.by:
                yield fact

    def may(self, yes: Approved, facts: list[Fact]) -> bool:
        """Whether whoever said so is one of those whose word counts today."""
        where = self.routes.groups[yes.group]
        turned = [name for fact in facts if isinstance(fact, Escalated) and fact.group == yes.group for name in fact.to]
        holder = yes.on_behalf or yes.by
        barred = set() if where.allow_owner else set(BARRED)
        if holder not in {*where.members, *turned} or {yes.by, holder} & {*barred, "carl", "stranger"}:
            return False
        away, mine = (self.away(name, yes.at) for name in (holder, yes.by))
        if yes.on_behalf:
            return away is not None and away.delegate == yes.by and mine is None
        return away is None

    def away(self, name: str, at: int) -> Away | None:
        found = self.routes.people[name].away
        return found if found is not None and found.begin <= at < found.until else None


def standing(facts: list[Fact]) -> list[Approved]:
    """The yeses that were not taken back."""
    found: list[Approved] = []
    for fact in facts:
        match fact:
            case Approved():
                found.append(fact)
            case Retracted(by=by, group=name):
                found = [yes for yes in found if (yes.by, yes.group) != (by, name)]
    return found


def begin(quorums: tuple[int, int], undos: tuple[float, float], *, owners: bool, policy: str) -> Story:
    groups = {
        name: group(name, quorum=quorum, undo=undo, owners=owners)
        for name, quorum, undo in zip(("finance", "legal"), quorums, undos, strict=True)
    }
    people = {name: person(name) for name in EVERYBODY if name != "stranger"}
    story = Story(World(), replace(ROUTES, people=people, groups=groups), policy=policy)
    story.serve()
    story.world.live(partial(story.world.ask, amount=story.amount, agent="support-bot", user="cat"))
    (story.call,) = story.world.calls
    return story


NAMES, WHO, PARTY = st.sampled_from(("finance", "legal")), st.sampled_from(EVERYBODY), st.sampled_from(MEMBERS)
ABLE = st.sampled_from(("ann", "dan", "fay", "zed", "eve", "bob"))
YES = st.tuples(st.just("say"), ABLE, NAMES, st.just(True))
ROUTINE = st.one_of(
    st.tuples(st.just("say"), WHO, NAMES, st.just(True)),
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("late"), st.integers(0, 9), WHO, NAMES),
    st.tuples(st.just("edit"), WHO, NAMES, st.integers(1, 3)),
    st.tuples(st.just("retract"), PARTY, NAMES),
    st.tuples(st.just("policy"), st.sampled_from(tuple(POLICIES))),
    st.tuples(st.just("members"), NAMES, st.permutations(MEMBERS).map(lambda names: tuple(names[:4]))),
    st.tuples(st.just("quorum"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("long away"), PARTY, st.sampled_from(("eve", "dan"))),
    st.tuples(st.just("away"), PARTY, st.sampled_from(("eve", "dan", "", ""))),
    st.tuples(st.just("clock"), st.sampled_from((1_000, 11_000, 310_000, 1_000_000, -600_000))),
)  # fmt: skip
END = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(("ann", "zed", "bob")), NAMES, st.just(False)),
    st.tuples(st.just("cancel"), st.sampled_from(("ann", "bob", "olga", "zed"))),
    st.sampled_from((("withdraw",), ("policy", "deny"), ("policy", "allow"), ("clock", 3_600_000))),
)
STEPS = st.lists(st.one_of(YES, YES, ROUTINE, ROUTINE), min_size=4, max_size=12)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch, no_pauses):
    monkeypatch.setattr(gateway.decisions, "LOOK_SECONDS", 0)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    quorums=st.tuples(st.integers(1, 3), st.integers(1, 2)), undos=st.sampled_from(((0.0, 0.0), (10.0, 0.0))),
    owners=st.booleans(), policy=st.sampled_from(("finance", "both", "both", "changed")),
    steps=st.tuples(STEPS, END, STEPS).map(lambda parts: [*parts[0], parts[1], *parts[2][:4]]),
)  # fmt: skip
def test_nothing_acts_without_a_quorum_and_nothing_strands_with_one(quorums, undos, owners, policy, steps):
    tell(quorums, undos, owners=owners, policy=policy, steps=steps)


def tell(quorums, undos, *, owners, policy, steps) -> int:
    """The number of effects of a story in which everything is as it must be after each step."""
    story = begin(quorums, undos, owners=owners, policy=policy)
    story.check(before=0)
    for step in steps:
        before = len(story.facts())
        story.do(step)
        story.check(before)
    effects = story.world.effects
    story.world.steward(hours=3)
    assert story.world.outcome(story.call) is not None and story.world.effects <= 1
    return effects


def yes(by: str, name: str = "finance") -> tuple[Any, ...]:
    return "say", by, name, True


KNOWN = {
    "quorum": (2, [yes("ann"), yes("ann"), yes("dan")], 1),
    "one is not two": (2, [yes("ann"), yes("ann")], 0),
    "owner and user": (1, [yes("bob"), yes("cat"), yes("carl"), yes("zed"), yes("stranger")], 0),
    "rejected": (1, [("say", "fay", "finance", False), yes("dan")], 0),
    "cancelled": (1, [("cancel", "olga"), yes("dan")], 0),
    "withdrawn": (1, [("withdraw",), yes("dan")], 0),
    "denied today": (1, [("policy", "deny"), yes("dan")], 0),
    "taken back": (2, [yes("ann"), ("retract", "ann", "finance"), yes("dan")], 0),
    "given anew": (2, [yes("ann"), ("retract", "ann", "finance"), yes("dan"), yes("fay")], 1),
    "member left": (2, [yes("ann"), ("members", "finance", ("bob", "cat", "dan", "fay")), yes("dan")], 0),
    "quorum rose": (1, [("quorum", "finance", 2), yes("ann")], 0),
    "quorum fell": (2, [yes("ann"), ("quorum", "finance", 1)], 1),
    "delegate": (2, [yes("ann"), ("away", "dan", "eve"), yes("eve")], 1),
    "delegate of two": (2, [("away", "ann", "eve"), ("away", "dan", "eve"), yes("eve"), yes("eve")], 0),
    "away": (1, [("away", "dan", "eve"), yes("dan")], 0),
    "seat filled twice by its holder first": (2, [yes("dan"), ("clock", 1_000), ("away", "dan", "eve"), yes("eve")], 0),
    "delegate after a void yes": (2, [yes("dan"), ("long away", "dan", "eve"), yes("eve"), yes("ann")], 1),
    "seat filled twice": (2, [("away", "dan", "eve"), yes("eve"), ("away", "dan", ""), yes("dan")], 0),
    "escalated": (2, [("clock", 1_000_000), yes("zed"), yes("dan")], 1),
    "edited": (2, [yes("ann"), ("edit", "dan", "finance", 2)], 0),
    "edited and agreed": (2, [yes("ann"), ("edit", "dan", "finance", 2), yes("fay")], 1),
    "edited back": (2, [yes("ann"), ("edit", "dan", "finance", 2), ("edit", "fay", "finance", 1)], 1),
    "policy changed": (2, [yes("ann"), ("policy", "changed"), yes("dan")], 0),
    "another group": (1, [("policy", "both"), yes("ann"), yes("ann", "legal")], 0),
    "both groups": (1, [("policy", "both"), yes("ann"), yes("dan", "legal")], 1),
    "too late": (1, [("clock", 3_600_000), yes("dan")], 0),
    "stale": (1, [yes("zed"), ("policy", "changed"), ("late", 0, "dan", "finance")], 0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_stories_end_as_they_must(name):
    """So that every way to an effect, and every way past one, is walked in each run."""
    quorum, steps, effects = KNOWN[name]
    assert tell((quorum, 1), (0.0, 0.0), owners=False, policy="finance", steps=steps) == effects


@pytest.mark.parametrize(("after", "effects"), [(1_000, 0), (11_000, 1), (-600_000, 0)])
def test_a_yes_that_can_be_taken_back_releases_when_it_no_longer_can(after, effects):
    steps = [yes("ann"), ("clock", after)]
    assert tell((1, 1), (10.0, 0.0), owners=False, policy="finance", steps=steps) == effects


def test_whoever_may_decide_about_their_own_agent_may():
    assert tell((1, 1), (0.0, 0.0), owners=True, policy="finance", steps=[yes("bob")]) == 1
