"""Standing grants in the life of calls: given at a question, used without asking, refused once they are gone."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gateway.granting
from gateway.adapters.memory_grants import MemoryGrants
from gateway.adapters.memory_journal import MemoryJournal
from gateway.core.approval import Decision, NotEligible, Stale, shown
from gateway.core.facts import Answered, Judged
from gateway.core.grants import Grant, NotGrantable, Revoked, Terms
from gateway.core.lifecycle import Finish, Wait
from gateway.core.verdict import Requirement
from gateway.decisions import Decisions, NoSuchCall
from gateway.engine import Engine
from gateway.granting import Draft, Granting, NoSuchGrant, NotShown, NotYours, Wish
from gateway.sending import Limits
from gateway.standing import Standing
from tests.company import (
    CAPTURE,
    FINANCE,
    KEY,
    PEOPLE,
    REFUND,
    REPORT,
    ROUTES,
    Generation,
    Policies,
    holding,
    with_group,
)
from tests.world import Behaviour, World

pytestmark = pytest.mark.usefixtures("no_pauses")

HOUR = 3_600_000
LEGAL = Requirement("legal", "legal-too", "text-2")
ALLOWING = with_group("legal", with_group("finance", standing_seconds=8 * 3600.0), standing_seconds=8 * 3600.0)


class Office(World):
    """A world with standing grants. One process knows them; `stale` is another that has not looked lately."""

    def __init__(self, *requirements: Requirement, **changes: Any) -> None:
        routes = changes.pop("routes", ALLOWING)
        super().__init__(
            generation=Generation(policies=Policies(holding(*(requirements or (FINANCE,)))), routes=routes), **changes
        )
        self.grants = MemoryGrants(self.clock, self.journal.pointers)
        self.standing = Standing()

    def engine(self) -> Engine:
        return Engine(
            journal=self.journal, upstream=self.upstream, generation=lambda: self.generation, limits=Limits(),
            standing=self.standing,
        )  # fmt: skip

    @property
    def granting(self) -> Granting:
        async def unsettled() -> list[str]:
            return list(self.journal.due_times)

        engine = self.engine()
        return Granting(engine, Decisions(engine), self.grants, unsettled, KEY)

    def ask_for(self, amount: int, **how: Any) -> Any:
        return self.live(partial(self.ask, amount=amount, key=f"key-{amount}-{how.get('agent', '')}", **how))

    def held(self, amount: int = 5, **how: Any) -> str:
        life, step = self.ask_for(amount, **how)
        assert isinstance(step, Wait)
        call: str = life.record.call.id
        return call

    def wish(self, call: str, by: str = "ann", group: str = "finance", *, bound: int = 10, hours: float = 1) -> Wish:
        terms = Terms(bounds={"amount": bound}, free=frozenset(), until=self.now + round(hours * HOUR))
        return Wish(
            call=call, group=group, fingerprint=shown(self.record(call), group), by=by, via="by token",
            way="token", terms=terms,
        )  # fmt: skip

    def drafts(self, wish: Wish) -> tuple[Draft, ...]:
        drafts: tuple[Draft, ...] = self.live_or_raise(partial(self.granting.draft, wish))
        return drafts

    def give(self, wish: Wish) -> tuple[Grant, ...]:
        shown_ids = [draft.fact.grant for draft in self.drafts(wish)]
        given: tuple[Grant, ...] = self.live_or_raise(partial(self.granting.give, wish, shown_ids))
        return given

    def revoke(self, grant: str, by: str) -> Grant:
        revoked: Grant = self.live_or_raise(partial(self.granting.revoke, grant, PEOPLE[by]))
        return revoked

    def live_or_raise(self, story: Any) -> Any:
        async def caught() -> Any:
            try:
                return await story()
            except (NoSuchCall, Stale, NotEligible, NotGrantable, NotShown, NoSuchGrant, NotYours) as error:
                return error

        found = self.live(caught)
        if isinstance(found, Exception):
            raise found
        return found


def granted(office: Office, amount: int = 5, **how: Any) -> Grant:
    (grant,) = office.give(office.wish(office.held(amount), **how))
    return grant


# --- Giving -----------------------------------------------------------------------------------------------------------


def test_a_grant_is_a_yes_to_the_call_and_the_next_call_like_it_asks_nobody():
    office = Office()
    call = office.held(5)
    (grant,) = office.give(office.wish(call))
    assert [vote.by for vote in office.record(call).votes] == ["ann"]
    assert office.effects == 1
    life, step = office.ask_for(9)
    assert isinstance(step, Finish) and office.effects == 2
    assert "Asked" not in office.kinds(life.record.call.id)
    judged = next(fact for fact in office.facts(life.record.call.id) if isinstance(fact, Judged))
    assert judged.verdict.requirements == (FINANCE,)
    (lifted,) = judged.verdict.granted
    assert (lifted.grant, lifted.policy, lifted.by) == (grant.id, "over-50", ("ann",))


def test_beyond_its_bound_people_are_asked_as_ever():
    office = Office()
    granted(office, bound=10)
    assert isinstance(office.ask_for(11)[1], Wait)


def test_what_would_be_granted_is_shown_first_and_only_that_is_granted():
    office = Office()
    wish = office.wish(office.held(5))
    (draft,) = office.drafts(wish)
    assert draft.covers and draft.fact.grant in draft.text
    assert office.grants.facts == {}
    for confirmed in ([], ["grant-07" + "ab" * 11], [draft.fact.grant, draft.fact.grant]):
        with pytest.raises(NotShown):
            office.live_or_raise(partial(office.granting.give, wish, confirmed))
    wider = replace(wish, terms=replace(wish.terms, bounds={"amount": 11}))
    with pytest.raises(NotShown):
        office.live_or_raise(partial(office.granting.give, wider, [draft.fact.grant]))
    assert office.grants.facts == {} and office.effects == 0


def test_a_draft_says_if_it_would_not_even_cover_the_call():
    office = Office()
    (draft,) = office.drafts(office.wish(office.held(5), bound=4))
    assert not draft.covers


def test_giving_the_same_again_changes_nothing():
    office = Office()
    first, second = office.held(5), office.held(6)
    until = office.now + HOUR
    wishes = [office.wish(call) for call in (first, second)]
    assert all(wish.terms.until == until for wish in wishes)
    office.grants.facts.clear()
    (one,) = office.give(wishes[0])
    before = dict(office.grants.facts)
    assert office.drafts(office.wish(office.held(11)))[0].fact.grant == one.id
    third = office.wish(office.held(12))
    office.give(third)
    assert office.grants.facts == before
    assert office.effects == 3  # the two that were covered, and the yes to the third


def test_other_calls_that_wait_for_the_same_go_on():
    office = Office()
    calls = [office.held(amount) for amount in (1, 2, 3)]
    beyond, others = office.held(50), office.held(4, agent="support-bot")
    office.give(office.wish(calls[0]))
    assert [office.outcome(call) is not None for call in calls] == [True] * 3
    assert [office.kinds(call)[-1] for call in (beyond, others)] == ["Asked", "Asked"]
    assert office.effects == 3


def test_what_a_process_asked_before_it_heard_of_the_grant_goes_on_a_moment_later(monkeypatch):
    monkeypatch.setattr(gateway.granting, "LATE_SECONDS", 0.5)
    office = Office()
    wish = office.wish(office.held(5))
    names = [draft.fact.grant for draft in office.drafts(wish)]

    async def story() -> Any:
        await office.granting.give(wish, names)
        await asyncio.sleep(0.02)
        office.standing = Standing()  # another process
        late = await office.ask(amount=6, key="late")
        call = late[0].record.call.id
        facts = partial(MemoryJournal.facts, office.journal, call)
        async with asyncio.timeout(60):
            while not any(isinstance(fact, Answered) for fact in await facts()):  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.02)
        return late

    life, step = office.live(story)
    assert isinstance(step, Wait)
    assert "Approved" not in office.kinds(life.record.call.id)
    assert isinstance(office.outcome(life.record.call.id), Answered)


def test_a_held_read_is_read_once_and_its_grant_is_needed_too():
    office = Office()
    office.give(office.wish(office.held(5, wanted=REPORT)))
    sends = office.upstream.sends
    _, step = office.ask_for(6, wanted=REPORT)
    assert isinstance(step, Finish) and office.upstream.sends == sends + 1
    office.grants.texts.clear()
    for name in [name for name in office.journal.pointers if name.startswith("grant:")]:
        del office.journal.pointers[name]
    life, step = office.ask_for(7, wanted=REPORT)
    assert isinstance(step, Wait), "it was fetched, and not disclosed"
    assert "Answered" not in office.kinds(life.record.call.id)


@pytest.mark.parametrize(
    ("by", "routes", "error", "why"),
    [
        ("olga", ALLOWING, NotEligible, "owns"),
        ("carl", ALLOWING, NotEligible, "does not have the role"),
        ("stranger", ALLOWING, NotEligible, "not declared"),
        ("ann", ROUTES, NotGrantable, "it has no `standing` in routes.yaml"),
    ],
)
def test_who_may_not_give_it_does_not(by, routes, error, why):
    office = Office(routes=routes)
    with pytest.raises(error, match=why):
        office.drafts(office.wish(office.held(5), by))


def test_a_group_that_decides_elsewhere_gives_none_here():
    office = Office(routes=with_group("finance", ALLOWING, decide_in=("page",)))
    wish = office.wish(office.held(5))
    with pytest.raises(NotEligible, match="decides only in: page"):
        office.drafts(wish)
    assert office.drafts(replace(wish, way="page"))


@pytest.mark.parametrize("hours", [-1, 0, 0.01, 8.01, 1e6])
def test_it_ends_in_time(hours):
    office = Office()
    with pytest.raises(NotGrantable, match="between a minute and 8 h from now"):
        office.drafts(office.wish(office.held(5), hours=hours))


def test_it_is_about_what_was_shown():
    office = Office()
    call = office.held(5)
    with pytest.raises(Stale, match="has changed since it was shown"):
        office.drafts(replace(office.wish(call), fingerprint="other"))
    with pytest.raises(Stale, match="does not wait for 'legal'"):
        office.drafts(office.wish(call, group="legal"))
    with pytest.raises(NoSuchCall):
        office.drafts(replace(office.wish(call), call="07" + "00" * 11))
    wish = office.wish(call)
    office.give(wish)
    with pytest.raises(Stale):
        office.drafts(wish)


def test_terms_that_cannot_be_are_refused_before_anything_is_written():
    office = Office()
    wish = office.wish(office.held(5))
    with pytest.raises(NotGrantable, match="nothing is free here"):
        office.drafts(replace(wish, terms=replace(wish.terms, free=frozenset({"amount"}))))
    assert office.grants.facts == {}


def test_somebody_who_has_voted_already_may_still_grant():
    office = Office(routes=with_group("finance", ALLOWING, quorum=2))
    call = office.held(5)
    office.live(partial(office.vote, call, "ann"))
    office.live(partial(office.engine().unattended, call))
    (grant,) = office.give(office.wish(call))
    assert grant.people == ("ann",)
    assert [vote.by for vote in office.record(call).votes] == ["ann"]


def test_a_quorum_of_two_is_two_people_who_grant_the_same():
    office = Office(routes=with_group("finance", ALLOWING, quorum=2))
    call = office.held(5)
    (half,) = office.give(office.wish(call))
    assert half.people == ("ann",)
    assert isinstance(office.ask_for(6)[1], Wait)
    (whole,) = office.give(office.wish(call, "bob"))
    assert (whole.id, whole.people) == (half.id, ("ann", "bob"))
    assert isinstance(office.ask_for(7)[1], Finish)


def test_one_group_of_two_is_not_enough():
    """What legal has to say is asked, and the grant of finance is looked at again when legal has said it."""
    office = Office(FINANCE, LEGAL)
    first = office.held(5)
    office.give(office.wish(first, "ann"))
    second, step = office.ask_for(6)
    assert isinstance(step, Wait)
    judged = second.record.judged
    assert judged is not None and judged.verdict.requirements == (LEGAL,)
    assert [lifted.policy for lifted in judged.verdict.granted] == ["over-50"]


def test_every_forbid_of_the_group_gets_a_grant_of_its_own():
    other = Requirement("finance", "over-500", "text-3")
    office = Office(FINANCE, other)
    given = office.give(office.wish(office.held(5)))
    assert [grant.requirement for grant in given] == [FINANCE, other]
    assert len({grant.id for grant in given}) == 2
    assert isinstance(office.ask_for(6)[1], Finish)


# --- The end of it ----------------------------------------------------------------------------------------------------


def test_a_revoked_grant_lifts_nothing_any_more():
    office = Office()
    grant = granted(office)
    assert isinstance(office.ask_for(6)[1], Finish)
    revoked = office.revoke(grant.id, "bob")
    assert revoked.revoked is not None and revoked.revoked.by == "bob"
    assert isinstance(office.ask_for(7)[1], Wait)
    assert office.revoke(grant.id, "ann").revoked == office.grants.facts[grant.id][-1]  # and once is enough


def test_a_read_is_not_disclosed_if_its_grant_was_revoked_while_it_was_fetched():
    office = Office()
    (grant,) = office.give(office.wish(office.held(5, wanted=REPORT)))

    async def revoked() -> None:
        await office.granting.revoke(grant.id, PEOPLE["bob"])

    office.upstream.script = [Behaviour(meanwhile=revoked)]
    life, step = office.ask_for(6, wanted=REPORT)
    assert isinstance(step, Wait) and life.answer is None
    assert office.kinds(life.record.call.id) == ["Admitted", "Judged", "Asked"]


def test_a_read_that_was_claimed_before_the_revocation_ends_as_it_began():
    """A claim is the moment that counts, as for an effect; its outcome is never left unwritten."""
    office = Office()
    first, second = office.held(5, wanted=REPORT), office.held(6, wanted=REPORT)

    async def revoked() -> None:
        for grant in list(office.grants.facts):
            await office.granting.revoke(grant, PEOPLE["bob"])

    office.upstream.script = [Behaviour(meanwhile=revoked), Behaviour(meanwhile=revoked)]
    office.give(office.wish(first))
    for call in (first, second):
        claimed = "Claimed" in office.kinds(call)
        assert claimed is isinstance(office.outcome(call), Answered)
    assert isinstance(office.outcome(first), Answered)


@pytest.mark.parametrize("wanted", [REFUND, CAPTURE])
def test_a_process_that_has_not_heard_of_the_revocation_cannot_use_it_either(wanted):
    """The claim needs the grant to be there: nothing is sent, and people are asked instead."""
    office = Office()
    (grant,) = office.give(office.wish(office.held(5, wanted=wanted)))
    stale = office.standing
    office.standing = Standing()
    office.revoke(grant.id, "bob")
    office.standing = stale
    assert stale.of("billing-bot", wanted.name)
    effects, sends = office.effects, office.upstream.sends
    life, step = office.ask_for(6, wanted=wanted)
    assert isinstance(step, Wait)
    assert office.kinds(life.record.call.id) == ["Admitted", "Judged", "Asked"]
    assert (office.effects, office.upstream.sends) == (effects, sends)
    assert not stale.of("billing-bot", wanted.name)


def test_a_held_call_that_is_looked_at_by_a_process_that_has_not_heard_stays_held():
    office = Office(FINANCE, LEGAL)
    (grant,) = office.give(office.wish(office.held(5)))
    call = office.held(6)
    stale = office.standing
    office.standing = Standing()
    office.revoke(grant.id, "bob")
    office.standing = stale
    fingerprint = shown(office.record(call), "legal")
    yes = Decision(approve=True, by="bob", group="legal", fingerprint=fingerprint, via="by token", way="token")
    office.live(partial(office.granting.decisions.vote, call, yes))
    record = office.record(call)
    assert office.kinds(call)[-2:] == ["Judged", "Asked"] and office.effects == 0
    assert record.judged is not None and record.judged.verdict.requirements == (FINANCE,)


def test_it_ends_by_the_clock():
    office = Office()
    granted(office)
    office.now += HOUR - 1
    assert isinstance(office.ask_for(6)[1], Finish)
    office.now += 1
    assert isinstance(office.ask_for(7)[1], Wait)


def test_a_forbid_that_changed_is_not_met():
    office = Office()
    granted(office)
    edited = replace(FINANCE, text="edited")
    office.generation = replace(office.generation, digest="generation-2", policies=Policies(holding(edited)))
    assert isinstance(office.ask_for(6)[1], Wait)


def test_for_the_edited_forbid_it_is_another_grant():
    """Same words, same end, and yet not the same: who gave the one has not given the other."""
    office = Office()
    wish = office.wish(office.held(5))
    (before,) = office.give(wish)
    edited = replace(FINANCE, text="edited")
    office.generation = replace(office.generation, digest="generation-2", policies=Policies(holding(edited)))
    (after,) = office.give(replace(office.wish(office.held(6)), terms=wish.terms))
    assert after.id != before.id and after.requirement == edited


def test_what_was_revoked_is_not_given_again_by_the_same_words():
    office = Office()
    wish = office.wish(office.held(5))
    (grant,) = office.give(wish)
    office.revoke(grant.id, "bob")
    again = replace(office.wish(office.held(7)), terms=wish.terms)
    with pytest.raises(NotGrantable, match=f"{grant.id} was revoked by 'bob'; choose another `until`"):
        office.give(again)
    (other,) = office.give(office.wish(office.held(8), hours=2))
    assert other.id != grant.id


@pytest.mark.parametrize(("by", "may"), [("ann", True), ("bob", True), ("olga", True), ("carl", False)])
def test_who_may_revoke_it(by, may):
    """Approvers of the group, also those who could not give it, and operators."""
    office = Office()
    grant = granted(office)
    if may:
        assert office.revoke(grant.id, by).revoked is not None
    else:
        with pytest.raises(NotYours):
            office.revoke(grant.id, by)


@pytest.mark.parametrize("name", ["grant-07" + "00" * 11, "nonsense", "", "grant-07"])
def test_what_was_never_granted_cannot_be_revoked(name):
    with pytest.raises(NoSuchGrant):
        Office().revoke(name, "ann")


def test_they_are_listed_the_last_one_first_and_those_that_are_over_too():
    office = Office()
    first = granted(office)
    office.now += 1000
    second = granted(office, 20, bound=30)
    office.revoke(first.id, "ann")
    listed = office.live_or_raise(office.granting.listed)
    assert [(grant.id, grant.standing(office.now)) for grant in listed] == [(second.id, "open"), (first.id, "revoked")]
    office.now += 31 * 24 * HOUR
    assert office.live_or_raise(office.granting.listed) == []


def test_what_a_process_knows_follows_what_others_do():
    office, elsewhere = Office(), Standing()
    grant = granted(office)

    def refreshed() -> list[str]:
        office.live(partial(elsewhere.refresh, office.grants, office.now))
        return [each.id for each in elsewhere.of("billing-bot", REFUND.name)]

    assert refreshed() == [grant.id]
    assert not elsewhere.of("billing-bot", CAPTURE.name) and not elsewhere.of("support-bot", REFUND.name)
    office.revoke(grant.id, "ann")
    assert refreshed() == []
    second = granted(office, 20, bound=30)
    assert refreshed() == [second.id]
    office.now += HOUR
    assert refreshed() == []


# --- Whatever people and agents do ------------------------------------------------------------------------------------

AGENT, TOOL = st.sampled_from(["billing-bot", "support-bot"]), st.sampled_from([REFUND, CAPTURE])
PERSON, AMOUNT = st.sampled_from(["ann", "bob", "olga"]), st.integers(1, 30)
ACTS = st.one_of(
    st.tuples(st.just("ask"), AMOUNT, AGENT, TOOL),
    st.tuples(st.just("give"), PERSON, AMOUNT, st.sampled_from([0.5, 1, 2])),
    st.tuples(st.just("revoke"), PERSON),
    st.tuples(st.just("wait"), st.sampled_from([HOUR // 4, HOUR])),
    st.tuples(st.just("sleep")),
)


def act(office: Office, number: int, what: tuple[Any, ...]) -> None:
    match what:
        case ("ask", amount, agent, tool):
            office.live(partial(office.ask, tool, amount=amount, agent=agent, key=f"k{number}"))
        case ("give", by, bound, hours):
            waiting = [call for call in office.calls if office.record(call).asked and office.outcome(call) is None]
            with suppress(NotEligible, Stale, NotGrantable):
                office.give(office.wish(waiting[0], by, bound=bound, hours=hours)) if waiting else None
        case ("revoke", by):
            awake, office.standing = office.standing, Standing()
            for grant in list(office.grants.facts):
                office.revoke(grant, by)
            office.standing = awake  # the process that serves agents has not heard of it
        case ("wait", milliseconds):
            office.now += milliseconds
        case _:
            office.live(partial(office.standing.refresh, office.grants, office.now))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(ACTS, min_size=3, max_size=14))
def test_nothing_is_released_that_no_open_grant_covers(acts):
    """Property: of every call that was let through by a grant, there is a grant that was open at its claim, about that
    agent and tool, given by people who might, whatever the process that serves agents believed."""
    office = Office()
    for number, what in enumerate(acts):
        act(office, number, what)
    for call in office.calls:
        for fact in office.live_or_raise(partial(office.journal.facts, call)):
            if isinstance(fact, Judged) and fact.verdict.decision == "allow" and fact.verdict.granted:
                check(office, call, fact)


def check(office: Office, call: str, judged: Judged) -> None:
    about = office.record(call).call
    (lifted,) = judged.verdict.granted
    first, *others = office.grants.facts[lifted.grant]
    assert (first.agent, first.tool, first.requirement) == (about.agent, about.tool, FINANCE)  # type: ignore[union-attr]
    assert first.at <= judged.at < first.until  # type: ignore[union-attr]
    assert all(judged.at <= other.at for other in others if isinstance(other, Revoked))
    assert set(lifted.by) <= {"ann", "bob", "olga"} - {office.generation.routes.agents[about.agent].owner}
