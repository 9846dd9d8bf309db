"""Standing grants on the page, without scripts: choose, read, confirm; see all of them, revoke one."""

import re

import pytest

from tests.console.page_client import Page, fields, words
from tests.gateway_process import eventually
from tests.gateway_world import PAIR, POLICIES, slug, world
from tests.scripted_upstream import fresh


def allow(routes):
    for name in ("finance", "pair"):
        routes["approvals"][name]["standing"] = {"longest": "8h"}


DELETING = (
    POLICIES
    + """
@id("deleting-needs-finance") @approval("finance") @reason("Deleting needs a yes from finance.")
forbid (principal, action == Action::"bank.delete_item", resource);
"""
)


@pytest.fixture(scope="module")
def scene():
    with world(change=allow, policies=DELETING) as made:
        yield made


@pytest.fixture(scope="module")
def lead(scene):
    return Page(scene, "lead")


def choices(**named):
    same = {f"choice:{name}": "same" for name in ("to", "amount", "note", "Bank-Account")}
    return same | {name.replace("_", ":", 1): value for name, value in named.items()}


def form_of(page, call, group="finance"):
    found = page.get(f"/inbox/{call}/grant", params={"group": group})
    assert found.status_code == 200, found.text
    return fields(found.text)


def shown(page, call, group="finance", **named):
    """The page with the text, after the choices."""
    body = form_of(page, call, group) | choices(**named) | {"hours": "1"}
    return page.post(f"/inbox/{call}/grant", body)


def given(page, call, found):
    """What the form under the text says, posted as it stands."""
    confirm = re.findall(r'name="confirm" value="([^"]+)"', found.text)
    return page.client.post(
        f"/inbox/{call}/grant", data=fields(found.text) | {"confirm": confirm}, headers={"origin": page.origin}
    )


def test_the_whole_story(scene, lead):
    to = fresh("pay")
    call = scene.hold(to)
    assert f"/inbox/{call}/grant?group=finance" in lead.get(f"/inbox/{call}").text
    asked = lead.get(f"/inbox/{call}/grant", params={"group": "finance"}).text
    assert "exactly" in asked and "absent, as here" in asked and 'name="most:amount"' in asked
    assert 'name="most:to"' not in asked and ">1 hour<" in asked and ">8 hours<" in asked and ">24 hours<" not in asked
    found = shown(lead, call, choice_amount="most", most_amount="9000")
    assert found.status_code == 200
    assert f'context.input.to == "{to}" && context.input.amount >= 0 && context.input.amount <= 9000' in words(
        found.text
    )
    assert scene.state(call) == "held", "it was only shown"
    answer = given(lead, call, found)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/inbox/{call}")
    eventually(lambda: scene.state(call) == "answered")
    eventually(lambda: scene.pay(to, int(fresh("")[-3:], 16) % 900 + 2000, prefer="wait=0").status_code == 200)

    assert lead.get(f"/inbox/{call}").status_code == 200, "what the agent did before is told beside who granted what"
    listed = lead.get("/inbox/grants").text
    grant = re.findall(r'action="/inbox/grants/(grant-\w+)/revoke"', listed)[0]
    assert "bot may use bank.pay until" in words(listed) and "given by lead" in words(listed)
    revoked = lead.post(f"/inbox/grants/{grant}/revoke", {"csrf": lead.csrf()})
    assert (revoked.status_code, revoked.headers["location"]) == (303, "/inbox/grants")
    assert "Revoked by lead" in words(lead.get("/inbox/grants").text)
    assert slug(scene.pay(to, 3_333, prefer="wait=0")) == "approval-pending"


def test_nothing_is_granted_but_what_was_shown(scene, lead):
    call = scene.hold(fresh("pay"))
    found = shown(lead, call, choice_amount="most", most_amount="9000")
    body = fields(found.text) | {"confirm": re.findall(r'name="confirm" value="([^"]+)"', found.text)[0]}
    for change in (
        {"most:amount": "9001"},
        {"choice:to": "any"},
        {"until": str(int(body["until"]) + 1000)},
        {"confirm": "grant-1"},
    ):
        answer = lead.post(f"/inbox/{call}/grant", body | change)
        assert answer.status_code == 409 and "not what you were shown" in words(answer.text)
    assert lead.post(f"/inbox/{call}/grant", body | {"shown": "f"}).status_code == 409
    assert scene.state(call) == "held"


@pytest.mark.parametrize(
    ("named", "status", "why"),
    [
        ({"choice_amount": "most", "most_amount": "-5"}, 400, "the most of amount must be a whole number from 0"),
        ({"choice_amount": "most", "most_amount": ""}, 400, "the most of amount must be a whole number from 0"),
        ({"choice_to": "most", "most_to": "5"}, 422, "`to` is no whole number"),
        ({"hours": "9"}, 422, "between a minute and 8 h from now"),
        ({"hours": "x"}, 400, "the number of hours must be a whole number"),
    ],
)
def test_choices_that_make_no_sense_are_refused_with_a_sentence(scene, lead, named, status, why):
    call = scene.hold(fresh("pay"))
    hours = {"hours": named.pop("hours")} if "hours" in named else {"hours": "1"}
    answer = lead.post(f"/inbox/{call}/grant", form_of(lead, call) | choices(**named) | hours)
    assert answer.status_code == status and why in words(answer.text)
    assert scene.state(call) == "held"


def test_who_may_not_give_or_revoke_does_not(scene, lead):
    call = scene.hold(fresh("pay"))
    outsider, auditor = Page(scene, "outsider"), Page(scene, "auditor")
    for page in (outsider, auditor, Page(scene, "boss")):
        assert shown(page, call).status_code == 403
    found = shown(lead, call)
    assert given(lead, call, found).status_code == 303
    grant = re.findall(r'action="/inbox/grants/(grant-\w+)/revoke"', lead.get("/inbox/grants").text)[0]
    for page in (outsider, auditor):
        assert "/revoke" not in page.get("/inbox/grants").text
        assert page.post(f"/inbox/grants/{grant}/revoke", {"csrf": page.csrf()}).status_code == 403
    assert lead.post("/inbox/grants/grant-00/revoke", {"csrf": lead.csrf()}).status_code == 404


def test_a_form_from_elsewhere_grants_and_revokes_nothing(scene, lead):
    call = scene.hold(fresh("pay"))
    found = shown(lead, call)
    body = fields(found.text) | {"confirm": re.findall(r'name="confirm" value="([^"]+)"', found.text)[0]}
    assert lead.post(f"/inbox/{call}/grant", body, origin="https://evil.example").status_code == 403
    assert lead.post(f"/inbox/{call}/grant", body | {"csrf": "x"}).status_code == 403
    assert lead.post("/inbox/grants/x/revoke", {"csrf": "x"}).status_code == 403
    assert Page(scene).get("/inbox/grants").status_code == 303
    assert scene.state(call) == "held"
    assert lead.get(f"/inbox/{call}/grant", params=body | {"step": "give"}).status_code == 200
    assert scene.state(call) == "held", "a GET never decides anything"


def test_what_an_agent_wrote_is_text_on_this_page_too(scene, lead):
    sly = '"><script>alert(1)</script>\u202e' + fresh("x")
    call = scene.hold(sly)
    for text in (lead.get(f"/inbox/{call}/grant", params={"group": "finance"}).text, shown(lead, call).text):
        assert "<script>alert" not in text and "\u202e" not in text


def test_a_quorum_and_a_group_without_grants(scene, lead):
    call = scene.hold(fresh("pay"), PAIR)
    assert "2 people of pair have to give the same grant" in words(shown(lead, call, "pair").text)
    brief = scene.hold(fresh("pay"), 777)
    assert f"/inbox/{brief}/grant" not in lead.get(f"/inbox/{brief}").text
    assert "brief gives no standing grants" in words(lead.get(f"/inbox/{brief}/grant?group=brief").text)
    assert "would not cover this call" in words(
        shown(lead, scene.hold(fresh("pay")), choice_amount="most", most_amount="1").text
    )


def test_what_is_destroyed_must_have_been_read_before_it_is_granted(scene, lead):
    item = fresh("item")
    call = scene.agent().delete(f"/bank/items/{item}", headers={"prefer": "wait=0"}).json()["call"]
    found = lead.post(f"/inbox/{call}/grant", form_of(lead, call) | {"choice:item": "same", "hours": "1"})
    assert 'name="sure"' in found.text
    refused = given(lead, call, found)
    assert refused.status_code == 400 and "tick that you have read it" in refused.text
    assert scene.state(call) == "held" and scene.upstream.seen(item) == []
    confirm = re.findall(r'name="confirm" value="([^"]+)"', found.text)
    sure = fields(found.text) | {"confirm": confirm, "sure": "yes"}
    assert lead.client.post(f"/inbox/{call}/grant", data=sure, headers={"origin": lead.origin}).status_code == 303
    eventually(lambda: scene.state(call) == "answered")
