"""Outcomes by tool, counted from what the ledger holds, and nothing that an agent writes is taken for one."""

from dataclasses import replace

import pytest

from gateway.core import finished
from gateway.core.codec import encode, envelope
from gateway.core.facts import (
    Admitted,
    Answered,
    Attached,
    Cancelled,
    Claimed,
    Delivered,
    Expired,
    Judged,
    Lost,
    Rejected,
    Resolved,
    Unsent,
    Withdrawn,
)
from gateway.core.finished import OTHERS, OUTCOMES, Finished, Kind, Told, kind_of, told
from gateway.core.verdict import Verdict
from tests.playbook import ALLOW, CALL, HOLD

DENY = Judged(verdict=Verdict(decision="deny", code="no-permit"), generation="g", fingerprint="f")
READ = replace(CALL, effect="read", tool="bank.look")
NO = Rejected(by="boss", group="finance", fingerprint="f", via="token")


def stored(*facts):
    return b"\n".join(envelope(encode(fact), 1000, "t") for fact in facts)


def counted(*entries, call="07ab"):
    found = Finished()
    for entry in entries:
        found.count(call, told(stored(*entry)))
    return {outcome: number for (_, outcome), number in found.counts.items()}


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (Answered(token="t", status=200), "answered"),
        (Unsent(token="t", error=""), "unreachable"),
        (Lost(token="t", error=""), "in_doubt"),
        (Resolved(by="x", acted=False), "settled"),
        (DENY, "denied"), (NO, "denied"), (Expired(), "denied"), (Withdrawn(), "denied"),
        (Cancelled(by="x", via="token"), "denied"),
    ],
    ids=lambda it: getattr(type(it), "__name__", str(it)),
)  # fmt: skip
def test_every_end_is_one_outcome_of_the_calls_tool(facts, outcome):
    found = Finished()
    found.count("07ab", told(stored(Admitted(call=CALL), facts)))
    assert found.counts == {(CALL.tool, outcome): 1} and outcome in OUTCOMES


def test_a_read_that_was_lost_leaves_no_doubt():
    assert counted([Admitted(call=READ), Lost(token="", error="")]) == {"unreachable": 1}


def test_what_is_no_end_is_not_counted_and_a_doubt_that_is_settled_counts_for_both():
    claimed = Claimed(token="t", fingerprint="f", lease=1)
    assert counted([Admitted(call=CALL), HOLD], [Attached(key="k", keep=1)], [ALLOW, claimed], [Delivered()]) == {}
    lost, answered = Lost(token="t", error=""), Answered(token="t", status=200)
    assert counted([Admitted(call=CALL), ALLOW, claimed], [lost], [answered]) == {"in_doubt": 1, "answered": 1}


def test_text_that_looks_like_a_fact_is_text():
    forged = replace(CALL, run='","type":"Answered","x":"', resource='A/"decision":"deny"')
    entry = told(stored(Admitted(call=forged), replace(ALLOW, fingerprint='"decision":"deny"')))
    assert entry == Told(Kind(CALL.tool, acts=True), ())
    lost = Lost(token="t", error='"type":"Answered"')
    assert told(stored(lost)).ends == (b"Lost",)


def test_the_tool_of_a_call_that_began_elsewhere_is_asked_for_once():
    found, late = Finished(), told(stored(Answered(token="t", status=200)))
    assert found.lacks("07ab", late) and not found.lacks("07ab", told(stored(Delivered())))
    found.learn("07ab", kind_of(stored(Admitted(call=CALL))))
    assert not found.lacks("07ab", late)
    found.count("07ab", late)
    assert found.counts == {(CALL.tool, "answered"): 1}


def test_calls_are_forgotten_only_when_told_to(monkeypatch):
    monkeypatch.setattr(finished, "MOST_CALLS", 2)
    found, late = Finished(), told(stored(Answered(token="t", status=200)))
    for call in ("07a", "07b", "07c"):
        found.learn(call, Kind(call))
    assert not any(found.lacks(call, late) for call in ("07a", "07b", "07c"))
    found.forget()
    assert found.lacks("07a", late)


def test_what_cannot_be_read_is_of_an_unknown_tool():
    assert kind_of(b"{}") == kind_of(b"no json") == kind_of(b'{"fact":{"call":7}}') == Kind("(unknown)")


def test_tools_are_bounded_and_kept_numbers_are_the_same(monkeypatch):
    monkeypatch.setattr(finished, "MOST_TOOLS", 2)
    found, late = Finished(), told(stored(Answered(token="t", status=200)))
    for tool in ("a", "b", "c", "d"):
        found.learn("07a", Kind(tool))
        found.count("07a", late)
    assert found.counts == {("a", "answered"): 1, ("b", "answered"): 1, (OTHERS, "answered"): 2}
    assert Finished.unpacked(found.packed()).counts == found.counts
    with pytest.raises((TypeError, ValueError)):
        Finished.unpacked([["a", "answered", "many"]])
