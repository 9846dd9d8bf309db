"""Decisions by buttons in Slack, against a real gateway, with a Slack of our own that signs as Slack does."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import httpx
import pytest

from gateway.wire.slack import APPROVE, OPEN, REJECT
from tests.gateway_process import eventually
from tests.gateway_world import PAIR, World, slug, world
from tests.pages import blocks
from tests.slack_service import (
    CHANNEL,
    SIGNING,
    TOKEN,
    WORKSPACE,
    SlackService,
    call_back,
    press,
    signed,
    slack_service,
)

CHANNELS = {
    "slack": {
        "channel": CHANNEL, "workspace": WORKSPACE, "token": {"env": "SLACK_TOKEN"},
        "signing_secret": {"env": "SLACK_SIGNING"},
    }
}  # fmt: skip
USERS = {"lead": "U0LEAD", "second": "U0SECOND", "boss": "U0BOSS", "outsider": "U0OUT"}
triggers = count()


def with_slack(routes: dict[str, Any]) -> None:
    for group in ("finance", "pair"):
        routes["approvals"][group]["notify"].append(CHANNELS)
    routes["approvals"]["legal"] |= {"notify": [CHANNELS], "decide_in": ["page"]}
    for name, user in USERS.items():
        routes["people"][name]["slack"] = user


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[World, SlackService]]:
    with ExitStack() as stack:
        service = stack.enter_context(slack_service())
        settings = {"GATEWAY_SLACK_API": service.url, "SLACK_TOKEN": TOKEN, "SLACK_SIGNING": SIGNING}
        yield stack.enter_context(world(settings=settings, change=with_slack)), service


@pytest.fixture
def gate(scene: tuple[World, SlackService]) -> World:
    return scene[0]


@pytest.fixture
def slack(scene: tuple[World, SlackService]) -> SlackService:
    return scene[1]


def pressing(
    gate: World, slack: SlackService, call: str, action: str = APPROVE, user: str = "U0LEAD", **payload: Any
) -> httpx.Response:
    """Press a button of the call's card. `payload`: what is different in what Slack sends."""
    card = slack.wait("chat.postMessage", call)
    return call_back(gate.gateway.control, press(card, action, user, f"1.{next(triggers)}.x", payload))


def told(gate: World, slack: SlackService, call: str, action: str = APPROVE, user: str = "U0LEAD", **more: Any) -> str:
    """What somebody who presses is told: at once, or by a whisper where Slack could not wait for the decision."""
    earlier = len(slack.of("chat.postEphemeral"))
    answer = pressing(gate, slack, call, action, user, **more)
    assert answer.status_code == 200
    if answer.json():
        assert answer.json()["response_type"] == "ephemeral" and answer.json()["replace_original"] is False
        return str(answer.json()["text"])

    def whispers() -> list[str]:
        return [said.body["text"] for said in slack.of("chat.postEphemeral")[earlier:] if said.body["user"] == user]

    return str(eventually(whispers)[0])


def whispered(slack: SlackService, user: str, text: str) -> bool:
    return any(said.body["user"] == user for said in slack.of("chat.postEphemeral", text))


def test_a_press_approves_and_the_call_goes_on(gate, slack):
    call = gate.hold("slack-yes")
    assert told(gate, slack, call) == "Recorded: approved by lead for finance."
    eventually(lambda: gate.state(call) == "answered")
    eventually(lambda: whispered(slack, "U0LEAD", "Recorded: approved by lead"))
    record = gate.person("auditor").get(f"/calls/{call}").text
    assert f"as U0LEAD in Slack workspace {WORKSPACE}" in record


def test_a_press_rejects(gate, slack):
    call = gate.hold("slack-no")
    assert told(gate, slack, call, REJECT) == "Recorded: rejected by lead for finance."
    assert gate.state(call) == "denied"


def test_the_card_shows_what_would_happen_and_the_page(gate, slack):
    call = gate.hold("<!channel>")
    card = slack.wait("chat.postMessage", call)
    assert card.body["channel"] == CHANNEL and card.token == f"Bearer {TOKEN}"
    assert card.mentions("Payments above 10.00 need a yes from finance.") and card.mentions("bot (owner boss)")
    assert "<!channel>" not in card.body["text"]
    assert card.buttons[OPEN]["url"] == f"{gate.gateway.control}/inbox/{call}?approval=finance"


def test_a_replayed_press_changes_nothing(gate, slack):
    call = gate.hold("slack-replay", 8_888)
    body = press(slack.wait("chat.postMessage", call), APPROVE, "U0LEAD", "replayed")
    headers = signed(body)
    answers = [call_back(gate.gateway.control, body, headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers} - {"{}"}) <= 1  # empty: Slack could not wait for the decision
    assert gate.timeline(call).count("Approved") == 1 and gate.state(call) == "held"


def test_one_person_counts_once_and_two_people_release(gate, slack):
    call = gate.hold("slack-pair", 8_888)
    told(gate, slack, call)
    assert told(gate, slack, call).startswith("Nothing was recorded: 'lead' has already decided")
    told(gate, slack, call, user="U0SECOND")
    eventually(lambda: gate.state(call) == "answered")


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("U0STRANGER", "Nothing was recorded: your user of Slack, U0STRANGER, belongs to nobody in routes.yaml"),
        ("U0OUT", "Nothing was recorded: 'outsider' is not a member of 'finance'."),
        ("U0BOSS", "Nothing was recorded: 'boss' requested this call or owns 'bot'; somebody else has to decide."),
    ],
)
def test_who_may_not_decide_is_told_exactly_why_and_nobody_else_sees_it(gate, slack, user, said):
    call = gate.hold(f"slack-{user}")
    assert told(gate, slack, call, user=user).startswith(said)
    eventually(lambda: whispered(slack, user, said[:40]))
    assert gate.state(call) == "held" and "Approved" not in gate.timeline(call)


@pytest.mark.parametrize("place", ["team", "user"])
def test_another_workspace_is_refused(gate, slack, place):
    call = gate.hold(f"slack-elsewhere-{place}")
    strange = {"team": {"id": "T0OTHER"}, "user": {"id": "U0LEAD", "team_id": "T0OTHER"}}
    body = press(slack.wait("chat.postMessage", call), APPROVE, "U0LEAD", "1.2.y", {place: strange[place]})
    answer = call_back(gate.gateway.control, body)
    assert (answer.status_code, slug(answer)) == (403, "other-workspace")
    assert gate.state(call) == "held"


@pytest.mark.parametrize(
    "forging",
    [
        {"secret": "another-secret"},
        {"at": -301},
        {"at": 301},
    ],
)
def test_a_forged_or_stale_press_is_refused(gate, slack, forging):
    call = gate.hold(f"slack-forged-{forging}")
    body = press(slack.wait("chat.postMessage", call), APPROVE, "U0LEAD")
    at = time.time() + forging["at"] if "at" in forging else None
    answer = call_back(gate.gateway.control, body, signed(body, secret=forging.get("secret", SIGNING), at=at))
    assert (answer.status_code, slug(answer)) == (401, "bad-slack-signature")
    assert gate.state(call) == "held"


def test_a_signature_of_another_body_or_none_is_refused(gate, slack):
    call = gate.hold("slack-swapped")
    card = slack.wait("chat.postMessage", call)
    headers = signed(press(card, REJECT, "U0LEAD"))
    for sent in (headers, {}):
        answer = call_back(gate.gateway.control, press(card, APPROVE, "U0LEAD"), sent)
        assert (answer.status_code, slug(answer)) == (401, "bad-slack-signature")
    assert gate.state(call) == "held"


def test_the_button_of_another_call_counts_for_that_one_only(gate, slack):
    first, second = gate.hold("slack-first"), gate.hold("slack-second")
    card = slack.wait("chat.postMessage", first)
    value = card.buttons[APPROVE]["value"].replace(first, second)
    action = {"type": "button", "action_id": APPROVE, "value": value}
    assert "has changed since it was shown; look at it again" in told(gate, slack, first, actions=[action])
    assert gate.state(first) == gate.state(second) == "held"


def test_a_press_after_the_decision_says_so(gate, slack):
    call = gate.hold("slack-late")
    gate.approvers.reject(call)
    assert told(gate, slack, call).startswith("Nothing was recorded: ")
    assert gate.state(call) == "denied"


def test_a_group_that_decides_on_the_page_has_no_buttons_and_takes_no_press(gate, slack):
    call = gate.hold("slack-page-only", 5_555)
    slack.wait("chat.postMessage", call, 2)  # one to each group, in either order
    cards = {APPROVE in card.buttons: card for card in slack.of("chat.postMessage", call)}
    legal, finance = cards[False], cards[True]
    assert legal.mentions("legal") and set(legal.buttons) == {OPEN}
    value = finance.buttons[APPROVE]["value"].replace('"finance"', '"legal"')
    answer = call_back(
        gate.gateway.control,
        press(finance, APPROVE, "U0LEAD", "1.2.p", {"actions": [{"action_id": APPROVE, "value": value}]}),
    )
    assert answer.json()["text"] == "Nothing was recorded: 'legal' decides only in: page (`decide_in`)."
    shown = gate.person("lead").get(f"/approvals/{call}").json()["questions"]
    print_ = next(item["fingerprint"] for item in shown if item["approval"] == "legal")
    vote = {"approval": "legal", "decision": "approve", "fingerprint": print_}
    refused = gate.person("lead").post(f"/approvals/{call}/decision", json=vote)
    assert (refused.status_code, slug(refused)) == (403, "not-eligible") and "decides only in: page" in refused.text


def test_the_press_of_the_link_is_answered_and_does_nothing(gate, slack):
    call = gate.hold("slack-link")
    answer = pressing(gate, slack, call, OPEN)
    assert (answer.status_code, answer.json()) == (200, {})
    assert gate.state(call) == "held"


@pytest.mark.parametrize("body", [b"", b"payload=%7B", b"payload=[]", b"\xff\xfe", b"a=b"])
def test_garbage_is_refused_with_a_sentence(gate, body):
    answer = call_back(gate.gateway.control, body)
    assert (answer.status_code, slug(answer)) == (400, "invalid-body")


def test_get_never_decides(gate):
    answer = httpx.get(f"{gate.gateway.control}/slack/interactions", trust_env=False, timeout=60)
    assert answer.status_code == 405


def test_a_card_that_slack_refuses_is_posted_again(gate, slack):
    slack.about = "slack-refused"
    slack.script.append((200, {"ok": False, "error": "not_in_channel"}))
    call = gate.hold("slack-refused")
    slack.wait("chat.postMessage", call, 2)
    eventually(lambda: "invite the app to the channel" in gate.person("auditor").get(f"/calls/{call}").text)


# --- The card follows the call ----------------------------------------------------------------------------------------


def test_a_card_is_changed_when_the_call_is_decided_elsewhere(gate, slack):
    call = gate.hold("slack-elsewhere")
    card = slack.wait("chat.postMessage", call)
    gate.approvers.approve(call)
    changed = slack.wait("chat.update", call)
    posted = next(n for n, said in enumerate(slack.said, 1) if said is card)
    assert changed.body["channel"] == CHANNEL and changed.body["ts"] == f"1503435956.{posted:06d}"
    assert set(changed.buttons) == {OPEN} and changed.mentions("Done: ") and changed.mentions("Decided by: ")
    assert changed.mentions("bank answered 200")


def test_a_card_says_who_has_said_yes_so_far(gate, slack):
    call = gate.hold("slack-quorum", PAIR)
    slack.wait("chat.postMessage", call)
    gate.approvers.approve(call, "pair")
    first = slack.wait("chat.update", call)
    assert first.mentions("1 of 2 said yes: lead.") and set(first.buttons) == {APPROVE, REJECT, OPEN}
    pressing(gate, slack, call, user="U0SECOND", action=REJECT)
    last = eventually(lambda: [said for said in slack.of("chat.update", call)[-1:] if said.mentions("second said no")])
    assert set(last[0].buttons) == {OPEN}


def test_a_card_says_for_whom_it_waits_by_now():
    def soon(routes: dict[str, Any]) -> None:
        with_slack(routes)
        routes["approvals"]["finance"]["escalate"] = {"after": "1s", "to": ["outsider"]}

    with slack_service() as service:
        settings = {"GATEWAY_SLACK_API": service.url, "SLACK_TOKEN": TOKEN, "SLACK_SIGNING": SIGNING}
        with world(settings=settings, change=soon) as gate:
            call = gate.hold("slack-escalated")
            changed = service.wait("chat.update", call)
            assert changed.mentions("It also waits for outsider.") and set(changed.buttons) == {APPROVE, REJECT, OPEN}


def test_a_card_says_that_its_call_was_rejected(gate, slack):
    call = gate.hold("slack-rejected")
    slack.wait("chat.postMessage", call)
    gate.approvers.reject(call, reason="not *this* month")
    assert slack.wait("chat.update", call).mentions("lead said no: “not *this* month” It is not carried out.")


def test_approvers_systems_hear_what_became_of_it_too(gate):
    call = gate.hold("hook-news")
    gate.approvers.approve(call)
    news = eventually(lambda: [n for n in gate.approvers.news if n.data["call"] == call])[0]
    assert (news.data["state"], news.data["outcome"], news.data["decided_by"]) == ("answered", "Done", ["lead"])
    documented = json.loads(next(b.text for b in blocks("json") if '"call.finished"' in b.text))
    assert set(news.data) == set(documented["data"]) and json.loads(news.raw)["type"] == "call.finished"
