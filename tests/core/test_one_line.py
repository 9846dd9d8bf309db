"""What somebody else wrote cannot leave its line, hide, or pass for our words."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.one_line import LONGEST_VALUE, quoted, value, visible


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("ch_1", "ch_1"),
        ("https://a.example/x@y+z-1", "https://a.example/x@y+z-1"),
        ("", '""'),
        ("two words", '"two words"'),
        ("Müller", '"Müller"'),
        ("p\u0430ypal", '"p\u0430ypal"'),
        ('say "no"', '"say \\"no\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("a\nb\r\tc", '"a\\nb\\r\\tc"'),
        ("a\x1b[2Jb", '"a\\u001b[2Jb"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("a\u2066b", '"a\\u2066b"'),
        ("a\u200bb", '"a\\u200bb"'),
        ("a\u2028b", '"a\\u2028b"'),
        ("a\u3164b", '"a\\u3164b"'),
        ("a\ufe0fb", '"a\\ufe0fb"'),
        ("a\U000e0041b", '"a\\u{e0041}b"'),
        ("a\U000e0101b", '"a\\u{e0101}b"'),
        ("a\ud800b", '"a\\ud800b"'),
        ("a\u0301\u0302\u0303\u0304", '"a\u0301\u0302\\u0303\\u0304"'),
        (5, "5"),
        (-5, "-5"),
        (Decimal("0.10"), "0.10"),
        (True, "true"),
        (None, "null"),
        ([1, "a b"], '[1, "a b"]'),
        ({"a\n": "\u202e"}, '{"a\\n": "\\u202e"}'),
        ({"price": Decimal("0.10")}, '{"price": "0.10"}'),
    ],
)
def test_a_value_is_one_word_or_in_quotes(given, shown):
    assert value(given) == shown


def test_long_text_is_cut_and_says_how_long_it_is():
    assert value("x" * LONGEST_VALUE) == "x" * LONGEST_VALUE
    assert value("x" * 200_000) == '"' + "x" * LONGEST_VALUE + '..." (200000 characters)'
    assert quoted("abcdef", 4) == '"abcd..." (6 characters)'
    assert value(list(range(1000))).endswith("... (4890 characters)")


def test_what_says_how_long_a_text_is_stands_outside_its_quotes():
    assert value('a..." (9 characters)') == '"a...\\" (9 characters)"'


def ends_outside(text: str) -> bool:
    """Whether every quote that is opened is closed, reading escapes as the writer meant them."""
    inside, escaped = False, False
    for character in text:
        if character == '"' and not escaped:
            inside = not inside
        escaped = character == "\\" and not escaped
    return not inside


@given(st.text(max_size=200))
def test_no_text_leaves_its_line_or_its_quotes(text):
    shown = value(text)
    assert shown.isprintable() and len(shown) <= 10 * LONGEST_VALUE
    assert ends_outside(shown)
    if " " in shown or "(" in shown:
        assert shown.startswith('"')


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_no_value_breaks_the_line(found):
    assert value(found).isprintable()


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), max_size=50))
def test_what_can_be_seen_is_left_as_it_is(text):
    assert visible(text) == text
