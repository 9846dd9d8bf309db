"""Which forbid a standing grant meets, for which call, on whose word; and everything that it must never meet."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.approval import eligible
from gateway.core.facts import Admitted, Approved, Asked, Judged
from gateway.core.grants import (
    Grant,
    Granted,
    GrantFact,
    Revoked,
    about_nobody,
    grant_id,
    is_grant_id,
    lifted,
    may_give,
    obstacle,
    partition_in,
    recall_grant,
    shape,
    stands,
)
from gateway.core.record import Record, recall
from gateway.core.routes import Away, Credential, Parameter, Routes, SecretReference
from gateway.core.verdict import Lifted, Requirement, Verdict
from tests.company import (
    FINANCE,
    KEY,
    NIGHT,
    PEOPLE,
    REFUND,
    ROUTES,
    STRIPE,
    admission,
    with_group,
    with_system,
    with_tool,
)

HOUR = 3_600_000
LEGAL = Requirement("legal", "legal-too", "text-2")
CALL = admission().call
ALLOWING = with_group("legal", with_group("finance", standing_seconds=8 * 3600.0), standing_seconds=8 * 3600.0)


def fact(by: str = "ann", **changes: object) -> Granted:
    made = Granted(
        grant="grant-07" + "ab" * 11, agent="billing-bot", tool=REFUND.name, shape=shape(STRIPE, REFUND),
        requirement=FINANCE, until=NIGHT + HOUR, by=by, via="by token", call=CALL.id, fingerprint="shown", at=NIGHT,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def grant(*facts: GrantFact, text: str = "permit") -> Grant:
    found = recall_grant(facts or (fact(),), text)
    assert found is not None
    return found


def record(*votes: Approved, user: str | None = None, agent: str = "billing-bot") -> Record:
    hold = Judged(verdict=Verdict(decision="hold", requirements=(FINANCE, LEGAL)), generation="g", fingerprint="f")
    question = Asked(fingerprint="f", requirements=(FINANCE, LEGAL), notices=(), expire=HOUR)
    return recall([Admitted(call=replace(CALL, user=user, agent=agent)), hold, question, *votes])


# --- What its facts amount to -----------------------------------------------------------------------------------------


def test_a_grant_is_what_the_first_fact_says_by_all_who_gave_it():
    found = grant(fact("ann", at=NIGHT), fact("bob", at=NIGHT + 5), fact("ann", at=NIGHT + 9))
    assert (found.people, found.begun, found.until) == (("ann", "bob"), NIGHT, NIGHT + HOUR)
    assert [found.standing(now) for now in (NIGHT, NIGHT + HOUR - 1, NIGHT + HOUR)] == ["open", "open", "ended"]


def test_a_revoked_grant_stays_so_and_has_no_text():
    found = grant(fact(), Revoked(grant="g", by="bob", at=NIGHT + 1), fact("olga"), Revoked(grant="g", by="carl"))
    assert (found.standing(NIGHT), found.text, found.revoked and found.revoked.by) == ("revoked", "", "bob")


def test_nothing_was_granted_without_somebody_who_did():
    assert recall_grant([]) is None
    assert recall_grant([Revoked(grant="g", by="bob")]) is None


def test_equal_grants_have_one_id_and_others_another():
    parts = ["finance", "over-50", "text-1", "shape", "1795168800000", "permit (...)"]
    one = grant_id(KEY, "billing-bot", parts)
    assert is_grant_id(one) and grant_id(KEY, "billing-bot", parts) == one
    others = {grant_id(KEY, "billing-bot", [*parts[:n], parts[n] + "x", *parts[n + 1 :]]) for n in range(len(parts))}
    others |= {grant_id(b"other key", "billing-bot", parts), grant_id(KEY, "support-bot", parts)}
    assert len(others) == len(parts) + 2 and one not in others
    assert grant_id(KEY, "billing-bot", ["ab", "c"]) != grant_id(KEY, "billing-bot", ["a", "bc"])
    assert partition_in(one) == CALL.id[:2]


@pytest.mark.parametrize(
    "text", ["", "grant-", "grant-07", "07" + "ab" * 11, "grant-x7" + "ab" * 11, "grant-07" + "AB" * 11]
)
def test_what_is_no_id_of_a_grant_is_not_looked_for(text):
    assert not is_grant_id(text)


# --- When it stands ---------------------------------------------------------------------------------------------------


def test_an_open_grant_by_a_member_stands_until_its_end():
    assert stands(grant(), record(), ALLOWING, now=NIGHT)
    assert stands(grant(), record(), ALLOWING, now=NIGHT + HOUR - 1)
    assert not stands(grant(), record(), ALLOWING, now=NIGHT + HOUR)


@pytest.mark.parametrize("change", [{"agent": "support-bot"}, {"tool": "stripe.capture"}, {"shape": "0" * 64}])
def test_it_is_about_one_agent_and_one_tool_as_it_is(change):
    assert not stands(grant(fact(**change)), record(), ALLOWING, now=NIGHT)


def test_it_is_not_about_the_calls_of_another_agent():
    assert not stands(grant(), record(agent="support-bot"), ALLOWING, now=NIGHT)


OTHER_KEY = Credential("bearer", SecretReference("env", "OTHER"))


@pytest.mark.parametrize(
    "routes",
    [
        with_tool(
            replace(REFUND, parameters=(Parameter(name="new", place="body", schema={}, optional=True),)), ALLOWING
        ),
        with_tool(replace(REFUND, template=("v2", "refund")), ALLOWING),
        with_tool(replace(REFUND, open=True), ALLOWING),
        with_tool(replace(REFUND, effect="destructive"), ALLOWING),
        with_system(ALLOWING, origin="https://live.stripe.example"),
        with_system(ALLOWING, base_path="/live"),
        with_system(ALLOWING, credential=OTHER_KEY),
        with_system(ALLOWING, tools=()),
    ],
    ids=["argument", "path", "open", "effect", "origin", "base path", "credential", "gone"],
)
def test_a_tool_that_changed_or_leads_elsewhere_is_not_the_one_that_was_granted(routes):
    found = grant(fact(shape=shape(ALLOWING.systems["stripe"], REFUND)))
    assert stands(found, record(), ALLOWING, now=NIGHT)
    assert not stands(found, record(), routes, now=NIGHT)
    assert "have changed since it was given" in obstacle(found, record(), routes, now=NIGHT)


@pytest.mark.parametrize(
    ("by", "routes", "user"),
    [
        ("olga", ALLOWING, None),  # owns the agent
        ("ann", ALLOWING, "ann"),  # the agent acts for her
        ("stranger", ALLOWING, None),
        ("carl", ALLOWING, None),  # a member without the role
        ("ghost", ALLOWING, None),  # a member who is nobody
        ("ann", with_group("finance", ALLOWING, members=("bob",)), None),  # left the group since
        ("ann", replace(ALLOWING, people=PEOPLE | {"ann": replace(PEOPLE["ann"], roles=frozenset())}), None),
        ("bob", replace(ALLOWING, agents={"billing-bot": replace(ALLOWING.agents["billing-bot"], owner="bob")}), None),
    ],
)
def test_it_counts_only_if_the_giver_could_approve_this_very_call_today(by, routes, user):
    assert not stands(grant(fact(by)), record(user=user), routes, now=NIGHT)


HOLIDAY = Away(begin=NIGHT + 1, until=NIGHT + HOUR, delegate="bob")


def test_who_is_away_gives_none_and_a_delegate_neither_but_what_was_given_before_stays():
    people = PEOPLE | {"ann": replace(PEOPLE["ann"], away=HOLIDAY)}
    routes = replace(with_group("finance", ALLOWING, members=("ann",)), people=people)
    assert stands(grant(fact("ann", at=NIGHT)), record(), routes, now=NIGHT + 5)
    assert not stands(grant(fact("ann", at=NIGHT + 1)), record(), routes, now=NIGHT + 5)
    assert not stands(grant(fact("bob", at=NIGHT + 1)), record(), routes, now=NIGHT + 5)
    assert not may_give(record(), routes.groups["finance"], "bob", routes, at=NIGHT + 5)


def test_somebody_to_whom_only_a_question_was_escalated_gives_none():
    escalated = record().evolve(escalated=(("finance", "bob"),))
    routes = with_group("finance", ALLOWING, members=("ann",))
    assert eligible(escalated, routes.groups["finance"], "bob", routes, at=NIGHT)
    assert not stands(grant(fact("bob")), escalated, routes, now=NIGHT)


def test_a_quorum_of_the_group_has_to_give_the_same():
    pair = with_group("finance", ALLOWING, quorum=2)
    assert not stands(grant(fact("ann")), record(), pair, now=NIGHT)
    assert not stands(grant(fact("ann"), fact("ann")), record(), pair, now=NIGHT)
    assert not stands(grant(fact("ann"), fact("olga")), record(), pair, now=NIGHT)
    assert stands(grant(fact("ann"), fact("bob")), record(), pair, now=NIGHT)
    assert obstacle(grant(), record(), pair, now=NIGHT) == "it takes 1 more of 'finance' who give the same grant"


def test_a_group_that_allows_less_than_it_did_shortens_what_it_gave():
    shorter = with_group("finance", ALLOWING, standing_seconds=600.0)
    assert stands(grant(), record(), shorter, now=NIGHT + 599_999)
    assert not stands(grant(), record(), shorter, now=NIGHT + 600_000)
    assert not stands(grant(), record(), ROUTES, now=NIGHT)
    gone = replace(ALLOWING, groups={"legal": ALLOWING.groups["legal"]})
    assert not stands(grant(), record(), gone, now=NIGHT)


def test_a_revoked_one_never_stands():
    assert not stands(grant(fact(), Revoked(grant="g", by="bob")), record(), ALLOWING, now=NIGHT)


def test_whether_it_may_be_used_can_be_told_without_a_call():
    assert obstacle(grant(), about_nobody(grant()), ALLOWING, now=NIGHT) == ""
    assert obstacle(grant(), about_nobody(grant()), ALLOWING, now=NIGHT + HOUR) == "it is ended"
    assert may_give(record(), ALLOWING.groups["finance"], "ann", ALLOWING, at=NIGHT)
    assert not may_give(record(), ALLOWING.groups["finance"], "olga", ALLOWING, at=NIGHT)


# --- What it lifts ----------------------------------------------------------------------------------------------------


def lift(*grants: Grant, routes: Routes = ALLOWING, wanted: tuple[Requirement, ...] = (FINANCE, LEGAL), **how: object):
    about = record(*how.pop("votes", ()))  # type: ignore[misc]
    return lifted(grants, wanted, about, "f", routes)


def test_it_meets_the_forbid_that_it_names_and_no_other():
    found = lift(grant())
    assert found == {FINANCE: Lifted("grant-07" + "ab" * 11, "over-50", ("ann",))}
    assert lift(grant(), wanted=(LEGAL,)) == {}
    for other in (replace(FINANCE, group="legal"), replace(FINANCE, policy="other"), replace(FINANCE, text="edited")):
        assert lift(grant(fact(requirement=other))) == {}


def vote(by: str, group: str, fingerprint: str = "f") -> Approved:
    asked = FINANCE if group == "finance" else LEGAL
    return Approved(by=by, group=group, fingerprint=fingerprint, requirements=(asked,), via="token")


def test_one_person_counts_for_one_group_only_by_vote_or_by_grant():
    assert lift(grant(fact("ann")), votes=(vote("ann", "legal"),)) == {}
    assert FINANCE in lift(grant(fact("ann")), votes=(vote("bob", "legal"),))
    assert FINANCE in lift(grant(fact("ann")), votes=(vote("ann", "legal", "other bytes"),))
    older, younger = grant(fact("ann", at=NIGHT - 5, requirement=LEGAL)), grant(fact("ann"))
    assert set(lift(younger, older)) == {LEGAL}
    assert set(lift(younger, grant(fact("bob", at=NIGHT - 5, requirement=LEGAL)))) == {FINANCE, LEGAL}


def test_who_counts_elsewhere_is_missing_in_a_quorum():
    pair = with_group("finance", ALLOWING, quorum=2)
    both = grant(fact("ann"), fact("bob"))
    assert FINANCE in lift(both, routes=pair)
    assert lift(both, routes=pair, votes=(vote("ann", "legal"),)) == {}


def test_of_two_grants_for_one_forbid_the_older_is_named():
    first, second = grant(fact(grant="grant-1", at=NIGHT - 9)), grant(fact(grant="grant-2"))
    assert lift(second, first)[FINANCE].grant == "grant-1"


PERSON = st.sampled_from(["ann", "bob", "olga", "carl", "ghost", "stranger"])
WHEN = st.integers(NIGHT - HOUR, NIGHT + 2 * HOUR)
FACTS = st.builds(
    fact, PERSON, agent=st.sampled_from(["billing-bot", "support-bot"]),
    tool=st.sampled_from([REFUND.name, "stripe.capture"]),
    requirement=st.sampled_from([FINANCE, LEGAL, replace(FINANCE, text="edited"), replace(FINANCE, group="legal")]),
    until=WHEN, at=st.integers(NIGHT - 9 * HOUR, NIGHT),
)  # fmt: skip
REVOKED = st.builds(Revoked, grant=st.just("g"), by=PERSON)


@given(
    facts=st.lists(FACTS | REVOKED, max_size=5), now=WHEN, user=st.none() | PERSON,
    quorum=st.integers(1, 3), standing=st.sampled_from([0.0, 60.0, 8 * 3600.0]),
    agent=st.sampled_from(["billing-bot", "support-bot"]),
    votes=st.lists(st.builds(vote, PERSON, st.sampled_from(["finance", "legal"])), max_size=2),
)  # fmt: skip
def test_whatever_was_granted_nothing_is_lifted_but_what_it_is_about(facts, now, user, quorum, standing, agent, votes):
    """Property: exactly this forbid, agent and tool; before its end; unrevoked; by a quorum who could vote now."""
    found = recall_grant(facts, "permit")
    about, routes = (
        record(*votes, user=user, agent=agent),
        with_group("finance", ALLOWING, quorum=quorum, standing_seconds=standing),
    )
    if found is None or not stands(found, about, routes, now=now):
        return
    for requirement, by in lifted([found], (FINANCE, LEGAL), about, "f", routes).items():
        group = routes.groups[requirement.group]
        assert requirement == found.requirement and requirement in (FINANCE, LEGAL)
        assert (found.agent, found.tool) == (agent, REFUND.name) == (about.call.agent, about.call.tool)
        assert now < found.until
        assert requirement == LEGAL or now < found.begun + standing * 1000
        assert not any(isinstance(each, Revoked) for each in facts)
        assert len(set(by.by)) >= group.quorum
        for person in by.by:
            assert person in ("ann", "bob") and person in group.members
            assert person not in (routes.agents[agent].owner, user)
            assert (
                all(each.group == requirement.group for each in votes if each.by == person)
                or next(each.group for each in votes if each.by == person) == requirement.group
            )
