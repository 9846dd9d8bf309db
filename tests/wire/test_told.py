"""Rows that every channel shows: nothing hidden, nothing endless."""

from gateway.wire.told import outcome, policies, requester, time_left
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
    assert lines[0] == "A policy demands it. (p-0)" and len(lines) == 21
    assert lines[-1] == "5 more policies are named on the page."
    assert len(next(iter(policies([{"id": "p", "reason": "x" * 1000}])))) < 320


def test_how_it_ended_says_only_what_is_known():
    assert list(outcome({"outcome": "rejected", "decided_by": "ann", "reason": "", "status": None})) == [
        ("Outcome", "rejected"),
        ("Decided by", "ann"),
    ]


def test_time_left_never_is_below_nothing():
    assert time_left(body()) == "60 min"
    assert time_left(body(expires_at="2026-11-20T09:00:00Z")) == "0 ms"
