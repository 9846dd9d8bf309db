"""One notice to one channel: picks the adapter by the kind of channel, and reads the secret at the moment of use.

It decides nothing and never retries. Whatever is wrong with a channel is a `Delivery`, so that one broken channel
keeps no other from hearing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from gateway.core.notices import Message
from gateway.core.routes import Channel, SecretReference
from gateway.ports import Delivery, SecretMissing

Post = Callable[[str, str, str, bytes, int], Awaitable[Delivery]]
"""`WebhookSender.deliver`: URL, secrets, message id, body, whole seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The `ports.Notifier` of a running gateway."""

    read_secret: Callable[[SecretReference], str]
    post: Post

    async def deliver(self, channel: Channel, message: Message, now: int) -> Delivery:
        try:
            secret = self.read_secret(channel.secret)
        except SecretMissing as error:
            return Delivery(status=0, done=False, error=str(error))
        return await self.post(channel.url, secret, message.id, orjson.dumps(message.body, default=str), now // 1000)
