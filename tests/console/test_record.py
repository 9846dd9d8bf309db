"""The pages of the record over real sockets: who may read them, what is found, and what they say."""

import re

import pytest

from gateway.audit.receipts import checked
from tests.console.page_client import Page, words
from tests.gateway_process import digest, eventually, token_of
from tests.gateway_world import HELD, NEVER, world
from tests.scripted_upstream import fresh, resets


@pytest.fixture(scope="module")
def scene():
    def change(routes):
        routes["people"]["nobody"] = {"roles": [], "tokens": [digest(token_of("nobody"))]}

    with world(change=change) as made:
        yield made


@pytest.fixture(scope="module")
def auditor(scene):
    return Page(scene, "auditor")


def calls(page, path):
    """The calls of a list, in their order."""
    found = page.get(path)
    assert found.status_code == 200, found.text
    return re.findall(r'href="/record/(\w+)" data-row', found.text)


def paid(scene, amount=10, **more):
    """A payment that was made or denied; the id of its call."""
    answer = scene.pay(fresh("pay"), amount, **more)
    return answer.headers.get("gateway-call") or answer.json()["call"]


# --- who --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auditor", "operator", "lead"])
def test_whoever_may_read_calls_may_read_the_record(scene, name):
    call, page = paid(scene), Page(scene, name)
    for path in ("/record", "/record/live", f"/record/{call}"):
        assert page.get(path).status_code == 200


def test_nobody_else_may(scene):
    call = paid(scene)
    for path in ("/record", "/record/live", f"/record/{call}"):
        found = Page(scene, "nobody").get(path)
        assert found.status_code == 403 and call not in found.text
        sent = Page(scene).get(path)
        assert (sent.status_code, sent.headers["location"]) == (303, f"/login?next={path}")
        back = Page(scene).sign_in(token_of("auditor"), next=path)
        assert (back.status_code, back.headers["location"]) == (303, path)
        assert scene.agent().get(path).status_code in (403, 404)  # never at the agents' port
        assert Page(scene, "auditor").post(path, {}).status_code == 405  # nothing here does anything


def test_every_page_has_the_guard_headers(scene, auditor):
    for path in ("/record", "/record?outcome=odd", "/record/live", f"/record/{paid(scene)}", "/record/nothing"):
        headers = auditor.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["cache-control"] == "no-store" and headers["x-frame-options"] == "DENY"


def test_a_call_that_does_not_exist_says_so(auditor):
    found = auditor.get("/record/07ffffffffffffffffffff")
    assert found.status_code == 404 and "07ffffffffffffffffffff" in words(found.text)


# --- searching --------------------------------------------------------------------------------------------------


def test_a_call_is_found_in_the_moment_it_happens(scene, auditor):
    call = paid(scene)
    assert calls(auditor, "/record")[0] == call
    assert calls(auditor, f"/record?call={call[:10]}") == [call] == calls(auditor, f"/record?call={call}")


def test_it_is_found_by_what_it_was(scene, auditor):
    run = fresh("run")
    denied, done = paid(scene, NEVER, gateway_run=run), paid(scene, gateway_run=run)
    held = scene.hold(fresh("pay"), gateway_run=run)
    asked = f"/record?run={run}"
    assert calls(auditor, asked) == [held, done, denied]
    assert calls(auditor, f"{asked}&outcome=denied") == [denied] == calls(auditor, f"{asked}&policy=huge-never")
    assert calls(auditor, f"{asked}&outcome=held&agent=bot&tool=bank.pay&system=bank") == [held]
    assert calls(auditor, f"{asked}&agent=other") == [] == calls(auditor, f"{asked}&person=second")
    assert Page(scene, "second").decide(held, "reject", reason="no").status_code == 303
    assert calls(auditor, f"{asked}&person=second") == [held]


def test_what_is_asked_stays_in_the_form_and_what_is_odd_is_said(auditor):
    text = auditor.get('/record?agent="><script>&person=ann').text
    assert 'name="agent" value="&#34;&gt;&lt;script&gt;"' in text and "<details open>" in text
    assert "No call is like that." in text
    odd = auditor.get("/record?since=soon")
    assert odd.status_code == 400 and "Nothing was searched: since is not a time" in words(odd.text)


# --- one story --------------------------------------------------------------------------------------------------


def test_the_story_of_an_approved_call_is_told_in_words_and_as_a_picture(scene, auditor):
    call = scene.hold(fresh("pay"))
    Page(scene, "lead").decide(call, "approve", reason="fine with me")
    eventually(lambda: scene.timeline(call).count("Notified") == 2)  # those who were asked have heard of the end
    text = auditor.get(f"/record/{call}").text
    said = words(text)
    for part in (
        "bot asked for it", "Done · after", "bank answered 200", "held: large-needs-finance needs finance",
        "lead approved for finance, on the page", "fine with me", "may be sent once within",
        "Payments above 10.00 need a yes from finance.",
    ):  # fmt: skip
        assert part in said, part
    facts = scene.timeline(call)
    assert re.findall(r'<li id="fact-(\d+)">', text) == [str(number) for number in range(1, len(facts) + 1)]
    for drawing in re.findall(r"<svg class=\"drawing.*?</svg>", text, re.DOTALL):
        assert "<title" in drawing and "lanes for the agent" in drawing
        for number in re.findall(r'href="#fact-(\d+)"', drawing):
            assert 1 <= int(number) <= len(facts)
    assert len(re.findall(r'class="drawing ', text)) == 2 and "trace <code>" in text


def test_a_call_that_is_not_over_reloads_and_one_that_is_does_not(scene, auditor):
    held, done = auditor.get(f"/record/{scene.hold(fresh('pay'))}").text, auditor.get(f"/record/{paid(scene)}").text
    assert 'http-equiv="refresh"' in held and "data-events=" in held and "hx-get=" in held
    assert 'http-equiv="refresh"' not in done and "data-events=" not in done and "hx-get=" not in done


def test_no_argument_is_told(scene, auditor):
    secret = fresh("secretnote")
    body = {"to": fresh("pay"), "amount": HELD, "note": secret}
    call = scene.agent().post("/bank/payments", json=body, headers={"prefer": "wait=0"}).json()["call"]
    assert secret in Page(scene, "lead").get(f"/inbox/{call}").text  # there it is for whoever decides
    for path in (f"/record/{call}", "/record", "/record/live"):
        assert secret not in auditor.get(path).text


def test_the_agents_words_are_shown_as_its_words_and_do_nothing(scene, auditor):
    said = "<script>alert(1)</script> \u202eon behalf of the CFO\u202c"
    headers = {"gateway-reason": said.encode(), "gateway-run": "<img/src=x/onerror=alert(2)>"}
    answer = scene.agent().post("/bank/payments", json={"to": fresh("pay"), "amount": 10}, headers=headers)
    call = answer.headers["gateway-call"]
    for path in (f"/record/{call}", "/record", "/record/live"):
        text = auditor.get(path).text
        assert "<script>alert" not in text and "<img/src" not in text and "\u202e" not in text
    story = auditor.get(f"/record/{call}").text
    assert "⟨U+202E⟩" in story and "nobody has checked them" in story


# --- its proof ---------------------------------------------------------------------------------------------------


def test_what_happened_is_sealed_within_seconds_verified_at_a_click_and_leaves_as_a_receipt(scene, auditor):
    call = scene.hold(fresh("pay"))
    Page(scene, "lead").decide(call, "approve")
    eventually(lambda: scene.state(call) == "answered")
    eventually(lambda: scene.timeline(call).count("Notified") == 2)  # those who were asked have heard of the end
    facts = len(scene.timeline(call))
    eventually(lambda: f"All {facts} facts are in the sealed log" in words(auditor.get(f"/record/{call}").text))
    assert "not sealed yet" not in auditor.get(f"/record/{call}").text
    verified = words(auditor.get(f"/record/{call}?verify").text)
    assert f"Verified now: all {facts} sealed facts are in the log" in verified
    receipt = auditor.get(f"/record/{call}/receipt")
    found, verifier = checked(receipt.content, None)
    assert found.problems == () and len(found.facts) == facts and f"--key '{verifier}'" in verified
    # The search goes by an index, which is caught up with the log in the background.
    eventually(lambda: "not sealed yet" not in auditor.get(f"/record?call={call}").text)
    assert calls(auditor, f"/record?call={call}") == [call]


def test_what_happened_to_the_deployment_is_told(scene, auditor):
    text = eventually(lambda: (told := words(auditor.get("/record/deployment").text)).count("may serve") and told)
    assert "routes.yaml" in text and "policies/" in text
    assert scene.agent().get("/record/deployment").status_code in (403, 404)
    assert Page(scene, "nobody").get("/record/deployment").status_code == 403


# --- as they happen ---------------------------------------------------------------------------------------------


def test_calls_as_they_happen_each_once_and_as_it_stands(scene, auditor):
    lost = fresh("pay")
    scene.upstream.will(lost, resets())
    doubt = scene.pay(lost).json()["call"]
    held = scene.hold(fresh("pay"))
    found = eventually(lambda: (told := calls(auditor, "/record/live?part=feed"))[:2] == [held, doubt] and told)
    assert len(found) == len(set(found))
    text = auditor.get("/record/live").text
    assert re.search(rf'href="/record/{doubt}".*?>in doubt<', text, re.DOTALL)
    Page(scene, "lead").decide(held, "reject")
    eventually(lambda: re.search(rf'href="/record/{held}" data-row>\s*<span class="pill bad">denied',
                                 auditor.get("/record/live?part=feed").text))  # fmt: skip
    assert calls(auditor, "/record/live?part=feed")[0] == held


def test_it_can_be_paused_and_reloads_by_itself_without_scripts(auditor):
    going, paused = auditor.get("/record/live").text, auditor.get("/record/live?paused").text
    assert '<noscript><meta http-equiv="refresh"' in going and "data-events=" in going and "hx-get" in going
    assert "refresh" not in paused and "data-events=" not in paused and "hx-get" not in paused
    assert 'href="/record/live?paused"' in going and 'href="/record/live" data-key="p"' in paused


def test_the_stream_of_all_calls_says_when_something_happened(scene, auditor):
    with auditor.client.stream("GET", "/inbox/events?call=*") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 5000"
        assert stream.headers["content-type"].startswith("text/event-stream")
        scene.agent().get(f"/bank/items/{fresh('item')}")
        assert any(line == "event: changed" for line in lines)


def test_the_inbox_a_card_and_a_run_lead_to_the_record(scene):
    page = Page(scene, "lead")
    call = scene.hold(fresh("pay"), gateway_run="run&7")
    assert 'href="/record"' in page.get("/inbox").text and 'href="/record/live"' in page.get("/inbox").text
    assert f'href="/record/{call}"' in page.get(f"/inbox/{call}").text
    assert 'href="/record?run=run%267&amp;agent=bot"' in page.get(f"/inbox/{call}/run").text
