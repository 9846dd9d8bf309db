"""A call as a person reads it: one word for its state, one sentence per fact, and nothing that was in the payload."""

from dataclasses import replace
from typing import get_args

import pytest

from gateway.core import timeline
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Attached,
    Cancelled,
    Delivered,
    Edited,
    Ended,
    Escalated,
    Expired,
    Fact,
    Lost,
    Notice,
    Notified,
    Previewed,
    Recorded,
    Reminded,
    Reported,
    Resolved,
    Retracted,
    Viewed,
    Withdrawn,
)
from gateway.core.record import recall
from gateway.core.verdict import Lifted, Verdict
from tests.playbook import (
    ALLOW,
    CALL,
    DENY,
    FINANCE,
    HOLD,
    READ,
    REPEATABLE,
    answered,
    asked,
    claimed,
    judged,
    lost,
    no,
    unsent,
    yes,
)

BEGUN = Admitted(call=CALL)
SENT = (BEGUN, ALLOW, claimed())
HELD = (BEGUN, HOLD, asked(FINANCE))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (HELD, "held"),
        ((*HELD, yes()), "judging"),
        (SENT, "executing"),
        ((*SENT, answered()), "answered"),
        ((*SENT, lost()), "in doubt"),
        ((*SENT, unsent()), "unreachable"),
        ((*SENT, lost(), Resolved(by="olga", acted=True)), "settled"),
        ((*SENT, lost(), Resolved(by="olga", acted=False), answered()), "answered"),
        ((BEGUN, DENY), "denied"),
        ((*HELD, no()), "denied"),
        ((*HELD, Expired()), "denied"),
        ((*HELD, Withdrawn()), "denied"),
        ((*HELD, Cancelled(by="olga", via="token")), "denied"),
        ((Admitted(call=READ), ALLOW, lost("")), "unreachable"),
        ((Admitted(call=READ), ALLOW, answered("")), "answered"),
        ((Admitted(call=REPEATABLE), ALLOW, claimed(), lost()), "in doubt"),
        ((Admitted(call=REPEATABLE), ALLOW, claimed(), lost(), DENY), "in doubt"),
    ],
)
def test_the_state_in_one_word(facts, expected):
    assert timeline.state(recall(facts)) == expected


def test_who_reads_late_sees_an_allow_that_nobody_used_as_nothing():
    assert timeline.state(recall((BEGUN, ALLOW))) == "judging"


PREVIEWED = Previewed(name="charge", call="r", digest="d", bound="b", failed="", fingerprint="f")
EXAMPLES: list[Fact] = [
    BEGUN,
    Attached(key="k", keep=1),
    ALLOW,
    HOLD,
    DENY,
    asked(FINANCE),
    PREVIEWED,
    replace(PREVIEWED, failed="timed out"),
    replace(PREVIEWED, again=True),
    replace(PREVIEWED, again=True, failed="timed out"),
    replace(PREVIEWED, again=True, changed=("amount",)),
    Notified(notice="n", attempt=1, status=204, done=True),
    Notified(notice="n", attempt=1, status=204, done=True, digest="digest-ab"),
    Notified(notice="n", attempt=2, status=0, done=False, error="the receiver did not answer"),
    yes(),
    no(),
    Expired(),
    Withdrawn(),
    claimed(),
    unsent(),
    lost(),
    answered(),
    replace(answered(), withheld=True),
    Answered(token="t", status=200),
    Ended(length=3, sha256="a", whole=True),
    Ended(length=3, sha256="a", whole=False),
    Abandoned(),
    Delivered(),
    Resolved(by="olga", acted=True, note="found it"),
    Resolved(by="olga", acted=False),
    Reminded(group="finance", notices=()),
    Escalated(group="finance", to=("olga", "cfo"), notices=(Notice(id="n", group="finance", channel=0),)),
    replace(yes("bob"), on_behalf="ann"),
    Retracted(by="ann", group="finance", via="token"),
    Edited(by="ann", group="finance", before="e", fingerprint="f", changed=("amount", "reason"), via="token"),
    Cancelled(by="olga", via="token", reason="not ours"),
    Reported(kind="call.finished", notices=()),
    Recorded(part="input", how="redacted", digest="d", size=70, keep=86_400_000, masked=("card.number",)),
    Recorded(part="output", how="full", digest="d", size=70, keep=86_400_000),
    Recorded(part="edited", how="digest", why="these arguments have no JSON form"),
    Viewed(by="ann", via="on the page", fingerprint="f"),
]


def test_the_examples_are_of_every_kind():
    assert {type(fact) for fact in EXAMPLES} == set(get_args(Fact))


def test_every_fact_has_a_sentence_of_its_own():
    said = [timeline.line(fact) for fact in EXAMPLES]
    assert len(set(said)) == len(said)
    assert all(10 < len(sentence) < 200 and "\n" not in sentence and "None" not in sentence for sentence in said)


@pytest.mark.parametrize(
    ("fact", "parts"),
    [
        (
            Admitted(call=replace(CALL, run="r7", reason="the cup broke")),
            ["billing-bot", "Charge/ch_1", "r7", '"the cup broke"'],
        ),
        (HOLD, ["over-50 needs finance"]),
        (judged("allow", FINANCE), ["lifting over-50 by finance"]),
        (
            replace(DENY, verdict=Verdict(decision="deny", policies=("never",), reasons=("Not on Sundays.",))),
            ["never", "Sundays"],
        ),
        (replace(ALLOW, verdict=Verdict(decision="allow", policies=("p",), shadow=("try",))), ["by p", "shadow: try"]),
        (yes(), ["ann approved for finance", "token"]),
        (replace(yes("bob"), on_behalf="ann"), ["bob, for ann who is away, approved for finance"]),
        (Escalated(group="finance", to=("olga", "cfo"), notices=()), ["escalated to olga, cfo"]),
        (
            Edited(by="ann", group="finance", before="e", fingerprint="f", changed=("amount",), via="t", reason="less"),
            ["ann changed amount", '"less"'],
        ),
        (
            Edited(
                by="ann", group="finance", before="e", fingerprint="f", changed=("to",), via="t", resource="Account/bob"
            ),
            ["changed to for finance, now on Account/bob, t"],
        ),
        (Cancelled(by="olga", via="token", reason="not ours"), ["olga cancelled it", '"not ours"']),
        (
            Notified(notice="n", attempt=1, status=204, done=True, digest="digest-ab"),
            ["told in a digest", "204", "digest-ab"],
        ),
        (no(), ["ann rejected for finance", '"not this month"']),
        (replace(answered(), withheld=True), ["200", "withheld"]),
        (Lost(token="t", error="reset"), ["outcome unknown", "reset"]),
        (Resolved(by="olga", acted=False, note="not there"), ["olga", "did not act", "not there"]),
    ],
)
def test_a_sentence_says_who_and_why(fact, parts):
    assert all(part in timeline.line(fact) for part in parts), timeline.line(fact)


def test_a_timeline_has_times_that_other_programs_read():
    (row,) = timeline.timeline([replace(BEGUN, at=1_795_168_800_000)])
    assert row["at"] == "2026-11-20T10:00:00Z" and row["fact"] == "Admitted" and row["text"]


def test_what_a_standing_grant_lifted_is_told_with_who_gave_it():
    lifted = Lifted("grant-07ab", FINANCE.policy, ("ann", "bob"))
    verdict = Verdict(decision="allow", policies=("all",), requirements=(FINANCE,), granted=(lifted,))
    told = timeline.line(replace(ALLOW, verdict=verdict))
    assert told == f"allowed by all, lifting {FINANCE.policy} by grant-07ab of ann and bob"


def test_words_of_others_stay_in_their_quotes():
    evil = 'x", and finance approved \u202e\n'
    for fact in (
        Admitted(call=replace(CALL, reason=evil)),
        replace(no(), reason=evil),
        Cancelled(by="olga", via="token", reason=evil),
        Resolved(by="olga", acted=True, note=evil),
    ):
        said = timeline.line(fact)
        assert r"x\", and finance approved \u202e\n" in said and said.isascii()
