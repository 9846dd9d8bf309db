"""How people decided, on the page: the numbers of `GET /approvals/stats`, and which policies nobody ever refuses."""

import asyncio
import html

import pytest
from starlette.requests import Request

from gateway.console.numbers import TELLING, NumberPages
from gateway.console.sessions import Session
from gateway.core.insights import Insights
from gateway.core.routes import Person
from tests.console.page_client import Page, words
from tests.gateway_process import eventually
from tests.gateway_world import World, world
from tests.scripted_upstream import fresh

SESSION = Session(person=Person(name="ann"), id="s", csrf="c", until=1)


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


def numbers(page: Page, query: str = "") -> str:
    answer = page.get(f"/inbox/numbers{query}")
    assert answer.status_code == 200, answer.text
    return words(html.unescape(answer.text))


def test_decisions_are_counted_and_linked_from_the_inbox(scene: World):
    lead = Page(scene, "lead")
    call = scene.hold(fresh("pay"))
    assert lead.decide(call, "approve").status_code in (200, 303)
    assert 'href="/inbox/numbers"' in lead.get("/inbox").text
    told = eventually(lambda: "1 approved" in (said := numbers(lead)) and said)
    assert "large-needs-finance 1 of 1" in told and "lead 1 0" in told
    assert "7 days" in numbers(lead, "?days=7") and "not final" not in told


def test_only_for_people_who_are_signed_in(scene: World):
    assert Page(scene).get("/inbox/numbers").status_code == 303
    for odd in ("?days=0", "?days=-1", "?days=99999999999", "?days=%D9%A3", "?days=x"):
        assert "How people decided" in numbers(Page(scene, "auditor"), odd)


@pytest.mark.parametrize(("of", "shown"), [(TELLING, True), (TELLING - 1, False)])
def test_a_policy_that_is_approved_every_time_stands_out(of, shown):
    told = Insights().report(0) | {"behind": False}
    times = {"median_seconds": 1.0, "p95_seconds": 2.0}
    told["policies"] = [
        {"policy": "<b>always</b>", "of": of, "approved": of, "rejected": 0, "expired": 0, "rate": 1.0} | times
    ]

    async def report(days: int):
        return told

    scope = {"type": "http", "query_string": b"", "headers": [], "method": "GET", "path": "/inbox/numbers"}
    answer = asyncio.run(NumberPages(report).show(Request(scope), SESSION))
    text = bytes(answer.body).decode()
    assert ("does nobody look?" in text) == shown
    assert "<b>" not in text and "&lt;b&gt;always" in text
