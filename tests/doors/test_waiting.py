"""What waits for people, over real sockets: pages of the list, and one question whole."""

import asyncio

import pytest

from gateway.adapters.embedded import embedded_url
from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.journal import RedisJournal
from tests.gateway_process import eventually
from tests.gateway_world import BOTH, BRIEF, HELD, PAIR, slug, world
from tests.scripted_upstream import fresh


@pytest.fixture(scope="module")
def scene():
    with world() as made:
        yield made


def listed(scene, **query):
    answer = scene.person("lead").get("/approvals", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def through(scene, limit):
    """Every page, one after the other."""
    page = listed(scene, limit=limit)
    pages = [page["approvals"]]
    while page["next"] is not None:
        page = listed(scene, limit=limit, after=page["next"])
        pages.append(page["approvals"])
        assert len(pages) < 99, "a page follows itself"
    return [[item["call"] for item in page] for page in pages]


def test_pages_show_everything_that_waits_once_the_soonest_to_expire_first(scene):
    mine = [scene.hold(fresh("pay"), agent=agent) for agent in ("bot", "other", "third") for _ in range(3)]
    whole = listed(scene)
    calls = [item["call"] for item in whole["approvals"]]
    assert set(mine) <= set(calls) and whole["waiting"] == len(calls) and whole["next"] is None
    ends = [item["expires_at"] for item in whole["approvals"]]
    assert ends == sorted(ends) and all(3500 < item["seconds_left"] <= 3600 for item in whole["approvals"])
    pages = through(scene, 4)
    assert [call for page in pages for call in page] == calls
    assert all(len(page) == 4 for page in pages[:-1]) and len(pages[-1]) <= 4
    page = listed(scene, limit=4)
    assert page["waiting"] == len(calls), "how many wait in all, whatever is on the page"


def test_a_list_says_in_one_line_what_is_wanted(scene):
    to = fresh("pay")
    call = scene.hold(to)
    (item,) = [item for item in listed(scene)["approvals"] if item["call"] == call]
    assert item["summary"] == f"bot wants to call bank.pay(to={to}, amount={HELD})"
    assert "input" not in item


def test_questions_that_are_one_to_a_person_have_one_key(scene):
    to, other = fresh("pay"), fresh("pay")
    mine = [scene.hold(to, gateway_run=fresh("run")) for _ in range(3)] + [scene.hold(other), scene.hold(to, BOTH)]
    keys = {item["call"]: item["same_as"] for item in listed(scene)["approvals"]}
    assert len({keys[call] for call in mine[:3]}) == 1
    assert len({keys[call] for call in mine}) == 3


def test_what_is_decided_or_over_is_listed_no_longer(scene):
    approved, rejected = scene.hold(fresh("pay")), scene.hold(fresh("pay"))
    withdrawn, expired = scene.hold(fresh("pay")), scene.pay(fresh("pay"), BRIEF, prefer="wait=0").json()["call"]
    scene.approvers.approve(approved)
    scene.approvers.reject(rejected)
    scene.agent().delete(f"/calls/{withdrawn}")
    over = {approved, rejected, withdrawn, expired}
    eventually(lambda: not over & {item["call"] for item in listed(scene)["approvals"]})


def test_what_one_of_two_approved_still_waits(scene):
    call = scene.hold(fresh("pay"), PAIR)
    notice = scene.approvers.notice(call, "pair")
    scene.approvers.post(notice, scene.approvers.decision(notice))
    eventually(lambda: call in {item["call"] for item in listed(scene)["approvals"]})
    (item,) = [item for item in listed(scene)["approvals"] if item["call"] == call]
    (vote,) = item["votes"]
    assert (vote["by"], vote["group"]) == ("lead", "pair") and vote["at"] and "webhook" in vote["via"]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"limit": "ten"}, {"limit": "²"}, {"after": "x"}, {"after": "1-"}]
)
def test_a_page_that_cannot_be_is_refused(scene, query):
    answer = scene.person("lead").get("/approvals", params=query)
    assert (
        answer.status_code == 400 and slug(answer) == "invalid-query" and next(iter(query)) in answer.json()["detail"]
    )


def test_one_question_is_shown_with_everything_that_decides_it(scene):
    to = fresh("pay")
    call = scene.hold(to, BOTH, gateway_reason="the cup was broken", gateway_run="run-7")
    told = scene.person("lead").get(f"/approvals/{call}").json()
    assert (told["state"], told["agent"], told["owner"], told["run"]) == ("held", "bot", "boss", "run-7")
    assert told["user"] is None and told["why"] == "the cup was broken" and told["seconds_left"] > 3500
    assert told["input"] == {"to": to, "amount": BOTH} and len(told["digest"]) == 64
    assert {(item["id"], item["approval"]) for item in told["policies"]} == {
        ("large-needs-finance", "finance"), ("abroad-needs-legal", "legal"),
    }  # fmt: skip
    assert all("need a yes" in item["reason"] for item in told["policies"])
    assert {item["approval"] for item in told["questions"]} == {"finance", "legal"}


def test_what_the_list_holds_by_mistake_is_not_shown(scene):
    """An older gateway may have ended a call without striking it off."""
    over = scene.pay(fresh("pay")).headers["gateway-call"]

    async def insert() -> None:
        journal = RedisJournal.open(embedded_url(scene.gateway.data))
        await HeldCalls(journal).insert(over, 1_000)
        await journal.close()

    asyncio.run(insert())
    assert over not in {item["call"] for item in listed(scene)["approvals"]}
