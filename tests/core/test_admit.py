"""From a request that was read to a call: identity, keys, and what a call that waited may still become."""

from dataclasses import replace

import pytest

from gateway.core.admit import Inadmissible, question_now, readmit
from gateway.core.call import Request, partition_of
from tests.company import (
    CAPTURE,
    CHARGE,
    NIGHT,
    REFUND,
    REPORT,
    STRIPE,
    admission,
    arguments_of,
    with_system,
    with_tool,
)


def again(made, wanted=REFUND, system=STRIPE, request: Request | None = None):
    request = request or made.request
    return readmit(made.call, system, wanted, request, arguments_of(request), salt=made.salt)


def test_admitted_again_under_the_same_routes_nothing_differs():
    made = admission()
    assert again(made).call == made.call
    assert again(made).question == made.question


def test_identity_never_changes_and_the_fingerprint_is_todays():
    made = admission()
    moved = with_system(origin="https://other.example").systems["stripe"]
    today = again(made, system=moved).call
    assert today.fingerprint != made.call.fingerprint
    assert replace(today, fingerprint=made.call.fingerprint) == made.call


def test_other_bytes_have_another_fingerprint():
    made = admission(amount=5)
    assert again(made, request=replace(made.request, body=b'{"amount":6}')).call.fingerprint != made.call.fingerprint


@pytest.mark.parametrize(
    ("made_as", "now"),
    [
        (REPORT, replace(REPORT, effect="write")),
        (REFUND, replace(REFUND, effect="read")),
        (CAPTURE, replace(CAPTURE, send_key="")),
    ],
    ids=["a read became an effect", "an effect became a read", "no longer repeatable"],
)
def test_a_tool_of_another_kind_makes_a_waiting_call_inadmissible(made_as, now):
    with pytest.raises(Inadmissible) as no:
        again(admission(made_as), now)
    assert no.value.code == "tool-changed" and made_as.name in no.value.reason


def test_a_tool_that_became_repeatable_is_still_the_same_kind():
    assert again(admission(REFUND), replace(REFUND, send_key="Idempotency-Key"))


def test_two_requests_that_mean_the_same_are_one_intent_whatever_their_key():
    assert admission(key="a").call.match == admission(key="b").call.match
    assert admission(key="a").call.match != admission(key="a", amount=6).call.match
    assert admission(key="a").call.fingerprint == admission(key="a").call.fingerprint


@pytest.mark.parametrize("other", [{"agent": "support-bot"}, {"user": "ann"}, {"wanted": CAPTURE}, {"key": "k2"}])
def test_keys_are_scoped(other):
    assert admission(**{"key": "k", **other}).call.key != admission(key="k").call.key


def test_a_derived_key_cannot_be_guessed_by_giving_it():
    derived = admission(key=None).call
    assert not derived.key_given
    assert admission(key=derived.match).call.key != derived.key


def test_a_key_may_be_an_argument():
    routes = with_tool(replace(REFUND, key_input="amount"))
    keyed = routes.tool(REFUND.name)
    assert keyed is not None
    by_argument = admission(keyed, key=None, amount=7, routes=routes).call
    assert by_argument.key_given
    assert by_argument.key == admission(key="7").call.key
    assert admission(keyed, key="header", amount=7, routes=routes).call.key == admission(key="header").call.key


def test_how_long_a_key_lasts_depends_on_who_made_it():
    assert admission(key="k").call.keep_ms == 24 * 3_600_000
    assert admission(key=None).call.keep_ms == 300_000


def test_a_read_is_not_deduplicated_until_it_is_held():
    assert (admission(CHARGE).call.key, admission(CHARGE).identified().key) == ("", "")  # dedupe: off
    made = admission(REPORT)
    assert (made.call.key, made.call.match) == ("", "")
    held = made.identified()
    assert held.key and held.match
    assert held == admission(REPORT, random=made.call.id[2:]).identified()


def test_an_id_says_its_partition():
    assert admission().call.partition == partition_of("billing-bot")


def test_policies_are_told_what_the_gateway_knows_and_nothing_that_it_does_not():
    made = admission(user="ann", key=None)
    asked = question_now(made, now_ms=NIGHT, attempt=2)
    assert asked.call == {
        "method": "POST", "key_given": False, "source_ip": "", "now": NIGHT, "attempt": 2, "user": "ann"
    }  # fmt: skip
    assert asked.input == {"amount": 5}
    assert (asked.agent, asked.action, asked.system) == ("billing-bot", "stripe.refund", "stripe")
    assert "user" not in question_now(admission(), now_ms=NIGHT, attempt=1).call


def test_the_agents_own_why_is_not_for_policies():
    made = admission()
    assert "reason" not in question_now(replace(made, call=replace(made.call, reason="x")), now_ms=0, attempt=1).call
