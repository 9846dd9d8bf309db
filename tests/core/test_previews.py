"""What a preview asks for, what of an answer it shows, and what is remembered of it."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.payload import Answer
from gateway.core.previews import (
    LONGEST_VALUE,
    NOTHING_KEPT,
    Picture,
    Preview,
    Unlookable,
    asked_for,
    bound,
    changed,
    digest,
    failed,
    field,
    looked_at,
    merged,
    pack,
    unpack,
    with_difference,
)
from gateway.core.summaries import parse

JSON = (b"content-type", b"application/json")


def preview(*show: str, **how: Any) -> Preview:
    return Preview(name="charge", tool="stripe.get_charge", given=(), show=tuple(map(field, show)), **how)


def answer(body: Any, *headers: tuple[bytes, bytes], status: int = 200) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=(JSON, *headers), body=data)


def see(wanted: Preview, body: Any, *headers: tuple[bytes, bytes], given: dict[str, Any] | None = None) -> Picture:
    return looked_at(wanted, answer(body, *headers), given or {}, at=5, call="r")


# --- Asking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{charge}", "ch 1/2"),
        ("acct_{n}", "acct_5"),
        ("{yes}", "true"),
        ("{price}", "0.10"),
        ("{meta.order}", "7"),
        ("always", "always"),
        ("{nothing}", None),
        ("x{nothing}", None),
        ("{null}", None),
        ("{list}", None),
        ("{meta}", None),
    ],
)
def test_a_read_is_asked_for_with_the_arguments_of_the_call_as_they_are(text, value):
    given = {
        "charge": "ch 1/2", "n": 5, "yes": True, "price": Decimal("0.10"), "meta": {"order": 7}, "null": None,
        "list": [1],
    }  # fmt: skip
    wanted = replace(preview("a"), given=(("first", parse("1")), ("it", parse(text)), ("it", parse("2"))))
    middle = [] if value is None else [("it", value)]
    assert asked_for(wanted, given) == (("first", "1"), *middle, ("it", "2"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("amount", ("amount",)),
        ("customer.name", ("customer", "name")),
        ("/a.b/c~1d/e~0f/0", ("a.b", "c/d", "e~f", "0")),
        ("header:ETag", ("header:etag",)),
        ("amount|money:usd", ("amount",)),
    ],
)
def test_fields_are_named_by_dots_by_pointer_or_by_header(text, path):
    assert field(text).path == path


@pytest.mark.parametrize("text", ["", "a b}", "{a}", "a}{b", "a|nothing"])
def test_what_names_no_field_is_refused(text):
    with pytest.raises(ValueError, match=r"^(has|must) "):
        field(text)


# --- Seeing -----------------------------------------------------------------------------------------------------------


def test_a_picture_has_the_fields_in_words_and_as_they_are():
    wanted = preview(
        "amount|money:currency", "customer.name", "items.1", "off", "none", "gone", "header:ETag",
        bind=("amount",), becomes=(("customer.name", parse("{email|upper}")),), title=("description",),
    )  # fmt: skip
    body = {
        "amount": 5000, "currency": "usd", "customer": {"name": "Ann \u202e"}, "items": [1, 2.50], "off": False,
        "none": None, "description": "Order 7",
    }  # fmt: skip
    assert see(wanted, body, (b"etag", b'W/"1"'), given={"email": "a@x.example"}) == {
        "name": "charge", "tool": "stripe.get_charge", "call": "r", "at": 5, "title": '"Order 7"',
        "fields": [
            {"field": "amount", "text": "50.00 USD", "value": 5000},
            {"field": "customer.name", "text": '"Ann \\u202e"', "value": "Ann \u202e", "after": "A@X.EXAMPLE"},
            {"field": "items.1", "text": "2.5", "value": "2.5"},
            {"field": "off", "text": "false", "value": False},
            {"field": "none", "text": "null", "value": None},
            {"field": "gone", "text": "(not there)"},
            {"field": "header:etag", "text": '"W/\\"1\\""', "value": 'W/"1"'},
        ],
        "bind": ["amount"], "failed": "", "unread": "",
    }  # fmt: skip


def test_numbers_that_tools_round_are_text():
    found = see(preview("a", "b", "c"), b'{"a":123456789012345678901234567890,"b":0.1000,"c":999999999999999}')
    assert [item["value"] for item in found["fields"]] == ["123456789012345678901234567890", "0.1000", 999999999999999]


@pytest.mark.parametrize("value", ["x" * LONGEST_VALUE, [1] * LONGEST_VALUE, [[[[[[[[[1]]]]]]]]]])
def test_a_large_or_deep_value_is_told_in_words_and_known_by_its_digest(value):
    (item,) = see(preview("a"), {"a": value})["fields"]
    assert "value" not in item and len(item["sha256"]) == 64 and len(item["text"]) < 200
    (other,) = see(preview("a"), {"a": [value]})["fields"]
    assert other["sha256"] != item["sha256"]


def test_headers_alone_need_no_json():
    found = see(preview("header:etag"), b"<xml/>", (b"etag", b"x"))
    assert found["fields"] == [{"field": "header:etag", "text": "x", "value": "x"}]
    assert see(preview("header:etag", "a"), b"", (b"etag", b"x"))["fields"][1]["text"] == "(not there)"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (answer({}, status=404), "answered 404"),
        (answer({}, status=301), "answered 301"),
        (answer(b"x"), "not JSON"),
        (answer(b'{"a":NaN}'), "not JSON"),
        (answer(b'{"a":1,"a":1}'), "not JSON"),
        (answer(b"\xff"), "not JSON"),
        (answer(b"[" * 50_000), "not JSON"),
        (answer({}, (b"content-encoding", b"gzip")), "encoded"),
    ],
)
def test_what_cannot_be_read_shows_nothing(given, why):
    with pytest.raises(Unlookable, match=why):
        looked_at(preview("a"), given, {}, at=5, call="r")


def test_an_answer_that_is_no_object_has_no_fields():
    assert see(preview("a", title=("t",)), [1])["fields"] == [{"field": "a", "text": "(not there)"}]


def test_why_a_look_failed_is_one_bounded_line():
    found = failed(preview("a", bind=("a",)), "no\n\u202e" + "x" * 1000, at=5)
    assert found["failed"].startswith("no\\n\\u202ex") and len(found["failed"]) == 300
    assert (found["fields"], found["bind"], found["call"]) == ([], ["a"], "")


# --- Remembering ------------------------------------------------------------------------------------------------------

BOUND = preview("a", "b", bind=("a",))


def test_a_digest_is_of_values_and_salt():
    one = see(BOUND, {"a": 1, "b": 2})
    assert digest(one, b"s") == digest(see(BOUND, {"b": 2, "a": 1}), b"s")
    assert digest(one, b"s") != digest(one, b"t") != digest(see(BOUND, {"a": 1, "b": 3}), b"t")
    assert bound(one, b"s") == bound(see(BOUND, {"a": 1, "b": 3}), b"s") != bound(one, b"t")
    assert bound(see(preview("a"), {"a": 1}), b"s") == ""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def same(one: object, other: object) -> bool:
    """As JSON, where true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(VALUES, VALUES)
def test_what_is_bound_is_the_same_exactly_if_nothing_changed(one, other):
    first, second = see(BOUND, {"a": one, "b": 1}), see(BOUND, {"a": other, "b": 2})
    differs = () if same(one, other) else ("a",)
    assert changed(first, second) == differs
    assert (bound(first, b"s") == bound(second, b"s")) is (differs == ())


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (see(BOUND, {"a": 1}), see(BOUND, {}), ("a",)),
        (see(BOUND, {}), see(BOUND, {"a": None}), ("a",)),
        (see(BOUND, {}), see(BOUND, {}), ()),
        (see(BOUND, {}), failed(preview("a"), "no longer declared", at=1), ("a",)),
        (see(preview("a", "b", bind=("a", "b")), {}), see(preview("a", "b", bind=("b", "a")), {}), ()),
        (failed(BOUND, "no", at=1), see(BOUND, {}), ("a",)),
        (failed(BOUND, "no", at=1), see(BOUND, {"a": ""}), ("a",)),
        (see(BOUND, {"a": 1}), failed(preview("a"), "no longer declared", at=1), ("a",)),
        (see(BOUND, {"a": 1, "b": 2}), see(preview("a", "b", bind=("b", "a")), {"a": 1, "b": 2}), ("b",)),
        (see(BOUND, {"a": 1, "b": 2}), see(preview("b", "a", bind=("a",)), {"a": 1, "b": 2}), ()),
    ],
)
def test_what_is_missing_unseen_or_bound_anew_is_a_change(before, after, names):
    assert changed(before, after) == names
    assert (bound(before, b"s") == bound(after, b"s")) is (names == ())


def test_a_difference_is_shown_in_the_words_that_were_shown():
    wanted = preview("a|money:usd", "b", bind=("a",))
    before, after = see(wanted, {"a": 500, "b": 1}), see(wanted, {"a": 700, "b": 2})
    assert [item.get("was") for item in with_difference(before, after)["fields"]] == ["5.00 USD", "1"]
    assert with_difference(before, before) == before


def test_pictures_come_back_as_they_were_and_a_new_one_replaces_its_own():
    one, other = see(BOUND, {"a": 1}), {**see(BOUND, {"a": 2}), "name": "other"}
    assert unpack(pack([one, other])) == [one, other]
    assert unpack(None) == []
    news = {**one, "at": 9}
    assert merged([one, other], [news]) == [news, other]
    assert merged([other], [news]) == [other, news]


def test_what_is_no_longer_kept_differs_from_everything():
    seen = see(BOUND, {"a": 1})
    assert changed({**seen, **NOTHING_KEPT}, seen) == ("a",)
