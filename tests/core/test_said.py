"""The life of a standing grant. What people say about a call is in `test_lives`."""

from dataclasses import replace

import pytest

from gateway.core.grants import Granted, Revoked
from gateway.core.said import NEVER_GIVEN, Impossible
from tests.playbook import FINANCE

ANN = Granted(
    grant="grant-1", agent="a", tool="s.t", shape="x", requirement=FINANCE, until=100, by="ann", via="token", call="c",
    fingerprint="f",
)  # fmt: skip
BOB, NO = replace(ANN, by="bob"), Revoked(grant="grant-1", by="olga")


def test_a_grant_is_given_by_several_and_revoked():
    life = NEVER_GIVEN.tell(ANN).tell(BOB).tell(NO)
    assert life.givers == {"ann", "bob"} and life.revoked and life.until == 100


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ((NO,), "it is revoked and was never given"),
        ((ANN, ANN), "ann gives it twice"),
        ((ANN, NO, BOB), "Granted after it was revoked"),
        ((ANN, NO, NO), "Revoked after it was revoked"),
        ((ANN, replace(BOB, agent="b")), "it is given on other terms than the first time"),
        ((ANN, replace(BOB, tool="s.u")), "it is given on other terms than the first time"),
        ((ANN, replace(BOB, shape="y")), "it is given on other terms than the first time"),
        ((ANN, replace(BOB, until=101)), "it is given on other terms than the first time"),
        ((ANN, replace(BOB, requirement=replace(FINANCE, text="t"))), "it is given on other terms than the first time"),
    ],
)
def test_a_grant_cannot_have_come_about_otherwise(facts, sentence):
    life = NEVER_GIVEN
    for fact in facts[:-1]:
        life = life.tell(fact)
    with pytest.raises(Impossible, match=f"^{sentence}$"):
        life.tell(facts[-1])
