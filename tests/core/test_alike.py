"""Which questions are one card: what a person weighs is the same, and whatever else differs does not count."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.admit import Admission
from gateway.core.alike import one_card_each, same_question
from gateway.core.facts import Admitted, Asked, Judged, Previewed
from gateway.core.record import Record, after, recall
from gateway.core.verdict import Requirement, Verdict
from tests.company import CAPTURE, FINANCE, REFUND, admission

LEGAL = Requirement("legal", "legal-too", "text-2")


def held(made: Admission, *requirements: Requirement) -> Record:
    wanted = requirements or (FINANCE,)
    verdict = Verdict(decision="hold", requirements=wanted)
    return recall([
        Admitted(call=made.call),
        Judged(verdict=verdict, generation="g", fingerprint=made.call.fingerprint),
        Asked(fingerprint=made.call.fingerprint, requirements=wanted, notices=(), expire=1000),
    ])  # fmt: skip


def with_input(made: Admission, **arguments: object) -> Admission:
    return replace(made, question=replace(made.question, input={**made.question.input, **arguments}))


def key(made: Admission, *requirements: Requirement) -> str:
    return same_question(held(made, *requirements), made)


def in_run(run: str) -> Admission:
    made = admission(key=f"key of {run}")
    return replace(made, call=replace(made.call, run=run))


def test_neither_the_run_nor_the_key_makes_a_question_another_one():
    assert len({key(in_run(run)) for run in ("one", "two", "three")}) == 1


@pytest.mark.parametrize(
    "other",
    [
        admission(amount=6),
        admission(agent="support-bot"),
        admission(user="carl"),
        admission(CAPTURE),
        with_input(admission(), reason="other"),
        replace(admission(), extra={"more": 1}),
    ],
    ids=["amount", "agent", "user", "tool", "argument", "undeclared argument"],
)
def test_whatever_a_person_weighs_does(other):
    assert key(admission()) != key(other)


def test_other_forbids_are_another_question_and_their_order_is_not():
    made = admission()
    assert (
        len({key(made), key(made, LEGAL), key(made, FINANCE, LEGAL), key(made, replace(FINANCE, text="edited"))}) == 4
    )
    assert key(made, FINANCE, LEGAL) == key(made, LEGAL, FINANCE)


def test_an_argument_that_serves_as_the_key_is_noise():
    tool = replace(REFUND, key_input="request_id")
    one, two = [replace(with_input(admission(), request_id=name), tool=tool) for name in ("a", "b")]
    assert key(one) == key(two)
    assert key(replace(one, tool=REFUND)) != key(replace(two, tool=REFUND))


def test_the_order_of_arguments_is_not_weighed_and_their_nesting_is():
    one, two = with_input(admission(), a=1, b={"c": 2}), with_input(admission(), b={"c": 2}, a=1)
    assert key(one) == key(two) != key(with_input(admission(), a=1, b=2))


def test_cards_stand_in_the_order_of_their_first_question():
    keyed: list[tuple[str, Any]] = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)]
    assert list(one_card_each(keyed).items()) == [("a", (1, 3)), ("b", (2, 5)), ("c", (4,))]
    assert one_card_each([]) == {}


def test_what_a_yes_is_bound_to_may_differ_so_it_is_a_card_of_its_own():
    def looked_at(bound: str) -> str:
        made = admission(key=bound + "key", random=secrets.token_hex(10))
        record = after(
            held(made),
            Previewed(name="p", call="r", digest="d", bound=bound, failed="", fingerprint=made.call.fingerprint),
        )
        return same_question(record, made)

    assert looked_at("") == looked_at("")
    assert looked_at("b") != looked_at("b")
