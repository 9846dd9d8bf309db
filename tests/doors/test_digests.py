"""A group that is asked more than it wants, at a real gateway: one digest by webhook, one message in Slack."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.doors.test_slack import CHANNELS
from tests.gateway_process import eventually
from tests.gateway_world import World, world
from tests.slack_service import SIGNING, TOKEN, SlackService, slack_service


def batched(routes: dict[str, Any]) -> None:
    routes["approvals"]["finance"] |= {"batch": "1/d"}
    routes["approvals"]["finance"]["notify"].append(CHANNELS)


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[World, SlackService]]:
    with ExitStack() as stack:
        service = stack.enter_context(slack_service())
        settings = {"GATEWAY_SLACK_API": service.url, "SLACK_TOKEN": TOKEN, "SLACK_SIGNING": SIGNING}
        yield stack.enter_context(world(settings=settings, change=batched)), service


def test_beyond_the_quota_every_channel_has_one_digest_and_slacks_is_changed(scene):
    gate, slack = scene
    first = gate.hold("first")
    assert gate.approvers.notice(first).data["call"] == first
    slack.wait("chat.postMessage", first)
    second = gate.hold("second")
    (digest,) = eventually(lambda: gate.approvers.news)
    assert (digest.data["approval"], digest.data["waiting"]) == ("finance", 1)
    assert [item["call"] for item in digest.data["questions"]] == [second]
    assert gate.person("lead").get(digest.data["page"]).status_code in {200, 303}
    posted = slack.wait("chat.postMessage", "1 question waits for finance")
    assert posted.mentions(second) and not gate.approvers.of(second)
    eventually(lambda: gate.timeline(second).count("Notified") == 2)
    assert "told in a digest" in gate.person("auditor").get(f"/calls/{second}").text

    third = gate.hold("third")
    changed = slack.wait("chat.update", "2 questions wait for finance")
    assert changed.mentions(second) and changed.mentions(third)
    assert len(gate.approvers.news) == 1, "the webhook hears of the third a quarter of an hour later"

    shown = gate.person("lead").get(f"/approvals/{second}").json()["questions"][0]["fingerprint"]
    no = {"approval": "finance", "decision": "reject", "fingerprint": shown, "reason": "not that one"}
    assert gate.person("lead").post(f"/approvals/{second}/decision", json=no).status_code == 200
    ended = slack.wait("chat.update", "1 question waits for finance")
    assert ended.mentions("Rejected: lead said no: “not that one”") and ended.mentions(third)
