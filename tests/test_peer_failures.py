"""One test per failure that was seen in another gateway (shared/peer-failures.md), on real processes.

Rows that have no test here, and why:

* 16, a shadow switch that is one unrelated permission: there is no switch. Whether a policy is enforced is written in
  its own text (`@shadow`), and only who can change the policies can change that.
* 17, parallel calls break sequence rules and denied calls consume a budget: there are no sequence rules and no budgets
  in this version; fields for them are refused at start.

Row 13 (a policy client whose error means allow) has no client here: policies are evaluated in the process. Its test is
the nearest thing, policies that vanish while the gateway runs.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from gateway.adapters.embedded import embedded_url
from gateway.adapters.payload_cipher import PayloadCipher
from gateway.demo.collector import Collector
from gateway.demo.listener import listening
from gateway.payload_keys import read_keys
from tests.gateway_process import ROOT, environment, eventually, key_of, serving, write_configuration
from tests.gateway_world import BRIEF, HELD, NEVER, POLICIES, slug, world
from tests.processes import PATIENCE_SECONDS
from tests.scripted_upstream import answer, fresh, resets, stalls

OVERFLOWS, TAGGED = 4242, "tagged"
MORE_POLICIES = (
    POLICIES
    + """
@id("errs") @reason("Cannot be computed.")
forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount == 4242 && context.input.amount * 9223372036854775807 > 0 };

@id("nothing-is-destroyed") @reason("Nothing is destroyed.")
forbid (principal, action in Action::"destructive", resource);

@id("only-harmless-tags") @reason("Only harmless tags.")
forbid (principal, action == Action::"bank.tag", resource) when { context.input.label.id != "harmless" };
"""
)


def _more_tools(routes):
    label = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    tag = {"request": "POST /tags", "effect": "write", "input": {"label": label}}
    routes["systems"]["bank"]["tools"]["tag"] = tag
    filed = routes["systems"]["bank"] | {"credential": {"bearer": {"file": "{folder}/bank.key"}}}
    routes["systems"]["filed"] = filed | {"hosts": [], "tools": {"pay": dict(filed["tools"]["pay"])}}


def _policies_of_filed(text):
    return text.replace('Action::"slow.pay"]', 'Action::"slow.pay", Action::"filed.pay"]')


@pytest.fixture(scope="module")
def collector():
    return Collector()


@pytest.fixture(scope="module")
def collector_is():
    """Whether the collector is down."""
    return {"down": False}


@pytest.fixture(scope="module")
def scene(collector, collector_is):
    def receive(headers, body):
        return (503, "text/plain", b"later") if collector_is["down"] else collector.receive(headers, body)

    with listening(receive) as url:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "2", "OTEL_METRICS_EXPORTER": "none",
        }  # fmt: skip
        with world(
            workers=2, settings=settings, change=_more_tools, policies=_policies_of_filed(MORE_POLICIES),
            files={"bank.key": "sk_of_the_morning_1234"},
        ) as made:  # fmt: skip
            yield made


def check(tmp_path, routes, policies=POLICIES, **secrets):
    """`gateway check`: exit code and what it said."""
    write_configuration(tmp_path, routes, policies)
    places = ["--routes", str(tmp_path / "routes.yaml"), "--policies", str(tmp_path / "policies")]
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "check", *places], cwd=ROOT, env=environment(**secrets), capture_output=True,
        text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_row_1_a_decision_lands_on_instance_b_while_the_call_is_held_on_instance_a(scene):
    """Two whole gateways, as on two hosts, over one Redis."""
    to = fresh("pay")
    keys = str(scene.gateway.data / "payload.keys")
    shared = scene.secrets | {
        "GATEWAY_REDIS_URL": embedded_url(scene.gateway.data), "GATEWAY_PAYLOAD_KEYS_FILE": keys,
    }  # fmt: skip
    files, policies = {"bank.key": "sk_of_the_morning_1234"}, _policies_of_filed(MORE_POLICIES)
    with serving(scene.routes, policies, settings=shared, files=files) as b, ThreadPoolExecutor() as pool:
        asking = pool.submit(scene.pay, to, HELD, prefer="wait=20")
        (notice,) = eventually(lambda: [n for n in scene.approvers.notices if n.data["resource"].endswith(to)])
        call = notice.data["call"]
        on_b = f"{b.control}/approvals/{call}/decision"
        assert scene.approvers.post(notice, scene.approvers.decision(notice), url=on_b).status_code == 200
        found = asking.result()
        assert found.status_code == 200 and found.headers["gateway-call"] == call
        assert scene.state(call) == "answered" and len(scene.upstream.seen(to)) == 1


LAX = POLICIES.replace("amount > 1000 ", "amount > 99999999 ")


@pytest.fixture(scope="module")
def lone():
    """A gateway with laxer policies, and a rate limit."""
    with world(policies=LAX, settings={"GATEWAY_RATE_LIMIT": "5"}) as made:
        yield made


def test_row_18_a_rate_limit_does_not_fail_open_without_the_journal(lone):
    lone.gateway.kill("valkey")
    begun = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        found = [slug(answer) for answer in pool.map(lambda _: lone.pay(fresh("pay")), range(80))]
    assert set(found) <= {"too-many", "journal-unavailable", ""} and "too-many" in found
    assert len(found) - found.count("too-many") <= 5 + 5 * (time.monotonic() - begun), "five at once, and five a second"
    eventually(lambda: lone.pay(fresh("pay")).status_code == 200)


def test_row_2_a_restart_never_drops_the_approval_gate(lone):
    """Neither does an earlier, laxer policy come back, nor does what was judged under it count any more."""
    assert eventually(lambda: lone.pay(fresh("pay"), HELD).status_code == 200)
    lone.gateway.restart(lambda: (lone.gateway.folder / "policies" / "all.cedar").write_text(POLICIES))
    to = fresh("pay")
    assert slug(lone.pay(to, HELD)) == "approval-pending"
    lone.gateway.restart()
    assert slug(lone.pay(fresh("pay"), HELD)) == slug(lone.pay(to, HELD)) == "approval-pending"
    assert lone.upstream.seen(to) == []


def test_row_3_an_armed_gate_that_nobody_hears_of_does_not_start(tmp_path, scene):
    routes = json.loads(json.dumps(scene.routes).replace("{folder}", str(tmp_path)))
    (tmp_path / "bank.key").write_text("sk_1234567890")
    policies = _policies_of_filed(MORE_POLICIES)
    assert check(tmp_path, routes, policies, **scene.secrets) == (0, "")
    routes["approvals"]["finance"]["notify"] = []
    code, said = check(tmp_path, routes, policies, **scene.secrets)
    assert code == 1 and "finance" in said and "notif" in said
    routes["approvals"]["finance"] |= {"notify": scene.routes["approvals"]["finance"]["notify"], "members": ["boss"]}
    code, said = check(tmp_path, routes, policies, **scene.secrets)
    assert code == 1 and "finance" in said  # boss owns the agents, so nobody could ever decide


def test_row_4_what_was_approved_is_compared_with_what_would_be_sent(scene):
    """Somebody changes the kept request behind the gateway's back, after the approver saw it."""
    to = fresh("pay")
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as journal:
        name = f"{{{call[:2]}}}:payload:{call}"
        cipher = PayloadCipher(read_keys("", scene.gateway.data / "payload.keys"))  # somebody who has stolen these too
        kept = cipher.open(call, "request", journal.hget(name, "request"))
        assert b"5000" in kept
        journal.hset(name, "request", cipher.seal(call, "request", kept.replace(b"5000", b"9000")))
    assert scene.approvers.post(notice, scene.approvers.decision(notice)).status_code == 200
    again = scene.approvers.notice(call, number=2)  # the vote is void: they are asked about what it is now
    assert again.data["input"]["amount"] == 9000 and again.data["fingerprint"] != notice.data["fingerprint"]
    assert scene.upstream.seen(to) == [] and scene.state(call) == "held"


def test_row_5_a_denied_or_timed_out_approval_is_not_forwarded_without_its_credential(scene):
    rejected, expired, denied = fresh("pay"), fresh("pay"), fresh("pay")
    scene.approvers.reject(scene.hold(rejected))
    brief = scene.pay(expired, BRIEF, prefer="wait=0").json()["call"]
    scene.pay(denied, NEVER)
    eventually(lambda: scene.state(brief) == "denied")
    assert [scene.upstream.seen(to) for to in (rejected, expired, denied)] == [[], [], []]


def test_row_6_padding_hides_nothing_from_rules_or_approvers(scene):
    to, note = fresh("pay"), "n" * 300_000
    large = json.dumps({"to": to, "note": note, "amount": NEVER})
    fields = {"content-type": "application/json", "prefer": "wait=0"}
    assert slug(scene.agent().post("/bank/payments", content=large, headers=fields)) == "policy-denied"
    held = large.replace(str(NEVER), str(HELD)).encode()
    found = scene.agent().post("/bank/payments", content=held, headers=fields)
    assert slug(found) == "approval-pending"
    data = scene.approvers.notice(found.json()["call"]).data
    assert data["input"] == {"to": to, "note": note, "amount": HELD}
    scene.approvers.approve(found.json()["call"])
    eventually(lambda: scene.upstream.seen(to))
    assert scene.upstream.seen(to)[0].body == held


def test_row_7_a_restart_keeps_a_pending_approval(scene):
    to = fresh("pay")
    call = scene.hold(to, key="a" + to)
    notice = scene.approvers.notice(call)
    eventually(lambda: "Notified" in scene.timeline(call))
    scene.gateway.restart()
    assert scene.hold(to, key="b" + to) == call  # asked for again under another key: still the same call
    assert scene.approvers.post(notice, scene.approvers.decision(notice)).status_code == 200
    assert scene.status(call)["status"] == "answered"
    assert len(scene.approvers.of(call)) == 1 and len(scene.upstream.seen(to)) == 1


def test_row_8_the_credential_is_read_after_the_approval_not_before(scene):
    to = fresh("pay")
    call = scene.hold(to, system="filed")
    (scene.gateway.folder / "bank.key").write_text("sk_of_the_evening_5678\n")
    scene.approvers.approve(call)
    assert scene.status(call)["status"] == "answered"
    (sent,) = scene.upstream.seen(to)
    assert sent.all("authorization") == [b"Bearer sk_of_the_evening_5678"]


def test_row_9_an_approval_callback_without_a_signature_decides_nothing(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    found = httpx.post(notice.data["callback"], content=scene.approvers.decision(notice), trust_env=False, timeout=60)
    assert found.status_code == 401 and scene.state(call) == "held"


def test_row_10_a_question_that_cannot_be_delivered_does_not_mean_yes(scene):
    to = fresh("pay")
    scene.approvers.refusing = True
    try:
        call = scene.pay(to, BRIEF, prefer="wait=0").json()["call"]
        eventually(lambda: scene.state(call) == "denied")
        eventually(lambda: "notice not delivered" in scene.person("auditor").get(f"/calls/{call}").text)
    finally:
        scene.approvers.refusing = False
    assert scene.upstream.seen(to) == [] and scene.state(call) == "denied"


def test_row_11_a_call_in_flight_is_never_stale_and_never_executed_again(scene):
    """Not by time: its pointers do not expire. Not by a crash of the worker that was executing it."""
    to = fresh("pay")
    scene.upstream.will(to, stalls())
    threading.Thread(target=lambda: _ignoring_errors(lambda: scene.pay(to, key="k" + to)), daemon=True).start()
    eventually(lambda: scene.upstream.seen(to))
    with redis.Redis.from_url(embedded_url(scene.gateway.data)) as journal:
        listed = scene.person("auditor").get("/calls").json()["calls"]
        (call,) = [item["call"] for item in listed if item["resource"] == f"Account/{to}"]
        partition = f"{{{call[:2]}}}"
        pointers = [name for name in journal.keys(f"{partition}:key:*") if journal.get(name) == call.encode()]
        assert pointers and [journal.pttl(name) for name in pointers] == [-1] * len(pointers)
    scene.gateway.kill("worker")
    found = eventually(lambda: _ignoring_errors(lambda: scene.pay(to, key="k" + to)))
    assert slug(found) == "call-in-progress" and found.json()["call"] == call
    assert len(scene.upstream.seen(to)) == 1


def _ignoring_errors(ask):
    try:
        return ask()
    except httpx.TransportError:
        return None


def test_row_12_a_deny_rule_that_errors_denies(scene):
    to = fresh("pay")
    found = scene.pay(to, OVERFLOWS)
    assert slug(found) == "policy-denied" and "could not be evaluated" in found.json()["detail"]
    assert scene.upstream.seen(to) == []


def test_row_13_policies_that_vanish_do_not_mean_allow(scene):
    place = scene.gateway.folder / "policies"
    aside = place.with_name("aside")
    before = len(scene.gateway.log)
    place.rename(aside)
    try:
        eventually(lambda: "not used" in scene.gateway.log[before:] or "serves now" in scene.gateway.log[before:])
        for amount, allowed in ((NEVER, ()), (HELD, ("approval-pending",))):
            to = fresh("pay")
            assert slug(scene.pay(to, amount)) in ("policy-denied", "policies-unavailable", *allowed)
            assert scene.upstream.seen(to) == []
    finally:
        aside.rename(place)
    eventually(lambda: scene.gateway.readyz().status_code == 200)
    eventually(lambda: scene.pay(fresh("pay")).status_code == 200)


@pytest.mark.parametrize("wish", [{"on_expire": "allow"}, {"expire": {"after": "1h", "then": "allow"}}])
def test_row_14_a_timeout_cannot_be_configured_to_allow(tmp_path, scene, wish):
    routes = json.loads(json.dumps(scene.routes).replace("{folder}", str(tmp_path)))
    (tmp_path / "bank.key").write_text("sk_1234567890")
    routes["approvals"]["finance"] |= wish
    code, said = check(tmp_path, routes, _policies_of_filed(MORE_POLICIES), **scene.secrets)
    assert code == 1 and next(iter(wish)) in said


def test_row_15_an_approval_covers_these_arguments_and_no_others(scene):
    to = fresh("pay")
    call = scene.hold(to)
    scene.approvers.approve(call)
    assert scene.status(call)["status"] == "answered"
    assert slug(scene.pay(to, HELD + 1)) == "approval-pending"
    assert slug(scene.pay(to, HELD, bank_account="another")) == "approval-pending"
    assert slug(scene.pay(to, HELD, agent="other")) == "approval-pending"
    assert len(scene.upstream.seen(to)) == 1
    assert scene.pay(to, HELD).headers["gateway-call"] == call  # its answer, once more; then it is used up
    eventually(lambda: "Delivered" in scene.timeline(call))
    assert slug(scene.pay(to, HELD, key="new" + to)) == "approval-pending"
    assert len(scene.upstream.seen(to)) == 1


def test_row_18_a_collector_that_is_down_loses_nothing_and_the_record_names_the_human(scene, collector, collector_is):
    collector_is["down"] = True
    try:
        to = fresh("pay")
        call = scene.hold(to)
        scene.approvers.approve(call)
        assert scene.status(call)["status"] == "answered"
    finally:
        collector_is["down"] = False
    spans = eventually(lambda: collector.spans_of(call), "the spans never came")
    eventually(lambda: "lead" in _said(collector, call), f"no approver in {spans}")
    assert "bot" in _said(collector, call)


def _said(collector, call):
    values = [value for span in collector.spans_of(call) for value in span.attributes.values()]
    return " ".join(values)


def test_row_19_one_retried_request_is_one_question(scene):
    to = fresh("pay")
    calls = {scene.hold(to, key=f"{number}{to}") for number in range(4)}
    assert len(calls) == 1
    (call,) = calls
    scene.approvers.notice(call)
    eventually(lambda: "Notified" in scene.timeline(call))
    assert len(scene.approvers.of(call)) == 1 and scene.timeline(call).count("Asked") == 1


def _exchange(scene, data):
    host, port = scene.gateway.agents.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as line:
        line.sendall(data)
        found = b""
        while more := line.recv(65536):
            found += more
    return found


def test_row_20_a_trailer_never_becomes_a_header(scene):
    to = fresh("pay")
    body = json.dumps({"to": to, "amount": 1}).encode()
    start = f"POST /bank/payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key_of('bot')}\r\nConnection: close\r\n"
    chunked = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (
        len(body),
        body,
    )
    trailers = b"Authorization: Bearer sk_smuggled\r\nBank-Account: smuggled\r\nX-Request-Id: smuggled\r\n\r\n"
    assert _exchange(scene, start.encode() + chunked + trailers).startswith(b"HTTP/1.1 200")
    (sent,) = scene.upstream.seen(to)
    assert b"smuggled" not in sent.raw and sent.body == body


def test_row_21_a_cookie_set_for_one_caller_is_not_sent_for_the_next(scene):
    item = fresh("item")
    scene.upstream.will(item, answer(200, {}, [("set-cookie", "session=of-bot; Path=/")]), answer(200, {}))
    for agent in ("bot", "other", "bot"):
        assert "set-cookie" not in scene.agent(agent).get(f"/bank/items/{item}").headers
    assert not any(sent.all("cookie") for sent in scene.upstream.seen(item))


def test_row_22_spaces_after_a_header_value_are_no_error(scene):
    item = fresh("item")
    lines = (
        f"GET /bank/items/{item} HTTP/1.1", "Host: x  ", f"Authorization: Bearer {key_of('bot')} \t ",
        "X-Request-Id: r1   ", "Connection: close", "", "",
    )  # fmt: skip
    assert _exchange(scene, "\r\n".join(lines).encode()).startswith(b"HTTP/1.1 200")
    assert scene.upstream.seen(item)[0].all("x-request-id") == [b"r1"]


def test_row_23_the_callers_gateway_key_is_not_forwarded(scene):
    item = fresh("item")
    headers = {"x-api-key": key_of("bot"), "gateway-key": key_of("bot")}
    assert scene.agent().get(f"/bank/items/{item}", headers=headers).status_code == 200
    assert b"gk_" not in scene.upstream.seen(item)[0].raw


def test_row_24_a_request_without_a_key_is_401_and_no_500(scene):
    assert httpx.get(f"{scene.gateway.agents}/bank/items/7", trust_env=False, timeout=60).status_code == 401
    assert (
        httpx.post(f"{scene.gateway.agents}/bank/payments", content=b"{", trust_env=False, timeout=60).status_code
        == 401
    )


@pytest.mark.parametrize(
    "disguise",
    [
        {"__entity": {"type": "Agent", "id": "bot"}}, {"id": "harmless", "__entity": {"type": "Agent", "id": "bot"}},
        {"id": {"__entity": {"type": "Agent", "id": "bot"}}}, {"id": {"__extn": {"fn": "decimal", "arg": "1.0"}}},
        {"__extn": {"fn": "ip", "arg": "127.0.0.1"}},
    ],
)  # fmt: skip
def test_row_25_an_argument_is_never_read_as_an_entity(scene, disguise):
    before = len(scene.upstream.requests)
    found = scene.agent().post("/bank/tags", json={"label": disguise})
    assert slug(found) in ("invalid-arguments", "policy-denied"), found.text
    assert slug(scene.pay(disguise, NEVER)) == "invalid-arguments"
    assert len(scene.upstream.requests) == before
    assert scene.agent().post("/bank/tags", json={"label": {"id": "harmless"}}).status_code == 200


def test_row_26_a_forbid_on_an_action_group_matches(scene):
    item = fresh("item")
    found = scene.agent().delete(f"/bank/items/{item}")
    assert slug(found) == "policy-denied" and found.json()["reasons"] == ["Nothing is destroyed."]
    assert scene.upstream.seen(item) == []


def test_row_27_a_garbage_signature_is_401_and_no_500(scene):
    call = scene.hold(fresh("pay"))
    notice = scene.approvers.notice(call)
    for signature in ("garbage", "v1", "v1,", "v1,=", "v1,\xe9", ",", "v1,AAAA v1"):
        found = scene.approvers.post(
            notice, scene.approvers.decision(notice), headers={"webhook-signature": signature.encode("latin-1")}
        )
        assert found.status_code == 401, signature
    assert scene.state(call) == "held"


def test_row_28_a_reset_after_sending_is_in_doubt_and_not_could_not_connect(scene):
    to = fresh("pay")
    scene.upstream.will(to, resets())
    for _ in range(3):
        assert slug(scene.pay(to, key="k" + to)) == "outcome-unknown"
    assert len(scene.upstream.seen(to)) == 1


def test_row_29_no_span_is_dropped_however_slow_the_collector(scene, collector, collector_is):
    collector_is["down"] = True
    calls = [scene.agent().get(f"/bank/items/{number}").headers["gateway-call"] for number in range(150)]
    time.sleep(0.5)  # the exporter has failed in between
    collector_is["down"] = False
    eventually(lambda: all(collector.spans_of(call) for call in calls), "spans are missing")


def test_row_30_a_duplicate_json_key_is_refused(scene):
    to = fresh("pay")
    for body in (
        f'{{"to": "{to}", "amount": 1, "amount": {NEVER}}}',
        f'{{"to": "{to}", "amount": {NEVER}, "amount": 1}}',
    ):
        found = scene.agent().post("/bank/payments", content=body, headers={"content-type": "application/json"})
        assert (found.status_code, slug(found)) == (400, "ambiguous-request")
    assert scene.upstream.seen(to) == []
