"""Two whole gateways on one Redis: whatever one of them hears, asks or decides is so at the other, and once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from tests.gateway_process import PAYLOAD_KEY, bearer, eventually, serving, token_of
from tests.gateway_world import HELD, PAIR, slug, world
from tests.ladder_world import LADDER, LADDER_POLICIES, RUNGS, facts, heard, say, with_ladder
from tests.scripted_upstream import fresh


@pytest.fixture(scope="module")
def hosts(valkey):
    """The same routes, policies, secrets and Redis twice. The second value is the first world seen from host two."""
    valkey.flush()
    change, redis = (
        with_ladder("1s", "4s", "12s"),
        {"GATEWAY_REDIS_URL": valkey.url, "GATEWAY_PAYLOAD_KEYS": PAYLOAD_KEY},
    )
    with (
        world(change=change, policies=LADDER_POLICIES, settings=redis) as one,
        serving(one.routes, LADDER_POLICIES, settings=one.secrets | redis) as gateway,
    ):
        two = replace(one, gateway=gateway, _made={})
        yield one, two
    valkey.flush()


def waiting(pool, scene, to, amount=HELD):
    """An agent's request that waits at that host for the people."""
    return pool.submit(scene.pay, to, amount, prefer="wait=60")


def call_of(scene, to):
    def found():
        listed = scene.person("auditor").get("/calls").json()["calls"]
        return [item["call"] for item in listed if item["resource"] == f"Account/{to}"]

    return eventually(found)[0]


def test_a_decision_at_one_host_answers_the_connection_that_waits_at_the_other(hosts):
    one, two = hosts
    to = fresh("pay")
    with ThreadPoolExecutor() as pool:
        answer = waiting(pool, one, to)
        call = call_of(two, to)
        notice = one.approvers.notice(call)
        url = f"{two.gateway.control}/approvals/{call}/decision"
        decided = one.approvers.post(notice, one.approvers.decision(notice), url=url)
        assert decided.status_code == 200
        told = answer.result()
    assert told.status_code == 200 and told.headers["gateway-call"] == call and "number" in told.json()
    assert len(one.upstream.seen(to)) == 1
    eventually(lambda: facts(one, call)["Notified"] == 2)  # the question and its end
    assert [kind for kind, _ in heard(one, call)] == ["approval.requested", "call.finished"]
    assert facts(one, call) == facts(two, call) and facts(two, call)["Asked"] == 1


def test_the_same_callback_at_both_hosts_at_once_is_one_vote_and_one_effect(hosts):
    one, two = hosts
    to = fresh("pay")
    call = one.hold(to)
    notice = one.approvers.notice(call)
    body, message = one.approvers.decision(notice), "msg_" + to
    with ThreadPoolExecutor() as pool:
        urls = [f"{host.gateway.control}/approvals/{call}/decision" for host in (one, two, one, two)]
        said = list(pool.map(lambda url: one.approvers.post(notice, body, url=url, message=message), urls))
    assert [each.status_code for each in said] == [200] * 4
    eventually(lambda: two.state(call) == "answered")
    assert facts(one, call)["Approved"] == facts(one, call)["Claimed"] == 1 and len(one.upstream.seen(to)) == 1


def test_an_agent_that_comes_back_to_another_host_attaches_to_its_call(hosts):
    one, two = hosts
    to = fresh("pay")
    call = one.hold(to, key="a" + to)
    assert two.hold(to, key="b" + to) == call
    assert one.approvers.approve(call).status_code == 200
    eventually(lambda: two.state(call) == "answered")
    assert two.pay(to, HELD).headers["gateway-call"] == call and len(one.upstream.seen(to)) == 1


def test_a_yes_given_at_one_host_and_taken_back_at_the_other_releases_nothing(hosts):
    one, two = hosts
    to = fresh("pay")
    call = one.hold(to, PAIR)
    notice = one.approvers.notice(call, "pair")
    assert one.approvers.post(notice, one.approvers.decision(notice)).status_code == 200
    shown = {"approval": "pair", "decision": "retract", "fingerprint": notice.data["fingerprint"]}
    assert two.person("lead").post(f"/approvals/{call}/decision", json=shown).status_code == 200
    eventually(lambda: facts(one, call)["Asked"] == 2)
    again = one.approvers.notice(call, "pair", number=2)
    assert one.approvers.post(again, one.approvers.decision(again, by="second")).status_code == 200
    eventually(lambda: one.state(call) == two.state(call) == "held")
    assert facts(two, call)["Approved"] == 2 and one.upstream.seen(to) == []


def test_a_cancellation_at_one_host_ends_the_connection_that_waits_at_the_other(hosts):
    one, two = hosts
    to = fresh("pay")
    with ThreadPoolExecutor() as pool:
        answer = waiting(pool, one, to)
        call = call_of(two, to)
        assert two.person("boss").post(f"/calls/{call}/cancel", json={"reason": "Wrong run."}).status_code == 200
        told = answer.result()
    assert slug(told) == "call-cancelled" and "Wrong run." in told.json()["detail"]
    assert slug(two.pay(to, HELD)) == "call-cancelled" and one.upstream.seen(to) == []


def test_a_ladder_in_seconds_is_climbed_once_with_two_stewards_and_ends_with_a_no(hosts):
    one, two = hosts
    left, decided = fresh("pay"), fresh("pay")
    nobody, call = one.hold(left, LADDER), two.hold(decided, LADDER)
    assert slug(say(one, call, "cfo")) == "not-eligible"  # it is not their turn yet
    eventually(lambda: ("approval.escalated", ("cfo",)) in heard(one, call))
    assert slug(say(one, call, "chief")) == "not-eligible"
    assert say(one, call, "cfo").status_code == 200
    eventually(lambda: two.state(call) == "answered")
    assert len(one.upstream.seen(decided)) == 1

    eventually(lambda: two.state(nobody) == "denied")
    eventually(lambda: len(heard(one, nobody)) == len(RUNGS))
    to = [(), (), ("cfo",), ("chief",), ()]
    assert heard(one, nobody) == list(zip(RUNGS, to, strict=True))
    counted = eventually(lambda: (found := facts(two, nobody))["Notified"] == len(RUNGS) and found)
    wanted = {"Asked": 1, "Reminded": 1, "Escalated": 2, "Expired": 1, "Reported": 1}
    assert {fact: counted[fact] for fact in wanted} == wanted and "Approved" not in counted
    assert slug(one.pay(left, LADDER)) == "approval-expired" and one.upstream.seen(left) == []
    assert [kind for kind, _ in heard(one, call)] == [*RUNGS[:3], "call.finished"]


def test_a_suspension_or_a_token_at_one_host_is_one_at_the_other(hosts):
    one, two = hosts
    to = fresh("pay")
    call = one.hold(to, agent="third")
    assert two.person("operator").post("/agents/third/suspend").status_code == 200
    try:
        assert one.approvers.approve(call).status_code == 200
        eventually(lambda: one.state(call) == "denied")
        assert one.upstream.seen(to) == []
    finally:
        url = f"{one.gateway.control}/agents/third/suspend"
        assert httpx.delete(url, headers=bearer(token_of("operator")), trust_env=False, timeout=60).status_code == 200
