"""An approver's system is told what would really happen, whole."""

import json
from dataclasses import replace

from gateway.core.approval import shown
from gateway.core.facts import Judged, Notice
from gateway.core.messages import requested
from gateway.core.notices import arguments, summary
from gateway.core.summaries import parse
from gateway.core.verdict import Verdict
from tests.company import NIGHT, ROUTES, admission
from tests.playbook import FINANCE, LEGAL, PRINT, TODAY, Playbook, asked

NOTICE = Notice(id="n-1", group="finance", channel=0)


def body(**changes) -> dict:
    admitted = replace(admission(user="ann@acme.example"), extra={"note": "undeclared"})
    call = replace(admitted.call, reason="the customer asked", run="run-7", **changes)
    verdict = Verdict(
        decision="hold", policies=("over-50", "abroad"), reasons=("Over 50.", "Abroad."), requirements=(FINANCE, LEGAL)
    )
    judged = Judged(verdict=verdict, generation=TODAY, fingerprint=PRINT)
    story = Playbook(call, now=NIGHT) >> judged >> asked(FINANCE, LEGAL)
    return requested(
        story.record, judged, replace(admitted, call=call), NOTICE, ROUTES, control_url="http://control", now=NIGHT
    ) | {"expected": shown(story.record, "finance"), "call": call}


def test_a_notice_says_everything_that_a_decision_needs():
    told = body()
    call = told["call"]
    assert told["type"] == "approval.requested"
    assert told["timestamp"] == "2026-11-20T10:00:00Z"
    assert told["data"] == {
        "call": call.id,
        "fingerprint": told["expected"],
        "callback": f"http://control/approvals/{call.id}/decision",
        "page": f"http://control/inbox/{call.id}?approval=finance",
        "decide_in": ["page", "slack", "webhook", "token"],
        "approval": "finance",
        "summary": "billing-bot wants to call stripe.refund(note=undeclared, amount=5)",
        "agent": "billing-bot",
        "owner": "olga",
        "user": "ann@acme.example",
        "run": "run-7",
        "why": "the customer asked",
        "tool": "stripe.refund",
        "resource": call.resource,
        "input": {"note": "undeclared", "amount": 5},
        "policies": [{"id": "over-50", "reason": "Over 50."}],
        "expires_at": "2026-11-20T11:00:00Z",
    }
    assert json.dumps(told["data"])


def test_the_approver_sees_a_null_and_not_an_absence():
    admitted = admission()
    admitted = replace(admitted, question=replace(admitted.question, input={"milestone": None, "closed": True}))
    assert arguments(admitted) == {"milestone": None, "closed": True}
    assert summary(admitted).endswith("(milestone=null, closed=true)")


def test_no_argument_is_ever_shortened_beside_the_summary():
    """Peer failure 6: what an approver sees and what would be sent must not part after some kilobytes."""
    admitted = admission()
    long = "x" * 200_000
    admitted = replace(admitted, question=replace(admitted.question, input={"amount": 5, "memo": long}))
    assert arguments(admitted)["memo"] == long
    assert summary(admitted).endswith(', memo="' + "x" * 80 + '..." (200000 characters))')
    many = {f"memo{number}": "x" * 50 for number in range(10)}
    admitted = replace(admitted, question=replace(admitted.question, input=many))
    assert len(summary(admitted)) == 300
    assert summary(admitted).endswith("...")


def test_the_summary_of_a_tool_is_what_approvers_read_first():
    admitted = admission(amount=5000)
    tool = replace(admitted.tool, summary=parse("Refund {amount|money:usd}"))
    assert summary(replace(admitted, tool=tool)) == "Refund 50.00 USD"


def test_no_argument_can_leave_its_place_in_a_summary():
    admitted = admission()
    forged = {"a": 'x, amount=1) "', "b\n": "\u202e"}
    admitted = replace(admitted, extra=forged)
    assert summary(admitted).endswith('refund(a="x, amount=1) \\"", "b\\n"="\\u202e", amount=5)')


def test_a_declared_argument_is_never_hidden_by_an_undeclared_one_of_the_same_name():
    admitted = replace(admission(amount=5), extra={"amount": 1})
    assert arguments(admitted)["amount"] == 5
