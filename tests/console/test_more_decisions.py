"""On the page, over real sockets: edit, take back, cancel, delegates, and groups that decide on the page only."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.console.page_client import Page, words
from tests.gateway_process import eventually
from tests.gateway_world import HELD, PAIR, world
from tests.scripted_upstream import answer, fresh


def change(routes):
    until = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d")
    routes["people"]["absent"] = {"roles": ["approver"], "away": {"until": until, "delegate": "outsider"}}
    routes["approvals"]["finance"] |= {"members": ["lead", "second", "boss", "absent"]}
    look = {"tool": "get_item", "input": {"item": "{to}"}, "show": ["balance|money:eur"], "title": "owner"}
    routes["systems"]["bank"]["tools"]["refund_to"] = routes["systems"]["bank"]["tools"]["pay"] | {
        "request": "POST /refunds-to", "preview": {"account": look | {"bind": ["balance"]}},
    }  # fmt: skip
    routes["approvals"]["legal"] |= {"undo": "1h"}
    routes["approvals"]["brief"] |= {"undo": "1s", "expire": "1h"}
    routes["approvals"]["pair"] |= {"decide_in": ["page"]}


POLICIES = """
@id("ops-may") permit (principal in Team::"ops", action, resource);
@id("large-needs-finance") @approval("finance") @reason("Payments above 10.00 need a yes from finance.")
forbid (principal, action in [Action::"bank.pay", Action::"bank.refund_to"], resource)
when { context.input.amount > 1000 && context.input.amount != 8888 && context.input.amount != 5555 };
@id("abroad-needs-legal") @approval("legal") forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount == 5555 };
@id("soon-too-late") @approval("brief") forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount == 777 };
@id("two-people") @approval("pair") forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount == 8888 };
@id("huge-never") @reason("Payments above 1,000.00 are never made by agents.")
forbid (principal, action == Action::"bank.pay", resource) when { context.input.amount > 100000 };
"""


@pytest.fixture(scope="module")
def scene():
    with world(change=change, policies=POLICIES) as made:
        yield made


@pytest.fixture(scope="module")
def lead(scene):
    return Page(scene, "lead")


def test_a_group_may_decide_on_the_page_only(scene, lead):
    call = scene.hold(fresh("pay"), PAIR)
    shown = lead.form(call)["shown"]
    told = {"approval": "pair", "decision": "approve", "fingerprint": shown}
    by_token = scene.person("second").post(f"/approvals/{call}/decision", content=json.dumps(told))
    assert by_token.status_code == 403 and "decides only in: page" in by_token.text
    assert lead.decide(call, "approve").status_code == 303
    assert Page(scene, "second").decide(call, "approve").status_code == 303
    assert lead.ends(call, "Done")


def test_a_delegate_decides_in_place_of_whoever_is_away(scene, lead):
    call = scene.hold(fresh("pay"))
    delegate = Page(scene, "outsider")
    assert call in delegate.inbox()
    assert "You decide for finance in place of absent , who is away" in words(delegate.get(f"/inbox/{call}").text)
    assert delegate.decide(call, "approve").status_code == 303
    assert "outsider said yes for finance in place of absent" in lead.outcome(call)


def test_a_yes_can_be_taken_back_before_it_is_carried_out(scene, lead):
    to = fresh("pay")
    call = scene.hold(to, 5555)
    assert lead.decide(call, "approve").status_code == 303
    shown = words(lead.get(f"/inbox/{call}").text)
    assert "Approved ·" in shown, shown
    assert "to take it back" in shown, shown
    assert "carried out when this time is over" in shown
    fields = {"csrf": lead.csrf(), "group": "legal"}
    assert lead.post(f"/inbox/{call}/take-back", fields | {"csrf": "x"}).status_code == 403
    assert Page(scene, "second").post(f"/inbox/{call}/take-back", fields).status_code == 403
    assert lead.post(f"/inbox/{call}/take-back", fields).status_code == 303
    eventually(lambda: "Waiting" in lead.outcome(call), "it is asked about again")
    assert call in lead.inbox() and not scene.upstream.effects(to)
    late = lead.post(f"/inbox/{call}/take-back", fields)
    assert late.status_code == 409 and "there is no approval by 'lead'" in words(late.text)


def test_when_nobody_took_a_yes_back_in_time_it_is_carried_out(scene, lead):
    call = scene.hold(fresh("pay"), 777)
    lead.decide(call, "approve")
    assert lead.ends(call, "Done")
    fields = {"csrf": lead.csrf(), "group": "brief"}
    late = lead.post(f"/inbox/{call}/take-back", fields)
    assert late.status_code == 409 and "too late to take this approval back" in words(late.text)


def test_who_answers_for_the_agent_may_cancel(scene, lead):
    call, boss = scene.hold(fresh("pay")), Page(scene, "boss")
    assert "Cancel this call" in boss.get(f"/inbox/{call}").text
    assert "Cancel this call" not in lead.get(f"/inbox/{call}").text
    no = lead.post(f"/inbox/{call}/cancel", {"csrf": lead.csrf(), "reason": "x"})
    assert no.status_code == 403 and "neither owns the agent" in words(no.text)
    long = boss.post(f"/inbox/{call}/cancel", {"csrf": boss.csrf(), "reason": "x" * 2001})
    assert long.status_code == 400
    assert boss.post(f"/inbox/{call}/cancel", {"csrf": boss.csrf(), "reason": "Wrong bot."}).status_code == 303
    assert "Cancelled boss cancelled it: “Wrong bot.”" in lead.outcome(call)
    late = boss.post(f"/inbox/{call}/cancel", {"csrf": boss.csrf(), "reason": ""})
    assert late.status_code in (303, 409)


def edit(page, call, **fields):
    return page.decide(call, "edit", **{f"argument:{name}": value for name, value in fields.items()})


def test_an_argument_is_changed_and_approved(scene, lead):
    to = fresh("pay")
    call = scene.hold(to)
    shown = lead.get(f"/inbox/{call}").text
    assert 'name="argument:amount" value="5000"' in shown and f'name="argument:to" value="{to}"' in shown
    found = edit(lead, call, to=to, amount="900", note="")
    assert (found.status_code, found.headers.get("location")) == (303, f"/inbox/{call}")
    assert lead.ends(call, "Done"), "900 needs no further yes"
    assert "lead changed amount" in lead.outcome(call)
    assert "900 the agent wrote 5000" in words(lead.get(f"/inbox/{call}").text)
    assert [json.loads(it.body)["amount"] for it in scene.upstream.seen(to)] == [900]


def test_an_optional_argument_is_added_and_taken_away(scene, lead):
    to = fresh("pay")
    body = {"to": to, "amount": HELD, "note": "first\nsecond"}
    call = scene.agent().post("/bank/payments", json=body, headers={"prefer": "wait=0"}).json()["call"]
    assert edit(lead, call, note="").status_code == 303
    assert lead.ends(call, "Done")
    assert "taken away the agent wrote first second" in words(lead.get(f"/inbox/{call}").text)
    assert "note" not in json.loads(scene.upstream.seen(to)[0].body)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"amount": "9 euro"}, 400, "`amount` must be a whole number"), ({"amount": "0"}, 422, "Nothing was recorded"),
        ({"amount": ""}, 400, "must be a whole number"), ({}, 422, "names at least one argument"),
        ({"amount": "5000"}, 422, "names at least one argument"),
        ({"amount": "200000"}, 422, "the edited call is denied: Payments above 1,000.00 are never made by agents."),
    ],
)  # fmt: skip
def test_an_edit_that_is_wrong_or_denied_changes_nothing_and_says_why(scene, lead, fields, status, said):
    call = scene.hold(fresh("pay"))
    found = edit(lead, call, **fields)
    assert found.status_code == status and said in words(found.text)
    assert not {"Edited", "Approved"} & set(scene.timeline(call))


def test_what_was_not_touched_keeps_its_bytes(scene, lead):
    to, note = fresh("pay"), "line one\r\nwith \u202e and a tab\t."
    body = {"to": to, "amount": HELD, "note": note}
    call = scene.agent().post("/bank/payments", json=body, headers={"prefer": "wait=0"}).json()["call"]
    shown = lead.get(f"/inbox/{call}").text
    assert "⟨U+202E⟩" in shown and "\u202e" not in shown
    seen = "line one\r\nwith ⟨U+202E⟩ and a tab\t."
    assert edit(lead, call, amount="800", note=seen).status_code == 303
    assert lead.ends(call, "Done")
    assert json.loads(scene.upstream.seen(to)[0].body) == {"to": to, "amount": 800, "note": note}


def test_an_edit_of_a_stale_card_is_refused(scene, lead):
    call = scene.hold(fresh("pay"))
    form = lead.form(call) | {"decision": "edit", "argument:amount": "2000"}
    assert lead.post(f"/inbox/{call}/decision", form).status_code == 303
    again = lead.post(f"/inbox/{call}/decision", form | {"argument:amount": "3000"})
    assert again.status_code in (403, 409) and "Nothing was recorded" in words(again.text)


def looks(scene, lead, *answers):
    """A call for which the bank was looked at, and its card."""
    to = fresh("pay")
    scene.upstream.will(to, *answers)
    found = scene.agent().post("/bank/refunds-to", json={"to": to, "amount": HELD}, headers={"prefer": "wait=0"})
    call = found.json()["call"]
    eventually(lambda: "account" in lead.get(f"/inbox/{call}").text, "it is looked at")
    return call


def test_what_the_system_said_is_on_the_card(scene, lead):
    seen = answer(200, {"balance": 120_050, "owner": "Zo\u202e & <b>Co</b>"})
    call = looks(scene, lead, seen, answer(200, {"balance": 7, "owner": "Zo"}))
    shown = lead.get(f"/inbox/{call}").text
    told = words(shown)
    assert "1,200.50 EUR" in told and "your yes is bound to it" in told and "What bank.get_item said" in told
    assert "<b>Co" not in shown and "\u202e" not in shown
    assert lead.decide(call, "approve").status_code == 303
    again = "1,200.50 EUR 0.07 EUR"
    eventually(lambda: again in words(lead.get(f"/inbox/{call}").text), "it is asked about again")
    assert lead.decide(call, "reject").status_code == 303


def test_a_look_that_failed_says_so_and_blocks_nothing(scene, lead):
    call = looks(scene, lead, answer(500), answer(500), answer(200, {"id": "x"}))
    assert "It could not be looked at:" in lead.get(f"/inbox/{call}").text
    assert lead.form(call)["group"] == "finance"


def test_after_an_edit_everybody_is_told_what_it_acts_on_now(scene, lead):
    to, other = fresh("pay"), fresh("pay")
    call = scene.hold(to, PAIR)
    assert edit(lead, call, to=other).status_code == 303
    told = scene.person("second").get(f"/approvals/{call}").json()
    assert told["resource"] == f"Account/{other}" and told["input"]["to"] == other
    assert f"bank.pay on Account/{other}" in words(Page(scene, "second").get(f"/inbox/{call}").text)
    assert scene.approvers.notice(call, "pair", 2).data["resource"] == f"Account/{other}"
    assert Page(scene, "second").decide(call, "approve").status_code == 303
    assert lead.ends(call, "Done"), "two people have said yes to it"
    assert scene.agent().get(f"/calls/{call}").json()["resource"] == f"Account/{other}"
    assert [json.loads(it.body)["to"] for it in scene.upstream.seen(other)] == [other] and not scene.upstream.seen(to)
