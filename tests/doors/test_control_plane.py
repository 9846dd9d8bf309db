"""The control plane of design section 9, over real sockets: who may ask and say what, and what a signature proves."""

import asyncio
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway import __version__
from gateway.adapters.embedded import embedded_url
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.core.deployment import AgentReadmitted, AgentSuspended, Loaded
from gateway.core.figures import METRICS
from tests.gateway_process import bearer, eventually, key_of, token_of
from tests.gateway_world import BOTH, HELD, PAIR, POLICIES, slug, world
from tests.scripted_upstream import answer, fresh, resets, stalls

EVERYTHING = [
    ("GET", "/approvals"),
    ("GET", "/approvals/stats"), ("GET", "/approvals/{call}"), ("POST", "/approvals/{call}/decision"),
    ("GET", "/calls"), ("GET", "/calls/{call}"), ("POST", "/calls/{call}/resolve"), ("POST", "/agents/bot/suspend"),
    ("DELETE", "/agents/bot/suspend"), ("GET", "/metrics"), ("GET", "/agents"), ("POST", "/journal/acknowledge-loss"),
    ("POST", "/calls/{call}/cancel"),
]  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def editable():
    """A gateway whose configuration these tests break and mend."""
    with world(workers=2) as made:
        yield made


def refused(found: httpx.Response, status: int, kind: str) -> str:
    assert (found.status_code, slug(found)) == (status, kind), found.text
    detail: str = found.json()["detail"]
    return detail


# --- who ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_everything_needs_a_persons_token_and_refuses_an_agents_key(scene, method, path):
    call = scene.hold(fresh("pay"))
    url = scene.gateway.control + path.format(call=call)
    body = json.dumps({"call": call, "approval": "finance", "decision": "approve", "fingerprint": "f"})
    before = scene.timeline(call)
    for headers, status, kind in (
        ({}, 401, "person-token"),
        (bearer("gp_nobodys"), 401, "person-token"),
        ({"cookie": f"token={token_of('boss')}"}, 401, "person-token"),
        (bearer(key_of("bot")), 403, "agent-at-control-plane"),
    ):
        found = httpx.request(method, url, headers=headers, content=body, trust_env=False, timeout=60)
        refused(found, status, kind)
        if status == 401:
            assert "Bearer" in found.headers["www-authenticate"]
    assert [fact for fact in scene.timeline(call) if fact != "Notified"] == [f for f in before if f != "Notified"]


@pytest.mark.parametrize(
    ("person", "method", "path"),
    [
        ("auditor", "POST", "/approvals/{call}/decision"),
        ("operator", "POST", "/approvals/{call}/decision"),
        ("auditor", "POST", "/calls/{call}/resolve"),
        ("lead", "POST", "/calls/{call}/resolve"),
        ("auditor", "POST", "/agents/bot/suspend"),
        ("lead", "POST", "/agents/bot/suspend"),
        ("lead", "DELETE", "/agents/bot/suspend"),
        ("auditor", "POST", "/journal/acknowledge-loss"),
    ],
)
def test_each_role_does_only_its_own(scene, person, method, path):
    call = scene.hold(fresh("pay"))
    body = {"call": call, "approval": "finance", "decision": "approve", "fingerprint": "f", "outcome": "acted"}
    refused(scene.person(person).request(method, path.format(call=call), json=body), 403, "role-missing")
    assert scene.state(call) == "held" and scene.pay(fresh("pay")).status_code == 200


def test_livez_and_readyz_are_for_everybody(scene):
    assert httpx.get(f"{scene.gateway.control}/livez", trust_env=False, timeout=60).status_code == 200
    told = scene.gateway.readyz()
    assert told.status_code == 200 and told.json()["ready"] is True and told.json()["problems"] == []
    assert len(told.json()["generation"]) == 64 and told.json()["version"] == __version__


@pytest.mark.parametrize("path", ["/readyz", "/calls", "/calls/nowhere"])
def test_json_ends_its_line(scene, path):
    """Else the prompt of whoever typed curl is glued to it."""
    said = scene.person("auditor").get(path).content
    assert said.endswith(b"}\n") and not said.endswith(b"\n\n")


# --- reading ------------------------------------------------------------------------------------------------------


def test_a_pending_approval_is_listed_and_shown_whole(scene):
    to = fresh("pay")
    call = scene.hold(to, gateway_reason="the cup was broken", gateway_run="run-7")
    listed = scene.person("lead").get("/approvals").json()["approvals"]
    (mine,) = [item for item in listed if item["call"] == call]
    assert mine["agent"] == "bot" and mine["tool"] == "bank.pay" and mine["resource"] == f"Account/{to}"
    assert mine["why"] == "the cup was broken" and mine["expires_at"]
    told = scene.person("auditor").get(f"/approvals/{call}").json()
    assert told["state"] == "held" and told["input"] == {"to": to, "amount": HELD} and to in told["summary"]
    (question,) = told["questions"]
    assert question == {"approval": "finance", "fingerprint": scene.approvers.notice(call).data["fingerprint"]}


def test_the_notice_is_what_design_says(scene):
    to = fresh("pay")
    call = scene.hold(to, gateway_run="run-7")
    notice = scene.approvers.notice(call)
    data = notice.data
    assert json.loads(notice.raw)["type"] == "approval.requested"
    assert set(data) >= {
        "call", "fingerprint", "callback", "approval", "summary", "agent", "owner", "user", "run", "tool", "resource",
        "input", "policies", "expires_at",
    }  # fmt: skip
    assert data["callback"] == f"{scene.gateway.control}/approvals/{call}/decision"
    assert (data["agent"], data["owner"], data["user"], data["run"]) == ("bot", "boss", None, "run-7")
    assert data["policies"] == [
        {"id": "large-needs-finance", "reason": "Payments above 10.00 need a yes from finance."}
    ]
    assert data["input"] == {"to": to, "amount": HELD} and scene.approvers.forged == 0


def test_calls_are_listed_and_one_shows_its_whole_timeline(scene):
    to = fresh("pay")
    call = scene.pay(to, gateway_reason="why not").headers["gateway-call"]
    listed = scene.person("auditor").get("/calls").json()["calls"]
    (mine,) = [item for item in listed if item["call"] == call]
    assert mine["state"] == "answered" and mine["status"] == 200
    told = scene.person("auditor").get(f"/calls/{call}").json()
    facts = [item["fact"] for item in told["timeline"]]
    assert facts == ["Admitted", "Judged", "Claimed", "Answered"]
    assert "ops-may" in told["timeline"][1]["text"] and "why not" in told["timeline"][0]["text"]
    assert scene.person("auditor").get("/calls/" + "00" + "a" * 22).status_code == 404


def test_metrics_are_text_with_numbers(scene):
    scene.pay(fresh("pay"))
    scene.hold(fresh("pay"))
    found = scene.person("auditor").get("/metrics")
    values = dict(line.rsplit(maxsplit=1) for line in found.text.splitlines() if not line.startswith("#"))
    assert found.headers["content-type"].startswith("text/plain") and float(values['gateway_calls{state="held"}']) >= 1
    told = {metric.name: metric.kind for metric in METRICS if not metric.name.startswith("gateway_export")}
    for name, kind in told.items():
        assert re.search(rf"^# HELP {name} \S.*\n# TYPE {name} {kind}\n{name}(_bucket)?\b", found.text, re.MULTILINE), (
            name
        )


def test_what_workers_measure_and_what_became_of_calls_is_told_by_the_steward(scene):
    names = ("gateway_calls_finished_total", "gateway_decision_duration_seconds_count",
             "gateway_journal_duration_seconds_count")  # fmt: skip

    def told():
        lines = scene.person("auditor").get("/metrics").text.splitlines()
        found = dict(line.rsplit(maxsplit=1) for line in lines if line.startswith(names))
        return [sum(float(value) for key, value in found.items() if key.startswith(name)) for name in names]

    before = told()
    for _ in range(3):
        scene.pay(fresh("pay"))
    after = told()
    assert after[0] == before[0] + 3, "at once, since it is the ledger that is counted"
    eventually(lambda: (now := told())[1] >= before[1] + 3 and now[2] >= before[2] + 6)


def test_get_never_decides_anything(scene):
    call = scene.hold(fresh("pay"))
    scene.approvers.notice(call)
    eventually(lambda: "Notified" in scene.timeline(call))
    before = scene.timeline(call)
    for path in (
        f"/approvals/{call}/decision?decision=approve&approval=finance", f"/calls/{call}/resolve?outcome=acted",
        "/agents/bot/suspend", "/journal/acknowledge-loss",
    ):  # fmt: skip
        for method in ("GET", "HEAD"):
            assert scene.person("boss").request(method, path).status_code in (404, 405)
    for path in (f"/approvals/{call}", f"/calls/{call}", "/approvals", "/calls"):
        assert scene.person("boss").get(path).status_code == 200
    assert scene.timeline(call) == [*before, "Viewed"]


def test_what_is_not_there_is_404_with_a_sentence(scene):
    assert "POST /calls/{call}/resolve" in refused(scene.person("boss").get("/nothing"), 404, "nothing-here")
    for path, allowed in (("/calls/x/resolve", "POST"), ("/approvals/x/decision", "POST")):
        found = scene.person("boss").get(path)
        assert allowed in refused(found, 405, "method-not-allowed") and found.headers["allow"] == allowed
    found = scene.person("boss").delete("/calls")
    assert "Use GET." in refused(found, 405, "method-not-allowed") and found.headers["allow"] == "GET"
    assert scene.person("boss").get("/agents/bot/suspend").headers["allow"] == "DELETE, POST"
    for path in ("/approvals/x", "/calls/x", "/calls/" + "07" + "a" * 22):
        assert "GET /calls lists" in refused(scene.person("boss").get(path), 404, "unknown-call")
    refused(scene.person("operator").post("/agents/nobody/suspend"), 404, "unknown-agent")


# --- the signed callback ------------------------------------------------------------------------------------------


def test_a_signed_yes_lets_the_call_go_on_without_its_agent(scene):
    to = fresh("pay")
    call = scene.hold(to)
    found = scene.approvers.approve(call)
    assert found.status_code == 200 and found.json()["call"] == call
    eventually(lambda: scene.state(call) == "answered")  # nobody is waiting for it
    assert len(scene.upstream.seen(to)) == 1
    told = scene.person("auditor").get(f"/calls/{call}").json()["timeline"]
    (vote,) = [item["text"] for item in told if item["fact"] == "Approved"]
    assert "lead approved for finance" in vote and "asserted by webhook of finance" in vote


def test_a_signed_no_ends_it(scene):
    to = fresh("pay")
    call = scene.hold(to)
    assert scene.approvers.reject(call).status_code == 200
    assert scene.state(call) == "denied" and scene.upstream.seen(to) == []


def unchanged(scene, call):
    assert scene.state(call) == "held" and "Approved" not in scene.timeline(call)


def test_a_callback_needs_a_good_signature(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    body = scene.approvers.decision(notice)
    for headers in (
        {"webhook-signature": "v1,AAAA"}, {"webhook-signature": "garbage"}, {"webhook-signature": "v1," + "é" * 10},
        {"webhook-id": "another"}, {"webhook-id": ""}, {"webhook-timestamp": "soon"}, {"webhook-timestamp": ""},
        {"webhook-signature": "v2,AAAA v1a,BBBB"},
    ):  # fmt: skip
        named = {name: value.encode("utf-8") for name, value in headers.items()}
        found = httpx.post(
            notice.data["callback"], content=body, trust_env=False, timeout=60,
            headers=dict(_signed(scene, notice, body)) | named,
        )  # fmt: skip
        refused(found, 401, "bad-signature")
    refused(scene.approvers.post(notice, body, headers={"webhook-signature": ""}), 401, "bad-signature")
    unchanged(scene, call)


def _signed(scene, notice, body):
    from gateway.demo.approver import signature

    stamp = int(time.time())
    made = signature(scene.approvers.callback_secrets["finance"], "msg_1", stamp, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": made}


def test_a_body_that_was_changed_after_signing_is_refused(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    reject = scene.approvers.decision(notice, "reject")
    headers = _signed(scene, notice, reject)
    approve = scene.approvers.decision(notice, "approve")
    found = httpx.post(notice.data["callback"], content=approve, headers=headers, trust_env=False, timeout=60)
    refused(found, 401, "bad-signature")
    unchanged(scene, call)


def test_another_groups_secret_is_refused(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    refused(scene.approvers.post(notice, scene.approvers.decision(notice), group="legal"), 401, "bad-signature")
    as_legal = scene.approvers.decision(notice, approval="legal")
    found = scene.approvers.post(notice, as_legal, group="legal")  # legal may sign for legal, which was not asked
    refused(found, 409, "approval-stale")
    nobodys = scene.approvers.decision(notice, approval="nobody")
    refused(scene.approvers.post(notice, nobodys), 401, "bad-signature")
    unchanged(scene, call)


def test_the_secret_that_signs_notices_does_not_sign_decisions(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    body = scene.approvers.decision(notice)
    scene.approvers.callback_secrets["stolen"] = scene.approvers.secret
    refused(scene.approvers.post(notice, body, group="stolen"), 401, "bad-signature")
    unchanged(scene, call)


def test_a_callback_replayed_on_another_call_is_refused(scene):
    one, two = scene.hold(fresh("pay")), scene.hold(fresh("pay"))
    first, second = scene.approvers.notice(one), scene.approvers.notice(two)
    body = scene.approvers.decision(first)
    found = scene.approvers.post(first, body, url=second.data["callback"])
    refused(found, 401, "bad-signature")  # the signature is good, but it does not cover the URL
    relabelled = scene.approvers.decision(first, call=two)
    refused(scene.approvers.post(second, relabelled), 409, "approval-stale")  # the fingerprint is the other call's
    unchanged(scene, one)
    unchanged(scene, two)


def test_a_stale_fingerprint_is_refused(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    for fingerprint in ("0" * 64, "", notice.data["fingerprint"].upper() + "x"):
        body = scene.approvers.decision(notice, fingerprint=fingerprint)
        refused(scene.approvers.post(notice, body), 409, "approval-stale")
    unchanged(scene, call)


@pytest.mark.parametrize("who", ["outsider", "operator", "nobody-at-all", "", "bot"])
def test_only_a_member_may_decide(scene, who):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    refused(scene.approvers.post(notice, scene.approvers.decision(notice, by=who)), 403, "not-eligible")
    unchanged(scene, call)


def test_nobody_approves_what_they_requested(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)  # boss is a member of finance, and owns the agent
    detail = refused(scene.approvers.post(notice, scene.approvers.decision(notice, by="boss")), 403, "not-eligible")
    assert "somebody else" in detail
    vote = {name: notice.data[name] for name in ("call", "approval", "fingerprint")} | {"decision": "approve"}
    refused(scene.person("boss").post(f"/approvals/{call}/decision", json=vote), 403, "not-eligible")
    unchanged(scene, call)


def test_a_repeat_of_the_same_webhook_changes_nothing(scene):
    to = fresh("pay")
    call = scene.hold(to, PAIR)
    notice = scene.approvers.notice(call, "pair")
    body = scene.approvers.decision(notice)
    for _ in range(3):
        assert scene.approvers.post(notice, body, message="msg_same" + to).status_code == 200
    assert scene.timeline(call).count("Approved") == 1
    assert scene.approvers.post(notice, scene.approvers.decision(notice, by="second")).status_code == 200
    eventually(lambda: scene.state(call) == "answered")
    assert scene.approvers.post(notice, body, message="msg_same" + to).status_code == 200  # also when it is over
    assert len(scene.upstream.seen(to)) == 1


def test_one_person_counts_once(scene):
    to = fresh("pay")
    call = scene.hold(to, PAIR)
    notice = scene.approvers.notice(call, "pair")
    assert scene.approvers.post(notice, scene.approvers.decision(notice)).status_code == 200
    refused(scene.approvers.post(notice, scene.approvers.decision(notice)), 403, "not-eligible")
    assert scene.state(call) == "held" and scene.upstream.seen(to) == []


def test_one_person_in_two_groups_counts_for_one(scene):
    to = fresh("pay")
    call = scene.hold(to, BOTH)
    assert scene.approvers.approve(call, "finance", "lead").status_code == 200
    notice = scene.approvers.notice(call, "legal")
    refused(scene.approvers.post(notice, scene.approvers.decision(notice, by="lead")), 403, "not-eligible")
    assert scene.state(call) == "held" and scene.upstream.seen(to) == []


@pytest.mark.parametrize("off", [-3600, 3600], ids=["old", "of-the-future"])
def test_an_expired_timestamp_is_refused(scene, off):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    refused(scene.approvers.post(notice, scene.approvers.decision(notice), at=time.time() + off), 401, "bad-signature")
    unchanged(scene, call)


def test_an_edit_by_callback_is_executed_and_the_agent_is_told(scene):
    to = fresh("pay")
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    told = scene.approvers.post(notice, scene.approvers.decision(notice, edit={"amount": 700}, reason="Half of it."))
    assert told.status_code == 200, told.text
    eventually(lambda: scene.state(call) == "answered")
    assert [json.loads(seen.body)["amount"] for seen in scene.upstream.seen(to)] == [700]
    again = scene.pay(to, HELD)
    assert again.status_code == 200 and again.headers["gateway-edited"] == "amount"
    edited = scene.status(call)["edited"]
    assert (edited["changed"], edited["now"], edited["reason"]) == (["amount"], {"amount": 700}, "Half of it.")
    assert edited["by"] == "lead"


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (
            {"amount": 0},
            "recorded: the arguments do not fit bank.pay: body.amount: this value is less than the minimum of 1. The",
        ),
        ({"amount": 500_000}, "are never made by agents. The call"),
        ({"amount": "lots"}, "amount"),
        ({"amuont": 5}, "that can be changed"),
        ({}, "names at least one argument"),
        ({"amount": HELD}, "changes nothing"),
        ({"amount": 100_001}, "Payments above 1,000.00 are never made by agents."),
    ],
)
def test_an_edit_that_cannot_be_says_why_and_changes_nothing(scene, edit, why):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    detail = refused(scene.approvers.post(notice, scene.approvers.decision(notice, edit=edit)), 422, "cannot-edit")
    assert why in detail and "still waits as it was" in detail
    unchanged(scene, call)


def test_a_yes_can_be_taken_back_by_who_gave_it_until_it_is_used(scene):
    call = scene.hold(fresh("pay"), PAIR)
    url, data = f"/approvals/{call}/decision", scene.approvers.notice(call, "pair").data
    vote = {"approval": "pair", "fingerprint": data["fingerprint"]}
    assert scene.person("lead").post(url, json=vote | {"decision": "approve"}).status_code == 200
    refused(scene.person("second").post(url, json=vote | {"decision": "retract"}), 409, "approval-stale")
    assert scene.person("lead").post(url, json=vote | {"decision": "retract"}).status_code == 200
    assert scene.timeline(call).count("Retracted") == 1
    eventually(lambda: scene.timeline(call).count("Asked") == 2)


def test_who_answers_for_a_call_may_cancel_it(scene):
    to = fresh("pay")
    call = scene.hold(to)
    refused(scene.person("lead").post(f"/calls/{call}/cancel"), 403, "not-eligible")
    refused(scene.person("boss").post(f"/calls/{call}/cancel", json={"why": "x"}), 400, "invalid-body")
    assert scene.person("boss").post(f"/calls/{call}/cancel", json={"reason": "Wrong run."}).status_code == 200
    refused(scene.person("operator").post(f"/calls/{call}/cancel"), 409, "not-cancelled")
    answer = scene.pay(to, HELD)
    assert (answer.status_code, slug(answer)) == (403, "call-cancelled") and "Wrong run." in answer.json()["detail"]
    assert scene.upstream.seen(to) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"call": 7}', b'{"decision": "maybe"}', b"\xff", b"9" * 5000, b"{" * 50_000, b"x" * 100_000],
    ids=["empty", "list", "half", "number", "maybe", "no-utf8", "digits", "deep", "long"],
)
def test_a_strange_body_is_a_4xx_and_changes_nothing(scene, body):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    assert 400 <= scene.approvers.post(notice, body).status_code < 500
    unchanged(scene, call)


def test_a_decision_about_a_call_that_is_over_is_stale(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    assert scene.approvers.approve(call).status_code == 200
    late = scene.approvers.decision(notice, "reject", "second")
    refused(scene.approvers.post(notice, late), 409, "approval-stale")
    eventually(lambda: scene.state(call) == "answered")


def test_a_person_votes_with_a_token_as_nobody_else(scene):
    to = fresh("pay")
    call = scene.hold(to)
    data = scene.approvers.notice(call).data
    vote = {name: data[name] for name in ("call", "approval", "fingerprint")} | {"decision": "approve"}
    url = f"/approvals/{call}/decision"
    refused(scene.person("lead").post(url, json=vote | {"approver": "second"}), 403, "not-eligible")
    refused(scene.person("outsider").post(url, json=vote), 403, "not-eligible")
    unchanged(scene, call)
    assert scene.person("lead").post(url, json=vote).status_code == 200
    eventually(lambda: scene.state(call) == "answered")
    told = scene.person("auditor").get(f"/calls/{call}").text
    assert "by token" in told and len(scene.upstream.seen(to)) == 1


def test_with_a_token_nothing_is_signed_so_the_address_says_which_call_it_is(scene):
    call, other = scene.hold(fresh("pay")), scene.hold(fresh("pay"))
    url, data = f"/approvals/{call}/decision", scene.approvers.notice(call).data
    vote = {"approval": "finance", "decision": "approve", "fingerprint": data["fingerprint"]}
    detail = refused(scene.person("lead").post(url, json=vote | {"call": other}), 400, "invalid-body")
    assert "`call` is not the call of this address" in detail and "Sign" not in detail
    detail = refused(scene.person("lead").post(url, json=vote | {"decision": "yes"}), 400, "invalid-body")
    assert "`decision` must be approve, reject or retract" in detail
    unchanged(scene, call)
    told = scene.person("lead").post(url, json=vote)
    assert told.status_code == 200 and told.json()["begun"], told.text


def test_a_signature_covers_the_body_only_so_that_must_name_the_call(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    told = json.loads(scene.approvers.decision(notice))
    for change, said in (({"call": "another"}, "is not the call of this address"), ({"call": ""}, "is missing")):
        body = json.dumps(told | change).encode()
        assert said in refused(scene.approvers.post(notice, body), 401, "bad-signature")
    unchanged(scene, call)


# --- doubts -------------------------------------------------------------------------------------------------------


def test_a_doubt_is_settled_by_an_operator_both_ways_and_not_too_early(scene):
    acted, idle, still = fresh("pay"), fresh("pay"), fresh("pay")
    for to in (acted, idle):
        scene.upstream.will(to, resets())
    scene.upstream.will(still, stalls())
    with ThreadPoolExecutor() as pool:  # the `slow` system has a timeout of 2 s, so a claim lasts 7 s
        begun = [pool.submit(scene.pay, to, system="slow", key="k" + to) for to in (acted, idle, still)]
        operator, calls = scene.person("operator"), list[str]()
        for made in begun:
            calls.append(call := made.result().json()["call"])
            found = operator.post(f"/calls/{call}/resolve", json={"outcome": "acted"})
            detail = refused(found, 409, "too-early-to-settle")
            assert f"in {found.headers['retry-after']} seconds" in detail and found.json()["retryable"] is True
            assert "under way" in detail and scene.state(call) == "in doubt"
    refused(operator.post(f"/calls/{scene.hold(fresh('pay'))}/resolve", json={"outcome": "acted"}), 409, "not-in-doubt")

    told = {"outcome": "acted", "note": "seen in the ledger", "answer": {"status": 201, "body": {"id": "pay_7"}}}
    settled = eventually(
        lambda: (found := operator.post(f"/calls/{calls[0]}/resolve", json=told)).status_code == 200 and found.json()
    )
    assert settled["begun"] == scene.person("auditor").get(f"/calls/{calls[0]}").json()["begun"] is not None
    found = scene.pay(acted, system="slow", key="k" + acted)
    assert found.status_code == 201 and found.json() == {"id": "pay_7"}
    assert found.headers["idempotent-replayed"] == "true" and len(scene.upstream.seen(acted)) == 1

    told = {"outcome": "did-not-act", "note": "not in the ledger"}
    eventually(lambda: operator.post(f"/calls/{calls[1]}/resolve", json=told).status_code == 200)
    assert scene.state(calls[1]) == "settled" and len(scene.upstream.seen(idle)) == 1  # it never re-sends
    assert f"INFO steward 0: operator settled call {calls[1]}: it did not act" in scene.gateway.log
    scene.upstream.will(idle, answer(200, {"id": 8}))
    assert scene.pay(idle, system="slow", key="k" + idle).json() == {"id": 8}  # but its pointers are free

    eventually(lambda: operator.post(f"/calls/{calls[2]}/resolve", json={"outcome": "acted"}).status_code == 200)
    found = scene.pay(still, system="slow", key="k" + still)  # acted, but nobody has its answer
    assert (found.status_code, slug(found)) == (410, "answer-not-kept") and len(scene.upstream.seen(still)) == 1
    refused(operator.post(f"/calls/{calls[2]}/resolve", json={"outcome": "did-not-act"}), 409, "not-in-doubt")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"outcome": "did_not_act", "notes": "x"}, ["`outcome` must be acted or did-not-act", "did you mean `note`?"]),
        ({}, ["`outcome` must be acted or did-not-act"]),
        ({"outcome": "acted", "note": 7, "answer": {"status": "201"}}, ["`note` must be text", "`answer` must be {"]),
        ({"outcome": "acted", "who": "me"}, ["`who` is not known, known are outcome, note and answer"]),
        ({"outcome": "did-not-act", "answer": {"status": 201}}, ["`answer` belongs to a call that acted"]),
        ([], ["it must be a JSON object"]),
    ],
)
def test_what_is_wrong_with_what_an_operator_found_out_is_named(scene, body, said):
    call = scene.hold(fresh("pay"))
    detail = refused(scene.person("operator").post(f"/calls/{call}/resolve", json=body), 400, "invalid-body")
    assert all(sentence in detail for sentence in said), detail
    assert "`answer` must" in detail or not any("`answer` must" in sentence for sentence in said)


def test_a_doubt_is_told_at_once_and_once_and_can_be_found(scene):
    to = fresh("pay")
    scene.upstream.will(to, resets())
    call = scene.pay(to).json()["call"]
    (line,) = eventually(lambda: [row for row in scene.gateway.log.splitlines() if f"call {call} " in row])
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING worker 0: ", line), line
    assert "is in doubt" in line and "settle-a-doubt" in line and "bank belongs to boss" in line
    scene.pay(to, key="another" + to)  # attaches, which is written, and says nothing new
    assert "Attached" in scene.timeline(call)
    scene.hold(fresh("pay"))
    listed: list[dict[str, object]] = []
    for spelled in ("in-doubt", "in_doubt", "in%20doubt"):  # from the second time on from what is remembered
        listed = scene.person("auditor").get(f"/calls?state={spelled}").json()["calls"]
        assert listed[0]["call"] == call and {item["state"] for item in listed} == {"in doubt"}
    held = scene.person("auditor").get("/calls?state=held").json()["calls"]
    assert held and {item["state"] for item in held} == {"held"}
    assert "in-doubt" in refused(scene.person("auditor").get("/calls?state=lost"), 400, "unknown-state")
    figures = scene.person("auditor").get("/metrics").text
    assert f'gateway_calls{{state="in_doubt"}} {len(listed)}.0\n' in figures
    assert sum(f"call {call} " in row for row in scene.gateway.log.splitlines()) == 1


def test_a_list_by_state_follows_a_call_from_one_state_to_the_next(scene):
    def listed(state):
        return [item["call"] for item in scene.person("auditor").get(f"/calls?state={state}").json()["calls"]]

    to = fresh("pay")
    scene.upstream.will(to, resets())
    call = scene.hold(to)
    assert call in listed("held") and call not in listed("in-doubt")
    scene.approvers.approve(call)
    eventually(lambda: scene.state(call) == "in doubt")
    assert call in listed("in-doubt") and call not in listed("held")


def test_approvers_who_hear_nothing_are_in_the_log_and_in_the_figures(editable):
    def away(document):
        document["approvals"]["legal"]["notify"][0]["webhook"] = "http://127.0.0.1:1/hook"

    before = (editable.gateway.folder / "routes.yaml").read_text()
    editable.gateway.edit_routes(away)
    try:
        call = editable.hold(fresh("pay"), BOTH)
        line = eventually(lambda: re.search(rf"WARNING steward 0: (legal .*{call}.*)", editable.gateway.log))[1]
        assert "attempt 1" in line and re.search(r"next attempt in \d+ (ms|s|min)$", line), line
        undelivered = re.compile(r"^gateway_notices_undelivered [1-9]", re.MULTILINE)
        eventually(lambda: undelivered.search(editable.person("auditor").get("/metrics").text))
    finally:
        editable.gateway.replace(editable.gateway.folder / "routes.yaml", before)


def test_a_loss_that_is_none_is_not_acknowledged(scene):
    refused(scene.person("operator").post("/journal/acknowledge-loss"), 409, "nothing-lost")


# --- suspension ---------------------------------------------------------------------------------------------------


def test_a_suspended_agent_stops_at_once_and_its_held_calls_do_not_act(scene):
    to = fresh("pay")
    call = scene.hold(to, agent="third")
    operator = scene.person("operator")
    assert operator.post("/agents/third/suspend").json()["suspended"] is True
    try:
        agents = {item["agent"]: item for item in scene.person("auditor").get("/agents").json()["agents"]}
        assert agents["bot"] == {"agent": "bot", "owner": "boss", "suspended": False}
        assert agents["third"]["suspended"] is True and agents["third"]["by"] == "operator"
        assert datetime.now(UTC) - datetime.fromisoformat(agents["third"]["at"]) < timedelta(minutes=5)
        eventually(lambda: "INFO steward 0: operator suspended third" in scene.gateway.log)  # lines go out by a thread
        refused(scene.pay(fresh("pay"), agent="third"), 403, "agent-suspended")
        assert scene.pay(fresh("pay")).status_code == 200  # nobody else is
        scene.approvers.approve(call)
        eventually(lambda: scene.state(call) == "denied")
        assert scene.upstream.seen(to) == []
    finally:
        assert operator.delete("/agents/third/suspend").json()["suspended"] is False
    eventually(lambda: "INFO steward 0: operator readmitted third" in scene.gateway.log)
    eventually(lambda: scene.pay(fresh("pay"), agent="third").status_code == 200)
    facts = of_the_deployment(scene)
    assert isinstance(facts[0], Loaded) and facts[0].generation == scene.gateway.readyz().json()["generation"]
    stopped = [fact for fact in facts if isinstance(fact, AgentSuspended | AgentReadmitted)]
    assert [(type(fact).__name__, fact.agent, fact.by) for fact in stopped[-2:]] == [
        ("AgentSuspended", "third", "operator"), ("AgentReadmitted", "third", "operator"),
    ]  # fmt: skip


def of_the_deployment(scene):
    async def read():
        journal = RedisJournal.open(embedded_url(scene.gateway.data))
        try:
            return [fact for entry in await RedisLedger(journal).read("64", "", 999) for fact in entry.of_deployment]
        finally:
            await journal.close()

    return asyncio.run(read())


# --- readiness and reload -----------------------------------------------------------------------------------------


def broken_and_back(scene, path, broken):
    """While a file is broken the old generation serves and /readyz says why; mended, all is well again."""
    good, before = path.read_text(), scene.gateway.readyz().json()["generation"]
    put(path, broken)
    told = eventually(lambda: (found := scene.gateway.readyz()).status_code == 503 and found.json())
    assert told["ready"] is False and told["generation"] == before
    to = fresh("pay")
    assert scene.pay(to).status_code == 200 and slug(scene.pay(fresh("pay"), HELD)) == "approval-pending"
    put(path, good)
    eventually(lambda: scene.gateway.readyz().status_code == 200)
    assert scene.gateway.readyz().json()["generation"] == before
    return told["problems"]


def put(path, text):
    """Whole at once: half a file would be another mistake."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def test_a_broken_edit_of_routes_is_not_used_and_readyz_says_where(editable):
    path = editable.gateway.folder / "routes.yaml"
    problems = broken_and_back(editable, path, path.read_text().replace("effect: write", "effect: wrte", 1))
    assert any("routes.yaml:" in problem and "effect" in problem for problem in problems), problems


def test_a_routes_file_that_is_no_yaml_is_not_used(editable):
    assert broken_and_back(editable, editable.gateway.folder / "routes.yaml", "systems: [\n")


def test_a_broken_edit_of_a_policy_is_not_used_and_readyz_says_where(editable):
    path = editable.gateway.folder / "policies" / "all.cedar"
    problems = broken_and_back(editable, path, POLICIES.replace("input.amount == 777", "input.amuont == 777"))
    assert any("all.cedar:" in problem for problem in problems)
    assert broken_and_back(editable, path, POLICIES.replace('@approval("legal")', '@approval("nobody")'))


def test_a_good_edit_serves_in_every_process(editable):
    before = editable.gateway.readyz().json()["generation"]
    editable.gateway.edit_policies(POLICIES.replace("100000", "200"))
    assert editable.gateway.readyz().json()["generation"] != before
    for _ in range(8):  # both workers
        with httpx.Client(
            base_url=editable.gateway.agents, headers=bearer(key_of("bot")), trust_env=False, timeout=60
        ) as client:
            found = client.post("/bank/payments", json={"to": fresh("pay"), "amount": 300})
        assert slug(found) == "policy-denied"
    editable.gateway.edit_policies(POLICIES)
    assert editable.pay(fresh("pay"), 300).status_code == 200
