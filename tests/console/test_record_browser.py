"""The record in a real Chromium: the picture, calls that appear by themselves, pausing, keys, phones, contrast."""

import re

import pytest

from tests.console.page_client import Page as Plain
from tests.console.test_browser import CHROMIUM, CONTRAST, DESK, PHONE, chromium, opened
from tests.gateway_process import eventually, token_of
from tests.gateway_world import HELD, world
from tests.scripted_upstream import fresh

__all__ = ["chromium"]

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")

BEYOND = """(name) => [...document.querySelectorAll(`svg.drawing.${name} text, svg.drawing.${name} .mark`)]
  .filter((it) => {
    const [a, b] = [it.getBoundingClientRect(), it.closest("svg").getBoundingClientRect()];
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  }).map((it) => it.textContent || it.getAttribute("class"))"""
"""What of a picture lies outside of it."""
FAINT = """(name) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const fill = (it) => rgb(getComputedStyle(it).fill);
  const lane = fill(document.querySelector(`svg.drawing.${name} .lane`));
  const texts = [...document.querySelectorAll(`svg.drawing.${name} text`)].map((it) => [it, 4.5]);
  const marks = [...document.querySelectorAll(`svg.drawing.${name} .mark:not(.noted)`)].map((it) => [it, 3]);
  return [...texts, ...marks].filter(([it, enough]) => {
    const [a, b] = [light(fill(it)), light(lane)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < enough;
  }).map(([it]) => it.textContent || it.getAttribute("class"));
}"""
"""What of a picture has less contrast than WCAG AA asks of text, and of shapes."""


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def approved(scene):
    call = scene.hold(fresh("pay"))
    Plain(scene, "lead").decide(call, "approve", reason="fine with me")
    eventually(lambda: scene.state(call) == "answered")
    return call


def test_calls_appear_and_change_by_themselves_until_somebody_pauses(chromium, scene):
    with opened(chromium, scene, "auditor") as page:
        page.goto("/record/live")
        call = scene.hold(fresh("pay"))
        row = page.locator(f"[href='/record/{call}']")
        row.locator(".pill.waiting").wait_for()
        Plain(scene, "lead").decide(call, "reject")
        row.locator(".pill.bad").wait_for()
        assert row.count() == 1
        page.keyboard.press("p")
        page.wait_for_url("**/record/live?paused")
        other = scene.hold(fresh("pay"))
        page.wait_for_timeout(1500)
        assert page.locator(f"[href='/record/{other}']").count() == 0
        page.keyboard.press("p")
        page.locator(f"[href='/record/{other}']").wait_for()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/record/{other}")


def test_a_story_goes_on_while_it_is_read(chromium, scene):
    call = scene.hold(fresh("pay"))
    with opened(chromium, scene, "auditor") as page:
        page.goto(f"/record/{call}")
        before = page.locator(".lines li").count()
        Plain(scene, "lead").decide(call, "approve")
        page.locator(".story .outcome.good").wait_for()
        assert page.locator(".lines li").count() > before
        assert page.locator("svg.drawing.at-desk a").count() > before - 1


def test_a_mark_leads_to_its_fact_by_mouse_and_by_keyboard(chromium, scene, approved):
    with opened(chromium, scene, "auditor") as page:
        page.goto(f"/record/{approved}")
        page.locator("svg.drawing.at-desk a[href='#fact-5']").click()
        assert page.evaluate("document.querySelector(':target').id") == "fact-5"
        page.locator("svg.drawing.at-desk a[href='#fact-1']").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.querySelector(':target').id") == "fact-1"
        label = page.locator("svg.drawing.at-desk a[href='#fact-1']").get_attribute("aria-label")
        assert label.startswith("1. bot asked for bank.pay")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_screen_and_all_can_be_read(chromium, scene, approved, screen, scheme):
    name = "at-phone" if screen is PHONE else "at-desk"
    held = scene.hold("x" * 300)
    with opened(chromium, scene, "auditor", color_scheme=scheme, **screen) as page:
        for path in ("/record", "/record?person=lead", "/record/live", f"/record/{approved}", f"/record/{held}"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate("[...document.querySelectorAll('input:not([type=hidden]), textarea, select')]"
                                 ".filter((it) => !it.labels.length).length") == 0  # fmt: skip
            shown = "[...document.querySelectorAll('main button, .callrow, main .button, .places a')]"
            assert page.evaluate(f"{shown}.filter((it) => it.offsetParent && it.offsetHeight < 44).length") == 0
            assert page.evaluate("[...document.querySelectorAll('.places a')].every((it) => it.offsetHeight < 50)")
            if page.locator("svg.drawing").count():
                assert page.evaluate(BEYOND, name) == [] and page.evaluate(FAINT, name) == []
        seen = page.evaluate("[...document.querySelectorAll('svg.drawing')].filter((it) => it.clientWidth).length")
        assert seen == 1 and page.locator(f"svg.drawing.{name}").is_visible()


def test_it_is_searched_by_keyboard(chromium, scene, approved):
    with opened(chromium, scene, "auditor") as page:
        page.goto("/record")
        page.keyboard.press("/")
        page.keyboard.type(approved[:12])
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("call="))
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/record/{approved}")


def test_it_is_read_without_scripts(chromium, scene, approved):
    context = chromium.new_context(base_url=scene.gateway.control, java_script_enabled=False, **PHONE)
    page = context.new_page()
    page.goto(f"/record/{approved}")
    page.fill("#token", token_of("auditor"))
    page.click("button")
    assert page.url.endswith(f"/record/{approved}") and "lead approved for finance" in page.inner_text("main")
    page.goto("/record")
    page.fill("[name=call]", approved[:12])
    page.click("text=Search >> nth=-1")
    assert page.locator(".callrow").count() == 1
    page.goto("/record/live")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    page.click("text=Pause")
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    context.close()


def test_scripts_from_agents_words_do_not_run(chromium, scene):
    text = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script></title></svg>"
    headers = {
        "prefer": "wait=0",
        "gateway-reason": text,
        "gateway-run": "</svg><script>document.title='owned'</script>",
    }
    body = {"to": text, "amount": HELD}
    call = scene.agent().post("/bank/payments", json=body, headers=headers).json()["call"]
    with opened(chromium, scene, "auditor") as page:
        for path in ("/record", "/record/live", f"/record/{call}"):
            page.goto(path)
            page.wait_for_timeout(300)
            assert page.title() != "owned" and page.locator("main img, main script").count() == 0
        assert text in page.inner_text("main")
