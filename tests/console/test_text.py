"""What somebody else wrote must not hide, move or pass for something else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.text import left, looks_like_another_type, shown_value, visible, when


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain, with\nlines\tand tabs", "plain, with\nlines\tand tabs"),
        ("Zoë — 東京 ✓", "Zoë — 東京 ✓"),
        ("\x1b[2K\x07", "⟨U+001B⟩[2K⟨U+0007⟩"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\u200bb\ufeff\u00ad", "a⟨U+200B⟩b⟨U+FEFF⟩⟨U+00AD⟩"),
        ("a\u00a0b\u2028", "a⟨U+00A0⟩b⟨U+2028⟩"),
        ("\r\n", "⟨U+000D⟩\n"),
        ("\u3164\u2800\ufe0f", "⟨U+3164⟩⟨U+2800⟩⟨U+FE0F⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
)
def test_what_cannot_be_seen_is_shown_by_number(text, seen):
    assert visible(text) == seen


@given(st.text())
def test_nothing_invisible_is_left_and_nothing_visible_is_lost(text):
    shown = visible(text)
    assert all(unicodedata.category(it)[0] != "C" or it in "\n\t" for it in shown)
    assert [it for it in text if unicodedata.category(it)[0] in "LNPS" and ord(it) < 0x250] == [
        it for it in text if unicodedata.category(it)[0] in "LNPS" and ord(it) < 0x250 and it in shown
    ]


def test_only_text_is_changed():
    assert shown_value(7) == 7 and shown_value(None) is None and shown_value("\x00") == "⟨U+0000⟩"


@pytest.mark.parametrize(("text", "other"), [
    ("5000", True), ("1e3", True), ("true", True), ("null", True), (" x", True), ("acme", False), ("5 euro", False),
])  # fmt: skip
def test_text_that_looks_like_something_else_is_marked(text, other):
    assert looks_like_another_type(text) is other


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(-5, "0 s"), (999, "0 s"), (38_000, "38 s"), (60_000, "1 min"), (3_599_999, "59 min"), (3_600_000, "1 h"),
     (7_140_000, "1 h 59 min"), (86_400_000, "1 d"), (90_000_000, "1 d 1 h")],
)  # fmt: skip
def test_time_left(milliseconds, said):
    assert left(milliseconds) == said


def test_a_moment():
    assert when(1_795_771_185_000) == "27 Nov 2026, 09:19 UTC"
