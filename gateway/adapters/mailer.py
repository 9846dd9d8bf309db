"""Hands one message over to the mail server, once, and says what came of it.

It never retries (the steward does, from the outbox). "Done" means that the server took it for at least one of the
people; whom it refused is named. What is reported holds no password and no address, only names of routes.yaml.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib

from gateway.core.messages import Message
from gateway.ports import Delivery

TIMEOUT_SECONDS = 20.0
"""For the whole exchange; below the lease of a notice."""

Compose = Callable[[Message, str, int], EmailMessage]
"""`gateway.wire.email.compose`: message, sender, milliseconds since the epoch."""

SECURE = {"tls": (True, False), "starttls": (False, True), "none": (False, False)}
"""By kind of security: TLS from the first byte, and STARTTLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    compose: Compose
    host: str
    """Empty: there is no mail server."""
    port: int
    security: str
    """`tls`, `starttls` or `none`."""
    sender: str
    user: str
    read_password: Callable[[], str]
    """Raises OSError if it cannot be read."""
    context: ssl.SSLContext | None = None
    timeout: float = TIMEOUT_SECONDS

    async def deliver(self, message: Message, now: int) -> Delivery:
        """`now`: milliseconds since the epoch."""
        if not (self.host and self.sender):
            return _failed("there is no mail server: set GATEWAY_SMTP_URL and GATEWAY_EMAIL_FROM")
        reachable = [person for person in message.people if person.email]
        if not reachable:
            return _failed("nobody whom it is for has an address under `people`")
        try:
            mail = self.compose(message, self.sender, now)
        except ValueError as error:
            return _failed(str(error))
        return await self._send(mail, message)

    async def _send(self, mail: EmailMessage, message: Message) -> Delivery:
        use_tls, start_tls = SECURE[self.security]
        names = {person.email: person.name for person in message.people if person.email}
        try:
            password = self.read_password() if self.user else None
        except OSError as error:
            why = error.strerror or "unknown error"
            return _failed(f"the file of GATEWAY_SMTP_PASSWORD_FILE cannot be read ({why})")
        try:
            async with asyncio.timeout(self.timeout):
                refused, _ = await aiosmtplib.send(
                    mail, sender=self.sender, recipients=list(names), hostname=self.host, port=self.port,
                    username=self.user or None, password=password, use_tls=use_tls, start_tls=start_tls,
                    tls_context=self.context, timeout=self.timeout,
                )  # fmt: skip
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = error.recipients[0].code if error.recipients else 0
            return _failed(f"the mail server refused everybody it was for ({', '.join(names.values())})", code)
        except aiosmtplib.SMTPResponseException as error:
            return _failed(f"the mail server refused it with {error.code}", error.code)
        except TimeoutError:
            return _failed(f"the mail server did not answer within {self.timeout:g} seconds")
        except (aiosmtplib.SMTPException, OSError) as error:
            return _failed(f"the mail server could not be used ({type(error).__name__})")
        lost = ", ".join(names.get(address, "somebody") for address in refused)
        return Delivery(status=250, done=True, error=f"the mail server refused it for {lost}" if lost else "")


def _failed(error: str, status: int = 0) -> Delivery:
    return Delivery(status=status, done=False, error=error)
