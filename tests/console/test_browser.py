"""The page in a real Chromium: what only a browser can show. Content security, scripts, keys, live changes, layout.

CI installs Debian's chromium; where there is none the tests say so and are skipped.
"""

import re
import shutil
from contextlib import contextmanager

import pytest

from tests.console.page_client import Page as Plain
from tests.gateway_process import eventually, token_of
from tests.gateway_world import HELD, PAIR, world
from tests.processes import PATIENCE_SECONDS
from tests.scripted_upstream import fresh

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")

SMALL = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 900}}
POLICIES = """
@id("ops-may") permit (principal in Team::"ops", action, resource);
@id("large-needs-finance") @approval("finance") @reason("Payments above 10.00 need a yes from finance.")
forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount > 1000 && context.input.amount != 8888 };
@id("two-people") @approval("pair") forbid (principal, action == Action::"bank.pay", resource)
when { context.input.amount == 8888 };
@id("destroying-needs-finance") @approval("finance") @reason("What is destroyed is gone.")
forbid (principal, action in Action::"destructive", resource);
"""


@pytest.fixture(scope="module")
def scene():
    with world(policies=POLICIES) as made:
        yield made


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=1000 * PATIENCE_SECONDS
        )
        yield browser
        browser.close()


def destroys(scene):
    """A call that would destroy something, and waits for finance."""
    found = scene.agent().delete(f"/bank/items/{fresh('item')}", headers={"prefer": "wait=0"})
    return found.json()["call"]


@contextmanager
def opened(chromium, scene, name="lead", **how):
    """A page of somebody who is signed in. Whatever the browser complains of fails the test."""
    complaints: list[str] = []
    context = chromium.new_context(base_url=scene.gateway.control, **(how or DESK))
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_SECONDS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else 0)
    page.on("requestfailed", lambda request: complaints.append(request.url) if blocked(request.failure) else 0)
    page.on(
        "request", lambda request: complaints.append(request.url) if scene.gateway.control not in request.url else 0
    )
    page.goto("/")
    page.fill("#token", token_of(name))
    page.click("text=Sign in >> nth=-1")
    page.wait_for_url("**/inbox")
    yield page
    context.close()
    assert complaints == []


def blocked(failure):
    """Not what the browser gave up because somebody went to another page."""
    return "ERR_ABORTED" not in str(failure)


def focused(page):
    return page.evaluate("document.activeElement.innerText || document.activeElement.name")


def test_a_new_question_and_its_end_appear_by_themselves(chromium, scene):
    with opened(chromium, scene) as page:
        to = fresh("pay")
        call = scene.hold(to)
        row = page.locator(f"[href='/inbox/{call}']")
        row.wait_for()
        Plain(scene, "second").decide(call, "reject")
        row.wait_for(state="detached")


def test_keys_move_the_focus_and_only_enter_decides(chromium, scene):
    calls = [scene.hold(fresh("pay")) for _ in range(3)]
    with opened(chromium, scene) as page:
        page.keyboard.press("j")
        first = page.evaluate("document.activeElement.getAttribute('href')")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('href')") != first
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.getAttribute('href')") == first
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{first}")
        page.goto(f"/inbox/{calls[1]}")
        for key, what in (("a", "Approve"), ("r", "reason")):
            page.keyboard.press(key)
            assert focused(page) == what
        page.keyboard.type("a n e r")  # in a field a letter is a letter
        assert page.input_value("[name=reason]") == "a n e r" and page.url.endswith(calls[1])
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        assert focused(page) == "Change something and approve that"
        assert "Approved" not in scene.timeline(calls[1])
        page.keyboard.press("a")
        page.keyboard.press("Enter")
        page.locator(".outcome.good").wait_for()
        assert "Approved" in scene.timeline(calls[1])
        page.goto(f"/inbox/{calls[0]}")
        page.keyboard.press("n")
        page.wait_for_url(re.compile(f"/inbox/(?!{calls[0]})"))


def test_an_open_card_shows_who_looks_and_the_outcome_and_loses_its_buttons(chromium, scene):
    call = scene.hold(fresh("pay"), PAIR)
    with opened(chromium, scene) as page, opened(chromium, scene, "second") as other:
        page.goto(f"/inbox/{call}")
        other.goto(f"/inbox/{call}")
        assert "Also open at lead." in other.inner_text("#live")
        other.click("button.approve >> nth=0")
        page.locator("text=second said yes for pair").wait_for()
        assert page.locator("button.approve").count() > 0  # one more is wanted, and it is the same question
        Plain(scene, "second").decide(call, "reject")
        page.locator("text=second said no").wait_for()
        page.wait_for_function("document.querySelectorAll('#decide button').length === 0")


def test_what_destroys_is_ticked_first_by_keyboard(chromium, scene):
    call = destroys(scene)
    with opened(chromium, scene) as page:
        page.goto(f"/inbox/{call}")
        page.keyboard.press("a")
        assert focused(page) == "sure"
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.click("button.approve >> nth=0")
        page.locator(".outcome.good").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [SMALL, PHONE, DESK], ids=["small", "phone", "desk"])
def test_nothing_is_wider_than_the_screen_and_all_can_be_read(chromium, scene, screen, scheme):
    body = {"to": "x" * 300, "amount": HELD, "note": "word " * 100}
    call = scene.agent().post("/bank/payments", json=body, headers={"prefer": "wait=0"}).json()["call"]
    with opened(chromium, scene, color_scheme=scheme, **screen) as page:
        for path in ("/inbox", f"/inbox/{call}"):
            page.goto(path)
            # Of a page that is too wide, a phone makes the window wider.
            assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
            who = page.locator(".bar .who")
            assert who.evaluate("element => element.scrollWidth <= element.clientWidth"), "as whom one decides is whole"
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate("[...document.querySelectorAll('input:not([type=hidden]), textarea, select')]"
                                 ".filter((it) => !it.labels.length).length") == 0  # fmt: skip
        shown = "[...document.querySelectorAll('main button, .row')].filter((it) => it.offsetParent)"
        assert page.evaluate(f"{shown}.filter((it) => it.offsetHeight < 44).length") == 0  # for a thumb
        assert page.get_attribute("html", "lang") == "en"


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (it) => {
    for (; it; it = it.parentElement) {
      const found = rgb(getComputedStyle(it).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
  };
  const poor = [];
  for (const it of document.querySelectorAll("body *")) {
    if (![...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || !it.offsetParent) continue;
    if (it.matches(".skip") || !ground(it)) continue;
    const [a, b] = [light(rgb(getComputedStyle(it).color)), light(ground(it))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${it.className} ${it.textContent.trim().slice(0, 30)}`);
  }
  return poor;
}"""
"""What has less contrast than WCAG AA asks of text."""


def test_scripts_from_arguments_do_not_run(chromium, scene):
    text = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    body = {"to": text, "amount": HELD, "note": text}
    headers = {"prefer": "wait=0", "gateway-reason": text}
    call = scene.agent().post("/bank/payments", json=body, headers=headers).json()["call"]
    with opened(chromium, scene) as page:
        for path in ("/inbox", f"/inbox/{call}"):
            page.goto(path)
            page.wait_for_timeout(300)
            assert page.title() != "owned" and page.locator("main img, main script").count() == 0
            assert text in page.inner_text("main")


def test_a_forgotten_tick_is_asked_for_where_one_is_and_a_no_needs_none(chromium, scene):
    call = destroys(scene)
    with opened(chromium, scene, **PHONE) as page:
        page.goto(f"/inbox/{call}")
        page.fill("textarea >> nth=0", "not this one")
        page.click("button.approve >> nth=0")
        assert page.url.endswith(f"/inbox/{call}") and page.input_value("textarea >> nth=0") == "not this one"
        assert page.locator("input[name=sure]:invalid").count() == 1 and scene.state(call) == "held"
        page.click("button.reject >> nth=0")
        page.locator("text=lead said no").wait_for()


def test_no_other_page_may_frame_it(chromium, scene):
    context = chromium.new_context()
    page = context.new_page()
    page.set_content(f"<iframe src='{scene.gateway.control}/login'></iframe>")
    page.wait_for_timeout(1000)
    assert page.frames[1].locator("form").count() == 0
    context.close()


def test_it_is_decided_without_scripts(chromium, scene):
    to = fresh("pay")
    call = scene.hold(to)
    context = chromium.new_context(base_url=scene.gateway.control, java_script_enabled=False, **PHONE)
    page = context.new_page()
    page.goto(f"/inbox/{call}")
    page.fill("#token", token_of("lead"))
    page.click("button")
    assert page.url.endswith(f"/inbox/{call}") and to in page.inner_text("h1")
    page.click("button.approve >> nth=0")
    eventually(lambda: "Done" in page.inner_text("#live") or not page.reload())
    context.close()
    assert len(scene.upstream.effects(to)) == 1
