"""`storage` of an agent: beyond it large requests are refused with a sentence that helps, and answers are not kept."""

from dataclasses import replace

import pytest

from gateway.core.facts import Answered, Ended
from gateway.core.payload import Answer
from gateway.sending import Sent
from tests.gateway_process import eventually
from tests.gateway_world import HELD, slug, world
from tests.scripted_upstream import answer, fresh

KIB = 1024


def little(routes):
    for name in ("bot", "other", "third"):
        routes["agents"][name]["storage"] = "64KiB"
    routes["agents"]["third"]["storage"] = "off"


@pytest.fixture(scope="module")
def scene():
    with world(change=little, workers=2) as made:
        yield made


def pay(scene, to: str, amount: int, size: int, agent: str = "bot"):
    wanted = {"to": to, "amount": amount, "note": "n" * size}
    return scene.agent(agent).post("/bank/payments", json=wanted, headers={"prefer": "wait=0"})


def test_an_agent_cannot_fill_the_journal_with_held_requests(scene):
    held = [pay(scene, fresh("held"), HELD, 20 * KIB) for _ in range(3)]
    assert [slug(found) for found in held] == ["approval-pending"] * 3
    to = fresh("held")
    refused = pay(scene, to, HELD, 20 * KIB)
    assert (refused.status_code, slug(refused)) == (429, "too-much-stored")
    told = refused.json()
    assert "64 KiB" in told["message"] and "`storage`" in told["message"] and "Nothing was executed" in told["message"]
    assert told["call"] is None and told["retryable"] is True and int(refused.headers["retry-after"]) > 0
    waiting = scene.person("auditor").get("/approvals").json()["approvals"]
    assert to not in str(waiting)

    assert slug(pay(scene, fresh("held"), HELD, 20)) == "approval-pending"  # a small one costs nothing
    assert slug(pay(scene, fresh("held"), HELD, 60 * KIB, agent="third")) == "approval-pending"  # has no limit
    twice = pay(scene, fresh("held"), HELD, 60 * KIB, agent="third")
    assert slug(twice) == "approval-pending"

    assert scene.agent().delete(f"/calls/{held[0].json()['call']}").status_code == 200
    # What was withdrawn makes room as soon as those who were asked have heard of it.
    eventually(lambda: slug(pay(scene, to, HELD, 20 * KIB)) == "approval-pending")


def test_an_answer_beyond_it_is_handed_over_and_not_kept(scene):
    made = []
    for number in range(4):
        to = fresh("pay")
        scene.upstream.will(to, answer(200, {"number": number, "more": "x" * 20 * KIB}))
        made.append((to, scene.pay(to, key="k" + to, agent="other")))
    assert [found.json()["number"] for _, found in made] == [0, 1, 2, 3]
    again = [scene.pay(to, key="k" + to, agent="other") for to, _ in made]
    assert [found.status_code for found in again] == [200, 200, 200, 410]
    assert slug(again[3]) == "answer-not-kept" and again[3].json()["call"] == made[3][1].headers["gateway-call"]
    assert [len(scene.upstream.effects(to)) for to, _ in made] == [1] * 4
    call = made[3][1].headers["gateway-call"]
    assert scene.timeline(call) == ["Admitted", "Judged", "Claimed", "Answered"]
    assert scene.status(call, "other")["answer"]["kept"] is False


def test_the_fact_says_that_the_answer_was_not_kept():
    answered, ended = Answered(token="t", status=200, kept=True), Ended(length=5, sha256="d", whole=True)
    sent = Sent((answered, ended), kept=Answer(status=200, headers=(), body=b"12345"))
    assert sent.unkept() == Sent((replace(answered, kept=False), ended))
