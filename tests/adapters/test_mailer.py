"""One message handed over to a real SMTP server, which takes it, refuses it, hangs, or wants TLS and a password."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from gateway.adapters.mailer import Mailer
from gateway.core.messages import Message
from gateway.core.routes import Person
from gateway.ports import Delivery
from gateway.wire.email import compose
from tests.adapters.test_webhook_sender import receiving
from tests.processes import PATIENCE_SECONDS, free_port
from tests.wire.test_slack import body

NOW = 1_795_168_800_000
ANN, BOB = Person(name="ann", email="ann@acme.example"), Person(name="bob", email="bob@acme.example")


class Mailbox:
    """What the server took, and whom it refuses."""

    def __init__(self, *refused: str, answer: str = "250 taken") -> None:
        self.refused, self.answer, self.taken = refused, answer, list[Any]()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return self.answer


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, ready_timeout=PATIENCE_SECONDS, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def mailer(port: int, **changes: Any) -> Mailer:
    settings: dict[str, Any] = {
        "compose": compose, "host": "127.0.0.1", "port": port, "security": "none", "sender": "gateway@acme.example",
        "user": "", "read_password": lambda: "secret", "timeout": PATIENCE_SECONDS,
    }  # fmt: skip
    return Mailer(**settings | changes)


def deliver(sender: Mailer, people: tuple[Person, ...] = (ANN, BOB)) -> Delivery:
    async def run() -> Delivery:
        delivery = await sender.deliver(Message(id="n-1", body=body(), people=people), NOW)
        await asyncio.sleep(0.05)  # the loop closes a connection a moment after it was given up
        return delivery

    return asyncio.run(run())


def test_everybody_gets_it_and_it_is_the_same_at_every_attempt():
    mailbox = Mailbox()
    with serving(mailbox) as port:
        for _ in range(2):
            assert deliver(mailer(port)) == Delivery(status=250, done=True, error="")
    for sender, people, mail in mailbox.taken:
        assert (sender, people) == ("gateway@acme.example", [ANN.email, BOB.email])
        assert mail["Message-ID"] == "<n-1@acme.example>"


def test_whom_the_server_refuses_is_named_and_the_others_have_it():
    mailbox = Mailbox(BOB.email)
    with serving(mailbox) as port:
        delivery = deliver(mailer(port))
    assert delivery.done and delivery.error == "the mail server refused it for bob"
    assert mailbox.taken[0][1] == [ANN.email]


def test_nobody_taken_is_a_failure():
    with serving(Mailbox(ANN.email, BOB.email)) as port:
        delivery = deliver(mailer(port))
    assert not delivery.done and delivery.status == 550 and "(ann, bob)" in delivery.error
    assert "@" not in delivery.error


@pytest.mark.parametrize("answer", ["451 try later", "554 no"])
def test_a_refused_message_is_a_failure_that_is_tried_again(answer):
    with serving(Mailbox(answer=answer)) as port:
        delivery = deliver(mailer(port))
    assert (delivery.status, delivery.done, delivery.gone) == (int(answer[:3]), False, False)


def test_without_a_server_an_address_or_a_password_the_sentence_says_so(tmp_path):
    assert "set GATEWAY_SMTP_URL" in deliver(mailer(0, host="")).error
    assert "set GATEWAY_SMTP_URL" in deliver(mailer(25, sender="")).error
    assert "has an address under `people`" in deliver(mailer(25), (Person(name="x"),)).error
    missing = mailer(25, user="gateway", read_password=(tmp_path / "none").read_text)
    assert "GATEWAY_SMTP_PASSWORD_FILE cannot be read (No such file" in deliver(missing).error
    assert "is not an e-mail address" in deliver(mailer(25), (Person(name="x", email="a b@c"),)).error


def test_a_server_that_is_away_or_hangs_is_a_failure():
    assert "could not be used" in deliver(mailer(1)).error

    async def hanging() -> Delivery:
        async with receiving(hold=5.0) as receiver:
            port = int(receiver.url.split(":")[2].partition("/")[0])
            return await mailer(port, timeout=0.3).deliver(Message(id="n-1", body=body(), people=(ANN,)), NOW)

    assert "did not answer within 0.3 seconds" in asyncio.run(hanging()).error


# --- TLS and a password -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for 127.0.0.1, with its key in the same file."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "mail.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_starttls_is_demanded_and_the_password_goes_over_it(certificate):
    seen = []

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        seen.append((data.login, data.password, session.ssl is not None))
        return AuthResult(success=True)

    mailbox = Mailbox()
    context = ssl.create_default_context(cafile=str(certificate))
    options = {"tls_context": server_context(certificate), "require_starttls": True, "authenticator": login}
    with serving(mailbox, **options) as port:
        delivery = deliver(mailer(port, security="starttls", context=context, user="gateway"))
    assert delivery.done and len(mailbox.taken) == 1
    assert seen == [(b"gateway", b"secret", True)]


def test_a_server_without_starttls_never_sees_the_message(certificate):
    mailbox = Mailbox()
    with serving(mailbox) as port:
        delivery = deliver(mailer(port, security="starttls", user="gateway"))
    assert not delivery.done and mailbox.taken == []


def test_a_certificate_of_somebody_else_is_refused(certificate):
    mailbox = Mailbox()
    with serving(mailbox, tls_context=server_context(certificate)) as port:
        delivery = deliver(mailer(port, security="starttls"))
    assert not delivery.done and mailbox.taken == []
    with serving(mailbox, ssl_context=server_context(certificate)) as port:
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert not deliver(mailer(port, security="tls")).done
        assert deliver(mailer(port, security="tls", context=trusting)).done
