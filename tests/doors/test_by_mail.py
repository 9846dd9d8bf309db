"""A question by e-mail, from a real gateway to a real SMTP server, decided where the link leads."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from gateway.keys import new_key
from gateway.wire.webhook import sign
from tests.adapters.test_mailer import Mailbox, serving
from tests.gateway_process import eventually
from tests.gateway_world import World, world

PAIR = new_key("webhook-pair", "")
PUBLIC = re.findall(r"whpk_\S+", PAIR.after)[0]
MEMBERS = {"lead": "lead@acme.example", "second": "second@acme.example"}


def by_mail(routes: dict[str, Any]) -> None:
    for name, address in MEMBERS.items():
        routes["people"][name]["email"] = address
    routes["approvals"]["finance"]["notify"] = [{"email": ["lead", "second"]}]
    routes["approvals"]["legal"]["notify"][0] |= {
        "secret": {"env": "NOTICE_PAIR"}, "callback_secret": {"env": "CALLBACK_PAIR_PUBLIC"}
    }  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[World, Mailbox]]:
    mailbox = Mailbox()
    with ExitStack() as stack:
        port = stack.enter_context(serving(mailbox))
        settings = {"GATEWAY_SMTP_URL": f"smtp+plain://127.0.0.1:{port}", "GATEWAY_EMAIL_FROM": "gateway@acme.example"}
        settings |= {"NOTICE_PAIR": new_key("webhook-pair", "").secret, "CALLBACK_PAIR_PUBLIC": PUBLIC}
        yield stack.enter_context(world(settings=settings, change=by_mail)), mailbox


def mails(mailbox: Mailbox, call: str) -> list[Any]:
    return [mail for _, _, mail in mailbox.taken if call in mail.get_body(("plain",)).get_content()]


def test_everybody_named_gets_the_question_and_then_what_became_of_it(scene):
    gate, mailbox = scene
    call = gate.hold("mail")
    asked = eventually(lambda: mails(mailbox, call))[0]
    assert asked["To"] == "lead@acme.example, second@acme.example"
    text = asked.get_body(("plain",)).get_content()
    assert "Payments above 10.00 need a yes from finance." in text
    (link,) = re.findall(r"(?m)^(http\S+)\s*$", text)
    assert link == f"{gate.gateway.control}/inbox/{call}?approval=finance"
    for _ in range(3):  # a mail scanner, or whoever is not signed in
        assert gate.person("lead").get(link).status_code in {200, 303}
    assert gate.state(call) == "held"
    questions = gate.person("lead").get(f"/approvals/{call}").json()["questions"]
    told = {"approval": "finance", "decision": "reject", "fingerprint": questions[0]["fingerprint"], "reason": "no"}
    assert gate.person("lead").post(f"/approvals/{call}/decision", json=told).status_code == 200
    news = eventually(lambda: mails(mailbox, call)[1:])[0]
    assert "Rejected: lead said no: “no”" in news.get_body(("plain",)).get_content()
    assert news["References"] == asked["References"] and news["Message-ID"] != asked["Message-ID"]


def test_a_decision_signed_with_a_private_key_counts_and_another_does_not(scene):
    """v1a: the gateway holds only the public key, so nobody who reads its secrets can sign a decision."""
    gate, _ = scene
    call = gate.hold("pair-of-keys", 5_555)
    question = gate.person("lead").get(f"/approvals/{call}").json()["questions"]
    print_ = next(item["fingerprint"] for item in question if item["approval"] == "legal")
    body = f'{{"call": "{call}", "approval": "legal", "fingerprint": "{print_}", "decision": "approve",'
    raw = f'{body} "approver": "lead"}}'.encode()
    stranger, shared = new_key("webhook-pair", "").secret, gate.secrets["CALLBACK_LEGAL"]
    for secret, status in ((stranger, 401), (shared, 401), (PAIR.secret, 200)):
        now = int(time.time())
        signed = {"webhook-id": f"msg_{status}_{now}", "webhook-timestamp": str(now)}
        signed["webhook-signature"] = sign(secret, signed["webhook-id"], now, raw)
        answer = httpx.post(
            f"{gate.gateway.control}/approvals/{call}/decision",
            content=raw,
            headers=signed,
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == status, answer.text
    assert "Approved" in gate.timeline(call)
