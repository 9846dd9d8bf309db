"""Standing grants over real sockets, with two workers: what a person is shown, gives, sees listed and revokes."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.gateway_process import bearer, eventually, key_of, token_of
from tests.gateway_world import HELD, PAIR, World, slug, world
from tests.scripted_upstream import fresh

LISTED = (
    "grant",
    "state",
    "agent",
    "tool",
    "approval",
    "forbid",
    "until",
    "given",
    "revoked",
    "unused_because",
    "text",
)


def allow(routes):
    for name in ("finance", "pair"):
        routes["approvals"][name]["standing"] = {"longest": "8h"}


@pytest.fixture(scope="module")
def scene():
    with world(workers=2, change=allow) as made:
        yield made


def soon(hours: float = 1) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wish(scene: World, call: str, group: str = "finance", **changes: object) -> dict[str, Any]:
    told = scene.person("auditor").get(f"/approvals/{call}").json()
    shown = next(each["fingerprint"] for each in told["questions"] if each["approval"] == group)
    return {"approval": group, "fingerprint": shown, "bounds": {"amount": 9_000}, "until": soon()} | changes


def post(scene: World, call: str, body: object, by: str = "lead") -> httpx.Response:
    return scene.person(by).post(f"/approvals/{call}/grant", content=json.dumps(body))


def give(scene: World, call: str, body: dict[str, Any], by: str = "lead") -> list[dict[str, Any]]:
    shown = post(scene, call, body | {"dry": True}, by)
    assert shown.status_code == 200, shown.text
    drafts = shown.json()["grants"]
    given = post(scene, call, body | {"confirm": [draft["grant"] for draft in drafts]}, by)
    assert given.status_code == 200 and given.json()["recorded"], given.text
    grants: list[dict[str, Any]] = given.json()["grants"]
    assert [each["text"] for each in grants] == [draft["text"] for draft in drafts]
    return grants


def pays(scene: World, to: str, amount: int, **how: str) -> int:
    return scene.pay(to, amount, prefer="wait=0", **how).status_code


def heard_of(scene: World, to: str, amounts: Iterable[int]) -> None:
    """Wait until the worker at the other end of the agent's connection has looked: it does so every second."""
    untried = iter(amounts)  # what was held once is answered by the grant, whatever the worker knows
    eventually(lambda: pays(scene, to, next(untried)) == 200, "the grant is not used")


def listing(scene: World) -> dict[str, Any]:
    return {each["grant"]: each for each in scene.person("auditor").get("/grants").json()["grants"]}


def refused(found: httpx.Response, status: int, kind: str) -> str:
    assert (found.status_code, slug(found)) == (status, kind), found.text
    detail: str = found.json()["detail"]
    return detail


def test_the_whole_story(scene):
    to = fresh("pay")
    call = scene.hold(to)
    dry = post(scene, call, wish(scene, call, dry=True)).json()
    (draft,) = dry["grants"]
    assert dry["recorded"] is False and draft["covers_this_call"] and draft["quorum"] == 1
    assert re.fullmatch(
        rf'@id\("grant-\d\d[0-9a-f]{{22}}"\)\n@grants\("large-needs-finance"\)\n'
        rf'permit \(principal == Agent::"bot", action == Action::"bank.pay", resource\)\nwhen {{\n'
        rf'  context.input.to == "{to}" &&\n'
        rf"  context.input.amount >= 0 &&\n  context.input.amount <= 9000 &&\n"
        rf"  !\(context.input has note\) &&\n  !\(context.input has \"bank-account\"\) &&\n"
        rf"  !\(context.call has user\) &&\n  context.call.now < datetime\(\"[-:.TZ0-9]+\"\)\n}};\n",
        draft["text"],
    ), draft["text"]
    assert scene.state(call) == "held" and draft["grant"] not in scene.person("auditor").get("/grants").text

    (grant,) = give(scene, call, wish(scene, call))
    eventually(lambda: scene.state(call) == "answered")
    heard_of(scene, to, range(6_000, 9_000))
    for amount in (5_001, 9_000, 1_500, 2_000):
        assert pays(scene, to, amount) == 200
    assert pays(scene, to, 9_001) == 409
    assert pays(scene, fresh("pay"), HELD) == 409
    assert pays(scene, to, HELD, agent="other") == 409
    assert pays(scene, to, HELD, bank_account="acct_2") == 409

    last = scene.pay(to, 1_234)
    told = scene.person("auditor").get(f"/calls/{last.headers['gateway-call']}").json()["timeline"]
    (judged,) = [item["text"] for item in told if item["fact"] == "Judged"]
    assert judged == f"allowed by ops-may, large-needs-finance, lifting large-needs-finance by {grant['grant']} of lead"

    (listed,) = [
        each for each in scene.person("auditor").get("/grants").json()["grants"] if each["grant"] == grant["grant"]
    ]
    assert tuple(listed) == LISTED
    assert (listed["state"], listed["unused_because"], listed["given"][0]["by"]) == ("open", None, "lead")
    assert listed["given"][0]["call"] == call

    revoked = scene.person("second").delete(f"/grants/{grant['grant']}").json()
    assert (revoked["state"], revoked["revoked"]["by"], revoked["text"]) == ("revoked", "second", None)
    for amount in (1_501, 1_502, 1_503, 1_504):  # at once, whatever a worker still believes
        assert pays(scene, to, amount) == 409
    (listed,) = [
        each for each in scene.person("auditor").get("/grants").json()["grants"] if each["grant"] == grant["grant"]
    ]
    assert (listed["state"], listed["unused_because"]) == ("revoked", "it is revoked")


def test_other_questions_that_it_covers_are_answered_with_it(scene):
    to = fresh("pay")
    calls = [scene.hold(to, amount) for amount in (2_001, 2_002, 2_003)]
    beyond = scene.hold(to, 9_999)
    give(scene, calls[0], wish(scene, calls[0]))
    eventually(lambda: [scene.state(call) for call in calls] == ["answered"] * 3)
    assert scene.state(beyond) == "held"


def test_a_quorum_gives_the_same_grant_together(scene):
    to = fresh("pay")
    call = scene.hold(to, PAIR)
    until = soon()
    body = wish(scene, call, "pair", bounds={}, until=until)
    (half,) = give(scene, call, body)
    assert half["unused_because"] == "it takes 1 more of 'pair' who give the same grant"
    eventually(lambda: scene.state(call) == "held")
    (whole,) = give(scene, call, body, "second")
    assert whole["grant"] == half["grant"] and whole["unused_because"] is None
    assert [each["by"] for each in whole["given"]] == ["lead", "second"]
    eventually(lambda: scene.state(call) == "answered")
    eventually(lambda: pays(scene, to, PAIR, key=fresh("key")) == 200)  # as soon as the worker has looked


def test_who_may_give_and_revoke(scene):
    call = scene.hold(fresh("pay"))
    body = wish(scene, call)
    refused(post(scene, call, body | {"dry": True}, "operator"), 403, "role-missing")
    refused(post(scene, call, body | {"dry": True}, "auditor"), 403, "role-missing")
    assert "not a member" in refused(post(scene, call, body | {"dry": True}, "outsider"), 403, "not-eligible")
    assert "owns 'bot'" in refused(post(scene, call, body | {"dry": True}, "boss"), 403, "not-eligible")
    (grant,) = give(scene, call, body)
    refused(scene.person("auditor").delete(f"/grants/{grant['grant']}"), 403, "role-missing")
    refused(scene.person("outsider").delete(f"/grants/{grant['grant']}"), 403, "grant-not-yours")
    assert scene.person("operator").delete(f"/grants/{grant['grant']}").status_code == 200
    for path in (f"/approvals/{call}/grant", "/grants", f"/grants/{grant['grant']}"):
        method = {"/grants": "GET"}.get(path, "POST" if path.endswith("grant") else "DELETE")
        url = scene.gateway.control + path
        refused(
            httpx.request(method, url, headers=bearer(key_of("bot")), trust_env=False, timeout=60),
            403,
            "agent-at-control-plane",
        )
        refused(httpx.request(method, url, trust_env=False, timeout=60), 401, "person-token")
        refused(
            httpx.request(method, url, headers={"cookie": f"token={token_of('lead')}"}, trust_env=False, timeout=60),
            401,
            "person-token",
        )


def test_nobody_grants_what_they_were_not_shown(scene):
    to = fresh("pay")
    call = scene.hold(to)
    body = wish(scene, call)
    (draft,) = post(scene, call, body | {"dry": True}).json()["grants"]
    others: list[dict[str, Any]] = [{"bounds": {"amount": 9_001}}, {"free": ["to"]}, {"until": soon(2)}, {"bounds": {}}]
    for other_terms in others:
        refused(post(scene, call, body | other_terms | {"confirm": [draft["grant"]]}), 409, "grant-not-shown")
    refused(post(scene, call, body | {"confirm": []}), 409, "grant-not-shown")
    other = scene.hold(fresh("pay"))
    changed = wish(scene, other) | {"until": body["until"], "confirm": [draft["grant"]]}
    refused(post(scene, other, changed), 409, "grant-not-shown")
    assert scene.state(call) == scene.state(other) == "held"
    refused(post(scene, call, body | {"fingerprint": "f" * 64, "confirm": [draft["grant"]]}), 409, "approval-stale")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bounds": {"amuont": 5}}, "no argument `amuont`"),
        ({"bounds": {"to": 5}}, "`to` is no whole number"),
        ({"bounds": {"amount": -1}}, "`amount` is negative"),
        ({"free": ["amount"]}, "both bounded and free"),
        ({"until": "2020-01-01T00:00:00Z"}, "between a minute and 8 h from now"),
        ({"until": "2999-01-01T00:00:00Z"}, "between a minute and 8 h from now"),
    ],
)
def test_a_grant_that_cannot_be_is_refused_with_a_sentence(scene, changes, why):
    call = scene.hold(fresh("pay"))
    assert why in refused(post(scene, call, wish(scene, call, dry=True) | changes), 422, "not-grantable")


def test_a_group_without_standing_gives_none(scene):
    call = scene.hold(fresh("pay"), 777)
    assert "no `standing` in routes.yaml" in refused(
        post(scene, call, wish(scene, call, "brief", dry=True)), 422, "not-grantable"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bounds": {"amount": "5"}}, "`bounds` must be whole numbers"),
        ({"bounds": {"amount": True}}, "`bounds` must be whole numbers"),
        ({"bounds": [5]}, "`bounds` must be whole numbers"),
        ({"free": "to"}, "`free` must be a list of texts"),
        ({"confirm": [1], "dry": False}, "`confirm` must be a list of texts"),
        ({"until": "2026-11-20T18:00:00"}, "`until` must be a moment with its time zone"),
        ({"until": 5}, "`until` must be a moment with its time zone"),
        ({"until": "soon"}, "`until` must be a moment with its time zone"),
        ({"dry": "yes"}, "`dry` must be true or false"),
        ({"confirm": []}, "say either `dry: true`"),
        ({"dry": False}, "say either `dry: true`"),
        ({"approval": 5}, "`approval` must be text"),
        ({"fingerprint": None}, "`fingerprint` must be text"),
        ({"call": "other"}, "`call` is not the call of this address"),
        ({"bound": {}}, "`bound` is not known, did you mean `bounds`?"),
    ],
)
def test_a_body_that_is_not_what_it_must_be_is_refused_with_its_member(scene, changes, why):
    call = "07" + "ab" * 11
    body = {"approval": "finance", "fingerprint": "f", "bounds": {"amount": 5}, "until": soon(), "dry": True}
    assert why in refused(post(scene, call, body | changes), 400, "invalid-body")


def test_what_is_not_there_is_not_found(scene):
    body = {"approval": "finance", "fingerprint": "f", "until": soon(), "dry": True}
    refused(post(scene, "07" + "ab" * 11, body), 404, "unknown-call")
    refused(scene.person("lead").delete("/grants/grant-07" + "ab" * 11), 404, "unknown-grant")
    refused(scene.person("lead").delete("/grants/x"), 404, "unknown-grant")


def test_it_survives_a_restart_and_so_does_its_end(scene):
    to = fresh("pay")
    call = scene.hold(to)
    (kept,) = give(scene, call, wish(scene, call))
    eventually(lambda: scene.state(call) == "answered")
    other = fresh("pay")
    call = scene.hold(other)
    (gone,) = give(scene, call, wish(scene, call))
    scene.person("lead").delete(f"/grants/{gone['grant']}")
    scene.gateway.restart()
    eventually(lambda: pays(scene, to, 1_777) == 200)
    assert pays(scene, other, 1_778) == 409
    listed = listing(scene)
    assert (listed[kept["grant"]]["state"], listed[gone["grant"]]["state"]) == ("open", "revoked")
