"""A call's facts as traces: what a reader sees, and what makes exporting twice harmless."""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import attributes as names
from gateway.core.call import Call
from gateway.core.facts import (
    Abandoned,
    Admitted,
    Answered,
    Approved,
    Asked,
    Attached,
    Claimed,
    Delivered,
    Ended,
    Expired,
    Fact,
    Judged,
    Lost,
    Notice,
    Notified,
    Rejected,
    Resolved,
    Unsent,
    Withdrawn,
)
from gateway.core.segments import SpanContext, outgoing_traceparent, traces_of
from gateway.core.spans import SpanValue, spans_after, spans_of
from gateway.core.verdict import Requirement, Verdict

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALL = Call(
    id="17" + "ab" * 10, agent="billing-bot", user="ann@acme.example", run="run-7", system="stripe",
    tool="stripe.create_refund", effect="write", method="POST", resource="Charge/ch_1", fingerprint="f" * 64,
    match="m" * 64, key="k" * 40, key_given=True, repeatable=True, keeps_ms=86_400_000,
    keep_ms=86_400_000, traceparent=f"00-{TRACE}-{SPAN}-01",
)  # fmt: skip
READ = replace(CALL, effect="read", method="GET", tool="stripe.get_charge", traceparent="", user=None)
NEED = Requirement("finance", "refunds-over-50", "t" * 64)


def judged(decision, **more):
    verdict = Verdict(decision=decision, policies=("refunds-over-50",), **more)
    return Judged(verdict=verdict, generation="g1", fingerprint="f" * 64)


ALLOW, HOLD, DENY = judged("allow"), judged("hold", requirements=(NEED,)), judged("deny", code="no-permit")
ASKED = Asked(
    fingerprint="f", requirements=(NEED,), notices=(Notice(id="n1", group="finance", channel=0),), expire=60_000
)
APPROVED = Approved(
    by="controller", group="finance", fingerprint="f", requirements=(NEED,), via="token", message="msg_9"
)
REJECTED = Rejected(by="controller", group="finance", fingerprint="f", via="token")
CLAIMED, CLAIMED_2 = (Claimed(token=token, fingerprint="f", lease=35_000) for token in ("t1", "t2"))
ANSWERED = Answered(token="t1", status=200, length=17, sha256="a" * 64, kept=True)


@dataclass(frozen=True, slots=True)
class Stored:
    id: str
    call: str
    position: int
    facts: tuple[Fact, ...]
    index: int = 40

    @property
    def leaves(self):
        return tuple(f"{self.id} {number}" for number in range(len(self.facts)))


def ledger(*appends, call=CALL):
    """One entry per append; append number n is written at n seconds."""
    entries, position = [], 0
    for number, facts in enumerate(appends, 1):
        stamped = tuple(replace(fact, at=number * 1000) for fact in facts)
        entries.append(Stored(f"{number * 1000}-0", call.id, position, stamped, 40 + position))
        position += len(facts)
    return entries


def export(entries, origin=lambda *_: ""):
    facts = [fact for entry in entries for fact in entry.facts]
    return [span for entry in entries for span in spans_of(entry, facts[: entry.position], origin)]


def tell(spans):
    """Every span in a line: the trace as a letter in order of appearance, name, when, what it continues."""
    letters: dict[str, str] = {}
    for span in spans:
        letters.setdefault(span.trace_id, "ABCDEFGH"[len(letters)])
    roots = {span.span_id: letters[span.trace_id] for span in spans}
    return [
        f"{letters[span.trace_id]} {span.name} {span.start_ms // 1000}-{span.end_ms // 1000}"
        + "".join(f" <- {roots[link.span_id]}" for link in span.links)
        + (" !" if span.status == "error" else "")
        for span in spans
    ]


def root_of(spans, number=0):
    return [span for span in spans if span.name.startswith("execute_tool")][number]


# --- What a reader sees ------------------------------------------------------------------------------------------


def test_an_effect_is_one_trace_from_admission_to_answer():
    spans = export(ledger([Admitted(call=CALL), ALLOW, CLAIMED], [ANSWERED], [Delivered()]))
    assert tell(spans) == [
        "A gateway.admitted 1-1",
        "A gateway.judged 1-1",
        "A gateway.claimed 1-1",
        "A POST 1-2",
        "A execute_tool stripe.create_refund 1-2",
        "A gateway.delivered 3-3",
    ]
    root = root_of(spans)
    assert root.attributes[names.OUTCOME] == "answered" and root.attributes[names.DECISION] == "allow"
    assert root.attributes[names.HTTP_RESPONSE_STATUS_CODE] == 200
    assert all(span.parent == root.span_id for span in spans if span is not root)


def test_a_read_is_one_append_and_one_trace():
    answered = replace(ANSWERED, token="", length=-1)
    spans = export(ledger([Admitted(call=READ), ALLOW, answered], [Ended(length=9, sha256="e", whole=True)], call=READ))
    assert tell(spans) == [
        "A gateway.admitted 1-1",
        "A gateway.judged 1-1",
        "A GET 1-1",
        "A execute_tool stripe.get_charge 1-1",
        "A gateway.ended 1-2",
    ]
    assert root_of(spans).parent == ""


def test_a_held_call_ends_its_trace_and_continues_in_another_with_a_link():
    spans = export(
        ledger(
            [Admitted(call=CALL), HOLD, ASKED],
            [Notified(notice="n1", attempt=1, status=200, done=True)],
            [Attached(key="k2", keep=1)],
            [APPROVED],
            [ALLOW, CLAIMED],
            [ANSWERED],
            [Delivered()],
        )
    )
    assert tell(spans) == [
        "A gateway.admitted 1-1",
        "A gateway.judged 1-1",
        "A execute_tool stripe.create_refund 1-1",
        "A gateway.asked 1-1",
        "A gateway.notified 2-2",
        "A gateway.attached 3-3",
        "B gateway.approved 4-4",
        "B gateway.judged 5-5",
        "B gateway.claimed 5-5",
        "B POST 5-6",
        "B execute_tool stripe.create_refund 4-6 <- A",
        "B gateway.delivered 7-7",
    ]
    first, second = root_of(spans, 0), root_of(spans, 1)
    assert first.attributes[names.DECISION] == "hold" and names.OUTCOME not in first.attributes
    assert (first.trace_id, first.parent, first.parent_is_remote) == (TRACE, SPAN, True)
    assert second.trace_id != TRACE and second.parent == ""
    assert [(link.trace_id, link.span_id) for link in second.links] == [(TRACE, first.span_id)]
    approved = next(span for span in spans if span.name == "gateway.approved")
    assert approved.attributes[names.APPROVAL_BY] == "controller"
    assert approved.attributes[names.APPROVAL_WAITED_MS] == 3000


@pytest.mark.parametrize(
    ("last", "by"), [(REJECTED, "person"), (Expired(), "time"), (Withdrawn(), "agent")], ids=["no", "late", "withdrawn"]
)
def test_a_hold_that_ends_without_an_effect_says_who_denied_it(last, by):
    spans = export(ledger([Admitted(call=CALL), HOLD, ASKED], [last]))
    assert tell(spans)[-1] == "B execute_tool stripe.create_refund 2-2 <- A"
    end = root_of(spans, 1)
    assert (end.attributes[names.OUTCOME], end.attributes[names.DENIED_BY], end.status) == ("denied", by, "unset")


def test_a_denial_is_the_gateway_doing_its_work_but_a_broken_policy_is_an_error():
    denied = export(ledger([Admitted(call=CALL), DENY]))
    assert root_of(denied).attributes[names.DENIED_BY] == "policy" and root_of(denied).status == "unset"
    broken = export(ledger([Admitted(call=CALL), judged("deny", code="policy-error")]))
    assert root_of(broken).attributes[names.ERROR_TYPE] == "policy-error" and root_of(broken).status == "error"


def test_a_second_vote_that_is_still_needed_keeps_sleeping_and_waking():
    spans = export(
        ledger([Admitted(call=CALL), HOLD, ASKED], [APPROVED], [HOLD], [APPROVED], [ALLOW, CLAIMED], [ANSWERED])
    )
    assert [line for line in tell(spans) if "execute_tool" in line] == [
        "A execute_tool stripe.create_refund 1-1",
        "B execute_tool stripe.create_refund 2-3 <- A",
        "C execute_tool stripe.create_refund 4-6 <- B",
    ]


def test_a_new_generation_that_still_holds_wakes_nothing():
    assert tell(export(ledger([Admitted(call=CALL), HOLD, ASKED], [HOLD], [HOLD])))[-2:] == [
        "A gateway.judged 2-2",
        "A gateway.judged 3-3",
    ]


def test_a_lost_send_is_in_doubt_and_its_resend_a_linked_trace():
    lost = Lost(token="t1", error="reset", status=504)
    spans = export(
        ledger([Admitted(call=CALL), ALLOW, CLAIMED], [lost], [ALLOW, CLAIMED_2], [replace(ANSWERED, token="t2")])
    )
    assert [line for line in tell(spans) if "POST" in line or "execute" in line] == [
        "A POST 1-2 !",
        "A execute_tool stripe.create_refund 1-2 !",
        "B POST 3-4",
        "B execute_tool stripe.create_refund 3-4 <- A",
    ]
    assert root_of(spans).attributes[names.OUTCOME] == "in doubt"
    resent = [span for span in spans if span.name == "POST"][1]
    assert resent.attributes[names.HTTP_REQUEST_RESEND_COUNT] == 1


def test_a_late_answer_stands_beside_the_doubt_it_settles():
    """The claim was forfeited, then its drive came back: two results of one send, two spans, one of them the send's."""
    spans = export(ledger([Admitted(call=CALL), ALLOW, CLAIMED], [Lost(token="t1", error="")], [ANSWERED]))
    sends = [span for span in spans if span.name == "POST"]
    assert len({span.span_id for span in sends}) == 2
    assert tell(spans)[-2:] == ["A POST 1-3", "B execute_tool stripe.create_refund 3-3 <- A"]


def test_a_doubt_settled_by_a_person_is_settled():
    resolved = Resolved(by="support-lead", acted=True, status=200)
    end = root_of(export(ledger([Admitted(call=CALL), ALLOW, CLAIMED], [Lost(token="t1", error="")], [resolved])), 1)
    assert (end.attributes[names.OUTCOME], end.attributes[names.RESOLVED_ACTED]) == ("settled", True)


def test_what_was_never_sent_is_unreachable_and_so_is_a_read_that_was_lost():
    unsent = Unsent(token="t1", error="refused")
    assert (
        root_of(export(ledger([Admitted(call=CALL), ALLOW, CLAIMED], [unsent]))).attributes[names.OUTCOME]
        == "unreachable"
    )
    lost = Lost(token="", error="reset")
    end = root_of(export(ledger([Admitted(call=READ), ALLOW, lost], call=READ)))
    assert end.attributes[names.OUTCOME] == "unreachable" and end.status == "error"


@pytest.mark.parametrize(
    ("status", "send", "call"), [(200, "unset", "unset"), (404, "error", "unset"), (500, "error", "error")]
)
def test_a_refusal_by_the_system_fails_the_exchange_and_only_a_breakdown_fails_the_call(status, send, call):
    spans = export(ledger([Admitted(call=CALL), ALLOW, CLAIMED], [replace(ANSWERED, status=status)]))
    exchange = next(span for span in spans if span.name == "POST")
    assert (exchange.status, root_of(spans).status) == (send, call)


def test_an_answer_that_is_withheld_is_an_error():
    spans = export(ledger([Admitted(call=CALL), ALLOW, CLAIMED], [replace(ANSWERED, withheld=True)]))
    assert root_of(spans).attributes[names.ERROR_TYPE] == "credential-echoed"


def test_a_replay_is_a_trace_of_its_own_that_says_so():
    spans = export(
        ledger([Admitted(call=CALL), ALLOW, CLAIMED], [ANSWERED], [Attached(key="k", keep=1), ALLOW, Delivered()])
    )
    assert tell(spans)[-4:] == [
        "A gateway.attached 3-3",
        "B gateway.judged 3-3",
        "B gateway.delivered 3-3",
        "B execute_tool stripe.create_refund 3-3 <- A",
    ]
    assert root_of(spans, 1).attributes[names.REPLAYED] is True


def test_the_exchange_names_the_system_but_no_path():
    origin = {("g1", "stripe"): "https://api.stripe.com"}
    spans = export(
        ledger([Admitted(call=CALL), ALLOW, CLAIMED], [ANSWERED]), lambda generation, system: origin[generation, system]
    )
    exchange = next(span for span in spans if span.name == "POST")
    assert exchange.kind == "client"
    found = {
        name: value for name, value in exchange.attributes.items() if name.startswith(("http.", "server.", "url."))
    }
    assert found == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.response.body.size": 17,
        "server.address": "api.stripe.com",
        "server.port": 443,
        "url.scheme": "https",
    }


# --- Exporting twice ---------------------------------------------------------------------------------------------

ANY_FACT = st.sampled_from(
    [
        ALLOW, HOLD, DENY, ASKED, APPROVED, REJECTED, Expired(), Withdrawn(), CLAIMED, CLAIMED_2, ANSWERED,
        replace(ANSWERED, token="t2"), Lost(token="t1", error=""), Unsent(token="t2", error=""), Abandoned(),
        Delivered(), Attached(key="k", keep=1), Resolved(by="x", acted=False), Ended(length=1, sha256="", whole=False),
        Notified(notice="n1", attempt=1, status=0, done=False),
    ]
)  # fmt: skip
LIVES = st.lists(st.lists(ANY_FACT, min_size=1, max_size=4), max_size=8)


@given(LIVES)
def test_every_fact_is_exactly_one_span_and_every_id_is_unique(appends):
    entries = ledger([Admitted(call=CALL)], *appends)
    spans = export(entries)
    assert len({span.span_id for span in spans}) == len(spans)
    positions = [span.attributes[names.LEDGER_POSITION] for span in spans if not span.name.startswith("execute_tool")]
    assert positions == list(range(sum(len(entry.facts) for entry in entries)))


@given(LIVES)
def test_every_span_names_the_leaf_of_its_fact_and_a_root_that_of_the_fact_that_closed_it(appends):
    entries = ledger([Admitted(call=CALL)], *appends)
    leaves = [leaf for entry in entries for leaf in entry.leaves]
    for span in export(entries):
        index, position = span.attributes[names.LEDGER_INDEX], span.attributes[names.LEDGER_POSITION]
        assert index == 40 + position and span.attributes[names.LEDGER_LEAF] == leaves[position]


@given(LIVES)
def test_who_knows_where_the_call_stood_gets_the_same_as_who_reads_its_facts(appends):
    entries = ledger([Admitted(call=CALL)], *appends)
    found: list[SpanValue] = []
    life = None
    for entry in entries:
        spans, life = spans_after(entry, life)
        found += spans
    assert found == export(entries)


@given(LIVES)
def test_a_segment_has_one_root_at_most_and_everything_in_it_hangs_below(appends):
    spans = export(ledger([Admitted(call=CALL)], *appends))
    roots = [span for span in spans if span.name.startswith("execute_tool")]
    assert len({root.trace_id for root in roots}) == len(roots)
    by_trace = {root.trace_id: root.span_id for root in roots}
    for span in spans:
        if span not in roots and span.trace_id in by_trace:
            assert span.parent == by_trace[span.trace_id]
    for before, root in pairwise(roots):
        assert [link.span_id for link in root.links] == [before.span_id]


@given(LIVES)
def test_the_facts_alone_lead_to_every_trace_and_its_root(appends):
    entries = ledger([Admitted(call=CALL)], *appends)
    spans, found = export(entries), traces_of([fact for entry in entries for fact in entry.facts])
    assert found[0].trace_id == TRACE, "the one that the agent named in its traceparent, which is in the fact"
    assert {span.trace_id for span in spans} == {trace.trace_id for trace in found}
    roots = [span for span in spans if span.name.startswith("execute_tool")]
    assert [SpanContext(root.trace_id, root.span_id) for root in roots] == list(found[: len(roots)])
    assert len(found) - len(roots) in (0, 1), "the last one has no root while it is open"


def test_facts_without_their_admission_lead_to_no_trace():
    assert traces_of([]) == traces_of([ANSWERED]) == ()


@given(LIVES)
def test_no_span_ends_before_it_starts(appends):
    assert all(span.start_ms <= span.end_ms for span in export(ledger([Admitted(call=CALL)], *appends)))


def test_other_calls_have_other_ids_even_in_the_same_trace():
    other = replace(CALL, id="17" + "cd" * 10)
    one = export(ledger([Admitted(call=CALL), DENY]))
    two = export(ledger([Admitted(call=other), DENY], call=other))
    assert {span.trace_id for span in one + two} == {TRACE}
    assert {span.span_id for span in one}.isdisjoint({span.span_id for span in two})


@given(LIVES)
def test_the_span_named_to_the_system_is_the_span_that_is_exported(appends):
    """Whatever happens to the call between the claim and its result: a vote, a takeover, a settlement."""
    entries = ledger([Admitted(call=CALL)], *appends)
    facts = [fact for entry in entries for fact in entry.facts]
    sent = {f"00-{span.trace_id}-{span.span_id}-01" for span in export(entries) if span.kind == "client"}
    for token in ("t1", "t2"):
        uses = [number for number, fact in enumerate(facts) if getattr(fact, "token", None) == token]
        claims = [number for number in uses if isinstance(facts[number], Claimed)]
        results = [number for number in uses if number not in claims]
        if claims and results and claims[0] < results[0]:
            assert outgoing_traceparent(facts[: claims[0] + 1], token) in sent


def test_the_span_named_for_a_read_is_the_one_that_is_exported():
    entries = ledger([Admitted(call=READ), ALLOW, replace(ANSWERED, token="")], call=READ)
    exchange = next(span for span in export(entries) if span.kind == "client")
    assert outgoing_traceparent(entries[0].facts[:2], "") == f"00-{exchange.trace_id}-{exchange.span_id}-01"


# --- When the facts before are gone ------------------------------------------------------------------------------


def test_facts_whose_call_is_gone_are_still_exported_and_say_so():
    entries = ledger([Admitted(call=CALL), ALLOW, CLAIMED], [ANSWERED, Delivered()])
    for before in (None, (), entries[0].facts[1:]):
        spans = spans_of(entries[1], before)
        assert [span.name for span in spans] == ["gateway.answered", "gateway.delivered"]
        assert all(span.attributes[names.HISTORY] == "missing" and span.parent == "" for span in spans)
        assert all(span.attributes[names.CALL_ID] == CALL.id for span in spans)


def test_an_entry_that_begins_a_call_needs_nothing_before_it():
    entry = ledger([Admitted(call=CALL), DENY])[0]
    assert spans_of(entry, None) == spans_of(entry, ())


def test_an_entry_without_facts_has_no_spans():
    assert spans_of(Stored("1-0", CALL.id, 3, ()), ()) == ()
