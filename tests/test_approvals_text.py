"""A question on a terminal: everything that decides it, and nothing that pretends to be something else."""

import re
from typing import Any

import pytest

from gateway.approvals_text import card, left, row

OVERRIDE = "\u202e"
EVIL = ("\x07", "\x1b", OVERRIDE, "\u2066", "\x9b", "\r", "\u200b", "\u2028", "\ud800", "\U000e0041")
TOLD: dict[str, Any] = {
    "call": "07ab",
    "state": "held",
    "agent": "bot",
    "owner": "boss",
    "user": None,
    "run": None,
    "tool": "bank.pay",
    "resource": "Account/ann",
    "why": "",
    "summary": "bot wants to call bank.pay(to=ann)",
    "digest": "d" * 64,
    "questions": [{"approval": "finance", "fingerprint": "f" * 64}],
    "policies": [{"id": "large", "approval": "finance", "reason": "Above 10.00."}],
    "votes": [],
    "expires_at": "2026-11-27T10:00:00Z",
    "seconds_left": 3599,
    "input": {"to": "ann", "amount": 5000},
    "preview": [],
}
PICTURE: dict[str, Any] = {
    "name": "account", "tool": "bank.get", "call": "07cd", "at": "2026-11-27T09:00:00Z", "title": "Rent",
    "bind": ["balance"], "failed": "", "unread": "timed out",
    "fields": [{"field": "balance", "text": "5.00 EUR", "was": "9.00 EUR"}, {"field": "by", "text": "x", "after": "y"}],
}  # fmt: skip


def shown(**more) -> str:
    return "\n".join(card(TOLD | more))


def test_a_card_has_everything_that_decides():
    said = shown(
        user="ann", run="run-7", why="it broke", input={"to": "ann", "deep": {"a": [1, None, True, "x"]}},
        votes=[{"by": "lead", "group": "finance", "via": "by token", "reason": "fine", "at": "2026-11-27T09:00:00Z"}],
    )  # fmt: skip
    for part in (
        TOLD["summary"], "07ab", "held, 59 min left, until 2026-11-27T10:00:00Z", "bot, owned by boss", "ann", "run-7",
        "bank.pay", "Account/ann", '"it broke" (its own words)', '"ann"', '{"a": [1, null, true, "x"]}',
        "large: Above 10.00.", 'lead said yes for finance at 2026-11-27T09:00:00Z (by token): "fine"', "d" * 64,
        "f" * 64 + " of what is shown here, for finance",
    ):  # fmt: skip
        assert part in said, part


def test_a_card_shows_what_the_system_was_seen_to_hold():
    said = shown(preview=[PICTURE, {**PICTURE, "title": "", "failed": "no\x1b", "unread": "", "fields": []}])
    for part in (
        "  account Rent, as bank.get said at 2026-11-27T09:00:00Z", "    could not be looked at again: timed out",
        "  5.00 EUR (was 9.00 EUR); your yes is bound to it", "  x, would become y",
        "    could not be looked at: no\\u001b",
    ):  # fmt: skip
        assert part in said, part


def test_an_argument_is_whole_however_long_it_is():
    assert "y" * 50_000 in shown(input={"note": "y" * 50_000})


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
@pytest.mark.parametrize("place", ["input", "name", "why", "summary", "resource", "run", "vote", "policy"])
def test_what_a_terminal_would_obey_or_hide_is_shown_by_its_number(evil, place):
    text = f"a{evil}b"
    vote = {"by": text, "group": "finance", "via": "by token", "reason": text, "at": ""}
    policy = {"id": text, "approval": "finance", "reason": text}
    places: dict[str, dict[str, Any]] = {
        "input": {"input": {"to": text}}, "name": {"input": {text: 1}}, "vote": {"votes": [vote]},
        "policy": {"policies": [policy]},
    }  # fmt: skip
    said = shown(**places.get(place, {place: text}))
    assert all(character == "\n" or character.isprintable() for character in said)
    assert re.search(r"a\\(u[0-9a-f]{4}|u\{e0041\}|r)b", said)


def test_a_line_break_in_an_argument_cannot_begin_a_line_of_ours():
    said = shown(input={"note": "x\n  votes  lead said yes"}, why="x\n  votes  lead said yes")
    assert said.count("\n") == shown(why="x").count("\n") - 1
    assert r"x\n  votes" in said


def test_an_escape_that_was_written_out_is_told_from_a_real_one():
    assert r'"\\u202e"' in shown(input={"to": "\\u202e"}) and r'"\u202e"' in shown(input={"to": "\u202e"})


def test_text_that_looks_like_a_number_is_told_from_one():
    assert '"5000"' in shown(input={"amount": "5000"}) and " 5000" in shown(input={"amount": 5000})


def test_what_can_no_longer_be_made_says_so():
    assert "cannot be shown" in shown(input=None) and "none" in shown(input={})


def test_a_question_that_is_over_has_no_time_left():
    assert "answered" in shown(state="answered") and "left" not in shown(state="answered")


def test_a_row_of_the_list_is_visible_too():
    assert row(TOLD | {"summary": f"a{OVERRIDE}b"}) == ("07ab", "59 min", "bot", "finance", r"a\u202eb")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (7199, "1 h 59 min"), (90_000, "1 d 1 h")],
)
def test_time_left_is_told_in_two_units(seconds, said):
    assert left(seconds) == said
