"""The page over real sockets, as somebody with a browser and without scripts uses it."""

import html
import re
import time
from contextlib import suppress

import httpx
import pytest

from tests.console.page_client import Page, words
from tests.gateway_process import bearer, eventually, key_of, token_of
from tests.gateway_world import BOTH, BRIEF, HELD, PAIR, world
from tests.processes import PATIENCE_SECONDS
from tests.scripted_upstream import answer, fresh, resets


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def lead(scene):
    return Page(scene, "lead")


def destroys(scene, item):
    """A destructive call that is held."""
    found = scene.agent().delete(f"/bank/items/{item}", headers={"prefer": "wait=0"})
    assert found.status_code == 409, found.text
    return found.json()["call"]


@pytest.fixture(scope="module")
def strict():
    """A gateway at which everything that destroys is held."""
    policy = """
@id("ops-may") permit (principal in Team::"ops", action, resource);
@id("destroying-needs-finance") @approval("finance") @reason("What is destroyed is gone.")
forbid (principal, action in Action::"destructive", resource);
"""
    with world(policies=policy) as made:
        yield made


# --- coming in --------------------------------------------------------------------------------------------------


def test_whoever_is_not_signed_in_is_sent_there_and_back(scene):
    page, call = Page(scene), scene.hold(fresh("pay"))
    for path in ("/inbox", f"/inbox/{call}"):
        sent = page.get(path)
        assert (sent.status_code, sent.headers["location"]) == (303, f"/login?next={path}")
        asked = page.get(sent.headers["location"])
        assert f'name="next" value="{path}"' in asked.text and 'type="password"' in asked.text
    back = page.sign_in(token_of("lead"), next=f"/inbox/{call}")
    assert (back.status_code, back.headers["location"]) == (303, f"/inbox/{call}")
    assert page.get(f"/inbox/{call}").status_code == 200


@pytest.mark.parametrize("where", ["//evil.example", "https://evil.example/inbox", "/inbox/../logout", "/inbox\n", ""])
def test_signing_in_leads_to_our_own_pages_only(scene, where):
    assert Page(scene).sign_in(token_of("lead"), next=where).headers["location"] == "/inbox"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(scene):
    cookie = Page(scene).sign_in(token_of("lead")).headers["set-cookie"]
    name, *attributes = [part.strip() for part in cookie.split(";")]
    assert name.startswith("gateway=") and len(name) > 40
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"} == set(attributes)


def test_behind_https_the_cookie_is_for_encrypted_pages_of_this_host_only():
    with world(settings={"GATEWAY_CONTROL_URL": "https://gateway.acme.example"}) as made:
        page = Page(made, origin="https://gateway.acme.example")
        cookie = page.sign_in(token_of("lead")).headers["set-cookie"]
    assert cookie.startswith("__Host-gateway=") and "; Secure" in cookie


def test_a_wrong_token_and_an_agents_key_get_their_sentence_and_no_session(scene):
    for token, status, said in (
        ("gp_nobodys", 401, "belongs to nobody"),
        (key_of("bot"), 403, "the gateway key of the agent 'bot'"),
        ("", 401, "belongs to nobody"),
    ):
        found = Page(scene).sign_in(token)
        assert found.status_code == status and said in words(found.text) and "set-cookie" not in found.headers


def test_failed_sign_ins_are_limited():
    with world() as made:
        page = Page(made)
        found = [page.sign_in("gp_wrong").status_code]
        while found[-1] == 401 and len(found) < 40:  # on a machine on which eleven take seconds one more is let in
            found.append(page.sign_in("gp_wrong").status_code)
        assert len(found) >= 11 and found == [401] * (len(found) - 1) + [429]
        late = page.sign_in(key_of("bot"))
        assert late.status_code == 429 and int(late.headers["retry-after"]) >= 1 and "seconds" in late.text
        # Behind a proxy all people share an address with every stranger, who must not keep them from deciding.
        assert page.sign_in(token_of("lead")).status_code == 303


def test_a_session_is_made_at_sign_in_and_never_taken_from_a_request(scene):
    page = Page(scene)
    page.client.cookies.set("gateway", "chosen-by-somebody-else", domain="127.0.0.1")
    assert page.get("/inbox").status_code == 303
    first = page.sign_in(token_of("lead")).headers["set-cookie"]
    assert "chosen-by-somebody-else" not in first
    old = page.client.cookies["gateway"]
    second = page.sign_in(token_of("second")).headers["set-cookie"]
    assert second.split(";")[0] != first.split(";")[0]
    page.client.cookies.clear()
    page.client.cookies.set("gateway", old, domain="127.0.0.1")
    assert page.get("/inbox").status_code == 303  # what the browser had before is over


def test_signing_out_ends_the_session_everywhere(scene):
    page = Page(scene, "lead")
    cookie = page.client.cookies["gateway"]
    csrf = page.csrf()
    assert page.get("/logout").status_code == 405
    assert page.post("/logout", {"csrf": "another"}).status_code == 403
    assert page.get("/inbox").status_code == 200
    assert page.post("/logout", {"csrf": csrf}).status_code == 303
    page.client.cookies.clear()
    page.client.cookies.set("gateway", cookie, domain="127.0.0.1")
    assert page.get("/inbox").status_code == 303


def test_a_session_survives_a_restart_and_ends_with_the_token():
    with world() as made:
        page = Page(made, "lead")
        made.gateway.restart()
        page.client.base_url = page.control = page.origin = made.gateway.control
        assert page.get("/inbox").status_code == 200
        made.gateway.edit_routes(lambda routes: routes["people"]["lead"].update(tokens=[]))
        assert page.get("/inbox").status_code == 303


@pytest.mark.parametrize("headers", [{}, bearer(token_of("lead")), bearer(key_of("bot"))])
def test_the_page_knows_its_cookie_only(scene, headers):
    found = httpx.get(f"{scene.gateway.control}/inbox", headers=headers, trust_env=False, timeout=60)
    assert found.status_code == 303


def test_the_page_is_not_on_the_agents_port(scene):
    for path in ("/inbox", "/login", "/static/console.css"):
        assert scene.agent().get(path).status_code in (403, 404)


# --- the inbox ----------------------------------------------------------------------------------------------------


def test_the_inbox_shows_what_this_person_may_decide_and_the_next_to_expire_first():
    def change(routes):
        routes["approvals"]["brief"]["expire"] = "30m"
        routes["approvals"]["pair"]["expire"] = "1s"

    with world(change=change) as made:
        lead, boss, outsider, auditor = (Page(made, name) for name in ("lead", "boss", "outsider", "auditor"))
        assert "Nothing waits for you" in lead.get("/inbox").text
        later = made.hold(fresh("pay"))
        first = made.hold(fresh("pay"), BRIEF)
        assert lead.inbox() == [first, later]
        assert "2 calls wait for you, 2 in all" in words(lead.get("/inbox").text)
        for other in (boss, outsider, auditor):  # owns the agent; is no member; is no approver
            assert other.inbox() == [] and "2 calls wait for other people" in words(other.get("/inbox").text)
        lead.decide(later, "reject", reason="no")
        assert lead.inbox() == [first]
        made.pay(fresh("pay"), PAIR, prefer="wait=0")  # a second later it is over
        eventually(lambda: lead.inbox() == [first], "what is over leaves the inbox")


def test_a_call_that_waits_for_others_only_is_not_in_the_inbox(scene):
    call = scene.hold(fresh("pay"), PAIR)
    lead, second = Page(scene, "lead"), Page(scene, "second")
    assert call in lead.inbox()
    lead.decide(call, "approve")
    assert call not in lead.inbox() and call in second.inbox()
    again = words(lead.get(f"/inbox/{call}").text)
    assert "It waits for 1 more of pair . Until then you may still reject it" in again and "You decide for" not in again
    assert "You decide for pair ; 1 of 2 have said yes" in words(second.get(f"/inbox/{call}").text)
    second.decide(call, "approve")
    assert second.ends(call, "Done")


# --- the card -----------------------------------------------------------------------------------------------------


def test_the_card_says_all_that_a_decision_needs(scene, lead):
    to = fresh("pay")
    before = scene.pay(to, 10).headers["gateway-call"]
    call = scene.hold(to, gateway_run="run-9", gateway_reason="The invoice is due.")
    shown = lead.get(f"/inbox/{call}").text
    told = words(shown)
    for part in (
        "bank.pay", to, str(HELD), "bot, owned by boss", "nobody in particular", "run-9", f"Account/{to}",
        "Changes something", "Payments above 10.00 need a yes from finance.", "large-needs-finance needs finance",
        "You decide for finance", "POST /payments", "59 min left",
    ):  # fmt: skip
        assert part in told, part
    assert "the words of bot, an agent" in told and "The invoice is due." in told
    assert re.search(r"SHA-256 [0-9a-f]{64} ", told) and re.search(r"Fingerprint [0-9a-f]{64} ", told)
    assert f'href="/inbox/{before}"' in shown
    assert before not in lead.get(f"/inbox/{call}/run").text and call in lead.get(f"/inbox/{call}/run").text


def test_who_may_not_decide_sees_the_card_and_why_not(scene):
    call = scene.hold(fresh("pay"))
    for name, why in (("boss", "owns 'bot'"), ("outsider", "is not a member"), ("auditor", "is not a member")):
        page = Page(scene, name)
        shown = page.get(f"/inbox/{call}").text
        assert 'decision" value' not in shown and why in words(shown)


def test_a_call_that_does_not_exist_is_a_page_that_says_so(scene, lead):
    found = lead.get("/inbox/293f39dd261db7223d3ec4e2")
    assert found.status_code == 404 and "There is no call" in words(found.text)
    assert lead.get("/static/../pages.py").status_code == 404


# --- deciding -----------------------------------------------------------------------------------------------------


def test_approve_sends_it_and_the_outcome_is_on_the_card(scene, lead):
    to = fresh("pay")
    call = scene.hold(to)
    found = lead.decide(call, "approve", reason="It is due.")
    assert (found.status_code, found.headers["location"]) == (303, f"/inbox/{call}")
    assert lead.ends(call, "Done bank answered 200. Its id there:")
    text = scene.person("auditor").get(f"/calls/{call}").text
    assert "lead approved for finance, on the page" in text and "It is due." in text
    assert len(scene.upstream.effects(to)) == 1


def test_reject_tells_the_agent_why(scene, lead):
    to = fresh("pay")
    call = scene.hold(to)
    assert lead.decide(call, "reject", reason="Ask for less.").status_code == 303
    assert "Rejected lead said no: “Ask for less.”" in lead.outcome(call)
    assert "Ask for less." in scene.agent().get(f"/calls/{call}").text and len(scene.upstream.effects(to)) == 0


def test_what_failed_and_what_is_in_doubt_say_so_and_with_whom(scene, lead):
    refused, lost = fresh("pay"), fresh("pay")
    scene.upstream.will(refused, answer(402, {"id": "ch_7"}))
    scene.upstream.will(lost, resets())
    first, second = scene.hold(refused), scene.hold(lost)
    lead.decide(first, "approve")
    lead.decide(second, "approve")
    assert lead.ends(first, "Failed bank refused it: it answered 402. Its id there: ch_7.")
    assert lead.ends(second, "In doubt")
    assert "It is with boss, who owns bank" in lead.outcome(second)


def test_a_form_that_is_sent_twice_is_one_decision(scene, lead):
    call = scene.hold(fresh("pay"), PAIR)
    form = lead.form(call) | {"decision": "approve"}
    assert [lead.post(f"/inbox/{call}/decision", form).status_code for _ in range(2)] == [303, 303]
    assert scene.timeline(call).count("Approved") == 1


def test_what_destroys_needs_a_tick_more(strict):
    page = Page(strict, "lead")
    call = destroys(strict, fresh("item"))
    assert "Destroys something" in page.get(f"/inbox/{call}").text
    found = page.decide(call, "approve")
    assert found.status_code == 400 and "tick that you have read it" in found.text
    assert f'<a class="button" href="/inbox/{call}">Back to the question</a>' in found.text
    assert "Approved" not in strict.timeline(call)
    assert page.decide(call, "approve", sure="yes").status_code == 303
    assert page.ends(call, "Done")
    other = destroys(strict, fresh("item"))
    assert page.decide(other, "reject").status_code == 303


def test_a_late_a_stale_and_an_ineligible_decision_get_their_exact_sentence(scene, lead):
    call = scene.hold(fresh("pay"))
    form = lead.form(call) | {"decision": "approve"}
    stale = lead.post(f"/inbox/{call}/decision", form | {"shown": "0" * 64})
    assert stale.status_code == 409 and "has changed since it was shown; look at it again" in words(stale.text)
    boss = Page(scene, "boss")
    csrf = boss.csrf()
    no = boss.post(f"/inbox/{call}/decision", form | {"csrf": csrf})
    assert no.status_code == 403 and "somebody else has to decide" in words(no.text)
    lead.decide(call, "reject")
    late = lead.post(f"/inbox/{call}/decision", form)
    assert late.status_code == 409 and "no longer waiting for a decision" in words(late.text)
    brief, form = eventually(lambda: offered(scene, lead))
    eventually(lambda: scene.state(brief) == "denied")
    expired = lead.post(f"/inbox/{brief}/decision", form)
    assert expired.status_code == 409 and re.search("time to decide|no longer waiting", words(expired.text))
    gone = lead.post("/inbox/293f39dd261db7223d3ec4e2/decision", form)
    assert gone.status_code == 404
    for one in (call, brief):
        assert "Approved" not in scene.timeline(one)


def offered(scene, page):
    """A call of which nobody has more than a second to decide, and the form of its card; None if that was too short."""
    call = scene.pay(fresh("pay"), BRIEF, prefer="wait=0").json()["call"]
    with suppress(IndexError):
        return call, page.form(call) | {"decision": "approve"}
    return None


def test_identical_questions_are_one_line_and_are_decided_together(scene, lead):
    to = fresh("pay")
    calls = [scene.hold(to, gateway_run=f"run-{number}") for number in range(3)]
    other = scene.hold(to, HELD + 1)
    shown = lead.inbox()
    assert len(set(calls) & set(shown)) == 1 and other in shown
    assert "3 identical" in words(lead.get("/inbox").text)
    found = lead.decide(calls[1], "approve-all")
    assert found.status_code == 200 and words(found.text).count("Your approval is recorded.") == 3
    assert all(lead.ends(call, "Done") for call in calls)
    assert scene.state(other) == "held" and len(scene.upstream.effects(to)) == 3


def test_of_several_one_that_moved_on_says_so_and_the_others_are_recorded(scene, lead):
    to = fresh("pay")
    calls = [scene.hold(to, gateway_run=f"run-{number}") for number in range(2)]
    form = lead.form(calls[0]) | {"decision": "reject-all"}
    lead.decide(calls[1], "reject")
    found = lead.post(f"/inbox/{calls[0]}/decision", form)
    assert found.status_code == 409
    told = words(found.text)
    assert f"{calls[0]} Your rejection is recorded." in told
    assert f"{calls[1]} Nothing was recorded: this call is no longer waiting" in told


def test_one_of_identical_questions_may_be_decided_alone(scene, lead):
    to = fresh("pay")
    calls = [scene.hold(to, gateway_run=f"run-{number}") for number in range(2)]
    assert lead.decide(calls[0], "reject").status_code == 303
    assert [scene.state(call) for call in calls] == ["denied", "held"]


def test_somebody_in_two_groups_decides_for_each_in_its_own_form(scene, lead):
    call = scene.hold(fresh("pay"), BOTH)
    assert {lead.form(call, 0)["group"], lead.form(call, 1)["group"]} == {"finance", "legal"}
    with pytest.raises(IndexError):
        lead.form(call, 2)


def test_next_leads_through_the_inbox(lead, scene):
    for number in range(2):
        scene.hold(fresh(f"pay{number}"))
    first, second, *_ = lead.inbox()
    assert f'href="/inbox/{second}" data-key="n"' in lead.get(f"/inbox/{first}").text
    last = lead.inbox()[-1]
    assert f'href="/inbox/{first}" data-key="n"' in lead.get(f"/inbox/{last}").text


# --- against a browser that is used by others ---------------------------------------------------------------------


def test_a_get_never_decides(scene, lead):
    call = scene.hold(fresh("pay"))
    form = lead.form(call) | {"decision": "approve"}
    assert lead.get(f"/inbox/{call}/decision", params=form).status_code == 405
    for path in (f"/inbox/{call}", "/inbox", f"/inbox/{call}/run"):
        lead.get(path, params=form)
        lead.client.head(path, params=form)
    assert set(scene.timeline(call)) <= {"Admitted", "Judged", "Asked", "Notified", "Viewed"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1"])
def test_a_form_from_elsewhere_changes_nothing(scene, lead, origin):
    call = scene.hold(fresh("pay"))
    form = lead.form(call) | {"decision": "approve"}
    headers = {"origin": origin} if origin else {}
    found = lead.client.post(f"/inbox/{call}/decision", data=form, headers=headers)
    assert found.status_code == 403 and "not sent from the gateway" in words(found.text)
    found = lead.client.post("/login", data={"token": token_of("second")}, headers=headers)
    assert found.status_code == 403 and "set-cookie" not in found.headers
    assert "Approved" not in scene.timeline(call)


@pytest.mark.parametrize("wrong", ["", "x", "another"])
def test_a_form_without_this_sessions_token_changes_nothing(scene, lead, wrong):
    call = scene.hold(fresh("pay"))
    form = lead.form(call) | {"decision": "approve"}
    csrf = Page(scene, "lead").form(call)["csrf"] if wrong == "another" else wrong
    found = lead.post(f"/inbox/{call}/decision", form | {"csrf": csrf})
    assert found.status_code == 403 and "another session" in words(found.text)
    assert "Approved" not in scene.timeline(call)


def test_a_decision_of_somebody_who_is_signed_out_is_not_lost_silently(scene):
    call = scene.hold(fresh("pay"))
    found = Page(scene).post(f"/inbox/{call}/decision", {"decision": "approve"})
    assert found.status_code == 401 and "no longer signed in, so nothing was recorded" in words(found.text)
    assert f'name="next" value="/inbox/{call}"' in found.text


def test_what_is_no_form_of_ours_is_refused(scene, lead):
    call = scene.hold(fresh("pay"))
    form = lead.form(call)
    path, origin = f"/inbox/{call}/decision", {"origin": lead.origin}
    kinds = {"content-type": "text/plain"}, {"content-type": "application/json"}
    for headers in kinds:
        assert lead.client.post(path, content=b"decision=approve", headers=origin | headers).status_code == 400
    for change in ({"decision": "maybe"}, {"decision": "approve", "reason": "x" * 2001}):
        assert lead.post(path, form | change).status_code == 400
    twice = "&".join(f"{name}={value}" for name, value in form.items()) + "&decision=reject&decision=approve"
    headers = origin | {"content-type": "application/x-www-form-urlencoded"}
    assert lead.client.post(path, content=twice, headers=headers).status_code == 400
    assert lead.client.post(path, content=b"x=" + b"a" * 70_000, headers=headers).status_code == 413
    assert set(scene.timeline(call)) <= {"Admitted", "Judged", "Asked", "Notified", "Viewed"}


def test_every_answer_carries_the_headers(scene, lead):
    call = scene.hold(fresh("pay"))
    nobody = Page(scene)
    for found in (
        nobody.get("/login"), nobody.get("/inbox"), nobody.sign_in("gp_wrong"), nobody.get("/"), lead.get("/inbox"),
        lead.get(f"/inbox/{call}"), lead.get("/inbox/none"), lead.post(f"/inbox/{call}/decision", {}),
        lead.get("/static/console.css"), lead.get("/static/none"), lead.get("/inbox?part=list"),
    ):  # fmt: skip
        policy = dict(part.strip().split(" ", 1) for part in found.headers["content-security-policy"].split(";"))
        assert policy.pop("default-src") == policy.pop("frame-ancestors") == policy.pop("base-uri") == "'none'"
        assert set(policy.values()) == {"'self'"}
        assert found.headers["x-content-type-options"] == "nosniff" and found.headers["x-frame-options"] == "DENY"
        assert found.headers["referrer-policy"] == "same-origin" and found.headers["cache-control"] == "no-store"


def test_static_files_are_kept_under_the_address_that_names_their_content(lead):
    (address,) = re.findall(r'href="(/static/console.css\?v=\w+)"', lead.get("/inbox").text)
    assert "immutable" in lead.get(address).headers["cache-control"]
    assert lead.get("/static/console.css?v=old").headers["cache-control"] == "no-store"


HOSTILE = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "{{ 7*7 }}",
    "</dd></dl>", "javascript:alert(1)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_html_from_an_agent_is_text(scene, lead, text):
    body = {"to": f"{text} {fresh('pay')}", "amount": HELD, "note": text}
    headers = {"prefer": "wait=0", "gateway-reason": text, "gateway-run": "run-h"}
    call = scene.agent().post("/bank/payments", json=body, headers=headers).json()["call"]
    for path in (f"/inbox/{call}", "/inbox", f"/inbox/{call}/run"):
        shown = lead.get(path).text
        assert text in html.unescape(shown)
        assert text not in shown or not set(text) & set("<>'\"")
    lead.decide(call, "reject", reason=text)
    assert text in html.unescape(lead.get(f"/inbox/{call}").text) and "<script>" not in lead.get(f"/inbox/{call}").text


def test_characters_that_cannot_be_seen_or_move_others_are_shown_by_number(scene, lead):
    hidden = "\x1b[31mred\u202eTXT\u2066\u200bA\u00adB\u3164C\U000e0041\x07\x9b1m"
    body = {"to": fresh("pay"), "amount": HELD, "note": hidden}
    call = scene.agent().post("/bank/payments", json=body, headers={"prefer": "wait=0"}).json()["call"]
    shown = lead.get(f"/inbox/{call}").text
    assert not set(hidden) & set(shown) - set("[31mredTXTABC1m")
    numbers = ("1B", "202E", "2066", "200B", "AD", "3164", "E0041", "7", "9B")
    for number in numbers:
        assert f"⟨U+{number:0>4}⟩" in shown


def test_a_long_argument_is_there_to_its_last_character(scene, lead):
    long = "begin " + "x" * 50_000 + " the end"
    body = {"to": fresh("pay"), "amount": HELD, "note": long}
    call = scene.agent().post("/bank/payments", json=body, headers={"prefer": "wait=0"}).json()["call"]
    shown = lead.get(f"/inbox/{call}").text
    assert long in shown and "50,014 characters; show all of them" in shown


# --- live ---------------------------------------------------------------------------------------------------------


def stream(page, path):
    return page.client.stream("GET", path)


def test_an_open_page_hears_of_a_new_question_and_of_a_decision(scene, lead):
    with stream(lead, "/inbox/events") as inbox:
        assert inbox.headers["content-type"].startswith("text/event-stream") and inbox.status_code == 200
        told = inbox.iter_lines()
        assert next(told).startswith("retry:")
        call = scene.hold(fresh("pay"))
        assert next(line for line in told if line.startswith("event")) == "event: changed"
        with stream(lead, f"/inbox/events?call={call}") as card:
            told = card.iter_lines()
            next(told)
            Page(scene, "second").decide(call, "reject")
            assert next(line for line in told if line.startswith("event")) == "event: changed"


def test_streams_are_for_people_who_are_signed_in(scene):
    assert Page(scene).get("/inbox/events").status_code == 303
    asked = Page(scene, "lead").client.head("/inbox/events")
    assert (asked.status_code, asked.content) == (200, b"")


def test_a_part_replaces_the_form_only_when_there_is_nothing_or_something_else_to_decide(scene, lead):
    call = scene.hold(fresh("pay"))
    (address,) = re.findall(r'hx-get="([^"]+)"', lead.get(f"/inbox/{call}").text)
    address = html.unescape(address)
    same = lead.get(address).text
    assert "59 min left" in same and "decide" not in same and 'name="shown"' not in same
    other = lead.get(re.sub("shown=.*", "shown=another", address)).text
    assert "The question has changed since you opened it." in words(other) and 'name="shown"' not in other
    Page(scene, "second").decide(call, "reject", reason="No.")
    over = lead.get(address).text
    assert "second said no" in words(over) and '<div id="decide" hx-swap-oob="true"></div>' in over


def test_who_else_has_it_open_is_on_the_card(scene, lead):
    call = scene.hold(fresh("pay"))
    assert "Also open" not in lead.outcome(call)
    second = Page(scene, "second")
    assert "Also open at lead." in second.outcome(call) and "Also open at second." in lead.outcome(call)


def test_a_stream_does_not_keep_the_gateway_from_stopping():
    with world() as made:
        page = Page(made, "lead")
        with stream(page, "/inbox/events") as inbox:
            told = inbox.iter_lines()  # kept, or the stream would be closed here
            next(told)
            begun = time.monotonic()
            made.gateway.process.terminate()
            made.gateway.process.wait(PATIENCE_SECONDS)
            assert time.monotonic() - begun < 24  # the time of grace is 25
