"""Every argument is shown whole, or with the size and digest of what is whole."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.legible import legible, raw


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (90000, "90000"),
        (None, "null"),
        (True, "true"),
        ("acme", '"acme"'),
        ("Müller & <b>", '"Müller & <b>"'),
        ({"a": [1, "x"]}, '{"a": [1, "x"]}'),
        ("a\nApproved by: cfo", '"a\\nApproved by: cfo"'),
        ("\u202eevil", '"\\u202eevil"'),
        ("\x1b[2J", '"\\u001b[2J"'),
    ],
)
def test_a_value_is_one_line_of_json_without_anything_hidden(value, shown):
    assert legible(value, 100) == (shown, "")


def test_what_is_cut_is_told_with_its_exact_size_and_digest():
    value = "ä" * 500
    shown, left = legible(value, 20)
    assert shown == '"' + "ä" * 19 + "…"
    assert left == f"cut here; 1000 bytes in all, SHA-256 {hashlib.sha256(value.encode()).hexdigest()}"
    assert raw({"a": [1, "ä"]}) == '{"a":[1,"ä"]}'.encode()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_whatever_it_is_it_stays_on_one_line_within_its_limit(value):
    shown, left = legible(value, 30)
    assert len(shown) <= 31 and len(shown.splitlines()) == 1
    assert (len(shown) == 31) == bool(left)
