"""Standing grants as Cedar evaluates them: alone, for exactly what they say, and for nothing when anything is wrong."""

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import cedar_grants
from gateway.adapters.cedar import Rules
from gateway.adapters.cedar_grants import CedarGrants
from gateway.core.grants import Grant, Granted, NotGrantable, Terms, recall_grant, shape
from gateway.core.routes import Agent
from gateway.core.verdict import Question, Requirement
from gateway.grant_ports import Granting
from tests.adapters.test_cedar import HOLD, PERMIT, policies, refund
from tests.config.cedar_routes import REFUND, routes

ROUTES = routes()
NOW = 1_795_255_200_000
HOUR = 3_600_000
UNSEEN = frozenset({"metadata"})
TERMS = Terms(bounds={}, free=UNSEEN, until=NOW)
NAME = "grant-07" + "ab" * 11
OVER_50 = Requirement("finance", "over-50", "text")


def granting() -> Granting:
    return CedarGrants(ROUTES)


def grant(
    question: Question | None = None, *, until: int = NOW + HOUR, text: str | None = None, name: str = NAME,
    **bounds: int,
) -> Grant:  # fmt: skip
    terms = Terms(bounds=bounds, free=UNSEEN, until=until)
    if text is None:
        text = granting().text(question or refund(amount=9000), terms, policy="over-50", grant=name)
    fact = Granted(
        grant=name, agent="billing-bot", tool=REFUND.name, shape=shape(ROUTES.systems["stripe"], REFUND),
        requirement=OVER_50, until=until, by="lead", via="by token", call="", fingerprint="",
    )  # fmt: skip
    found = recall_grant([fact], text)
    assert found is not None
    return found


def matches(given: Grant, question: Question) -> bool:
    return granting().matching(question, [given]) == (given,)


def at(now: int, question: Question) -> Question:
    return replace(question, call={**question.call, "now": now})


def test_it_matches_the_call_at_which_it_was_given_and_what_its_terms_add():
    given = grant(amount=10_000)
    for amount, expected in ((9_000, True), (0, True), (10_000, True), (10_001, False)):
        assert matches(given, refund(amount=amount)) is expected, amount


def test_it_ends_to_the_millisecond():
    given = grant()
    assert matches(given, at(NOW + HOUR - 1, refund(amount=9000)))
    assert not matches(given, at(NOW + HOUR, refund(amount=9000)))


@pytest.mark.parametrize(
    "other",
    [
        refund(amount=9001),
        refund(amount=9000, charge="ch_2"),
        refund(amount=9000, charge="ch_1 "),
        refund(amount=9000, reason="duplicate"),
        refund(amount=9000, rate=1),
        replace(refund(amount=9000), agent="intern-bot"),
        replace(refund(amount=9000), call={**refund().call, "user": "ann"}),
        replace(refund(amount=9000), action="stripe.get_charge", input={"charge": "ch_1"}),
    ],
)
def test_it_matches_nothing_else(other):
    assert matches(grant(), refund(amount=9000))
    assert not matches(grant(), other)


def test_for_one_user_it_is_for_that_user():
    given = grant(replace(refund(amount=9000), call={**refund().call, "user": "ann"}))
    assert matches(given, replace(refund(amount=9000), call={**refund().call, "user": "ann"}))
    assert not matches(given, replace(refund(amount=9000), call={**refund().call, "user": "bob"}))
    assert not matches(given, refund(amount=9000))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['" || true || "', "\\", "\n", "*"]
)


@given(TEXTS, TEXTS, st.integers(0, 99_999), st.integers(1, 99_999), st.integers(0, 99_999))
def test_whatever_an_agent_wrote_the_grant_is_about_that_and_nothing_wider(mine, others, amount, bound, used):
    """Property: an argument that is not named matches itself alone, a bounded one its bound."""
    given = grant(refund(charge=mine, amount=amount), amount=bound)
    assert matches(given, refund(charge=others, amount=used)) is (others == mine and used <= bound)


def test_grants_are_asked_one_by_one():
    """One that cannot be evaluated takes nothing from the others, and gives nothing."""
    broken = grant(name="grant-07" + "cd" * 11, text="permit (")
    asked = refund(amount=9000)
    both = [broken, grant()]
    assert granting().matching(asked, both) == (both[1],)


WIDE = f'@id("{NAME}") @grants("over-50") permit (principal, action, resource);'
OVERFLOWS = WIDE.replace(";", " when { context.input.amount * 4611686018427387904 > 5 || true };")


@pytest.mark.parametrize(
    "text",
    [
        OVERFLOWS,
        "",
        "no cedar",
        WIDE.replace("permit", "forbid"),
        WIDE.replace("07ab", "08ab"),
        WIDE.replace("over-50", "over-60"),
        WIDE.replace("@grants", "@reason"),
        WIDE + WIDE.replace("07ab", "08ab"),
        WIDE.replace(";", " when { context.input.nothing == 1 };"),
    ],
)  # fmt: skip
def test_what_is_not_this_grant_or_errs_does_not_match(text, caplog):
    assert matches(grant(text=WIDE), refund(amount=9000))  # it is the text that decides
    with caplog.at_level(logging.WARNING):
        assert not matches(grant(text=text), refund(amount=9000))
    assert "9000" not in caplog.text


def test_an_agent_or_tool_that_is_gone_matches_nothing():
    fewer = CedarGrants(replace(ROUTES, agents={"other": Agent(name="other", owner="lead")}))
    assert fewer.matching(refund(amount=9000), [grant()]) == ()
    assert CedarGrants(replace(ROUTES, systems={})).matching(refund(amount=9000), [grant()]) == ()
    with pytest.raises(NotGrantable, match="no such tool"):
        CedarGrants(replace(ROUTES, systems={})).text(
            refund(), Terms(bounds={}, free=UNSEEN, until=NOW), policy="p", grant="g"
        )


def test_a_panic_of_cedar_matches_nothing(monkeypatch):
    class Panic(BaseException):
        pass

    def panics(*_: object) -> None:
        raise Panic

    monkeypatch.setattr(Rules, "answer", panics)
    assert not matches(grant(), refund(amount=9000))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Rules, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        matches(grant(), refund(amount=9000))


def test_a_text_is_checked_against_the_schema_before_it_is_shown(monkeypatch):
    monkeypatch.setattr(
        cedar_grants, "grant_text", lambda *_, **__: WIDE.replace(";", " when { context.input.x == 1 };")
    )
    with pytest.raises(NotGrantable, match="could not be written so that Cedar accepts it"):
        granting().text(refund(), TERMS, policy="over-50", grant="g")


def test_a_grant_is_compiled_once_and_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(cedar_grants, "COMPILED_KEPT", 2)
    it = CedarGrants(ROUTES)
    several = [grant(name=f"grant-07{number:022x}") for number in range(5)]
    assert it.matching(refund(amount=9000), several) == tuple(several)
    assert len(it._compiled) <= 2


def test_a_grant_permits_nothing_by_itself():
    """It is no policy: what no permit allows stays denied, whatever was granted."""
    asked = refund(amount=9000)
    assert matches(grant(), asked)
    assert policies(HOLD).judge(asked, frozenset({OVER_50})).decision == "deny"
    assert (
        policies(PERMIT + HOLD).judge(asked, frozenset({OVER_50})).decision == "hold"
    )  # another text: not that forbid
