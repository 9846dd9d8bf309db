"""Slack waits three seconds: it gets its answer in time, whatever the decision waits for; the person hears later."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from gateway.core.approval import Decision
from gateway.core.routes import Group, Person, Routes, SecretReference, Slack
from gateway.decisions import Decisions, NoSuchCall
from gateway.doors import slack
from gateway.doors.slack import SlackDoor
from gateway.ports import Delivery, JournalUnavailable, SecretMissing
from tests.processes import PATIENCE_SECONDS
from tests.slack_service import CHANNEL, SIGNING, TOKEN, WORKSPACE, signed
from tests.wire.test_slack_interaction import form, payload

NOW = 1_795_168_800
SECRETS = {"TOKEN": TOKEN, "SIGNING": SIGNING}
ROUTES = Routes(
    people={"ann": Person(name="ann", slack="U1", roles=frozenset({"approver"}))},
    groups={
        "finance": Group(
            name="finance", members=("ann",),
            channels=(
                Slack(
                    channel=CHANNEL, workspace=WORKSPACE, token=SecretReference("env", "TOKEN"),
                    signing_secret=SecretReference("env", "SIGNING"),
                ),
            ),
        )
    },
)  # fmt: skip
BODY = form(payload(team={"id": WORKSPACE}, user={"id": "U1", "team_id": WORKSPACE}))
"""Ann approves, in the workspace of the group."""


class Voting:
    """Decisions that wait for something, or fail."""

    def __init__(self, wait: asyncio.Event | None = None, raises: Exception | None = None) -> None:
        self.wait, self.raises, self.votes = wait, raises, list[Decision]()
        self.engine = SimpleNamespace(generation=lambda: SimpleNamespace(routes=ROUTES))

    async def vote(self, call: str, decision: Decision) -> None:
        if self.wait is not None:
            await self.wait.wait()
        self.votes.append(decision)
        if self.raises is not None:
            raise self.raises


def request(body: bytes = BODY) -> Request:
    headers = [(name.encode(), value.encode()) for name, value in signed(body, at=NOW).items()]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": headers, "path": "/slack/interactions"}, receive)


def press(voting: Voting, *, secrets: dict[str, str] = SECRETS, told: Delivery | None = None):
    """What Slack is answered, and what the person is told then and, where the decision waits, once it is made."""
    whispers: list[str] = []

    async def whisper(channel: str, token: str, user: str, text: str) -> Delivery:
        whispers.append(text)
        return told or Delivery(status=200, done=True, error="")

    def read(reference: SecretReference) -> str:
        if reference.name not in secrets:
            raise SecretMissing(f"the credential is missing: set the environment variable {reference.name}")
        return secrets[reference.name]

    async def run() -> tuple[bytes, list[str]]:
        answer = await SlackDoor(cast("Decisions", voting), read, whisper).pressed(request(), NOW * 1000)
        if voting.wait is not None:
            assert whispers == []
            voting.wait.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not whispers:  # noqa: ASYNC110
                    await asyncio.sleep(0)
        return bytes(answer.body), whispers

    return asyncio.run(run())


def test_a_decision_that_takes_long_is_answered_in_time_and_told_when_it_is_made(monkeypatch):
    assert slack.ANSWER_SECONDS < 3
    monkeypatch.setattr(slack, "ANSWER_SECONDS", 0.05)
    voting = Voting(wait=asyncio.Event())
    body, whispers = press(voting)
    assert body == b"{}" and whispers == ["Recorded: approved by ann for finance."]
    (vote,) = voting.votes
    assert (vote.by, vote.way, vote.approve, vote.message) == ("ann", "slack", True, "slack:398738663015.47445629121")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (JournalUnavailable("away"), "It is not known whether this was recorded"),
        (NoSuchCall("c"), "Nothing was recorded: this call is not kept any more."),
    ],
)
def test_what_went_wrong_is_told_and_is_no_error_for_slack(error, said):
    body, (whispered,) = press(Voting(raises=error))
    assert said in whispered and said.encode() in body


def test_a_whisper_that_fails_undoes_nothing_and_is_logged(caplog):
    voting = Voting()
    body, _ = press(voting, told=Delivery(status=200, done=False, error="Slack refused it (user_not_in_channel)"))
    assert b"Recorded: approved" in body and len(voting.votes) == 1
    assert "U1 could not be told in Slack" in caplog.text and "user_not_in_channel" in caplog.text
    body, whispers = press(voting, secrets={"SIGNING": SIGNING})
    assert b"Recorded: approved" in body and whispers == [] and TOKEN not in caplog.text


def test_without_the_signing_secret_nothing_counts():
    from gateway.control_errors import BadSlackSignature

    voting = Voting()
    with pytest.raises(BadSlackSignature, match="has not got the signing secret"):
        press(voting, secrets={"TOKEN": TOKEN})
    assert voting.votes == []
