"""Signed messages of every kind, forged, replayed, expired or about something else, at the real door.

What counts in which order is in tests/test_callback_order.py; here it is what a stranger, a thief of an old message or
a careless system can do over HTTP to edits and to yeses that are taken back.
"""

import json
import time

import pytest

from tests.gateway_process import eventually
from tests.gateway_world import HELD, PAIR, slug, world
from tests.scripted_upstream import fresh


def _undo(routes):
    routes["approvals"]["finance"]["undo"] = "1h"


@pytest.fixture(scope="module")
def scene():
    with world(change=_undo) as made:
        yield made


def refused(found, status, kind):
    assert (found.status_code, slug(found)) == (status, kind), found.text
    return found.json()["detail"]


def facts(scene, call):
    """What was recorded but for deliveries, which go on meanwhile."""
    return [fact for fact in scene.timeline(call) if fact != "Notified"]


def settled(scene, call, *wanted):
    """The facts of the call, once it is weighed with all of `wanted`."""
    return eventually(lambda: scene.state(call) == "held" and set(wanted) <= set(found := facts(scene, call)) and found)


def test_a_retract_with_a_bad_signature_or_an_old_one_takes_nothing_back(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    assert scene.approvers.approve(call).status_code == 200
    before = settled(scene, call, "Approved")
    retract = scene.approvers.decision(notice, "retract")
    refused(scene.approvers.post(notice, retract, group="legal"), 401, "bad-signature")
    refused(scene.approvers.post(notice, retract, at=time.time() - 3600), 401, "bad-signature")
    refused(scene.approvers.post(notice, retract, headers={"webhook-id": "another"}), 401, "bad-signature")
    other = scene.hold(fresh("pay"))
    url = scene.approvers.notice(other).data["callback"]
    refused(scene.approvers.post(notice, retract, url=url), 401, "bad-signature")
    relabelled = scene.approvers.decision(notice, "retract", call=other)
    refused(scene.approvers.post(notice, relabelled, url=url), 409, "approval-stale")  # nothing there to take back
    assert facts(scene, call) == before and "Retracted" not in facts(scene, other)


def test_a_signed_retract_replayed_after_a_new_yes_changes_nothing(scene):
    to = fresh("pay")
    call = scene.hold(to)
    first = scene.approvers.notice(call)
    assert scene.approvers.approve(call).status_code == 200
    retract, message = scene.approvers.decision(first, "retract"), "msg_retract" + to
    assert scene.approvers.post(first, retract, message=message).status_code == 200
    again = scene.approvers.notice(call, number=2)
    assert scene.approvers.post(again, scene.approvers.decision(again)).status_code == 200
    before = settled(scene, call, "Retracted")
    assert before.count("Approved") == 2
    assert scene.approvers.post(first, retract, message=message).status_code == 200
    assert facts(scene, call) == before and scene.state(call) == "held"


def test_a_signed_yes_replayed_after_it_was_taken_back_changes_nothing(scene):
    to = fresh("pay")
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    body, message = scene.approvers.decision(notice), "msg_yes" + to
    assert scene.approvers.post(notice, body, message=message).status_code == 200
    assert scene.approvers.post(notice, scene.approvers.decision(notice, "retract")).status_code == 200
    before = settled(scene, call, "Retracted")
    assert scene.approvers.post(notice, body, message=message).status_code == 200
    assert facts(scene, call) == before and scene.upstream.seen(to) == []


def test_one_message_id_for_a_yes_and_its_retract_is_refused_and_said(scene):
    to = fresh("pay")
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    assert scene.approvers.post(notice, scene.approvers.decision(notice), message="msg" + to).status_code == 200
    retract = scene.approvers.decision(notice, "retract")
    detail = refused(scene.approvers.post(notice, retract, message="msg" + to), 409, "approval-stale")
    assert "`webhook-id` of its own" in detail
    assert scene.approvers.post(notice, retract).status_code == 200
    assert "Retracted" in facts(scene, call)


@pytest.mark.parametrize("who", ["outsider", "operator", "auditor", "boss", "nobody-at-all", ""])
def test_an_edit_by_who_may_not_decide_is_refused(scene, who):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    before = facts(scene, call)
    body = scene.approvers.decision(notice, by=who, edit={"amount": 700})
    refused(scene.approvers.post(notice, body), 403, "not-eligible")
    assert facts(scene, call) == before and scene.state(call) == "held"


def test_an_edit_of_another_call_or_group_or_under_no_signature_is_refused(scene):
    one, two = scene.hold(fresh("pay")), scene.hold(fresh("pay"))
    first, second = scene.approvers.notice(one), scene.approvers.notice(two)
    edit = scene.approvers.decision(first, edit={"amount": 700})
    url = second.data["callback"]
    refused(scene.approvers.post(first, edit, url=url), 401, "bad-signature")
    relabelled = scene.approvers.decision(first, call=two, edit={"amount": 700})
    refused(scene.approvers.post(second, relabelled), 409, "approval-stale")
    refused(scene.approvers.post(first, edit, group="legal"), 401, "bad-signature")
    as_legal = scene.approvers.decision(first, approval="legal", edit={"amount": 700})
    refused(scene.approvers.post(first, as_legal, group="legal"), 409, "approval-stale")
    refused(scene.approvers.post(first, edit, at=time.time() - 3600), 401, "bad-signature")
    changed = json.loads(edit) | {"edit": {"amount": 1}}
    signature = {"webhook-signature": "v1,AAAA"}
    refused(scene.approvers.post(first, json.dumps(changed).encode(), headers=signature), 401, "bad-signature")
    assert "Edited" not in facts(scene, one) + facts(scene, two)


def test_an_edit_of_an_old_fingerprint_or_replayed_changes_nothing(scene):
    to = fresh("pay")
    call = scene.hold(to, PAIR)
    notice = scene.approvers.notice(call, "pair")
    edit = scene.approvers.decision(notice, edit={"to": to + "x"})
    assert scene.approvers.post(notice, edit, message="msg_1" + to).status_code == 200
    before = settled(scene, call, "Edited", "Approved")
    assert scene.approvers.post(notice, edit, message="msg_1" + to).status_code == 200  # the same once more
    old = scene.approvers.decision(notice, by="second", edit={"to": to + "y"})
    refused(scene.approvers.post(notice, old), 409, "approval-stale")
    refused(scene.approvers.post(notice, scene.approvers.decision(notice, by="second")), 409, "approval-stale")
    assert facts(scene, call) == before and scene.upstream.seen(to) == []
    again = scene.approvers.notice(call, "pair", number=2)
    assert scene.approvers.post(again, scene.approvers.decision(again, by="second")).status_code == 200
    eventually(lambda: scene.state(call) == "answered")
    assert [json.loads(seen.body)["to"] for seen in scene.upstream.seen(to)] == [to + "x"]


def test_an_edit_or_a_retract_of_a_call_that_is_over_is_stale(scene):
    to = fresh("pay")
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    assert scene.approvers.reject(call).status_code == 200
    before = facts(scene, call)
    for body in (
        scene.approvers.decision(notice, edit={"amount": 700}), scene.approvers.decision(notice, "retract"),
        scene.approvers.decision(notice, "approve", "second"),
    ):  # fmt: skip
        refused(scene.approvers.post(notice, body), 409, "approval-stale")
    assert facts(scene, call) == before and scene.upstream.seen(to) == []
    assert slug(scene.pay(to, HELD)) == "approval-rejected"


@pytest.mark.parametrize("decision", ["reject", "retract"])
def test_an_edit_belongs_to_a_yes(scene, decision):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    body = scene.approvers.decision(notice, decision, edit={"amount": 700})
    assert "`edit` belongs to an approval" in refused(scene.approvers.post(notice, body), 400, "invalid-body")
    assert scene.state(call) == "held"
