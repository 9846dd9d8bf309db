"""Signing in with an identity provider: the whole way, with oidc-provider-mock, a real one in a process of its own."""

import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.console.page_client import Page, words
from tests.gateway_process import eventually, token_of
from tests.gateway_world import world
from tests.processes import free_port
from tests.scripted_upstream import fresh


@contextmanager
def provider():
    """A provider at http://localhost, and what it knows about whom."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    origin = f"http://localhost:{port}"
    try:
        eventually(lambda: answers(origin), "the provider starts")
        yield origin
    finally:
        process.terminate()
        process.wait()


def answers(origin):
    try:
        return httpx.get(f"{origin}/.well-known/openid-configuration", trust_env=False, timeout=60).status_code == 200
    except httpx.HTTPError:
        return False


def knows(origin, subject, **claims):
    assert httpx.put(f"{origin}/users/{subject}", json=claims, trust_env=False, timeout=60).status_code == 204


def change(routes):
    people = routes["people"]
    people["lead"]["email"] = "Lead@acme.example"
    people["second"] |= {"email": "second@acme.example", "oidc": "subject-2"}
    people["boss"]["email"] = people["auditor"]["email"] = "shared@acme.example"


@pytest.fixture(scope="module")
def login():
    with provider() as origin:
        settings = {
            "GATEWAY_OIDC_ISSUER": origin, "GATEWAY_OIDC_CLIENT_ID": "gateway", "GATEWAY_OIDC_CLIENT_SECRET": "s3cret",
        }  # fmt: skip
        with world(change=change, settings=settings) as scene:
            yield scene, origin


def there_and_back(page, subject, wanted="/inbox"):
    """Where the provider sends the browser of somebody who signs in as `subject`."""
    sent = page.get(f"/login/oidc?next={wanted}")
    assert sent.status_code == 303, sent.text
    back = httpx.post(sent.headers["location"], data={"sub": subject}, trust_env=False, timeout=60)
    assert back.status_code in (302, 303), back.text
    return back.headers["location"]


def sign_in(page, subject, wanted="/inbox"):
    return page.get(there_and_back(page, subject, wanted))


def test_a_verified_address_and_a_subject_each_lead_in(login):
    scene, origin = login
    knows(origin, "subject-1", email="lead@ACME.example", email_verified=True)
    knows(origin, "subject-2", email="who@cares.example")
    call, page = scene.hold(fresh("pay")), Page(scene)
    for subject, name in (("subject-1", "lead"), ("subject-2", "second")):
        page.client.cookies.clear()
        assert "Sign in with your organisation" in page.get("/login").text
        found = sign_in(page, subject, f"/inbox/{call}")
        assert (found.status_code, found.headers["location"]) == (303, f"/inbox/{call}")
        assert f'class="who">{name}<' in page.get(f"/inbox/{call}").text
    assert page.decide(call, "reject").status_code == 303
    assert "second rejected for finance, on the page" in scene.person("auditor").get(f"/calls/{call}").text


@pytest.mark.parametrize(
    ("subject", "claims"),
    [
        ("s-3", {"email": "lead@acme.example"}), ("s-4", {"email": "lead@acme.example", "email_verified": False}),
        ("s-5", {"email": "nobody@acme.example", "email_verified": True}), ("s-6", {}),
        ("s-7", {"email": "second@acme.example", "email_verified": True}),
        ("s-8", {"email": "shared@acme.example", "email_verified": True}),
    ],
)  # fmt: skip
def test_whoever_is_nobody_here_or_several_stays_outside(login, subject, claims):
    scene, origin = login
    knows(origin, subject, **claims)
    page = Page(scene)
    found = sign_in(page, subject)
    assert found.status_code == 403 and "no one person in routes.yaml is" in words(found.text)
    assert page.get("/inbox").status_code == 303


def test_an_answer_belongs_to_the_browser_that_asked_and_is_good_once(login):
    scene, origin = login
    knows(origin, "subject-1", email="lead@acme.example", email_verified=True)
    page, other = Page(scene), Page(scene)
    back = there_and_back(page, "subject-1")
    stolen = other.get(back)
    assert stolen.status_code == 400 and "not begun in this browser" in words(stolen.text)
    there_and_back(other, "subject-1")
    assert other.get(back).status_code == 400 and other.get("/inbox").status_code == 303  # a sign-in, but another's
    assert page.get(re.sub(r"state=[^&]+", "state=x", back)).status_code == 400
    assert page.get(back).status_code == 400  # and now it is used up
    back = there_and_back(page, "subject-1")
    assert page.get(back).status_code == 303
    assert page.get(back).status_code == 400


def test_a_code_that_the_provider_did_not_give_and_a_refusal_open_nothing(login):
    scene, _ = login
    page = Page(scene)
    back = there_and_back(page, "subject-1")
    made_up = page.get(re.sub(r"code=[^&]+", "code=made-up", back))
    assert made_up.status_code == 403 and "answer is refused" in words(made_up.text)
    sent = page.get("/login/oidc").headers["location"]
    state = parse_qs(urlsplit(sent).query)["state"][0]
    denied = page.get(f"/login/oidc/return?error=access_denied&state={state}")
    assert denied.status_code == 403 and "did not let you in" in words(denied.text)
    assert page.get("/inbox").status_code == 303


def test_what_binds_a_sign_in_is_out_of_reach_of_scripts_and_short_lived(login):
    scene, _ = login
    cookie = Page(scene).get("/login/oidc").headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=600" in cookie


def test_signing_in_begins_a_new_session_and_tokens_go_on_working(login):
    scene, origin = login
    knows(origin, "subject-1", email="lead@acme.example", email_verified=True)
    page = Page(scene, "second")
    before = page.client.cookies["gateway"]
    sign_in(page, "subject-1")
    assert page.client.cookies["gateway"] != before and 'class="who">lead<' in page.get("/inbox").text
    assert Page(scene).sign_in(token_of("second")).status_code == 303


def test_the_session_ends_when_routes_no_longer_name_that_person(tmp_path):
    with provider() as origin:
        knows(origin, "subject-1", email="lead@acme.example", email_verified=True)
        secret = tmp_path / "secret"
        secret.write_text("s3cret\n")
        settings = {"GATEWAY_OIDC_ISSUER": origin, "GATEWAY_OIDC_CLIENT_ID": "gateway"}
        settings |= {"GATEWAY_OIDC_CLIENT_SECRET_FILE": str(secret)}
        with world(change=change, settings=settings) as scene:
            page = Page(scene)
            sign_in(page, "subject-1")
            assert page.get("/inbox").status_code == 200
            scene.gateway.edit_routes(lambda routes: routes["people"]["lead"].update(email="new@acme.example"))
            assert page.get("/inbox").status_code == 303


def test_without_a_provider_there_is_no_such_way_in():
    with world() as scene:
        page = Page(scene)
        assert "organisation" not in page.get("/login").text
        assert page.get("/login/oidc").status_code == page.get("/login/oidc/return").status_code == 404


def test_a_provider_that_is_away_leaves_the_token():
    issuer = f"http://localhost:{free_port()}"
    with world(settings={"GATEWAY_OIDC_ISSUER": issuer, "GATEWAY_OIDC_CLIENT_ID": "gateway"}) as scene:
        begun, page = time.monotonic(), Page(scene)
        found = page.get("/login/oidc")
        assert found.status_code == 502 and "cannot be used: it cannot be reached" in words(found.text)
        assert time.monotonic() - begun < 30  # it is given up long before a browser would
        assert page.sign_in(token_of("lead")).status_code == 303


def begun(page, **headers):
    """The address to come back to with a code that the provider did not give; or what is said instead."""
    found = page.get("/login/oidc", headers=headers)
    if found.status_code != 303:
        return found
    state = parse_qs(urlsplit(found.headers["location"]).query)["state"][0]
    return f"/login/oidc/return?code=made-up&state={state}"


def failing(page, **headers):
    back = begun(page, **headers)
    return page.get(back, headers=headers) if isinstance(back, str) else back


def held_up(ask):
    """What is said at last to whoever fails again and again, however slow that is; at first ten are let try."""
    found = [ask() for _ in range(10)]
    assert 429 not in [each.status_code for each in found]
    for _ in range(100):
        found.append(ask())
        if found[-1].status_code == 429:
            assert 1 <= int(found[-1].headers["retry-after"]) <= 6
            return words(found[-1].text)
    raise AssertionError(f"nobody is made to wait: {[each.status_code for each in found]}")


def test_strangers_behind_the_same_proxy_keep_nobody_from_signing_in():
    with provider() as origin:
        knows(origin, "subject-1", email="lead@acme.example", email_verified=True)
        settings = {"GATEWAY_OIDC_ISSUER": origin, "GATEWAY_OIDC_CLIENT_ID": "gateway"}
        settings |= {"GATEWAY_OIDC_CLIENT_SECRET": "s3cret", "GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
        with world(change=change, settings=settings) as scene:
            stranger, page = Page(scene), Page(scene)
            page.client.headers["x-forwarded-for"] = "198.51.100.8"
            here = {"x-forwarded-for": "203.0.113.1, 198.51.100.7"}
            held_up(lambda: stranger.post("/login", {"token": "gp_wrong"}, **here))
            assert page.post("/login", {"token": "gp_wrong"}).status_code == 401
            assert "use your token now" in held_up(lambda: failing(stranger, **here)), "failed tokens do not count here"
            assert sign_in(page, "subject-1").headers["location"] == "/inbox"
            token = stranger.post("/login", {"token": token_of("second")}, **here)
            assert token.status_code == 303 and stranger.get("/inbox").status_code == 200


def test_who_is_no_proxy_of_ours_does_not_choose_an_address(login):
    page, numbers = Page(login[0]), iter(range(200))
    earlier = [(browser, begun(browser)) for browser in (Page(login[0]) for _ in range(12))]
    held_up(lambda: failing(page, **{"x-forwarded-for": f"198.51.100.{next(numbers)}"}))
    assert 429 in [browser.get(back).status_code for browser, back in earlier], "nor by having begun before"


def test_a_provider_that_is_away_counts_for_nobody():
    """It goes away while many are there to sign in."""
    with ExitStack() as running:
        origin = running.enter_context(provider())
        with world(settings={"GATEWAY_OIDC_ISSUER": origin, "GATEWAY_OIDC_CLIENT_ID": "gateway"}) as scene:
            assert failing(Page(scene)).status_code == 403
            there = [(browser, begun(browser)) for browser in (Page(scene) for _ in range(12))]
            running.close()
            found = [browser.get(back) for browser, back in there]
            assert {each.status_code for each in found} == {502}
            assert "cannot be used: it cannot be reached" in words(found[0].text)
