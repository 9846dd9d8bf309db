"""An auditor reads who, what, why, on whose word and with what result; no fact is left out, and no text escapes."""

from dataclasses import replace
from typing import get_args

import pytest

from gateway.core import facts as module
from gateway.core.facts import (
    Admitted,
    Attached,
    Ended,
    Escalated,
    Fact,
    Judged,
    Notice,
    Notified,
    Previewed,
    Recorded,
    Reminded,
    Reported,
    Retracted,
    Viewed,
)
from gateway.core.story import story
from gateway.core.verdict import Lifted, Verdict
from tests.sealed_lives import (
    ANSWER,
    ASKED,
    CLAIM,
    EDIT,
    EDITED,
    HOLD,
    LIFTED,
    LIVES,
    NO,
    PRINT,
    SETTLED,
    START,
    YES,
    call,
)

PREVIEWED = Previewed(name="charge", call="32cd", digest="d" * 64, bound="", failed="", fingerprint=PRINT)
MORE: tuple[Fact, ...] = (
    Attached(key="k", keep=1),
    Ended(length=77, sha256="e" * 64, whole=False),
    Escalated(group="finance", to=("cfo",), notices=()),
    Notified(notice="n-1", attempt=2, status=503, done=False, error="busy\x1b[31m"),
    PREVIEWED,
    Recorded(part="output", how="redacted", digest="9" * 64, size=12, keep=1000, masked=("$.iban",)),
    Reminded(group="finance", notices=()),
    Reported(kind="call.finished", notices=()),
    Retracted(by="ann", group="finance", via="on the page"),
    Viewed(by="zoe", via="by token", fingerprint=PRINT),
)


def stamped(*facts: Fact) -> tuple[Fact, ...]:
    return tuple(replace(fact, at=START + 1000 * number) for number, fact in enumerate(facts))


def told(*facts: Fact) -> dict[str, list[str]]:
    return {section.heading: [f"{name} | {text}" for name, text in section.rows] for section in story(stamped(*facts))}


def text(*facts: Fact) -> str:
    return "\n".join(line for heading, lines in told(*facts).items() for line in (heading, *lines))


def test_the_story_of_an_approved_call():
    found = told(*LIVES["approved"])
    assert list(found) == [
        "Who asked", "For what", "What the policies said", "Who was asked", "Who decided", "What was sent",
        "What came back", "How it ended",
    ]  # fmt: skip
    who = found["Who asked"]
    assert "agent | billing-bot" in who and "on behalf of | eve@acme.example" in who and "run | run-7" in who
    assert 'its own words | "the customer asked" (the agent wrote this; nobody checked it)' in who
    assert "effect | write: it changes something (POST)" in found["For what"]
    assert "resource | Charge/ch_1" in found["For what"]
    held, lifted, *generations = found["What the policies said"]
    assert held == (
        '2026-11-20T10:00:01.000Z | held by over-50 ("Over 50 needs finance."): over-50 needs a yes of finance; '
        "generation 111111111111"
    )
    assert lifted.endswith(
        "allowed by ops-may, over-50; lifted: over-50 by the approval of finance; generation 222222222222"
    )
    assert [line.split(" ")[3] for line in generations] == ["1" * 64, "2" * 64]
    assert found["Who was asked"] == [
        "2026-11-20T10:00:02.000Z | finance was asked about request aaaaaaaaaaaa; open until 2026-11-20T11:00:02Z"
    ]
    at, said = "2026-11-20T10:00:03.000Z", '"checked"'
    assert found["Who decided"] == [
        f"{at} | ann said yes for finance to request aaaaaaaaaaaa; authentication: by token in message m1: {said}"
    ]
    assert found["What was sent"][0].endswith(
        "request aaaaaaaaaaaa, exactly what people approved, was to be sent once by process w1"
    )
    assert found["What was sent"][1] == f"fingerprint | {PRINT}"
    assert found["What came back"] == [
        f"2026-11-20T10:00:06.000Z | the system answered 200 with 512 bytes, SHA-256 {'c' * 64}"
    ]
    assert found["How it ended"][0] == "state | answered. The system answered."
    assert found["How it ended"][-1] == "facts | 8, over 7 s"


@pytest.mark.parametrize("name", LIVES)
def test_every_life_has_a_story_that_ends_as_it_did(name):
    found = told(*LIVES[name])
    assert found["How it ended"][0].startswith("state | ")
    assert ("What was sent" in found) == any(isinstance(fact, module.Claimed | module.Answered) for fact in LIVES[name])


def test_no_fact_is_left_out():
    """Whatever happened, some line of the story has its time."""
    everything = [*LIVES["approved"], *(fact for life in LIVES.values() for fact in life[1:]), *MORE]
    assert {type(fact) for fact in everything} == set(get_args(Fact))
    for fact in everything[1:]:
        found = text(call(1), HOLD, replace(ASKED, notices=(Notice(id="n-1", group="finance", channel=0),)), fact)
        assert "2026-11-20T10:00:03.000Z | " in found, type(fact).__name__


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((NO,), 'bob said no for finance to request aaaaaaaaaaaa; authentication: on the page: "not this month"'),
        ((EDIT,), "ann changed amount for finance; authentication: by token; request aaaaaaaaaaaa became bbbbbbbbbbbb"),
        ((replace(YES, on_behalf="zoe"),), "ann, for zoe who was away, said yes"),
        ((YES, MORE[8]), "(it did not count: it was taken back,"),
        ((YES, EDIT), "(it did not count: the request was changed afterwards)"),
        ((MORE[3],), r'approval.requested did not reach the first channel of finance (attempt 2): "busy\u001b[31m"'),
        ((MORE[4],), f"charge was looked up and shown to them (call 32cd, digest {'d' * 64})"),
        ((MORE[5],), "a copy of what was answered, without $.iban: 12 bytes, digest 99"),
        ((Recorded(part="edited", how="digest", why="no JSON"),), "no copy of what people made of it, only its digest"),
        ((MORE[9],), "zoe was shown the arguments of request aaaaaaaaaaaa; authentication: by token"),
        ((MORE[2],), "nobody had decided for finance: cfo may decide too from now on"),
        ((replace(PREVIEWED, changed=("amount",)),), "had changed (amount): the votes so far did not count"),
        ((replace(PREVIEWED, failed="timed out"),), 'charge could not be looked at for them: "timed out"'),
    ],
)  # fmt: skip
def test_what_people_were_asked_and_said(facts, said):
    assert said in text(call(1), HOLD, ASKED, *facts)


def test_a_grant_that_lifted_a_forbid_is_named_with_who_gave_it():
    lifted = Lifted("grant-1", "over-50", ("ann", "zoe"))
    verdict = Verdict(decision="allow", requirements=LIFTED.verdict.requirements, granted=(lifted,))
    found = text(call(1), Judged(verdict=verdict, generation="1" * 64, fingerprint=PRINT))
    assert "lifted: over-50 by ann and zoe in standing grant grant-1" in found


def test_shadow_policies_and_codes():
    verdict = Verdict(decision="deny", code="no-permit", shadow=("watch",))
    found = text(call(1), Judged(verdict=verdict, generation="1" * 64, fingerprint=PRINT))
    assert "denied (code no-permit)" in found and "not enforced (shadow), but it matched: watch" in found


def test_an_edited_call_was_sent_as_people_approved_it():
    found = told(*LIVES["edited"])
    assert "request bbbbbbbbbbbb, exactly what people approved" in found["What was sent"][0]
    assert found["What was sent"][-1] == f"fingerprint | {EDITED}"
    sent = told(*LIVES["answered"])["What was sent"][0]
    assert "approved" not in sent


def test_doubts_and_what_became_of_them():
    found = text(*LIVES["settled"])
    assert 'nobody knows what came of it: "connection reset"' in found
    assert 'olga settled the doubt: it took effect: "seen in the dashboard"' in found
    twice = text(*LIVES["in doubt"][:4], replace(SETTLED, acted=False), ANSWER)
    assert "contradiction | olga had found that it did not act, and then the system answered" in twice


def test_a_resend_is_said_to_be_one():
    first = call(1, repeatable=True, keeps_ms=86_400_000)
    life = (first, *LIVES["in doubt"][1:4], LIVES["answered"][1], replace(CLAIM, token="t2"))
    assert "was to be sent again, which the system takes for the same by its key, once" in text(*life)


def test_words_of_agents_and_systems_cannot_pass_for_ours():
    evil = 'no"\nstate | answered\x1b[2J\u202e'
    first = call(1, reason=evil, user=evil, run=evil, resource=evil, agent="billing-bot")
    found = text(first, HOLD, ASKED, replace(NO, reason=evil, via=evil), replace(SETTLED, note=evil))
    assert "\x1b" not in found and "\u202e" not in found
    assert all(line.startswith("state | settled.") for line in found.split("\n") if line.startswith("state | "))


def test_facts_that_begin_elsewhere_have_no_story():
    with pytest.raises(ValueError, match="admission"):
        story([HOLD])
    assert isinstance(call(1), Admitted)
