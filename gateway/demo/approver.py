"""The approver's service: what a finance team would write to be asked, from the Standard Webhooks specification.

A notice comes in as a POST whose signature covers `{webhook-id}.{webhook-timestamp}.{body}`; a decision goes out
signed the same way under another secret. It trusts nothing in a notice before its signature has been verified, and
it approves exactly the fingerprint it was shown. No code of the gateway is used here, on purpose.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

import httpx

TOLERANCE = 300.0
"""Seconds by which a notice's clock may differ from ours; what the reference libraries allow."""


def new_secret() -> str:
    """As the specification serialises one: 24 to 64 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def authentic(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether one of the signatures in `webhook-signature` is the one that the holder of our secret would make."""
    message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message or not stamp.isascii() or not stamp.isdigit() or abs(now - int(stamp)) > TOLERANCE:
        return False
    expected = signature(secret, message, int(stamp), body).encode()
    return any(hmac.compare_digest(expected, found.encode()) for found in headers.get("webhook-signature", "").split())


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified question."""

    message: str
    """The `webhook-id`: the same for every delivery of this question."""
    type: str
    data: Mapping[str, Any]

    @property
    def seen(self) -> str:
        """What the gateway looked up in the system for whoever decides."""
        fields = (field for picture in self.data["preview"] for field in picture["fields"])
        return ", ".join(f"{field['field']} {field['text']}" for field in fields)


class Approver:
    """Verifies and remembers notices; sends a signed decision when a person (here: the story) has made one."""

    def __init__(self, secret: str, callback_secret: str) -> None:
        self.secret = secret
        self.callback_secret = callback_secret
        self._notices: Queue[Notice] = Queue()
        self.forged = 0
        """Notices turned away because their signature was not ours."""

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        if not authentic(self.secret, headers, body, time.time()):
            self.forged += 1
            return 401, "text/plain", b"bad signature"
        notice = json.loads(body)
        if notice["type"] == "approval.requested":  # reminders and what became of it are for other stories
            self._notices.put(Notice(headers["webhook-id"], notice["type"], notice["data"]))
        return 200, "text/plain", b"thank you"

    def next_notice(self, seconds: float) -> Notice | None:
        try:
            return self._notices.get(timeout=seconds)
        except Empty:
            return None

    def decide(self, notice: Notice, decision: str, person: str, reason: str) -> httpx.Response:
        """Say what `person` decided, about exactly the call and the fingerprint that the notice showed."""
        shown = {name: notice.data[name] for name in ("call", "approval", "fingerprint")}
        body = json.dumps({**shown, "decision": decision, "approver": person, "reason": reason}).encode()
        message, timestamp = f"msg_{secrets.token_hex(12)}", int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self.callback_secret, message, timestamp, body),
        }
        return httpx.post(notice.data["callback"], content=body, headers=headers, timeout=10.0, trust_env=False)
