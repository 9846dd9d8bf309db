"""What is kept for the record, and that a mask never masks less than it says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.payload import Answer, unpack_answer
from gateway.core.recording import (
    MASKED,
    NOT_JSON,
    STREAMED,
    Recording,
    canonical,
    copy_of_answer,
    copy_of_input,
    path_text,
    redacted,
)

CARD = {"card": {"number": "4242", "name": "Ann"}, "items": [{"secret": "s1", "n": 1}, {"n": 2}], "amount": 5}


@pytest.mark.parametrize(
    ("mask", "value", "expected"),
    [
        ("card.number", CARD, CARD | {"card": {"number": MASKED, "name": "Ann"}}),
        ("items[].secret", CARD, CARD | {"items": [{"secret": MASKED, "n": 1}, {"n": 2}]}),
        ("items.secret", CARD, CARD | {"items": [{"secret": MASKED, "n": 1}, {"n": 2}]}),
        ("items[]", CARD, CARD | {"items": [MASKED, MASKED]}),
        ("amount", CARD, CARD | {"amount": MASKED}),
        ("AMOUNT", CARD, CARD | {"amount": MASKED}),
        ("amount.minor", CARD, CARD | {"amount": MASKED}),
        ("card[].number", CARD, CARD | {"card": {"number": MASKED, "name": "Ann"}}),
        ("nothing.here", CARD, CARD),
        ("card", {"card": None}, {"card": None}),
        ("a.b", [{"a": {"b": 1}}, {"a": [{"b": 2}]}], [{"a": {"b": MASKED}}, {"a": [{"b": MASKED}]}]),
    ],
)
def test_a_path_masks_what_it_leads_to_and_more_where_it_does_not_fit(mask, value, expected):
    steps = tuple(mask.replace("[]", ".[]").split("."))
    found, hit = redacted(value, [steps])
    assert found == expected
    assert hit == ((path_text(steps),) if found != value else ())
    assert path_text(steps) == mask


def test_what_was_given_is_not_changed():
    before = json.dumps(CARD)
    redacted(CARD, [("card", "number"), ("items", "[]", "secret")])
    assert json.dumps(CARD) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "B", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)
STEPS = st.lists(st.sampled_from(["a", "b", "c", "[]"]), min_size=1, max_size=3).map(tuple)


def reached(value, steps):
    """Every value that a reader of the path would find there."""
    if not steps:
        return [value]
    step, rest = steps[0], steps[1:]
    if step == "[]":
        return [found for item in value for found in reached(item, rest)] if isinstance(value, list) else []
    return reached(value[step], rest) if isinstance(value, dict) and step in value else []


@given(JSON, STEPS)
def test_nothing_is_left_where_a_path_leads(value, steps):
    masked, _ = redacted(value, [steps])
    assert all(found in (MASKED, None) for found in reached(masked, steps))


def test_copies_of_arguments():
    redacts = Recording(input="redacted", mask=(("card", "number"), ("gone",)))
    copy = copy_of_input(redacts, CARD)
    assert copy is not None and copy.how == "redacted" and copy.masked == ("card.number",)
    assert json.loads(copy.data) == CARD | {"card": {"number": MASKED, "name": "Ann"}}
    assert copy.data == canonical(json.loads(copy.data)) and b"4242" not in copy.data
    full = copy_of_input(Recording(input="full", mask=(("card", "number"),)), CARD)
    assert full is not None and b"4242" in full.data and full.masked == ()
    assert copy_of_input(Recording(mask=(("card",),)), CARD) is None


def answer(body):
    return Answer(status=200, headers=((b"x-token", b"t"),), body=body)


def test_copies_of_answers():
    redacts = Recording(output="redacted", mask=(("secret",),))
    copy = copy_of_answer(redacts, answer(b'{"secret": 1, "big": 123456789012345678901234567890, "a": 1.5}'))
    assert copy is not None
    assert copy.data == b'{"a":1.5,"big":123456789012345678901234567890,"secret":"[masked]"}'
    full = copy_of_answer(Recording(output="full"), answer(b"\x00pdf"))
    assert full is not None and unpack_answer(full.data) == answer(b"\x00pdf")
    assert copy_of_answer(Recording(input="full"), answer(b"{}")) is None


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"NaN", b'{"c": 1e999}', b"[" * 100_000])
def test_an_answer_that_is_not_json_cannot_be_masked_so_there_is_only_its_digest(body):
    copy = copy_of_answer(Recording(output="redacted", mask=(("a", "b"),)), answer(body))
    assert copy is not None and copy.how == "digest" and copy.data == b"" and copy.why == NOT_JSON


def test_an_answer_that_is_not_in_hand_says_so():
    for how in ("redacted", "full"):
        copy = copy_of_answer(Recording(output=how), None)
        assert copy is not None and (copy.how, copy.why) == ("digest", STREAMED)
