"""Tells one Slack channel one thing, once, through Slack's Web API, and says what came of it.

It never retries (the steward does, from the outbox), follows no redirect, and keeps no cookie. Slack refuses with
`ok: false` in a 200, and says that it is asked too often with 429 and `Retry-After`. What is reported names no token. A
card whose posting was answered too late can be posted twice: both have the same buttons, and a second press
changes nothing.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol

import httpx
import orjson

from gateway import __version__
from gateway.core.messages import Message
from gateway.core.routes import Person
from gateway.ports import Delivery

SLACK = "https://slack.com/api"
TIMEOUT_SECONDS = 15.0
LONGEST_ANSWER = 1024 * 1024
"""Bytes. Slack repeats the message in its answer."""

CURES = {
    "not_in_channel": "invite the app to the channel",
    "channel_not_found": "check `channel` in routes.yaml, and invite the app if the channel is private",
    "is_archived": "the channel is archived; name another one",
    "invalid_auth": "check the bot's token",
    "not_authed": "check the bot's token",
    "account_inactive": "the app was removed from the workspace; install it again",
    "token_revoked": "install the app again and use its new token",
    "token_expired": "use the bot's new token",
    "missing_scope": "give the app the scope chat:write",
}
LOST_CARDS = ("message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found")
"""Why a card cannot be changed any more: then the news is posted beside it."""


class Cards(Protocol):
    """`gateway.wire.slack`: what a message looks like in Slack."""

    def card(self, body: Mapping[str, Any], /) -> dict[str, Any]: ...
    def nudge(self, body: Mapping[str, Any], people: Sequence[Person], /) -> dict[str, Any]: ...
    def ending(self, body: Mapping[str, Any], /) -> dict[str, Any]: ...
    def digest(self, body: Mapping[str, Any], /) -> dict[str, Any]: ...
    def superseded(self, kind: str, /) -> dict[str, Any]: ...
    def escaped(self, text: str, /) -> str: ...


class SlackSender:
    """Made once: a client keeps its connections to Slack."""

    def __init__(
        self, cards: Cards, *, api: str = SLACK, context: ssl.SSLContext | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._cards, self._api, self._timeout = cards, api.rstrip("/"), timeout
        self._client = httpx.AsyncClient(
            verify=context if context is not None else ssl.create_default_context(),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
            timeout=timeout,
            headers={"user-agent": f"policy-gateway/{__version__}"},
        )

    async def deliver(self, channel: str, token: str, message: Message) -> Delivery:
        """Post, answer or change what the message is about, in the channel with that id."""
        body, (_, _, card) = message.body, message.receipt.partition(":")
        kind = body["type"]
        if kind == "approval.requested":
            return await self._post(channel, token, message, self._cards.card(body))
        if kind == "approval.digest":
            return await self._digest(channel, token, message)
        if kind in ("approval.reminded", "approval.escalated"):
            if not card:
                return await self._say("chat.postMessage", token, {"channel": channel} | self._cards.card(body))
            return await self._below(message, token, self._cards.nudge(body, message.people))
        ending = self._cards.ending(body)
        if not card:
            return await self._say("chat.postMessage", token, {"channel": channel} | ending)
        changed = await self._change(message.receipt, token, ending)
        if _lost(changed) or (changed.done and kind == "call.in_doubt"):  # a changed card calls nobody
            return await self._below(message, token, ending)
        return changed

    async def _post(self, channel: str, token: str, message: Message, said: Mapping[str, Any]) -> Delivery:
        posted = await self._say("chat.postMessage", token, {"channel": channel} | dict(said))
        if posted.done and message.receipt:  # for tidiness only: what the old buttons say is refused
            await self._change(message.receipt, token, self._cards.superseded(message.body["type"]))
        return posted

    async def _digest(self, channel: str, token: str, message: Message) -> Delivery:
        said = self._cards.digest(message.body)
        if message.receipt and not message.anew:
            changed = await self._change(message.receipt, token, said)
            if changed.done or not _lost(changed):
                return changed
        return await self._post(channel, token, message, said)

    async def refresh(self, channel: str, token: str, message: Message) -> Delivery:
        """Change the card that stands in the channel into what it would be now; it calls nobody."""
        ends = message.body["type"].startswith("call.")
        said = self._cards.ending(message.body) if ends else self._cards.card(message.body)
        return await self._change(message.receipt or f"{channel}:", token, said)

    async def whisper(self, channel: str, token: str, user: str, text: str) -> Delivery:
        """Tell one user of the channel something that nobody else sees."""
        said = {"channel": channel, "user": user, "text": self._cards.escaped(text)}
        return await self._say("chat.postEphemeral", token, said)

    async def _below(self, message: Message, token: str, said: Mapping[str, Any]) -> Delivery:
        """In the card's thread and in the channel too. It is no card, so it has no receipt."""
        channel, _, card = message.receipt.partition(":")
        place = {"channel": channel, "thread_ts": card, "reply_broadcast": True}
        answer = await self._say("chat.postMessage", token, place | dict(said))
        return Delivery(
            status=answer.status, done=answer.done, error=answer.error, retry_after=answer.retry_after, gone=answer.gone
        )

    async def _change(self, receipt: str, token: str, said: Mapping[str, Any]) -> Delivery:
        channel, _, card = receipt.partition(":")
        return await self._say("chat.update", token, {"channel": channel, "ts": card} | dict(said))

    async def _say(self, method: str, token: str, said: Mapping[str, Any]) -> Delivery:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json; charset=utf-8"}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    "POST", f"{self._api}/{method}", content=orjson.dumps(said), headers=headers
                ) as response,
            ):
                return _delivery(response, await _read(response))
        except (TimeoutError, httpx.TimeoutException):
            return _failed(f"Slack did not answer within {self._timeout:g} seconds")
        except httpx.HTTPError as error:
            return _failed(f"Slack could not be reached ({type(error).__name__})")

    async def close(self) -> None:
        await self._client.aclose()


def _lost(changed: Delivery) -> bool:
    """True if what should have been changed is not there to be changed."""
    return not changed.done and any(code in changed.error for code in LOST_CARDS)


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LONGEST_ANSWER:
            return b""
    return bytes(content)


def _delivery(response: httpx.Response, content: bytes) -> Delivery:
    wait = response.headers.get("retry-after", "")
    retry_after = float(wait) if wait.isascii() and wait.isdigit() and len(wait) <= 9 else None
    status = response.status_code
    if status != 200:
        return Delivery(status=status, done=False, error=f"Slack answered {status}", retry_after=retry_after)
    try:
        told = orjson.loads(content)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Delivery(status=status, done=False, error="Slack answered something that is no JSON object")
    if told.get("ok") is True:
        place = told.get("channel"), told.get("ts")
        receipt = f"{place[0]}:{place[1]}" if all(isinstance(part, str) for part in place) else ""
        return Delivery(status=status, done=True, error="", receipt=receipt)
    code = str(told.get("error", "no reason"))[:100]
    cure = f": {CURES[code]}" if code in CURES else ""
    return Delivery(status=status, done=False, error=f"Slack refused it ({code}){cure}", retry_after=retry_after)


def _failed(error: str) -> Delivery:
    return Delivery(status=0, done=False, error=error)
