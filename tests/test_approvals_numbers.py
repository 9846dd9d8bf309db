"""`gateway approvals stats`: the numbers as lines."""

import json

from gateway.approvals_numbers import numbers
from tests.gateway_world import world
from tests.scripted_upstream import fresh
from tests.test_approvals_cli import approvals


def tally(approved: int = 0, rejected: int = 0, expired: int = 0, **more) -> dict:
    of = approved + rejected + expired
    return {
        "approved": approved, "rejected": rejected, "expired": expired, "dropped": 0, "of": of,
        "rate": approved / of if of else None, "median_seconds": 90.2, "p95_seconds": 7300.0,
    } | more  # fmt: skip


def told(**more) -> dict:
    ages = [{"age": "under 15 min", "count": 2}, {"age": "24 h and more", "count": 1}]
    return {
        "from": "2026-10-29T00:00:00Z", "to": "2026-11-27T09:00:00Z", "behind": False,
        "all": tally(37, 1, 2, dropped=4), "groups": [{"group": "finance", **tally(37, 1, 2)}],
        "waiting": {"count": 3, "oldest_seconds": 90_000, "by_age": ages}, "people": [],
        "policies": [
            {"policy": "large", **tally(37)}, {"policy": "abroad", **tally(19, 1)}, {"policy": "new", **tally(19)},
        ],
    } | more  # fmt: skip


def test_a_policy_that_everybody_approved_is_pointed_out():
    said = numbers(told())
    assert "large   37 of 37  0         0        1 min   2 h 1 min" in said
    assert [line for line in said if "does it ask too much" in line] == [
        "large was approved 37 of 37 times: does it ask too much, or does nobody look?"
    ]


def test_every_number_is_there():
    said = "\n".join(numbers(told(people=[{"person": "ann", "yes": 37, "no": 1}])))
    for words in (
        "From 2026-10-29T00:00:00Z to 2026-11-27T09:00:00Z.", "Waiting: 3, the oldest for 1 d 1 h",
        "  under 15 min        2", "Over: 44; 37 approved, 1 rejected, 2 expired, 4 dropped, decided within 1 min",
        "finance  37 of 40", "ann     37   1",
    ):  # fmt: skip
        assert words in said, said
    assert "not final" not in said and "not final" in "\n".join(numbers(told(behind=True)))


def test_where_there_is_nothing_there_are_no_tables():
    nothing = tally(median_seconds=None, p95_seconds=None)
    waiting = {"count": 0, "oldest_seconds": None, "by_age": [{"age": "under 15 min", "count": 0}]}
    said = numbers(told(all=nothing, waiting=waiting, policies=[], groups=[]))
    assert said[2:] == ["Waiting: 0", "", "Over: 0; 0 approved, 0 rejected, 0 expired, 0 dropped", ""]


def test_names_cannot_command_the_terminal():
    said = "\n".join(numbers(told(policies=[{"policy": "a\x1b[2J\u202eb", **tally(20)}])))
    assert r"a\u001b[2J\u202eb was approved" in said and "\x1b" not in said and "\u202e" not in said


def test_the_command_asks_the_control_plane():
    with world() as scene:
        call = scene.hold(fresh("pay"))
        assert approvals(scene, "approve", call, "--yes").returncode == 0
        done = approvals(scene, "stats", "--days", "1")
        assert (done.returncode, done.stderr) == (0, "")
        assert "large-needs-finance  1 of 1" in done.stdout and "lead    1    0" in done.stdout
        assert json.loads(approvals(scene, "stats", "--json").stdout)["all"]["approved"] == 1
        assert approvals(scene, "stats", "--days", "31").returncode == 2
