"""The scenarios that issue 2 names, on real processes with two workers. Each failed in some gateway, or would."""

import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.adapters.hostile import response
from tests.gateway_process import bearer, eventually, key_of
from tests.gateway_world import BRIEF, HELD, PAIR, POLICIES, SECRET, TWIN, slug, world
from tests.processes import PATIENCE_SECONDS
from tests.scripted_upstream import after, answer, drops, fresh, resets, sends, stalls, truncates

AGED = {"send": "Idempotency-Key", "keeps": "1s"}
"""The system forgets keys after a second, so after half of one nothing may be sent again."""


def _more(routes):
    systems = routes["systems"]
    systems["slow"]["tools"]["refund"] = systems["bank"]["tools"]["refund"]
    aged = systems["bank"]["tools"]["refund"] | {"request": "POST /aged", "idempotency": AGED}
    systems["slow"]["tools"]["aged"] = aged
    filed = {"basic": {"username": "gw", "password": {"file": "{folder}/password"}}}
    systems["filed"] = systems["vault"] | {"credential": filed}


@pytest.fixture(scope="module")
def scene():
    policies = POLICIES.replace('Action::"slow.pay"]', 'Action::"slow.pay", Action::"filed.pay"]')
    with world(workers=2, change=_more, policies=policies, files={"password": "before-the-hold"}) as made:
        yield made


def request_bytes(to, amount, key):
    body = json.dumps({"to": to, "amount": amount})
    lines = (
        "POST /bank/payments HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key_of('bot')}",
        "Content-Type: application/json", f"Content-Length: {len(body)}", f"Idempotency-Key: {key}", "", body,
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def ask_and_go_away(scene, to, amount, key, stay=lambda: None):
    """Send a request on a connection of its own; hang up as soon as `stay` returns."""
    host, port = scene.gateway.agents.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as line:
        line.sendall(request_bytes(to, amount, key))
        stay()


# --- lost connections ---------------------------------------------------------------------------------------------


def test_a_client_that_gives_up_while_the_effect_runs_and_asks_again_with_a_new_key(scene):
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, after(go, answer(200, {"id": "pay_" + to})))
    ask_and_go_away(scene, to, 10, "first" + to, stay=lambda: eventually(lambda: scene.upstream.seen(to)))
    eventually(lambda: _abandoned(scene, to))
    meanwhile = scene.pay(to, key="second" + to)
    assert slug(meanwhile) == "call-in-progress"
    go.set()
    found = eventually(lambda: (again := scene.pay(to, key="third" + to)).status_code == 200 and again)
    assert found.json() == {"id": "pay_" + to} and found.headers["gateway-call"] == meanwhile.json()["call"]
    for key in ("first", "second", "third"):
        assert scene.pay(to, key=key + to).json() == found.json()
    assert len(scene.upstream.seen(to)) == 1


def _abandoned(scene, to):
    listed = scene.person("auditor").get("/calls").json()["calls"]
    return any("Abandoned" in scene.timeline(item["call"]) for item in listed if item["resource"].endswith(to))


def test_a_client_that_gives_up_and_comes_back_after_the_answer_gets_that_answer_once(scene):
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, after(go, answer(200, {"id": 1})), answer(200, {"id": 2}))
    ask_and_go_away(scene, to, 10, "first" + to, stay=lambda: eventually(lambda: scene.upstream.seen(to)))
    eventually(lambda: _abandoned(scene, to))
    go.set()
    found = eventually(lambda: (again := scene.pay(to, key="second" + to)).status_code == 200 and again)
    assert found.json() == {"id": 1}
    eventually(lambda: "Delivered" in scene.timeline(found.headers["gateway-call"]))
    assert scene.pay(to, key="fourth" + to).json() == {"id": 2}  # it was told; this is another intent


def test_the_delivery_of_a_held_calls_answer_is_lost_and_asked_for_again_with_either_key(scene):
    to = fresh("pay")
    call = scene.hold(to, key="first" + to)
    scene.approvers.approve(call)
    eventually(lambda: scene.state(call) == "answered")
    ask_and_go_away(scene, to, HELD, "second" + to)  # it is answered into a closed connection
    for key in ("second", "first", "second"):
        found = scene.pay(to, HELD, key=key + to)
        assert found.status_code == 200 and found.headers["gateway-call"] == call
    assert len(scene.upstream.seen(to)) == 1


def test_an_answer_that_was_only_looked_at_still_attracts_the_request_that_fetches_it(scene):
    """GET /calls/{id}, as the pending error advises, and then the SDK's line once more, under a key it invents."""
    to = fresh("pay")
    call = scene.hold(to, key="first" + to)
    scene.approvers.approve(call)
    assert scene.status(call)["status"] == "answered"
    found = scene.pay(to, HELD, key="second" + to)
    assert found.status_code == 200 and found.headers["gateway-call"] == call
    assert len(scene.upstream.seen(to)) == 1


def test_the_requester_of_a_held_call_hangs_up_and_the_call_lives_on(scene):
    to = fresh("pay")

    def held():
        return [notice for notice in scene.approvers.notices if notice.data["resource"].endswith(to)]

    ask_and_go_away(scene, to, HELD, "first" + to, stay=lambda: eventually(held))
    call = held()[0].data["call"]
    assert scene.hold(to, key="second" + to) == call
    scene.approvers.approve(call)
    assert scene.status(call)["status"] == "answered" and len(scene.upstream.seen(to)) == 1


# --- races --------------------------------------------------------------------------------------------------------


def test_two_identical_calls_racing_to_be_held_are_one_question(scene):
    to = fresh("pay")

    def race(number):
        with httpx.Client(
            base_url=scene.gateway.agents, headers=bearer(key_of("bot")), trust_env=False, timeout=60
        ) as client:
            headers = {"idempotency-key": f"{number}{to}", "prefer": "wait=0"}
            return client.post("/bank/payments", json={"to": to, "amount": HELD}, headers=headers, timeout=60)

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(race, range(12)))
    assert {slug(item) for item in found} == {"approval-pending"}
    (call,) = {item.json()["call"] for item in found}
    assert scene.approvers.approve(call).status_code == 200
    assert scene.status(call)["status"] == "answered"
    mine = [notice for notice in scene.approvers.notices if notice.data["resource"].endswith(to)]
    assert len(mine) == 1 and len(scene.upstream.seen(to)) == 1
    with ThreadPoolExecutor(12) as pool:
        assert {item.headers["gateway-call"] for item in pool.map(race, range(12))} == {call}
    assert len(scene.upstream.seen(to)) == 1


def test_the_same_key_sent_many_times_at_once_acts_once(scene):
    to = fresh("pay")

    def race(_):
        with httpx.Client(
            base_url=scene.gateway.agents, headers=bearer(key_of("bot")), trust_env=False, timeout=60
        ) as client:
            headers = {"idempotency-key": "k" + to, "prefer": "wait=20"}
            return client.post("/bank/payments", json={"to": to, "amount": 10}, headers=headers, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(race, range(32)))
    assert {item.status_code for item in found} == {200} and len({item.text for item in found}) == 1
    assert len(scene.upstream.seen(to)) == 1


def test_the_same_key_from_two_agents_is_two_calls(scene):
    to = fresh("pay")
    one, two = scene.pay(to, key="k" + to), scene.pay(to, key="k" + to, agent=TWIN)
    assert one.status_code == two.status_code == 200
    assert one.headers["gateway-call"] != two.headers["gateway-call"] and len(scene.upstream.seen(to)) == 2
    three = scene.pay(to, 11, key="x" + to)
    assert scene.pay(to, 12, key="x" + to, agent=TWIN).status_code == 200  # nor does one see that another used a key
    assert three.status_code == 200


def test_a_vote_arriving_while_the_effect_is_being_sent_changes_nothing(scene):
    to, go = fresh("pay"), threading.Event()
    scene.upstream.will(to, after(go, answer(200, {"id": 1})))
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    scene.approvers.approve(call)
    eventually(lambda: scene.upstream.seen(to))
    for decision in ("approve", "reject"):
        late = scene.approvers.post(notice, scene.approvers.decision(notice, decision, "second"))
        assert (late.status_code, slug(late)) == (409, "approval-stale")
    go.set()
    assert scene.status(call)["status"] == "answered" and len(scene.upstream.seen(to)) == 1


# --- edits while a call is held -----------------------------------------------------------------------------------


POLICIES_OF_THE_VAULT = (
    POLICIES
    + """
@id("vault-needs-two") @approval("pair") @reason("Payments above 20.00 from the vault need two people.")
forbid (principal, action == Action::"vault.pay", resource) when { context.input.amount > 2000 };
"""
)


@pytest.fixture(scope="module")
def editable():
    """A gateway whose configuration these tests change; every edit is another one than those before it."""
    with world(policies=POLICIES_OF_THE_VAULT) as made:
        yield made


def _another_upstream(scene, word):
    scene.gateway.edit_routes(
        lambda routes: routes["systems"]["vault"].update(upstream=f"{scene.upstream.origin}/{word}")
    )


def _another_credential(scene, word):
    header = {"header": {"name": f"X-{word}", "value": {"env": "APPROVALS_SECRET"}}}
    scene.gateway.edit_routes(lambda routes: routes["systems"]["vault"].update(credential=header))


def _another_policy(scene, word):
    scene.gateway.edit_policies(POLICIES_OF_THE_VAULT.replace("Payments above 20.00", f"Payments above 20.00 ({word})"))


EDITS = {"upstream": _another_upstream, "credential": _another_credential, "policy": _another_policy}


@pytest.mark.parametrize("edited", EDITS)
def test_what_is_approved_is_edited_while_the_call_is_held(editable, edited):
    """The people are asked again, and the vote that was cast before counts for nothing."""
    made, to, word = editable, fresh("pay"), fresh("v")
    call = made.hold(to, HELD, system="vault")
    first = made.approvers.notice(call, "pair")
    assert made.approvers.post(first, made.approvers.decision(first, by="lead")).status_code == 200
    EDITS[edited](made, word)
    made.approvers.post(first, made.approvers.decision(first, by="second"))  # the second yes, to the old question
    again = made.approvers.notice(call, "pair", number=2)
    assert again.data["fingerprint"] != first.data["fingerprint"]
    assert made.state(call) in ("held", "judging") and made.upstream.seen(to) == []
    stale = made.approvers.post(first, made.approvers.decision(first, by="lead"))
    assert (stale.status_code, slug(stale)) == (409, "approval-stale")
    for person in ("lead", "second"):
        assert made.state(call) in ("held", "judging") and made.upstream.seen(to) == []
        assert made.approvers.post(again, made.approvers.decision(again, by=person)).status_code == 200
    assert made.status(call)["status"] == "answered"
    (sent,) = made.upstream.seen(to)
    if edited == "upstream":
        assert sent.target == f"/{word}/payments".encode()
    if edited == "credential":
        assert sent.all(f"x-{word}") == [made.approvers.secret.encode()]


def test_a_tool_that_is_gone_while_its_call_is_held_is_not_sent(editable):
    def request(line):
        editable.gateway.edit_routes(lambda routes: routes["systems"]["bank"]["tools"]["pay"].update(request=line))

    to = fresh("pay")
    call = editable.hold(to)
    notice = editable.approvers.notice(call)
    request("POST /other")
    try:
        editable.approvers.post(notice, editable.approvers.decision(notice))
        assert editable.status(call)["status"] == "denied" and editable.upstream.seen(to) == []
    finally:
        request("POST /payments")


def test_an_agent_that_may_no_longer_make_a_call_no_longer_gets_its_answer(editable):
    """A replay and a poll are judged again, under the policies of that moment."""
    to = fresh("pay")
    call = editable.pay(to, key="k" + to).headers["gateway-call"]
    forbid = f'forbid (principal, action == Action::"bank.pay", resource) when {{ context.input.to == "{to}" }};'
    editable.gateway.edit_policies(f'{POLICIES_OF_THE_VAULT}\n@id("no-more") @reason("No more.") {forbid}')
    try:
        for found in (editable.pay(to, key="k" + to), editable.pay(to), editable.agent().get(f"/calls/{call}")):
            assert (found.status_code, slug(found)) == (403, "policy-denied") and "No more." in found.text
    finally:
        editable.gateway.edit_policies(POLICIES_OF_THE_VAULT)
    assert editable.pay(to, key="k" + to).headers["gateway-call"] == call
    assert len(editable.upstream.seen(to)) == 1


def test_a_credential_that_is_rotated_between_hold_and_release_is_read_at_send_time(scene):
    to = fresh("pay")
    call = scene.hold(to, system="filed")
    scene.approvers.notice(call)
    (scene.gateway.folder / "password").write_text("after-the-hold")
    scene.approvers.approve(call)
    assert scene.status(call)["status"] == "answered"
    (sent,) = scene.upstream.seen(to)
    assert httpx.BasicAuth("gw", "after-the-hold")._auth_header.encode() in sent.raw


# --- doubt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [504, 502, 503, 408, 522])
def test_a_gateway_timeout_from_the_systems_load_balancer_is_in_doubt(scene, status):
    to = fresh("pay")
    scene.upstream.will(to, answer(status, "upstream request timeout", [("x-lb", "1")]))
    found = scene.pay(to, key="k" + to)
    assert found.status_code == status and found.text == "upstream request timeout" and found.headers["x-lb"] == "1"
    call = found.headers["gateway-call"]
    assert scene.state(call) == "in doubt" and scene.timeline(call)[-1] == "Lost"
    for key in ("k", "another"):
        again = scene.pay(to, key=key + to)
        assert slug(again) == "outcome-unknown" and again.json()["call"] == call
    assert len(scene.upstream.seen(to)) == 1


def test_a_gateway_timeout_to_a_read_is_just_its_answer(scene):
    item = fresh("item")
    scene.upstream.will(item, answer(504, "timeout"), answer(200, {"n": 1}))
    assert scene.agent().get(f"/bank/items/{item}").status_code == 504
    assert scene.agent().get(f"/bank/items/{item}").json() == {"n": 1}


def test_a_repeatable_tool_whose_key_has_aged_is_not_sent_again(scene):
    charge = fresh("ch")
    scene.upstream.will(charge, stalls())  # the system's timeout of 2 s is more than half of what it keeps keys
    form = {"charge": charge, "amount": "10"}
    found = scene.agent().post("/slow/aged", data=form, headers={"prefer": "wait=20"})
    assert slug(found) == "outcome-unknown"
    time.sleep(1.0)  # the steward would have looked by now
    assert len(scene.upstream.seen(charge)) == 1 and scene.state(found.json()["call"]) == "in doubt"


def test_a_repeatable_tool_is_sent_three_times_and_then_in_doubt(scene):
    charge = fresh("ch")
    scene.upstream.will(charge, resets())
    form = {"charge": charge, "amount": "10"}
    found = scene.agent().post("/bank/refunds", data=form, headers={"prefer": "wait=20"})
    assert slug(found) == "outcome-unknown"
    keys = scene.upstream.effects(charge)
    assert len(keys) == 3 and set(keys) == {"gw-" + found.json()["call"]}


@pytest.mark.parametrize("workers", ["all", "the one that sends"])
def test_the_retry_of_what_a_killed_worker_was_sending_is_the_same_call_under_any_key(scene, workers):
    """SDKs make a new key per attempt and try again within milliseconds; nobody can have written anything by then."""
    eventually(lambda: len(scene.gateway.pids("worker")) == 2)
    to = fresh("pay")
    scene.upstream.will(to, stalls())
    broken = threading.Event()

    def first_attempt():
        try:
            scene.pay(to, key="a" + to)
        except httpx.TransportError:
            broken.set()

    threading.Thread(target=first_attempt, daemon=True).start()
    eventually(lambda: scene.upstream.seen(to))
    for pid in scene.gateway.pids("worker"):
        os.kill(pid, signal.SIGKILL)
        if workers != "all" and broken.wait(0.3):
            break
    assert broken.wait(PATIENCE_SECONDS)

    def retry():
        try:
            return scene.pay(to, key="b" + to)
        except httpx.TransportError:
            return None

    found = eventually(retry)
    assert slug(found) == "call-in-progress"
    assert len(scene.upstream.seen(to)) == 1
    assert {"Attached", "Abandoned"} <= set(scene.timeline(found.json()["call"]))


def test_identical_payments_under_two_keys_through_two_workers_are_two(scene):
    """Both processes are seen at work, so neither request is taken for the retry of the other.

    A process that gets no turn for two seconds is taken for a dead one, as it must be: then it is tried once more.
    """
    assert any(_each_acts(scene, fresh("pay")) for _ in range(5))


def _each_acts(scene, to):
    go = threading.Event()
    scene.upstream.will(to, *[after(go, answer(201, {"id": "pay"}))] * 8)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(scene.pay, to, key=f"{number}{to}", prefer="wait=60") for number in range(8)]
        try:  # for as long as nobody is answered, each has to see that the others are under way
            eventually(lambda: len(scene.upstream.seen(to)) == 8, seconds=10)
        except AssertionError:
            return False
        finally:
            go.set()
        found = [one.result() for one in asked]
    assert {answer.status_code for answer in found} <= {200, 201}
    return len({answer.headers["gateway-call"] for answer in found}) == 8 == len(scene.upstream.seen(to))


def test_a_suspended_agent_at_takeover(scene):
    """The worker dies while it sends a call that may be sent again; before somebody does, the agent is suspended."""
    charge = fresh("ch")
    scene.upstream.will(charge, stalls())
    form = {"charge": charge, "amount": "10"}

    def ask():
        headers = bearer(key_of("third"))
        with httpx.Client(base_url=scene.gateway.agents, headers=headers, trust_env=False, timeout=60) as client:
            return client.post("/slow/refunds", data=form, headers={"idempotency-key": "k" + charge})

    def asking():
        try:
            return ask()
        except httpx.TransportError:
            return None

    threading.Thread(target=asking, daemon=True).start()
    eventually(lambda: scene.upstream.seen(charge))
    scene.gateway.kill("worker")
    operator = scene.person("operator")
    assert operator.post("/agents/third/suspend").status_code == 200
    try:
        call = eventually(lambda: _call_about(scene, "slow.refund", "third"))
        eventually(lambda: "Lost" in scene.timeline(call))  # its claim is over after 7 s
        time.sleep(1.5)  # a second send would come after 0.5 s
        assert scene.upstream.seen(charge) != [] and len(scene.upstream.seen(charge)) == 1
        assert scene.timeline(call).count("Claimed") == 1 and scene.state(call) == "in doubt"
    finally:
        operator.delete("/agents/third/suspend")


def _call_about(scene, tool, agent):
    listed = scene.person("auditor").get("/calls").json()["calls"]
    return next((item["call"] for item in listed if item["tool"] == tool and item["agent"] == agent), None)


# --- bad systems --------------------------------------------------------------------------------------------------

LIES = {
    "resets": (resets(), "outcome-unknown"),
    "drops": (drops(), "outcome-unknown"),
    "stalls": (stalls(), "outcome-unknown"),
    "half-a-head": (sends(b"HTTP/1.1 200 OK\r\ncontent-le", then="close"), "outcome-unknown"),
    "garbage": (sends(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", then="close"), "outcome-unknown"),
    "two-lengths": (sends(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", then="close"),
                    "outcome-unknown"),
    "length-that-is-no-number": (sends(b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok", then="close"),
                                 "outcome-unknown"),
    "truncates": (truncates(b'{"id": ', 100), "answer-not-kept"),
    "stalls-in-the-body": (sends(response(b'{"id": ', length=100), then="hold"), "answer-not-kept"),
    "more-than-its-length": (sends(response(b"ok") + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", then="close"),
                             ""),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_system_that_breaks_http_gets_one_request_and_the_agent_one_clear_sentence(scene, lie):
    to = fresh("pay")
    reaction, expected = LIES[lie]
    scene.upstream.will(to, reaction)
    found = httpx.Response(0)
    for _ in range(2):
        found = scene.pay(to, key="k" + to, system="slow", prefer="wait=5")
        assert slug(found) == expected, found.text
        if expected:
            assert found.json()["detail"].endswith(".") and not found.json()["retryable"]
        else:
            assert found.content == b"ok"
    call = found.headers["gateway-call"]
    assert len(scene.upstream.seen(to)) == 1
    assert scene.state(call) == ("in doubt" if expected == "outcome-unknown" else "answered")
    item = fresh("item")
    assert scene.agent().get(f"/slow/items/{item}").status_code == 200  # the next one is not affected


@pytest.mark.parametrize("lie", LIES)
def test_a_read_from_a_system_that_breaks_http_may_be_repeated(scene, lie):
    item = fresh("item")
    reaction, expected = LIES[lie]
    scene.upstream.will(item, reaction, answer(200, {"n": 1}))
    found = scene.agent().get(f"/slow/items/{item}")
    if expected:
        assert slug(found) == "read-failed" and found.json()["retryable"], found.text
    else:
        assert found.content == b"ok"
    assert scene.agent().get(f"/slow/items/{item}").json() == {"n": 1}


def test_a_system_that_refuses_was_never_asked(scene):
    to = fresh("pay")
    found = scene.pay(to, system="gone")
    assert slug(found) == "upstream-unreachable" and found.json()["retryable"]
    assert scene.timeline(found.json()["call"])[-1] == "Unsent"


def test_a_secret_that_is_missing_sends_nothing_and_says_no_name_of_it(scene):
    to = fresh("pay")
    path = scene.gateway.folder / "password"
    aside = path.rename(path.with_name("aside"))
    try:
        found = scene.pay(to, system="filed")
        assert found.status_code == 502 and slug(found) == "upstream-unreachable" and found.json()["retryable"]
        assert scene.upstream.seen(to) == [] and "before-the-hold" not in found.text
        assert scene.gateway.readyz().status_code == 503 and "password" in scene.gateway.readyz().text
    finally:
        aside.rename(path)
    assert scene.pay(to, system="filed").status_code == 200


# --- Redis --------------------------------------------------------------------------------------------------------


def test_redis_killed_during_calls_loses_nothing_and_the_service_returns_by_itself(scene):
    """SIGKILL, three times, under load. Whatever was answered is in the journal; nothing acted twice."""
    made = scene
    stop = threading.Event()
    told: dict[str, list[tuple[int, str, str]]] = {}

    def work(number):
        headers = bearer(key_of("bot"))
        with httpx.Client(base_url=made.gateway.agents, headers=headers, trust_env=False, timeout=60) as client:
            while not stop.is_set():
                to = fresh(f"pay{number}x")
                for _ in range(3):
                    try:
                        found = client.post(
                            "/slow/payments", json={"to": to, "amount": 1}, headers={"idempotency-key": to}
                        )
                    except httpx.TransportError:
                        continue
                    told.setdefault(to, []).append((found.status_code, slug(found), found.text))
                    if found.status_code == 200:
                        break

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(6)]
    try:
        for worker in workers:
            worker.start()
        for _ in range(3):
            _answers(told, 10)
            made.gateway.kill("valkey")
            eventually(lambda: made.gateway.pids("valkey"), "the embedded server was not restarted")
        _answers(told, 10)
    finally:
        stop.set()
        for worker in workers:
            worker.join(60)

    seen = {slug for found in told.values() for _, slug, _ in found}
    assert seen <= {"", "journal-unavailable", "call-in-progress", "outcome-unknown"}, seen
    assert eventually(lambda: made.pay(fresh("pay")).status_code == 200)
    counts = {to: len(made.upstream.seen(to)) for to in told}
    assert max(counts.values()) == 1 and sum(counts.values()) > 20
    for to, found in told.items():
        answered = [text for status, _, text in found if status == 200]
        again = eventually(partial(_settled, made, to), f"{to}: {found}")
        if answered:
            assert again.status_code == 200 and again.text == answered[0], (to, found, again.text)
        if again.status_code == 200:
            assert len(made.upstream.seen(to)) == 1
        else:
            assert slug(again) == "outcome-unknown"


def _answers(told, more):
    """Wait until so many more payments were answered."""

    def answered():
        return sum(any(status == 200 for status, _, _ in found) for found in list(told.values()))

    wanted = answered() + more
    eventually(lambda: answered() >= wanted, "nothing is answered any more")


def _settled(made, to):
    """The last word on a call: its answer, or that it is in doubt."""
    again = made.pay(to, 1, key=to, system="slow")
    return again if again.status_code == 200 or slug(again) == "outcome-unknown" else None


def test_without_redis_every_door_says_so_and_nothing_is_sent(editable):
    made = editable
    call = made.hold(fresh("pay"))
    notice = made.approvers.notice(call)
    (valkey,) = made.gateway.kill("valkey")
    found = made.pay(to := fresh("pay"))
    assert found.status_code in (200, 503)  # it may be back already
    if found.status_code == 503:
        assert slug(found) == "journal-unavailable" and found.json()["retryable"]
        assert int(found.headers["retry-after"]) > 0 and made.upstream.seen(to) == []
    eventually(lambda: made.pay(fresh("pay")).status_code == 200, "the service did not return")
    assert made.gateway.pids("valkey") != [valkey]
    eventually(lambda: made.approvers.post(notice, made.approvers.decision(notice)).status_code == 200)
    assert made.status(call)["status"] == "answered"


def test_an_unreachable_external_redis_stops_effects_and_comes_back(own_valkey):
    with world(settings={"GATEWAY_REDIS_URL": own_valkey.url}) as made:
        before = made.pay(done := fresh("pay"), key="k" + done)
        assert before.status_code == 200
        own_valkey.kill()
        to = fresh("pay")
        with ThreadPoolExecutor() as pool:  # each of them hopes for some seconds that it comes back
            asked = (
                pool.submit(made.pay, to), pool.submit(made.pay, done, key="k" + done),
                pool.submit(made.agent().get, f"/bank/items/{to}"),
            )  # fmt: skip
            for found in (one.result() for one in asked):
                assert (found.status_code, slug(found)) == (503, "journal-unavailable")
        assert [request for request in made.upstream.seen(to) if request.method != b"GET"] == []
        eventually(lambda: made.gateway.readyz().status_code == 503)
        assert slug(made.person("auditor").get("/calls")) == "journal-unavailable"
        own_valkey.start()
        assert eventually(lambda: made.pay(to).status_code == 200) and len(made.upstream.effects(to)) == 1
        again = made.pay(done, key="k" + done)
        assert again.content == before.content and again.headers["idempotent-replayed"] == "true"
        eventually(lambda: made.gateway.readyz().status_code == 200)


def test_a_quorum_is_kept_over_a_crash_of_everything(scene):
    """One vote, then the steward and all workers die; the other vote comes to their successors."""
    made, to = scene, fresh("pay")
    call = made.hold(to, PAIR)
    notice = made.approvers.notice(call, "pair")
    assert made.approvers.post(notice, made.approvers.decision(notice)).status_code == 200
    for what in ("steward", "worker"):
        made.gateway.kill(what)
    eventually(lambda: _post(made, notice, "second") == 200, "nobody took the vote")
    assert eventually(lambda: made.upstream.seen(to)) and made.status(call)["status"] == "answered"
    assert len(made.upstream.seen(to)) == 1


def _post(made, notice, by):
    try:
        return made.approvers.post(notice, made.approvers.decision(notice, by=by)).status_code
    except httpx.TransportError:
        return 0


def test_no_secret_of_anybody_is_ever_in_the_log(scene):
    scene.pay(fresh("pay"), key="once")
    scene.pay(fresh("pay"), BRIEF)
    log = scene.gateway.log
    for secret in (SECRET, key_of("bot"), scene.approvers.secret, *scene.approvers.callback_secrets.values()):
        assert secret not in log
