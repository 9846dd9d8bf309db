"""Every way to tell people something, put together from the settings: what the steward's `Notifier` is made of."""

import ssl
from collections.abc import Callable
from pathlib import Path

import certifi

from gateway.adapters.channels import Channels
from gateway.adapters.mailer import Mailer
from gateway.adapters.slack import SlackSender
from gateway.adapters.webhook_sender import WebhookSender
from gateway.core.routes import SecretReference
from gateway.setting_readers import MailServer
from gateway.settings import Settings
from gateway.wire import email, slack, webhook

NO_MAIL = MailServer(host="", port=0, security="tls")


def notifying(settings: Settings, read_secret: Callable[[SecretReference], str]) -> tuple[Channels, SlackSender]:
    """The notifier, and of it what answers people in Slack."""
    context = ssl.create_default_context(cafile=certifi.where())
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    server, file = settings.smtp_url or NO_MAIL, settings.smtp_password_file
    mailer = Mailer(
        compose=email.compose, host=server.host, port=server.port, security=server.security,
        sender=settings.email_from, user=server.user, context=context,
        read_password=lambda: _password(file) if file is not None else server.password,
    )  # fmt: skip
    chat = SlackSender(slack, api=settings.slack_api, context=context)
    post = WebhookSender(webhook.sign, context=context)
    return Channels(read_secret=read_secret, post=post.deliver, chat=chat.deliver, mail=mailer.deliver), chat


def _password(file: Path) -> str:
    """Read at every use, so that changing it needs no restart. Raises OSError."""
    return file.read_text(encoding="utf-8", errors="surrogateescape").removesuffix("\n").removesuffix("\r")
