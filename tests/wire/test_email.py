"""E-mail: plain text and HTML that say the same, headers that nothing can be added to, and no argument at all."""

import re
from email import message_from_bytes
from email.policy import default
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.messages import Message
from gateway.core.routes import Person
from gateway.wire.email import compose
from tests.wire.test_slack import CALL, body, digest

NOW = 1_795_168_800_000
ANN, BOB = Person(name="ann", email="ann@acme.example"), Person(name="bob", email="bob@acme.example")
SENDER = "gateway@acme.example"


def composed(content: dict[str, Any], people: tuple[Person, ...] = (ANN, BOB), sender: str = SENDER) -> Any:
    """As the receiver's mail program reads the bytes."""
    mail = compose(Message(id="call-1-ab00", body=content, people=people), sender, NOW)
    return message_from_bytes(mail.as_bytes(), policy=default)


def texts(mail: Any) -> tuple[str, str]:
    return mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()


def test_a_question_says_who_what_why_until_when_and_where():
    mail = composed(body())
    assert mail["From"] == SENDER and mail["To"] == "ann@acme.example, bob@acme.example"
    assert mail["Subject"] == "[finance] shop-bot asks for a decision: Pay 900.00 to acme"
    assert mail["Message-ID"] == "<call-1-ab00@acme.example>"
    assert mail["References"] == f"<{CALL}.finance@acme.example>"
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Date"] == "Fri, 20 Nov 2026 10:00:00 +0000"
    for text in texts(mail):
        for part in (
            "Pay 900.00 to acme", "shop-bot (owner olga)", "kim@acme.example", "run-7", "bank.pay", "Invoice 7 is due.",
            "Payments above 100.00 need a yes. (over-100)", "2026-11-20T11:00:00Z (60 min from",
            f"https://gateway.example/inbox/{CALL}?approval=finance", "Opening the link decides nothing",
        ):  # fmt: skip
            assert part in text


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [
        ("approval.reminded", "Reminder: shop-bot still waits for a decision"),
        ("approval.escalated", "Now also for you: shop-bot waits for a decision"),
        ("call.finished", "Over: a call of shop-bot"),
        ("call.in_doubt", "In doubt: a call of shop-bot"),
    ],
)
def test_each_kind_of_notice_begins_with_what_it_is(kind, beginning):
    mail = composed(body(kind, outcome="Rejected", told="ann said no.", decided_by=["ann"]))
    assert mail["Subject"].strip().startswith(f"[finance] {beginning}")
    assert ("Rejected: ann said no." in texts(mail)[0]) == kind.startswith("call.")


SPELLS = "<img src=x onerror=alert(1)>\r\nBcc: evil@evil.example\r\n\r\n<script>\u202e&amp;"


@pytest.mark.parametrize("place", ["summary", "why", "user", "run", "reason"])
def test_nothing_from_outside_is_a_header_or_html(place):
    changes: dict[str, Any] = {"policies": [{"id": "p", "reason": SPELLS}]} if place == "reason" else {place: SPELLS}
    mail = composed(body(**changes))
    assert mail["Bcc"] is None and mail["To"] == "ann@acme.example, bob@acme.example"
    plain, html = texts(mail)
    assert not re.findall(r"(?m)^Bcc:", plain)
    assert "<img" not in html and "<script" not in html and "\u202e" not in plain + html
    assert set(re.findall(r"<(\w+)", html)) <= {
        "html", "body", "p", "strong", "table", "tr", "td", "a", "small",
    }  # fmt: skip


def test_arguments_stay_on_the_page():
    for text in texts(composed(body(input={"iban": "AT61"}))):
        assert "AT61" not in text


@given(st.text(), st.text())
def test_no_text_breaks_a_message(summary, why):
    mail = composed(body(summary=summary, why=why))
    assert set(map(str.lower, mail.keys())) == {
        "from", "to", "subject", "date", "message-id", "references", "auto-submitted", "mime-version", "content-type",
    }  # fmt: skip
    assert len(mail["Subject"]) <= 150


@pytest.mark.parametrize("address", ["a,b@acme.example", "a b@acme.example", "<a@b>", "a\r\nBcc: x@acme.example", "a"])
def test_an_address_that_is_none_is_refused_without_quoting_it(address):
    with pytest.raises(ValueError, match="is not an e-mail address") as caught:
        composed(body(), people=(Person(name="ann", email=address),))
    assert address not in str(caught.value) or address == "a"


# --- Digests ----------------------------------------------------------------------------------------------------------


def test_a_digest_says_how_many_wait_what_each_is_and_what_is_over():
    mail = composed(digest(waiting=3, listed=2))
    assert mail["Subject"] == "[finance] 3 questions wait for finance"
    assert mail["References"] == "<digest.finance@acme.example>", "one thread for all of them"
    for text in texts(mail):
        assert text.count("shop-bot (owner olga) for kim@acme.example; 60 min left") == 2
        assert "Rejected: ann said no." in text and text.count("Over: ") == 1 and "1 more wait." in text
        assert text.count("https://gateway.example/inbox/c?approval=finance") == 3
        assert "https://gateway.example/inbox" in text and "Opening the link decides nothing" in text


@pytest.mark.parametrize("place", ["summary", "user", "told", "agent"])
def test_nothing_from_outside_is_a_header_or_html_in_a_digest(place):
    mail = composed(digest(**cast("dict[str, Any]", {place: SPELLS})))
    assert mail["Bcc"] is None
    plain, html = texts(mail)
    assert not re.findall(r"(?m)^Bcc:", plain) and "\u202e" not in plain + html
    assert set(re.findall(r"<(\w+)", html)) <= {"html", "body", "p", "ul", "li", "br", "a", "small"}
