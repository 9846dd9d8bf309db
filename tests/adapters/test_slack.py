"""One thing said in Slack, over real sockets, to a Slack that takes it, refuses it, is slow, or is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.adapters.slack import SlackSender
from gateway.core.messages import Message
from gateway.core.routes import Person
from gateway.ports import Delivery
from gateway.wire import slack
from tests.adapters.test_webhook_sender import receiving
from tests.slack_service import CHANNEL, TOKEN, slack_service
from tests.wire.test_slack import CALL, body, digest

RECEIPT = f"{CHANNEL}:1503435956.000247"
OUTCOME = {"outcome": "Done", "told": "bank answered 200.", "decided_by": ["ann"]}


def message(kind: str = "approval.requested", receipt: str = "", **changes: Any) -> Message:
    people = (Person(name="cfo", slack="U777"),)
    return Message(id="n-1", body=body(kind, **changes), people=people, receipt=receipt)


@asynccontextmanager
async def sending(api: str, **options: Any) -> AsyncIterator[SlackSender]:
    sender = SlackSender(slack, api=api, **options)
    try:
        yield sender
    finally:
        await sender.close()


def deliver(told: Message, *script: tuple[int, dict[str, Any]]) -> tuple[Delivery, list[Any]]:
    async def run(url: str) -> Delivery:
        async with sending(url) as sender:
            return await sender.deliver(CHANNEL, TOKEN, told)

    with slack_service() as service:
        service.script += script
        return asyncio.run(run(service.url)), service.said


def refusing(code: str) -> tuple[int, dict[str, Any]]:
    return 200, {"ok": False, "error": code}


def test_a_question_is_posted_and_its_receipt_is_kept():
    delivery, (said,) = deliver(message())
    assert delivery == Delivery(status=200, done=True, error="", receipt=f"{CHANNEL}:1503435956.000001")
    assert (said.method, said.token, said.body["channel"]) == ("chat.postMessage", f"Bearer {TOKEN}", CHANNEL)
    assert set(said.buttons) == {slack.APPROVE, slack.REJECT, slack.OPEN}


def test_a_new_question_takes_the_buttons_of_the_old_one_away():
    delivery, (new, old) = deliver(message(receipt=RECEIPT))
    assert new.method == "chat.postMessage" and delivery.receipt == f"{CHANNEL}:1503435956.000001"
    assert old.method == "chat.update" and old.body["ts"] == "1503435956.000247" and not old.buttons
    delivery, _ = deliver(message(receipt=RECEIPT), (200, {"ok": True}), refusing("message_not_found"))
    assert delivery.done, "the old card is only tidied up"


@pytest.mark.parametrize("kind", ["approval.reminded", "approval.escalated"])
def test_a_reminder_stands_in_the_thread_and_in_the_channel_and_is_no_second_card(kind):
    delivery, (said,) = deliver(message(kind, RECEIPT))
    assert delivery.done and delivery.receipt == ""
    assert said.method == "chat.postMessage" and said.body["thread_ts"] == "1503435956.000247"
    assert said.body["reply_broadcast"] is True and said.mentions("U777") and slack.APPROVE not in said.buttons


def test_a_reminder_of_a_card_that_never_arrived_is_the_card():
    delivery, (said,) = deliver(message("approval.reminded"))
    assert delivery.receipt and slack.APPROVE in said.buttons


def test_the_end_replaces_the_card():
    delivery, (said,) = deliver(message("call.finished", RECEIPT, **OUTCOME))
    assert delivery.done and said.method == "chat.update" and said.body["ts"] == "1503435956.000247"
    assert slack.APPROVE not in said.buttons and said.mentions("bank answered 200.")


def test_a_doubt_is_also_said_aloud_because_a_changed_card_calls_nobody():
    _, said = deliver(message("call.in_doubt", RECEIPT, **OUTCOME))
    assert [item.method for item in said] == ["chat.update", "chat.postMessage"]
    assert said[1].body["thread_ts"] == "1503435956.000247"


@pytest.mark.parametrize("code", ["message_not_found", "cant_update_message", "edit_window_closed"])
def test_the_end_of_a_card_that_is_gone_is_posted(code):
    delivery, said = deliver(message("call.finished", RECEIPT, **OUTCOME), refusing(code))
    assert delivery.done and [item.method for item in said] == ["chat.update", "chat.postMessage"]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("not_in_channel", "invite the app to the channel"),
        ("invalid_auth", "check the bot's token"),
        ("missing_scope", "chat:write"),
        ("internal_error", "internal_error"),
    ],
)
def test_ok_false_is_a_failure_with_its_cure(code, cure):
    delivery, _ = deliver(message(), refusing(code))
    assert not delivery.done and not delivery.gone and code in delivery.error and cure in delivery.error
    assert TOKEN not in delivery.error


@pytest.mark.parametrize(
    ("answer", "status", "retry_after"),
    [
        (b"HTTP/1.1 429 Too Many\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n", 429, 30.0),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", 500, None),
        (b"HTTP/1.1 302 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302, None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ngarbage", 200, None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n[{}]", 200, None),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"ok": "yes"', 200, None),
        (b"garbage\r\n\r\n", 0, None),
    ],
)
def test_whatever_slack_answers_instead_is_a_failure_and_not_followed(answer, status, retry_after):
    async def run() -> Delivery:
        async with receiving(answer) as receiver, sending(receiver.url.partition("/hook")[0]) as sender:
            return await sender.deliver(CHANNEL, TOKEN, message())

    delivery = asyncio.run(run())
    assert (delivery.status, delivery.done, delivery.retry_after) == (status, False, retry_after)
    assert "Slack" in delivery.error and TOKEN not in delivery.error


def test_a_slack_that_hangs_or_is_away_is_a_failure():
    async def hanging() -> Delivery:
        async with receiving(hold=5.0) as receiver, sending(receiver.url.partition("/hook")[0], timeout=0.2) as sender:
            return await sender.deliver(CHANNEL, TOKEN, message())

    assert "did not answer within 0.2 seconds" in asyncio.run(hanging()).error

    async def away() -> Delivery:
        async with sending("http://127.0.0.1:1") as sender:
            return await sender.deliver(CHANNEL, TOKEN, message())

    assert "could not be reached" in asyncio.run(away()).error


def test_a_whisper_is_for_one_person_and_escaped():
    async def run(url: str) -> Delivery:
        async with sending(url) as sender:
            return await sender.whisper(CHANNEL, TOKEN, "U1", "not <!channel> & co")

    with slack_service() as service:
        assert asyncio.run(run(service.url)).done
    (said,) = service.said
    assert said.method == "chat.postEphemeral"
    assert said.body == {"channel": CHANNEL, "user": "U1", "text": "not &lt;!channel&gt; &amp; co"}
    assert CALL not in str(said.body)


# --- Digests ----------------------------------------------------------------------------------------------------------


def told(receipt: str = "", *, anew: bool = False) -> Message:
    return Message(id="digest-1", body=digest(), receipt=receipt, anew=anew)


def test_a_digest_is_posted_once_and_then_changed():
    delivery, (said,) = deliver(told())
    assert said.method == "chat.postMessage" and said.body["text"] == "2 questions wait for finance"
    assert delivery.receipt == f"{CHANNEL}:1503435956.000001"
    delivery, (said,) = deliver(told(RECEIPT))
    assert said.method == "chat.update" and delivery.done and delivery.receipt == RECEIPT


def test_a_digest_that_is_said_anew_takes_the_place_of_the_old_one():
    delivery, (new, old) = deliver(told(RECEIPT, anew=True))
    assert (new.method, old.method) == ("chat.postMessage", "chat.update") and delivery.receipt != RECEIPT
    assert old.body["ts"] == RECEIPT.partition(":")[2] and old.body["text"] == "A newer digest stands below."


def test_a_digest_whose_message_is_gone_is_posted():
    delivery, said = deliver(told(RECEIPT), refusing("message_not_found"))
    assert [each.method for each in said][:2] == ["chat.update", "chat.postMessage"]
    assert delivery.done and delivery.receipt != RECEIPT


def test_a_digest_that_cannot_be_changed_now_is_tried_again_later():
    delivery, said = deliver(told(RECEIPT), refusing("ratelimited"))
    assert not delivery.done and [each.method for each in said] == ["chat.update"]
