"""Where Slack calls when somebody presses a button of a card: a decision like any other, by a user of Slack.

Slack's signature proves the request, its workspace must be the channel's, and its user is a person only if routes.yaml
says so. Everything else is asked by `Decisions.vote`, as everywhere. Slack waits three seconds for an answer and shows
nothing of it, so what a person has to read is whispered to that person in the channel.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import control_errors
from gateway.core.approval import Decision
from gateway.core.routes import Group, Person, Routes, SecretReference, Slack
from gateway.decisions import Decisions, NoSuchCall, NotEligible, Stale
from gateway.doors import control_bodies
from gateway.ports import Delivery, JournalUnavailable, SecretMissing
from gateway.tasks import spawn
from gateway.wire import slack_interaction
from gateway.wire.slack_interaction import Press
from gateway.wire.webhook import BadSignature

BODY_LIMIT = 1024 * 1024
"""Slack sends the whole card back, as a form: several times what it was."""
ANSWER_SECONDS = 2.5
"""Slack shows an error after three."""

Whisper = Callable[[str, str, str, str], Awaitable[Delivery]]
"""`SlackSender.whisper`: channel, token, user, text."""

log = logging.getLogger("gateway.slack")


@dataclass(frozen=True, slots=True)
class SlackDoor:
    decisions: Decisions
    read_secret: Callable[[SecretReference], str]
    whisper: Whisper

    async def pressed(self, request: Request, now: int) -> Response:
        """`now`: milliseconds since the epoch. Raises BadSlackSignature, OtherWorkspace or InvalidBody."""
        body = await control_bodies.body(request, BODY_LIMIT)
        try:
            press = slack_interaction.pressed(body)
        except slack_interaction.NotAPress as no:
            raise control_errors.InvalidBody([str(no)]) from no
        if press is None:
            return _said("")
        routes = self.decisions.engine.generation().routes
        channel = self._channel(request, body, press, routes.groups.get(press.group), now // 1000)
        deciding = spawn(self._decide(press, channel, routes), f"a press about {press.call}")
        done, _ = await asyncio.wait({deciding}, timeout=ANSWER_SECONDS)  # it goes on if Slack cannot wait for it
        return _said(deciding.result() if done else "")

    def _channel(self, request: Request, body: bytes, press: Press, group: Group | None, now: int) -> Slack:
        """The channel of the group whose app signed this and whose workspace it comes from."""
        why, signed = f"there is no approval group {press.group!r} with a Slack channel", []
        for channel in group.channels if group is not None else ():
            if isinstance(channel, Slack):
                try:
                    slack_interaction.verify(request.headers, body, self.read_secret(channel.signing_secret), now)
                    signed.append(channel)
                except SecretMissing:
                    why = "the gateway has not got the signing secret of this group's Slack app"
                except BadSignature as error:
                    why = str(error)
        if not signed:
            raise control_errors.BadSlackSignature(why)
        for channel in signed:
            if channel.workspace == press.workspace == press.home:
                return channel
        raise control_errors.OtherWorkspace(press.call)

    async def _decide(self, press: Press, channel: Slack, routes: Routes) -> str:
        """What came of it, as the person is told."""
        said = await self._vote(press, routes)
        try:
            told = await self.whisper(channel.channel, self.read_secret(channel.token), press.user, said)
        except SecretMissing as missing:
            told = Delivery(status=0, done=False, error=str(missing))
        if not told.done:
            log.warning("%s could not be told in Slack %r: %s", press.user, said, told.error)
        return said

    async def _vote(self, press: Press, routes: Routes) -> str:
        person = _person(press.user, routes)
        if person is None:
            return (
                f"Nothing was recorded: your user of Slack, {press.user}, belongs to nobody in routes.yaml; whoever "
                "operates the gateway can add it as `slack` under `people`."
            )
        decision = Decision(
            approve=press.approve, by=person.name, group=press.group, fingerprint=press.fingerprint, way="slack",
            via=f"as {press.user} in Slack workspace {press.workspace}", message=press.message,
        )  # fmt: skip
        try:
            await self.decisions.vote(press.call, decision)
        except NoSuchCall:
            return "Nothing was recorded: this call is not kept any more."
        except (Stale, NotEligible) as no:
            return f"Nothing was recorded: {no}."
        except JournalUnavailable:
            return "It is not known whether this was recorded, because the journal is away. Press again in a moment."
        return f"Recorded: {'approved' if press.approve else 'rejected'} by {person.name} for {press.group}."


def _person(user: str, routes: Routes) -> Person | None:
    return next((person for person in routes.people.values() if person.slack == user), None)


def _said(text: str) -> Response:
    body = {"response_type": "ephemeral", "replace_original": False, "text": text} if text else {}
    return Response(orjson.dumps(body), headers={"cache-control": "no-store"}, media_type="application/json")
