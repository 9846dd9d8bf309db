"""The approvers' own system: receives notices, verifies their signatures, sends signed decisions.

It signs with `gateway.demo.approver`, which is written from the Standard Webhooks specification and shares no code
with the gateway; so a gateway that agrees only with itself fails here.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.demo.approver import authentic, new_secret, signature
from gateway.demo.listener import listening
from tests.processes import PATIENCE_SECONDS


@dataclass(frozen=True)
class Notice:
    message: str
    """The webhook-id."""
    data: Mapping[str, Any]
    raw: bytes


@dataclass
class Approvers:
    """One receiver for every group; the path says which group it is."""

    secret: str = field(default_factory=new_secret)
    callback_secrets: dict[str, str] = field(default_factory=dict)
    """By group: what its system signs decisions with."""
    url: str = ""
    notices: list[Notice] = field(default_factory=list)
    """Questions."""
    news: list[Notice] = field(default_factory=list)
    """Reminders, escalations, and what became of calls."""
    forged: int = 0
    refusing: bool = False
    """Answer 503: nobody can be told."""
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        if self.refusing:
            return 503, "text/plain", b"closed"
        if not authentic(self.secret, headers, body, time.time()):
            self.forged += 1
            return 401, "text/plain", b"bad signature"
        with self._arrived:
            told = json.loads(body)
            notices = self.notices if told["type"] == "approval.requested" else self.news
            notices.append(Notice(headers["webhook-id"], told["data"], body))
            self._arrived.notify_all()
        return 200, "text/plain", b"thank you"

    def of(self, call: str, approval: str | None = None) -> list[Notice]:
        """What came about that call."""
        return [
            notice
            for notice in list(self.notices)
            if notice.data["call"] == call and approval in (None, notice.data["approval"])
        ]

    def notice(self, call: str, approval: str = "finance", number: int = 1) -> Notice:
        """The notice of that number about a call; waits for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._arrived:
            while len(found := self.of(call, approval)) < number:
                assert self._arrived.wait(deadline - time.monotonic()), f"no notice {number} to {approval} about {call}"
        return found[number - 1]

    def decision(self, notice: Notice, decision: str = "approve", by: str = "lead", **changes: Any) -> bytes:
        """The body of a callback; a change to None leaves the member out."""
        shown = {name: notice.data[name] for name in ("call", "approval", "fingerprint")}
        whole = shown | {"decision": decision, "approver": by, "reason": "because"} | changes
        return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()

    def post(
        self, notice: Notice, body: bytes, *, group: str = "", url: str = "", message: str = "",
        at: float | None = None, headers: Mapping[str, Any] | None = None,
    ) -> httpx.Response:  # fmt: skip
        """Send a signed callback. `group`: whose secret signs it; `url`: another address than the notice's."""
        message = message or f"msg_{uuid.uuid4().hex}"
        stamp = int(time.time() if at is None else at)
        signed = {
            "webhook-id": message,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(
                self.callback_secrets[group or notice.data["approval"]], message, stamp, body
            ),
        }
        return httpx.post(
            url or notice.data["callback"], content=body, headers=signed | dict(headers or {}), trust_env=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    def approve(self, call: str, approval: str = "finance", by: str = "lead", number: int = 1) -> httpx.Response:
        notice = self.notice(call, approval, number)
        return self.post(notice, self.decision(notice, "approve", by))

    def reject(self, call: str, approval: str = "finance", by: str = "lead", reason: str = "no") -> httpx.Response:
        notice = self.notice(call, approval)
        return self.post(notice, self.decision(notice, "reject", by, reason=reason))


@contextmanager
def approvers(*groups: str) -> Iterator[Approvers]:
    service = Approvers(callback_secrets={group: new_secret() for group in groups})
    with listening(service.receive) as url:
        service.url = url
        yield service
