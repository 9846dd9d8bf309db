"""What the form of the search asks for, and which calls are meant."""

from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from gateway.console.searching import LONGEST, OddQuery, Wanted, matches, wanted
from gateway.core.facts import Admitted, Approved, Edited, Resolved
from gateway.core.verdict import Verdict
from tests.console.test_drawing import APPROVED, AT, DIRECT, at
from tests.playbook import CALL, HOLD

FULL = [replace(APPROVED[0], call=replace(CALL, user="ann@acme.example", run="run-7")), *APPROVED[1:]]


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("call", CALL.id[:6], "99"), ("agent", "billing-bot", "billing"), ("user", "ann@acme.example", "ann"),
        ("run", "run-7", "run"), ("tool", "stripe.create_refund", "stripe"), ("system", "stripe", "bank"),
        ("resource", CALL.resource, "Charge"),
        ("outcome", "answered", "held"), ("person", "ann", "an"), ("policy", "over-50", "over"),
        ("since", AT, AT + 1), ("until", AT + 1, AT),
    ],
)  # fmt: skip
def test_each_field_tells_calls_apart(field, right, wrong):
    assert matches(Wanted(**{field: right}), FULL) and not matches(Wanted(**{field: wrong}), FULL)


def test_all_fields_together():
    assert matches(Wanted(), FULL) and matches(Wanted(agent="billing-bot", person="ann", outcome="answered"), FULL)
    assert not matches(Wanted(agent="billing-bot", person="bob"), FULL)
    assert not matches(Wanted(user="ann@acme.example"), DIRECT)  # it was on behalf of nobody


def test_whoever_had_a_say_is_found_and_whoever_was_stood_in_for():
    vote = Approved(by="bob", group="finance", fingerprint="f", requirements=(), via="token", on_behalf="carol")
    told = [*APPROVED[:3], at(vote, 5), at(Resolved(by="dora", acted=True), 6)]
    assert [person for person in ("bob", "carol", "dora", "ann") if matches(Wanted(person=person), told)] == [
        "bob", "carol", "dora",
    ]  # fmt: skip


def test_policies_that_held_decided_or_only_watched_are_found():
    verdict = Verdict(decision="allow", policies=("may",), shadow=("watching",))
    told = [at(Admitted(call=CALL), 0), HOLD, replace(HOLD, verdict=verdict)]
    for policy in ("may", "watching", "over-50"):
        assert matches(Wanted(policy=policy), told)


def test_what_a_person_made_it_be_about_is_found_under_both_names():
    edit = Edited(
        by="ann", group="finance", before=CALL.fingerprint, fingerprint="e" * 64, changed=("charge",), via="token",
        resource="Charge/ch_2",
    )  # fmt: skip
    told = [*APPROVED[:3], at(edit, 4)]
    for resource, found in (("Charge/ch_2", True), (CALL.resource, True), ("Charge/ch_3", False)):
        assert matches(Wanted(resource=resource), told) == found


@pytest.mark.parametrize("spelled", ["in doubt", "in-doubt", "in_doubt", " in-doubt "])
def test_a_state_may_be_spelled_as_on_the_command_line_and_as_in_metrics(spelled):
    assert wanted({"outcome": spelled}) == Wanted(outcome="in doubt")


def test_the_form_holds_what_was_asked_and_so_does_the_link_to_the_next_page():
    query = {"agent": " billing-bot ", "since": "2026-11-27T09:15", "until": "2026-11-27T09:15:30", "policy": "a&b=c"}
    found = wanted(query)
    assert found.agent == "billing-bot" and found.until - found.since == 30_000 and found.anything
    assert found.form() == dict.fromkeys(found.form(), "") | {**query, "agent": "billing-bot"}
    again = {name: values[0] for name, values in parse_qs(found.query(before="x")).items()}
    assert again.pop("before") == "x" and wanted(again) == found
    assert wanted({}) == Wanted() and not wanted({"before": "x"}).anything


def test_times_are_utc_unless_they_say_otherwise():
    assert wanted({"since": "2026-11-27T10:15+01:00"}) == wanted({"since": "2026-11-27T09:15"})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "yesterday"}, "since is not a time"), ({"until": "2026-13-01"}, "until is not a time"),
        ({"since": "9999-12-31T23:59-23:59"}, "since is not a time"),
        ({"outcome": "lovely"}, "outcome is none of answered"), ({"agent": "a" * (LONGEST + 1)}, "agent has more than"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(query, said):
    with pytest.raises(OddQuery, match=said):
        wanted(query)
