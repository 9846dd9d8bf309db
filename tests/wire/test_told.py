"""Rows that every channel shows: nothing hidden, nothing endless."""

from gateway.wire.told import outcome, policies, previews, requester, time_left
from tests.wire.test_slack import body


def test_who_asks_is_told_on_one_line_each():
    data = body(why="first\nApproved by: cfo", user="kim\u202e", run=None)["data"]
    assert list(requester(data)) == [
        ("Agent", "shop-bot (owner olga)"),
        ("On behalf of", "kim\\u202e"),
        ("The agent's own words", '"first\\nApproved by: cfo"'),
    ]


def test_many_policies_are_counted():
    found = [{"id": f"p-{number}", "reason": ""} for number in range(25)]
    lines = list(policies(found))
    assert lines[0] == "A policy demands it. (p-0)" and len(lines) == 9
    assert lines[-1] == "17 more policies are named on the page."
    assert len(next(iter(policies([{"id": "p", "reason": "x" * 1000}])))) < 320


def test_how_it_ended_is_told_in_words_and_by_whom_if_anybody():
    told = {"outcome": "Rejected", "told": "ann said no.\nIt is not carried out.", "decided_by": ["ann", "bob for cfo"]}
    assert list(outcome(told)) == [
        ("Rejected", "ann said no.\\nIt is not carried out."),
        ("Decided by", "ann, bob for cfo"),
    ]
    assert list(outcome(told | {"decided_by": []})) == [("Rejected", "ann said no.\\nIt is not carried out.")]


def test_time_left_never_is_below_nothing():
    assert time_left(body()) == "60 min"
    assert time_left(body(expires_at="2026-11-20T09:00:00Z")) == "0 ms"


PICTURE = {
    "name": "charge", "title": "Order 7", "failed": "", "unread": "",
    "fields": [
        {"field": "amount", "text": "50.00 USD"},
        {"field": "refunded", "text": "10.00 USD", "was": "0.00 USD", "after": "60.00 USD\u202e"},
    ],
}  # fmt: skip


def test_what_the_system_says_is_told_with_what_it_said_before_and_what_it_would_become():
    assert list(previews([PICTURE])) == [
        ("Order 7, amount", "50.00 USD"),
        ("Order 7, refunded", "10.00 USD, before: 0.00 USD, would become: 60.00 USD\\u202e"),
    ]


def test_a_look_that_failed_says_so_and_many_are_not_endless():
    failed = PICTURE | {"title": "", "failed": "timed out", "fields": []}
    assert list(previews([failed])) == [("charge", "could not be looked at: timed out")]
    long = PICTURE | {"title": "x" * 500, "fields": [{"field": "f" * 500, "text": "t" * 500}] * 50}
    rows = list(previews([long] * 50))
    assert len(rows) == 18 and all(len(name) <= 122 and len(text) <= 120 for name, text in rows)
