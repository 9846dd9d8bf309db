"""What an agent sees: every row of the table in design section 8, over real sockets, against real processes."""

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.adapters.hostile import response
from tests.gateway_process import bearer, eventually, key_of, token_of
from tests.gateway_world import BOTH, BRIEF, HELD, NEVER, World, slug, world
from tests.scripted_upstream import after, answer, fresh, resets, sends

KEPT = 64 * 1024
MEMBERS = {"type", "title", "status", "detail", "call", "retryable", "message", "error"}


@pytest.fixture(scope="module")
def scene():
    with world(settings={"GATEWAY_KEPT_ANSWER_LIMIT": str(KEPT)}) as made:
        yield made


@pytest.fixture(scope="module")
def limited():
    """A gateway with small limits."""
    settings = {"GATEWAY_BODY_LIMIT": "4096", "GATEWAY_HELD_BODY_LIMIT": "1024", "GATEWAY_RATE_LIMIT": "3"}
    with world(settings=settings) as made:
        yield made


def problem(found: httpx.Response, status: int, kind: str, *, retryable: bool) -> dict[str, Any]:
    """The members of an error, which all have."""
    assert (found.status_code, slug(found)) == (status, kind), found.text
    told: dict[str, Any] = found.json()
    assert set(told) >= MEMBERS
    assert told["status"] == status and told["retryable"] is retryable
    assert told["detail"] == told["message"] == told["error"]["message"]
    assert told["error"] == {"type": "gateway_error", "code": kind, "message": told["detail"]}
    assert told["call"] == found.headers.get("gateway-call")
    return told


# --- allowed, replayed --------------------------------------------------------------------------------------------


def test_an_allowed_call_gets_the_systems_own_answer_and_its_call_id(scene):
    to = fresh("pay")
    raw = b'{ "id" : "pay_1" ,\n "odd": "spacing stays" }'
    scene.upstream.will(to, answer(201, raw, [("content-type", "application/vnd.bank+json"), ("x-request-id", "r7")]))
    found = scene.pay(to)
    assert (found.status_code, found.content) == (201, raw)
    assert found.headers["content-type"] == "application/vnd.bank+json" and found.headers["x-request-id"] == "r7"
    assert scene.timeline(found.headers["gateway-call"]) == ["Admitted", "Judged", "Claimed", "Answered"]
    assert "idempotent-replayed" not in found.headers


def test_a_systems_own_error_passes_as_it_is(scene):
    to = fresh("pay")
    scene.upstream.will(to, answer(422, {"error": "no such account"}))
    found = scene.pay(to)
    assert found.status_code == 422 and found.json() == {"error": "no such account"} and found.headers["gateway-call"]


def test_a_replay_gets_the_stored_answer_and_says_so(scene):
    to = fresh("pay")
    first, again = scene.pay(to, key="k1" + to), scene.pay(to, key="k1" + to)
    assert again.content == first.content and again.status_code == first.status_code
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["gateway-call"] == first.headers["gateway-call"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len(scene.upstream.seen(to)) == 1


def test_a_quoted_key_is_the_same_key_as_a_bare_one(scene):
    to = fresh("pay")
    scene.pay(to, key="q" + to)
    assert scene.pay(to, key=f'"q{to}"').headers["idempotent-replayed"] == "true"
    assert len(scene.upstream.seen(to)) == 1


def test_without_a_key_an_identical_request_replays_within_its_window(scene):
    to = fresh("pay")
    first = scene.pay(to)
    assert scene.pay(to).headers["gateway-call"] == first.headers["gateway-call"]
    assert len(scene.upstream.seen(to)) == 1


def test_a_tool_that_is_not_deduplicated_acts_every_time(scene):
    line = fresh("line")
    for _ in range(2):
        assert scene.agent().post("/bank/log", json={"line": line}).status_code == 200
    assert len(scene.upstream.seen(line)) == 2


def test_a_replay_whose_body_was_not_kept_is_410_with_its_status_and_digest(scene):
    to = fresh("pay")
    body = b"x" * (KEPT + 1)
    scene.upstream.will(to, answer(201, body))
    first = scene.pay(to, key="k" + to)
    assert first.status_code == 201 and first.content == body  # not kept, but delivered
    eventually(lambda: "Ended" in scene.timeline(first.headers["gateway-call"]))
    told = problem(scene.pay(to, key="k" + to), 410, "answer-not-kept", retryable=False)
    digest = told["answered"].pop("sha256")
    assert told["answered"] == {"status": 201, "length": len(body)}
    assert len(digest) == 64 and digest != hashlib.sha256(body).hexdigest(), "it is salted"
    assert len(scene.upstream.seen(to)) == 1


def test_a_call_that_the_system_did_not_act_on_may_be_made_again(scene):
    to = fresh("pay")
    scene.upstream.will(to, answer(429, {"error": "slow down"}, [("retry-after", "1")]), answer(200, {"id": 1}))
    first = scene.pay(to, key="k" + to)
    assert first.status_code == 429 and first.headers["retry-after"] == "1"
    assert scene.pay(to, key="k" + to).status_code == 200
    assert len(scene.upstream.seen(to)) == 2


# --- held ---------------------------------------------------------------------------------------------------------


def test_a_held_call_says_who_was_asked_until_when_and_where_to_look(scene):
    to = fresh("pay")
    found = scene.pay(to, HELD)
    told = problem(found, 409, "approval-pending", retryable=True)
    assert told["approvals"] == ["finance"] and told["expires_at"].endswith("Z")
    assert int(found.headers["retry-after"]) > 0
    assert found.headers["location"] == f"/calls/{told['call']}"
    assert "finance" in told["detail"] and told["call"] in told["detail"]
    assert scene.upstream.seen(to) == []


def test_a_call_held_for_two_groups_names_both_and_needs_both(scene):
    to = fresh("pay")
    call = scene.hold(to, BOTH)
    assert scene.status(call, wait=0)["approvals"] == ["finance", "legal"]
    assert scene.approvers.approve(call, "finance", "lead").status_code == 200
    eventually(lambda: scene.state(call) == "held")
    assert scene.upstream.seen(to) == []
    assert scene.approvers.approve(call, "legal", "second").status_code == 200
    assert scene.status(call)["status"] == "answered" and len(scene.upstream.seen(to)) == 1


def test_prefer_wait_answers_as_soon_as_somebody_approves(scene):
    to = fresh("pay")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(scene.pay, to, HELD, prefer="wait=20")
        call = eventually(lambda: [n for n in scene.approvers.notices if n.data["resource"].endswith(to)])
        assert scene.approvers.approve(call[0].data["call"]).status_code == 200
        found = waiting.result()
    assert found.status_code == 200 and found.headers["gateway-call"] == call[0].data["call"]
    assert len(scene.upstream.seen(to)) == 1


def test_202_only_for_who_asked_for_it(scene):
    to = fresh("pay")
    found = scene.pay(to, HELD, prefer="respond-async")
    assert found.status_code == 202 and found.headers["preference-applied"] == "respond-async"
    assert found.headers["location"] == f"/calls/{found.json()['call']}" and int(found.headers["retry-after"]) > 0
    assert found.headers["gateway-call"] == found.json()["call"]
    assert scene.pay(to, HELD, prefer="wait=0").status_code == 409


def test_a_held_read_discloses_nothing_before_its_approval(scene):
    item = fresh("item")
    scene.upstream.will(item, answer(200, {"secret": "of " + item}))
    held = scene.agent().get(f"/bank/secrets/{item}")
    call = problem(held, 409, "approval-pending", retryable=True)["call"]
    assert scene.upstream.seen(item) == []
    scene.approvers.approve(call)
    assert scene.status(call)["answer"]["body"] == json.dumps({"secret": "of " + item})
    again = scene.agent().get(f"/bank/secrets/{item}")
    assert again.json() == {"secret": "of " + item}


# --- denied -------------------------------------------------------------------------------------------------------


def test_an_undeclared_request_is_an_unknown_tool_and_names_the_nearest(scene):
    found = scene.agent().patch("/bank/items/7", json={})
    told = problem(found, 403, "unknown-tool", retryable=False)
    assert (told["method"], told["path"]) == ("PATCH", "/items/7")
    assert any("bank.get_item" in name for name in told["nearest"]) and "bank.get_item" in told["detail"]
    assert "bank" in problem(scene.agent().get("/nothing/here"), 403, "unknown-tool", retryable=False)["detail"]


def test_a_policys_denial_says_its_reason(scene):
    to = fresh("pay")
    told = problem(scene.pay(to, NEVER), 403, "policy-denied", retryable=False)
    assert told["reasons"] == ["Payments above 1,000.00 are never made by agents."]
    assert told["reasons"][0] in told["detail"]
    assert scene.upstream.seen(to) == [] and not scene.approvers.of(told["call"])
    assert scene.timeline(told["call"]) == ["Admitted", "Judged"]


def test_a_persons_rejection_says_their_reason_also_to_the_next_attempt_under_another_key(scene):
    to = fresh("pay")
    call = scene.hold(to, key="a" + to)
    assert scene.approvers.reject(call, reason="the invoice was paid").status_code == 200
    for key in ("a", "b"):
        told = problem(scene.pay(to, HELD, key=key + to), 403, "approval-rejected", retryable=False)
        assert told["reason"] == "the invoice was paid" and told["reason"] in told["detail"] and told["call"] == call
    assert scene.upstream.seen(to) == []


def test_a_hold_that_nobody_decides_expires(scene):
    to = fresh("pay")
    call = scene.pay(to, BRIEF, key="a" + to, prefer="wait=0").json()["call"]
    eventually(lambda: scene.state(call) == "denied")
    for key in ("a", "b"):
        told = problem(scene.pay(to, BRIEF, key=key + to), 403, "approval-expired", retryable=False)
        assert told["approvals"] == ["brief"] and told["call"] == call
    assert scene.upstream.seen(to) == []


def test_a_suspended_agent_is_told_so_and_does_nothing(scene):
    to = fresh("pay")
    assert scene.person("operator").post("/agents/third/suspend").status_code == 200
    try:
        problem(scene.pay(to, agent="third"), 403, "agent-suspended", retryable=False)
        problem(scene.agent("third").get(f"/bank/items/{to}"), 403, "agent-suspended", retryable=False)
    finally:
        assert scene.person("operator").delete("/agents/third/suspend").status_code == 200
    assert all(request.method == b"GET" for request in scene.upstream.seen(to))
    eventually(lambda: scene.pay(to, agent="third").status_code == 200)


# --- one call, many requests --------------------------------------------------------------------------------------


def test_the_same_key_with_another_request_is_422(scene):
    to = fresh("pay")
    first = scene.pay(to, 10, key="k" + to)
    told = problem(scene.pay(to, 11, key="k" + to), 422, "idempotency-key-reused", retryable=False)
    assert told["call"] == first.headers["gateway-call"]
    assert len(scene.upstream.seen(to)) == 1


def test_a_duplicate_waits_for_the_first_one_and_replays_its_answer(scene):
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, after(go, answer(200, {"id": to})))
    with ThreadPoolExecutor() as pool:
        one = pool.submit(scene.pay, to, key="k" + to)
        eventually(lambda: scene.upstream.seen(to))
        two = pool.submit(scene.pay, to, key="k" + to, prefer="wait=20")
        eventually(lambda: sum(fact == "Claimed" for fact in _facts_of(scene, to)) == 1)
        go.set()
        first, second = one.result(), two.result()
    assert first.json() == second.json() == {"id": to}
    assert "idempotent-replayed" not in first.headers and second.headers["idempotent-replayed"] == "true"
    assert len(scene.upstream.seen(to)) == 1


def test_a_duplicate_past_its_wait_is_told_that_the_call_is_in_progress(scene):
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, after(go, answer(200, {"id": to})))
    with ThreadPoolExecutor() as pool:
        one = pool.submit(scene.pay, to, key="k" + to)
        eventually(lambda: scene.upstream.seen(to))
        found = scene.pay(to, key="k" + to)
        told = problem(found, 409, "call-in-progress", retryable=True)
        assert int(found.headers["retry-after"]) > 0 and found.headers["location"] == f"/calls/{told['call']}"
        go.set()
        assert one.result().headers["gateway-call"] == told["call"]
    assert len(scene.upstream.seen(to)) == 1


def _facts_of(scene: World, to: str) -> list[str]:
    listed = scene.person("auditor").get("/calls").json()["calls"]
    return [fact for item in listed if item["resource"].endswith(to) for fact in scene.timeline(item["call"])]


# --- doubt and absence --------------------------------------------------------------------------------------------


def test_a_call_in_doubt_says_so_and_is_never_sent_again(scene):
    to = fresh("pay")
    scene.upstream.will(to, resets())
    told: dict[str, Any] = {}
    for key in ("a", "a", "b", ""):  # the same key, another one, none
        found = scene.pay(to, key=key and key + to)
        told = problem(found, 502, "outcome-unknown", retryable=False)
        assert found.headers["location"] == f"/calls/{told['call']}"
        assert found.headers["x-should-retry"] == found.headers["stripe-should-retry"] == "false"
    assert len(scene.upstream.seen(to)) == 1
    assert scene.status(told["call"], wait=0)["status"] == "in doubt"


def test_a_repeatable_tool_is_sent_again_under_the_same_key_derived_from_its_call(scene):
    charge = fresh("ch")
    scene.upstream.will(charge, resets(), answer(200, {"refunded": charge}))
    found = scene.agent().post(
        "/bank/refunds", data={"charge": charge, "amount": "10"}, headers={"idempotency-key": "mine" + charge,
                                                                          "prefer": "wait=20"}
    )  # fmt: skip
    if found.status_code == 409:  # the second attempt comes after a pause that is longer than hold.wait
        found = eventually(lambda: _over(scene, charge))
    assert found.json() == {"refunded": charge}
    keys = scene.upstream.effects(charge)
    assert len(keys) == 2 and len(set(keys)) == 1
    assert keys[0] == "gw-" + found.headers["gateway-call"]


def _over(scene, charge):
    again = scene.agent().post(
        "/bank/refunds", data={"charge": charge, "amount": "10"}, headers={"idempotency-key": "mine" + charge}
    )
    return again if again.status_code != 409 else None


@pytest.mark.parametrize("system", ["gone", "nowhere"], ids=["refused", "no-such-name"])
def test_a_system_that_cannot_be_reached_was_never_asked_and_may_be_asked_again(scene, system):
    to = fresh("pay")
    told = problem(scene.pay(to, system=system, key="k" + to), 502, "upstream-unreachable", retryable=True)
    again = problem(scene.pay(to, system=system, key="k" + to), 502, "upstream-unreachable", retryable=True)
    assert again["call"] != told["call"]  # it did nothing, so the key is free
    assert scene.state(told["call"]) == "unreachable"
    problem(scene.agent().get(f"/{system}/items/{to}"), 502, "upstream-unreachable", retryable=True)


def test_a_read_that_breaks_off_may_be_repeated(scene):
    item = fresh("item")
    scene.upstream.will(item, sends(response(b"short", length=50), then="close"), answer(200, {"id": item}))
    problem(scene.agent().get(f"/bank/items/{item}"), 502, "read-failed", retryable=True)
    assert scene.agent().get(f"/bank/items/{item}").json() == {"id": item}


# --- refused requests ---------------------------------------------------------------------------------------------


def test_arguments_that_do_not_fit_are_listed_with_what_was_expected(scene):
    to = fresh("pay")
    for arguments, where in (({"to": 7, "amount": "ten"}, {"body.to", "body.amount"}), ({"extra": 1}, {"body.extra"})):
        found = scene.agent().post("/bank/payments", json={"to": to, "amount": 1} | arguments)
        told = problem(found, 422, "invalid-arguments", retryable=False)
        assert {error["where"] for error in told["errors"]} == where
        assert all(error["expected"] for error in told["errors"])
        assert "ten" not in found.text and scene.upstream.seen(to) == []


def test_no_key_and_a_wrong_key_are_401_with_a_challenge(scene):
    with httpx.Client(base_url=scene.gateway.agents, trust_env=False, timeout=60) as stranger:
        for headers in ({}, bearer("gk_" + "A" * 43), bearer("sk_live_somebody"), {"authorization": "Basic !!"}):
            found = stranger.get("/bank/items/7", headers=headers)
            problem(found, 401, "gateway-credential", retryable=False)
            assert found.headers["www-authenticate"].startswith("Bearer")
        assert slug(stranger.get("/calls/00" + "a" * 22)) == "gateway-credential"
        assert slug(stranger.get("/no-such-system")) == "gateway-credential"  # strangers learn no names
        assert stranger.get("/healthz").status_code == 200


def test_a_systems_own_401_passes_with_the_call(scene):
    item = fresh("item")
    scene.upstream.will(item, answer(401, {"error": "expired"}, [("www-authenticate", 'Bearer realm="bank"')]))
    found = scene.agent().get(f"/bank/items/{item}")
    assert found.status_code == 401 and found.json() == {"error": "expired"}
    assert found.headers["gateway-call"] and found.headers["www-authenticate"] == 'Bearer realm="bank"'


def test_a_compressed_request_is_415(scene):
    to = fresh("pay")
    found = scene.pay(to, content_encoding="gzip")
    problem(found, 415, "unsupported-encoding", retryable=False)
    assert scene.upstream.seen(to) == []


def test_a_body_of_another_kind_is_415(scene):
    to = fresh("pay")
    found = scene.agent().post("/bank/payments", data={"to": to, "amount": "1"})
    problem(found, 415, "unsupported-media-type", retryable=False)


def test_a_method_that_is_not_served_is_405(scene):
    found = scene.agent().request("TRACE", "/bank/items/7")
    assert found.status_code == 405 and slug(found) == "method-not-allowed" and "GET" in found.headers["allow"]


def test_a_host_that_was_not_given_to_the_gateway_is_421(scene):
    authority = scene.upstream.origin.removeprefix("http://")
    found = scene.agent().get("/items/7", headers={"host": authority})
    assert (found.status_code, slug(found)) in {(421, "misdirected"), (403, "unknown-tool")}
    assert scene.agent().get("/items/7", headers={"host": "bank.example"}).status_code == 200


def test_too_large_names_the_setting(limited):
    to = fresh("pay")
    long = {"to": to, "amount": 10, "note": "n" * 5000}
    told = problem(limited.agent("other").post("/bank/payments", json=long), 413, "too-large", retryable=False)
    assert told["setting"] == "GATEWAY_BODY_LIMIT" and "GATEWAY_BODY_LIMIT" in told["detail"]
    held = {"to": to, "amount": HELD, "note": "n" * 2000}
    told = problem(limited.agent("third").post("/bank/payments", json=held), 413, "too-large", retryable=False)
    assert told["setting"] == "GATEWAY_HELD_BODY_LIMIT" and limited.upstream.seen(to) == []


def test_a_chunked_body_is_counted_too(limited):
    to = fresh("pay")
    body = iter([json.dumps({"to": to, "amount": 1, "note": ""})[:-2].encode(), b"n" * 5000, b'"}'])
    found = limited.agent("third").post("/bank/payments", content=body, headers={"content-type": "application/json"})
    assert slug(found) == "too-large" and limited.upstream.seen(to) == []


def test_too_many_calls_are_429_with_retry_after(limited):
    begun = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: limited.agent().get(f"/bank/items/{number}"), range(80)))
    refused = [item for item in found if item.status_code == 429]
    assert {item.status_code for item in found} == {200, 429}
    assert len(found) - len(refused) <= 3 + 3 * (time.monotonic() - begun), "three at once, and three a second"
    told = problem(refused[0], 429, "too-many", retryable=True)
    assert int(refused[0].headers["retry-after"]) > 0 and "GATEWAY_RATE_LIMIT" in told["detail"]


# --- the shape of errors ------------------------------------------------------------------------------------------


def test_errors_are_plain_json_unless_problem_json_is_named(scene):
    for accept, kind in (
        ("*/*", "application/json"), ("application/json", "application/json"),
        ("application/problem+json", "application/problem+json"),
    ):  # fmt: skip
        found = scene.agent().get("/bank/nothing", headers={"accept": accept})
        assert found.headers["content-type"] == kind and slug(found) == "unknown-tool"
        assert found.headers["cache-control"] == "no-store"


# --- /calls/{id} --------------------------------------------------------------------------------------------------


def test_a_finished_call_shows_its_stored_answer_to_its_agent_alone(scene):
    to = fresh("pay")
    call = scene.pay(to).headers["gateway-call"]
    told = scene.status(call, wait=0)
    assert told["status"] == "answered" and told["tool"] == "bank.pay" and told["answer"]["status"] == 200
    assert "number" in json.loads(told["answer"]["body"])
    for agent, wanted in (("other", call), ("bot", "00" + "a" * 22), ("bot", "nonsense"), ("bot", "../livez")):
        found = scene.agent(agent).get(f"/calls/{wanted}")
        assert found.status_code in (404, 400, 403) and call not in found.text.replace(wanted, "")
        assert "number" not in found.text
    hidden, absent = scene.agent("other").get(f"/calls/{call}"), scene.agent("other").get(f"/calls/{'00' + 'a' * 22}")
    assert (hidden.status_code, slug(hidden)) == (absent.status_code, slug(absent)) == (404, "unknown-call")


def test_an_answer_whose_large_request_is_no_longer_kept_is_for_whoever_sends_that_again(scene):
    def upload(agent="bot"):
        headers = {"idempotency-key": key, "content-type": "application/octet-stream"}
        return scene.agent(agent).post("/bank/files", content=b"x" * 70_000, headers=headers)

    key = fresh("upload")
    first = upload()
    call = first.headers["gateway-call"]
    told = scene.status(call, wait=0)
    assert first.status_code == 200 and told["status"] == "answered"
    digest = told["answer"].pop("sha256")
    assert told["answer"] == {"status": 200, "kept": False}
    assert len(digest) == 64 and digest != hashlib.sha256(first.content).hexdigest(), "it is salted"
    again = upload()
    assert again.headers["idempotent-replayed"] == "true" and again.content == first.content


def test_a_poll_waits_as_long_as_it_prefers(scene):
    to = fresh("pay")
    call = scene.hold(to)
    told = scene.status(call, wait=0)
    assert told["status"] == "held" and told["approvals"] == ["finance"] and told["expires_at"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(scene.status, call, wait=20)
        scene.approvers.approve(call)
        assert waiting.result()["status"] == "answered"


def test_withdrawing_ends_a_held_call_and_nobody_can_approve_it_any_more(scene):
    to = fresh("pay")
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    assert scene.agent("other").delete(f"/calls/{call}").status_code == 404
    assert scene.agent().delete(f"/calls/{call}").json()["status"] == "denied"
    assert scene.agent().delete(f"/calls/{call}").status_code == 200  # again changes nothing
    voted = scene.approvers.post(notice, scene.approvers.decision(notice))
    assert (voted.status_code, slug(voted)) == (409, "approval-stale")
    assert scene.upstream.seen(to) == [] and "Withdrawn" in scene.timeline(call)


def test_only_a_held_call_can_be_withdrawn(scene):
    call = scene.pay(fresh("pay")).headers["gateway-call"]
    problem(scene.agent().delete(f"/calls/{call}"), 409, "not-held", retryable=False)
    assert scene.agent().post(f"/calls/{call}").status_code == 405


def test_the_agents_port_has_no_way_into_the_control_plane(scene):
    call = scene.hold(fresh("pay"))
    for method, path in (
        ("POST", f"/approvals/{call}/decision"), ("POST", f"/calls/{call}/resolve"), ("GET", "/approvals"),
        ("GET", "/readyz"), ("GET", "/metrics"), ("POST", "/agents/bot/suspend"),
    ):  # fmt: skip
        for secret in (key_of("bot"), token_of("operator"), token_of("lead")):
            found = scene.agent().request(method, path, headers=bearer(secret))
            assert found.status_code in (401, 403, 404, 405), (method, path, found.text)
    assert scene.state(call) == "held"
