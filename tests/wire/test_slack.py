"""Cards for Slack: they say everything, nothing from outside is markup, and what is cut is named."""

import hashlib
import json
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routes import Person
from gateway.wire import slack

FINGERPRINT = "f" * 64
CALL = "3505f2132bd9740885d632be"


def body(kind: str = "approval.requested", **changes: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "timestamp": "2026-11-20T10:00:00Z",
        "data": {
            "call": CALL,
            "fingerprint": FINGERPRINT,
            "callback": f"https://gateway.example/approvals/{CALL}/decision",
            "page": f"https://gateway.example/inbox/{CALL}?approval=finance",
            "approval": "finance",
            "decide_in": ["page", "slack", "webhook", "token"],
            "summary": "Pay 900.00 to acme",
            "agent": "shop-bot",
            "owner": "olga",
            "user": "kim@acme.example",
            "run": "run-7",
            "why": "Invoice 7 is due.",
            "tool": "bank.pay",
            "resource": "Account/acme",
            "input": {"to": "acme", "amount": 90000},
            "policies": [{"id": "over-100", "reason": "Payments above 100.00 need a yes."}],
            "expires_at": "2026-11-20T11:00:00Z",
        }
        | changes,
    }


def elements(value: Any) -> list[dict[str, Any]]:
    """Everything in a payload that has a type."""
    if isinstance(value, list):
        return [found for item in value for found in elements(item)]
    if isinstance(value, dict):
        return [value, *elements(list(value.values()))] if "type" in value else elements(list(value.values()))
    return []


def shown(payload: dict[str, Any]) -> str:
    """What a reader sees of the rich text."""
    return "".join(item["text"] for item in elements(payload["blocks"]) if item["type"] == "text")


def buttons(payload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["action_id"]: item for item in elements(payload["blocks"]) if item["type"] == "button"}


def test_a_card_says_who_asks_for_whom_what_why_and_until_when():
    card = slack.card(body())
    text = shown(card)
    for part in (
        "Pay 900.00 to acme", "Agent: shop-bot (owner olga)", "On behalf of: kim@acme.example", "Run: run-7",
        'The agent\'s own words: "Invoice 7 is due."', 'to: "acme"', "amount: 90000",
        "Payments above 100.00 need a yes. (over-100)",
    ):  # fmt: skip
        assert part in text
    (deadline,) = [item["text"] for item in elements(card["blocks"]) if item["type"] == "mrkdwn"]
    assert "<!date^1795172400^{date_short_pretty} {time}|2026-11-20T11:00:00Z>" in deadline
    assert "60 min from when this was sent" in deadline
    assert card["text"] == "shop-bot asks finance: Pay 900.00 to acme"


def test_the_buttons_carry_what_was_shown():
    found = buttons(slack.card(body()))
    assert list(found) == [slack.APPROVE, slack.REJECT, slack.OPEN]
    for action in (slack.APPROVE, slack.REJECT):
        assert orjson.loads(found[action]["value"]) == [CALL, "finance", FINGERPRINT]
    assert found[slack.OPEN]["url"] == body()["data"]["page"]


def test_a_group_that_decides_elsewhere_gets_a_card_with_nothing_but_the_link():
    assert list(buttons(slack.card(body(decide_in=["page"])))) == [slack.OPEN]


SPELLS = "<!channel> <@U1> <https://evil.example|Approve> *bold* `code` :tada: &lt;!here&gt; @everyone\n> quote"


@pytest.mark.parametrize("place", ["summary", "why", "user", "run", "input", "name", "reason"])
def test_nothing_from_outside_is_markup(place):
    known: dict[str, dict[str, Any]] = {
        "input": {"input": {"to": SPELLS}},
        "name": {"input": {SPELLS: 1}},
        "reason": {"policies": [{"id": "p", "reason": SPELLS}]},
    }
    changes = known.get(place, {place: SPELLS})
    for payload in (slack.card(body(**changes)), slack.nudge(body("approval.reminded", **changes), ())):
        for item in elements(payload["blocks"]):
            assert item["type"] in {
                "header", "rich_text", "rich_text_section", "text", "context", "mrkdwn", "actions", "button",
                "plain_text",
            }  # fmt: skip
            if item["type"] in {"mrkdwn", "plain_text"}:
                assert "evil" not in item["text"] and "channel" not in item["text"]
        assert "<" not in payload["text"] and ">" not in payload["text"]


def test_the_line_for_notifications_is_escaped_as_slack_demands():
    assert slack.escaped("a & <!channel>\n") == "a &amp; &lt;!channel&gt;\\n"


def test_a_long_argument_is_cut_with_its_exact_size_and_digest():
    value = "x" * 10_000
    text = shown(slack.card(body(input={"note": value, "amount": 5})))
    digest = hashlib.sha256(value.encode()).hexdigest()
    assert f"cut here; 10000 bytes in all, SHA-256 {digest}; whole on the page" in text
    assert "amount: 5" in text


def test_more_arguments_than_a_card_holds_are_counted_with_their_digest():
    given = {f"field-{number}": number for number in range(100)}
    text = shown(slack.card(body(input=given)))
    rest = json.dumps(dict(list(given.items())[40:]), separators=(",", ":")).encode()
    assert "field-39: 39" in text and "field-40" not in text
    assert f"60 more arguments are on the page; cut here; {len(rest)} bytes" in text
    assert hashlib.sha256(rest).hexdigest() in text


values = st.recursive(st.none() | st.integers() | st.text(max_size=4000), st.lists, max_leaves=5)


LONG = "x" * 5000
PICTURE = {"name": LONG, "title": LONG, "failed": LONG, "unread": "", "fields": [{"field": LONG, "text": LONG}] * 30}


@given(st.dictionaries(st.text(max_size=2000), values, max_size=60), st.text(max_size=3000))
def test_a_card_always_fits(given_input, why):
    """Slack refuses more than about 13,000 characters, 50 blocks, or a text above 3000."""
    reasons = [{"id": "p" * 60, "reason": LONG}] * 30
    card = slack.card(body(input=given_input, why=why, policies=reasons, preview=[PICTURE] * 10))
    assert len(shown(card)) < 12_500 and len(card["blocks"]) < 50 and len(card["text"]) <= 300
    assert all(len(item["text"]) <= 3000 for item in elements(card["blocks"]) if item["type"] == "text")
    assert orjson.dumps(card)


def test_a_card_shows_what_the_system_says_the_call_is_about():
    picture = {
        "name": "charge",
        "title": "Order 7",
        "failed": "",
        "unread": "",
        "fields": [{"field": "a", "text": "5"}],
    }
    assert "What it is about\nOrder 7, a: 5" in shown(slack.card(body(preview=[picture])))
    assert "What it is about" not in shown(slack.card(body(preview=[])))


def test_a_reminder_stands_below_its_card_and_calls_those_it_is_for():
    people = [Person(name="cfo", slack="U777"), Person(name="nobody")]
    nudge = slack.nudge(body("approval.escalated"), people)
    assert [item["user_id"] for item in elements(nudge["blocks"]) if item["type"] == "user"] == ["U777"]
    assert "This now waits for you too: Pay 900.00 to acme" in shown(nudge) and list(buttons(nudge)) == [slack.OPEN]
    assert "This still waits for a decision" in shown(slack.nudge(body("approval.reminded"), ()))


def test_an_ended_call_has_no_buttons_to_decide_any_more():
    ending = slack.ending(body("call.finished", outcome="Done", told="bank answered 200.", decided_by=["ann"]))
    text = shown(ending)
    for part in ("Done: bank answered 200.", "Decided by: ann"):
        assert part in text
    assert list(buttons(ending)) == [slack.OPEN]
    old = {kind: slack.superseded(kind) for kind in ("approval.requested", "approval.digest")}
    assert not buttons(old["approval.requested"]) and old["approval.requested"]["text"].startswith("This question has")
    assert not buttons(old["approval.digest"]) and old["approval.digest"]["text"] == "A newer digest stands below."


# --- Digests ----------------------------------------------------------------------------------------------------------


def digest(*, waiting: int = 2, ended: int = 1, listed: int | None = None, **changes: Any) -> dict[str, Any]:
    """Two questions, and one that is over; each of `changes` is in each line."""
    question = {
        "page": "https://gateway.example/inbox/c?approval=finance", "summary": "Pay 900.00 to acme",
        "agent": "shop-bot", "owner": "olga", "user": "kim@acme.example", "tool": "bank.pay",
        "expires_at": "2026-11-20T11:00:00Z",
    } | changes  # fmt: skip
    rejected = {"state": "denied", "outcome": "Rejected", "told": "ann said no.", "decided_by": ["ann"]}
    over = question | rejected | changes
    data = {
        "approval": "finance", "page": "https://gateway.example/inbox", "waiting": waiting,
        "expires_at": "2026-11-20T11:00:00Z", "ended": ended,
        "questions": [question | {"call": f"call-{number}"} for number in range(min(waiting, listed or waiting))],
        "over": [over | {"call": f"over-{number}"} for number in range(min(ended, listed or ended))],
    }  # fmt: skip
    return {"type": "approval.digest", "timestamp": "2026-11-20T10:00:00Z", "data": data}


def test_a_digest_says_how_many_wait_what_each_is_and_what_is_over_and_decides_nothing():
    message = slack.digest(digest())
    text = shown(message)
    assert message["text"] == "2 questions wait for finance"
    assert text.count("Pay 900.00 to acme shop-bot (owner olga) for kim@acme.example; 60 min left.") == 2
    assert "Over\nPay 900.00 to acme Rejected: ann said no." in text
    links = [item["url"] for item in elements(message["blocks"]) if item["type"] == "link"]
    assert links == ["https://gateway.example/inbox/c?approval=finance"] * 3
    assert list(buttons(message)) == [slack.OPEN]
    assert buttons(message)[slack.OPEN]["url"] == "https://gateway.example/inbox"


@pytest.mark.parametrize(
    ("waiting", "line"),
    [(0, "Nothing in the digest of finance waits any more"), (1, "1 question waits for finance")],
)
def test_a_digest_counts_in_words(waiting, line):
    assert slack.digest(digest(waiting=waiting, ended=0))["text"] == line


def test_a_digest_counts_what_it_does_not_list_and_stays_below_what_slack_takes():
    message = slack.digest(digest(waiting=700, ended=80, listed=50, summary="x" * 999, told="y" * 999, user="z" * 999))
    text = shown(message)
    assert f"{700 - slack.MOST_ITEMS} more wait.\n{80 - slack.MOST_ITEMS} more are over." in text
    assert len(text) + sum(len(item.get("url", "")) for item in elements(message["blocks"])) < 13_000
    assert "more" not in shown(slack.digest(digest()))


@pytest.mark.parametrize("place", ["summary", "user", "told"])
def test_nothing_from_outside_is_markup_in_a_digest(place):
    message = slack.digest(digest(**cast("dict[str, Any]", {place: SPELLS})))
    for item in elements(message["blocks"]):
        if item["type"] in {"mrkdwn", "plain_text"}:
            assert "evil" not in item["text"]
    assert "<" not in message["text"] and {item["type"] for item in elements(message["blocks"])} <= {
        "header", "rich_text", "rich_text_section", "text", "link", "actions", "button", "plain_text",
    }  # fmt: skip
