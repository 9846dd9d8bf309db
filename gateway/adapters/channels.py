"""One notice to one channel: picks the adapter by the kind of channel, and reads the secret at the moment of use.

It decides nothing and never retries. Whatever is wrong with a channel is a `Delivery`, so that one broken channel
keeps no other from hearing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

import orjson

from gateway.core.messages import Message
from gateway.core.routes import Channel, EmailChannel, SecretReference, Slack, Webhook
from gateway.ports import Delivery, SecretMissing

Post = Callable[[str, str, str, bytes, int], Awaitable[Delivery]]
"""`WebhookSender.deliver`: URL, secrets, message id, body, whole seconds since the epoch."""
Chat = Callable[[str, str, Message], Awaitable[Delivery]]
"""`SlackSender.deliver`: channel id, token, message."""
Mail = Callable[[Message, int], Awaitable[Delivery]]
"""`Mailer.deliver`: message, milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The `ports.Notifier` of a running gateway."""

    read_secret: Callable[[SecretReference], str]
    post: Post
    chat: Chat
    mail: Mail

    async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
        try:
            match channel:
                case Webhook():
                    secret, body = self.read_secret(channel.secret), orjson.dumps(message.body, default=str)
                    return await self.post(channel.url, secret, message.id, body, now // 1000)
                case Slack():
                    return await self.chat(channel.channel, self.read_secret(channel.token), message)
                case EmailChannel():
                    return await self.mail(message, now)
                case _:
                    assert_never(channel)
        except SecretMissing as error:
            return Delivery(status=0, done=False, error=str(error))
