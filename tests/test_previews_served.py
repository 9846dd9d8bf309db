"""Previews through a whole gateway, over real sockets: what approvers get, and what leaves for the system when."""

import time
from typing import Any

import pytest

from gateway.core.previews import MOST_BYTES, SECONDS
from tests.console.page_client import Page, words
from tests.gateway_process import eventually
from tests.gateway_world import SECRET, World, slug, world
from tests.scripted_upstream import answer, drops, fresh, pours, stalls, truncates

PREVIEW = {
    "tool": "get_item", "input": {"item": "{to}"}, "show": ["balance|money:currency", "owner.name", "header:etag"],
    "bind": ["balance"], "title": "name", "becomes": {"owner.name": "{note}"},
}  # fmt: skip
ETAG = [("etag", '"v1"')]


def with_a_preview(routes: dict[str, Any]) -> None:
    tools = routes["systems"]["bank"]["tools"]
    tools["pay"] |= {"summary": "Pay {amount|money:eur} to {to}", "preview": {"account": PREVIEW}}
    unbound = {**PREVIEW, "bind": []}
    tools["refund"] |= {"preview": {"account": {**unbound, "input": {"item": "{charge}"}, "becomes": {}}}}


@pytest.fixture(scope="module")
def scene():
    with world(change=with_a_preview) as made:
        yield made


def account(balance: object = 10_000, **more: object) -> Any:
    return answer(200, {"balance": balance, "currency": "eur", "owner": {"name": "Ann"}, "name": "Rent"} | more, ETAG)


def refund(scene: World, charge: str) -> str:
    told = scene.agent().post(
        "/bank/refunds", data={"charge": charge, "amount": "5000"}, headers={"prefer": "wait=0"}
    )  # fmt: skip
    assert slug(told) == "approval-pending", told.text
    call: str = told.json()["call"]
    return call


def picture(scene: World, call: str) -> Any:
    (found,) = scene.person("auditor").get(f"/approvals/{call}").json()["preview"]
    return found


def test_approvers_see_what_a_payment_is_about_before_they_decide(scene):
    to = fresh("acct")
    scene.upstream.will(to, account())
    call = scene.hold(to)
    notice = scene.approvers.notice(call)
    assert notice.data["summary"] == f"Pay 50.00 EUR to {to}"
    (seen,) = notice.data["preview"]
    assert {**seen, "call": "", "at": ""} == {
        "name": "account", "tool": "bank.get_item", "call": "", "at": "", "title": "Rent", "bind": ["balance"],
        "failed": "", "unread": "",
        "fields": [
            {"field": "balance", "value": 10_000, "text": "100.00 EUR"},
            {"field": "owner.name", "value": "Ann", "text": "Ann", "after": "(no note)"},
            {"field": "header:etag", "value": '"v1"', "text": '"\\"v1\\""'},
        ],
    }  # fmt: skip
    assert picture(scene, call) == seen
    (request,) = scene.upstream.seen(to)
    assert request.method == b"GET" and request.all("authorization") == [f"Bearer {SECRET}".encode()]
    told = scene.person("auditor").get(f"/calls/{seen['call']}").json()
    assert (told["agent"], told["tool"], told["state"]) == ("bot", "bank.get_item", "answered")
    assert f'saying "preview for call {call}"' in told["timeline"][0]["text"]


def test_what_is_still_so_is_paid(scene):
    to = fresh("acct")
    scene.upstream.will(to, account(), account(), answer(200, {"id": "pay_1"}))
    call = scene.hold(to)
    assert scene.approvers.approve(call).status_code == 200
    eventually(lambda: scene.state(call) == "answered")
    assert [request.method for request in scene.upstream.seen(to)] == [b"GET", b"GET", b"POST"]
    facts = scene.timeline(call)
    assert facts[facts.index("Approved") :][:5] == ["Approved", "Judged", "Previewed", "Judged", "Claimed"]


def test_what_has_changed_is_asked_about_again_and_not_paid(scene):
    to = fresh("acct")
    scene.upstream.will(to, account(), account(500))
    call = scene.hold(to)
    first = scene.approvers.notice(call)
    scene.approvers.approve(call)
    second = scene.approvers.notice(call, number=2)
    assert second.data["fingerprint"] != first.data["fingerprint"]
    assert second.data["preview"][0]["fields"][0] == {
        "field": "balance", "value": 500, "text": "5.00 EUR", "was": "100.00 EUR",
    }  # fmt: skip
    assert scene.state(call) == "held"
    assert scene.upstream.effects(to) == []


FAILING = [
    (answer(500, {"error": "x"}), "the system answered 500"),
    (answer(404, {"error": "x"}), "the system answered 404"),
    (pours(MOST_BYTES + 65536, [("content-encoding", "identity")]), "has more than 64 KiB"),
    (answer(200, b"<html>", [("content-type", "text/html")]), "is not JSON"),
    (answer(200, {"secret": SECRET}), "carried the system's credential"),
    (truncates(b'{"balance":', 100), "the answer broke off"),
    (drops(), "the system gave no answer"),
]


@pytest.mark.parametrize(("reaction", "why"), FAILING, ids=[why for _, why in FAILING])
def test_a_look_that_fails_says_so_and_keeps_nobody_from_deciding(scene, reaction, why):
    charge = fresh("chr")
    scene.upstream.will(charge, reaction, answer(200, {"id": "re_1"}))
    call = refund(scene, charge)
    (seen,) = scene.approvers.notice(call).data["preview"]
    assert why in seen["failed"] and seen["fields"] == []
    assert SECRET not in str(seen)
    scene.approvers.approve(call)
    eventually(lambda: scene.state(call) == "answered")
    assert len(scene.upstream.effects(charge)) == 1


def test_a_system_that_stalls_delays_the_question_by_seconds_and_the_agent_not_at_all(scene):
    charge = fresh("chr")
    scene.upstream.will(charge, stalls(), answer(200, {"id": "re_1"}))
    began = time.monotonic()
    call = refund(scene, charge)
    assert time.monotonic() - began < SECONDS - 1
    eventually(lambda: "Previewed" in scene.timeline(call))
    assert time.monotonic() - began < 20 - 1, "the bank's own timeout is 20 s"
    assert "gave no answer" in picture(scene, call)["failed"]


def test_an_argument_that_would_be_another_address_asks_the_system_nothing(scene):
    charge = f"{fresh('chr')}/../../admin"
    call = refund(scene, charge)
    eventually(lambda: "Previewed" in scene.timeline(call))
    assert picture(scene, call)["failed"] and picture(scene, call)["call"] == ""
    assert scene.upstream.seen(charge.partition("/")[0]) == []


# --- On the page ------------------------------------------------------------------------------------------------------


def test_the_card_shows_what_was_looked_at_and_what_changed(scene):
    to = fresh("acct")
    nasty = "<script>alert(1)</script>\u202e"
    scene.upstream.will(to, account(name=nasty), account(500, name=nasty))
    call = scene.hold(to)
    scene.approvers.notice(call)
    page = Page(scene, "lead")
    told = words(page.get(f"/inbox/{call}").text)
    for expected in (
        "account:",
        "balance",
        "100.00 EUR your yes is bound to it",
        "owner.name",
        "would become",
        "(no note)",
    ):
        assert expected in told
    assert "<script>alert" not in page.get(f"/inbox/{call}").text
    assert "\u202e" not in page.get(f"/inbox/{call}").text
    scene.approvers.approve(call)
    scene.approvers.notice(call, number=2)
    assert "<del><bdi>100.00 EUR</bdi></del> <bdi>5.00 EUR</bdi>" in page.get(f"/inbox/{call}").text


def test_the_card_says_that_a_look_failed(scene):
    charge = fresh("chr")
    scene.upstream.will(charge, answer(404, {}))
    call = refund(scene, charge)
    scene.approvers.notice(call)
    told = words(Page(scene, "lead").get(f"/inbox/{call}").text)
    assert "It could not be looked at: the system answered 404" in told and "You may decide all the same." in told
