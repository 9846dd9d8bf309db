"""A Slack of our own: its Web API as far as the gateway uses it, and presses of buttons signed as Slack signs them.

Written from Slack's documentation; it shares no code with the gateway.
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from gateway.demo.listener import listening
from tests.processes import PATIENCE_SECONDS

TOKEN, SIGNING = "xoxb-test-token", "8f742231b10e8888abcd99yyyzzz85a5"
CHANNEL, WORKSPACE = "C024BE91L", "T024BE7LD"


@dataclass(frozen=True)
class Said:
    """One call of the Web API."""

    method: str
    token: str
    body: Mapping[str, Any]

    @property
    def buttons(self) -> dict[str, dict[str, Any]]:
        found = [item for block in self.body.get("blocks", ()) for item in block.get("elements", ())]
        return {item["action_id"]: item for item in found if item.get("type") == "button"}

    def mentions(self, text: str) -> bool:
        return text in json.dumps(self.body, ensure_ascii=False)


@dataclass
class SlackService:
    url: str = ""
    said: list[Said] = field(default_factory=list)
    script: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Status and answer of the next calls; afterwards all is well."""
    about: str = ""
    """Only calls that mention this are of the script: else one that is late would take what is meant for another."""
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        told = json.loads(body)
        with self._arrived:
            self.said.append(Said(headers[":path"].rpartition("/")[2], headers.get("authorization", ""), told))
            self._arrived.notify_all()
            number = len(self.said)
            scripted = self.script and self.said[-1].mentions(self.about)
            status, answer = self.script.pop(0) if scripted else (200, {"ok": True})
        if answer.get("ok") is True and "ts" not in answer:
            answer = answer | {"channel": told["channel"], "ts": told.get("ts") or f"1503435956.{number:06d}"}
        return status, "application/json", json.dumps(answer).encode()

    def of(self, method: str, text: str = "") -> list[Said]:
        return [item for item in list(self.said) if item.method == method and item.mentions(text)]

    def wait(self, method: str, text: str = "", number: int = 1) -> Said:
        """The call of that number which mentions the text; waits for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._arrived:
            while len(found := self.of(method, text)) < number:
                left = deadline - time.monotonic()
                assert left > 0 and self._arrived.wait(left), f"no {method} {number} about {text!r}"
        return found[number - 1]


def press(
    card: Said, action: str, user: str, trigger: str = "1.2.a", changes: Mapping[str, Any] | None = None
) -> bytes:
    """The form that Slack sends when `user` presses a button of the card."""
    button = card.buttons[action]
    payload = {
        "type": "block_actions",
        "team": {"id": WORKSPACE, "domain": "acme"},
        "user": {"id": user, "username": "somebody", "team_id": WORKSPACE},
        "channel": {"id": CHANNEL, "name": "finance"},
        "trigger_id": trigger,
        "message": dict(card.body),
        "response_url": "https://hooks.slack.com/actions/T/1/x",
        "actions": [{"type": "button", "action_id": action, "value": button.get("value", "")}],
    } | dict(changes or {})
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, *, secret: str = SIGNING, at: float | None = None) -> dict[str, str]:
    """The headers that go with it."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }


def call_back(control: str, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    sent = signed(body) if headers is None else dict(headers)
    return httpx.post(
        f"{control}/slack/interactions", content=body, headers=sent, timeout=PATIENCE_SECONDS, trust_env=False
    )


@contextmanager
def slack_service() -> Iterator[SlackService]:
    service = SlackService()
    with listening(service.receive) as url:
        service.url = f"{url}/api"
        yield service
