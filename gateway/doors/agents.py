"""The agents' port: any request for a system is a call; `/calls/{id}` asks about one.

A door parses, admits, drives and renders. It is plain ASGI because every microsecond here is paid per call. Nothing
about a call is decided here: what is refused before a call exists is refused by `gateway.wire`, the rest by the
engine. No path on this port leads to the control plane.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import orjson

from gateway import errors
from gateway.core import timeline
from gateway.core.admit import REQUEST_NOT_KEPT, Asker, admit
from gateway.core.call import call_id
from gateway.core.facts import Ended
from gateway.core.lifecycle import Finish, Wait
from gateway.core.payload import Answer
from gateway.core.routes import Tool
from gateway.core.value import positional_value
from gateway.decisions import Decisions, NoSuchCall, Stale
from gateway.doors.exchange import (
    STALLED_SECONDS,
    BrokenOff,
    Receive,
    Scope,
    Send,
    body_of,
    has_body,
    respond,
    respond_json,
)
from gateway.doors.handing_over import handed_over
from gateway.doors.protocol import ON_LEAVE
from gateway.doors.rate import Rate
from gateway.doors.refusals import Refusals
from gateway.doors.rendering import Rendered, edited_fields, refusal, status_document
from gateway.engine import Driven, Engine
from gateway.generations import LoadedGeneration
from gateway.judging import judge
from gateway.life import Life, Requester
from gateway.ports import BodyBroken, CredentialEchoed, JournalUnavailable, Reply
from gateway.randomness import random
from gateway.sending import drain
from gateway.tasks import spawn
from gateway.wire import http
from gateway.wire.answer import answer_headers, rewrite_body
from gateway.wire.arguments import Reader
from gateway.wire.base import Base
from gateway.wire.index import Index
from gateway.wire.problem import problem

LONGEST_WAIT_SECONDS = 300.0
"""Whatever `Prefer: wait` asks for: load balancers in between cut longer waits anyway."""

log = logging.getLogger("gateway.agents")


@positional_value
class Entry:
    """Everything about a request that can be read, and refused, without its body."""

    head: http.Head
    tool: Tool
    variables: Mapping[str, str]
    reader: Reader


@dataclass(slots=True)
class AgentsDoor:
    engine: Engine
    decisions: Decisions
    serving: Callable[[], LoadedGeneration]
    deployment_key: bytes
    body_limit: int
    rate: Rate
    refusals: Refusals = field(default_factory=Refusals)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            path = scope["path"]
            if path.startswith("/calls/"):
                await self._about_a_call(scope, send)
            elif path == "/healthz":
                await respond(send, 200, [(b"content-type", b"text/plain")], b"ok\n")
            else:
                await self._call(scope, receive, send)
        except errors.RequesterGone:
            return
        except errors.GatewayError as error:
            self.refusals.tell(error, scope, self.serving().index, self.engine.journal.now())
            await respond(send, *problem(error, http.accept_of(scope)))
        except JournalUnavailable as unavailable:
            away = type(unavailable) is JournalUnavailable  # `duties.beat` says that, once for all requests
            log.log(logging.DEBUG if away else logging.WARNING, "journal unavailable: %s", unavailable)
            lost = bool(self.engine.journal.loss)
            await respond(send, *problem(errors.JournalUnavailable(lost=lost), http.accept_of(scope)))

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        generation = self.serving()
        entry = _entered(scope, generation.index)
        agent = entry.head.agent.name
        self.rate.enter(agent)
        try:
            body = await body_of(receive, self.body_limit) if has_body(scope) else b""
            if self.serving() is not generation:  # what counts is what serves when the request is whole
                generation = self.serving()
                entry = _entered(scope, generation.index)
            await self._drive(scope, send, generation, entry, body)
        finally:
            self.rate.leave(agent)

    async def _drive(self, scope: Scope, send: Send, generation: LoadedGeneration, entry: Entry, body: bytes) -> None:
        """From a whole request to its answer."""
        head, tool = entry.head, entry.tool
        request = http.whole(head, body, generation.index).request
        asker = Asker(
            agent=head.agent, run=head.run, key=head.key, reason=head.reason, traceparent=head.traceparent,
            source_ip=head.client_ip,
        )  # fmt: skip
        admission = admit(
            asker, head.system, tool, request, entry.reader.read(request, entry.variables),
            call_id=call_id(head.agent.name, random.hex(11)), salt=random.bytes(16),
            deployment_key=self.deployment_key,
        )  # fmt: skip
        requester = Requester()
        scope[ON_LEAVE] = lambda: self.engine.leave(requester)
        driven = await self.engine.begin(admission, generation, requester)
        if isinstance(driven[1], Wait) and not head.prefer_async:
            seconds = tool.hold_wait_seconds if head.prefer_wait is None else head.prefer_wait
            driven = await self.engine.follow(driven, min(seconds, LONGEST_WAIT_SECONDS))
        try:
            await self._answer(driven, head, send)
        except errors.CredentialEchoed as withheld:  # that is all that anybody is ever told of this answer
            await respond(send, *problem(withheld, http.accept_of(scope)))
            handed_over(self.engine, driven[0])
        finally:
            reply = driven[0].reply
            if reply is not None:
                await reply.close()

    async def _answer(self, driven: Driven, head: http.Head, send: Send) -> None:
        life, step = driven
        rendered = refusal(life, step)
        if isinstance(rendered, errors.GatewayError):
            if head.prefer_async and isinstance(rendered, errors.NotYet):
                await respond(send, 202, *_accepted(rendered))
                return
            raise rendered
        reply, replayed = life.reply, False
        if reply is not None:
            await self._stream(life, reply, head, send)
            return
        answer = life.answer
        if answer is None:
            answer, replayed = await self.engine.kept_answer(life), True
        if answer is None:
            raise _not_kept(life, rendered)
        await _send_answer(answer, head, life, send, replayed=replayed)
        handed_over(self.engine, life)

    async def _stream(self, life: Life, reply: Reply, head: http.Head, send: Send) -> None:
        """Pass a body on as it comes, and write down what it was."""
        call, index = life.record.call.id, _index(life)
        headers = answer_headers(reply.headers, head.system, index, head.base, call) + edited_fields(life.record)
        digest, length, whole = hashlib.sha256(life.salt), 0, False
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            async for chunk in reply.chunks():
                if life.requester.left:
                    break
                digest.update(chunk)
                length += len(chunk)
                async with asyncio.timeout(STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            else:
                async with asyncio.timeout(STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": b""})
                whole = True
        except (BodyBroken, CredentialEchoed, TimeoutError) as error:
            log.warning("the body of call %s broke off: %s", call, type(error).__name__)
            raise BrokenOff from error
        finally:
            await reply.close()
            ended = Ended(length=length, sha256=digest.hexdigest(), whole=whole)
            spawn(self.engine.note(call, ended), "body ended")
            if whole:
                handed_over(self.engine, life)

    # --- /calls/{id} -----------------------------------------------------------------------------------------

    async def _about_a_call(self, scope: Scope, send: Send) -> None:
        visit = http.visit(scope, self.serving().index)
        call = scope["path"].removeprefix("/calls/")
        if visit.method == "DELETE":
            try:
                record = await self.decisions.withdraw(call, visit.agent.name)
            except NoSuchCall as error:
                raise errors.UnknownCall(call) from error
            except Stale as error:
                raise errors.NotHeld(call) from error
            await respond_json(send, 200, status_document(record), call)
            return
        if visit.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed(visit.method, ("DELETE", "GET", "HEAD"))
        requester = Requester()
        scope[ON_LEAVE] = lambda: self.engine.leave(requester)
        life = await self.engine.load(call) if _looks_like_an_id(call) else None
        if life is None or life.record.call.agent != visit.agent.name:
            raise errors.UnknownCall(call)
        driven = await self.engine.resume(call, requester)
        assert driven is not None
        driven = await self.engine.follow(driven, min(visit.prefer_wait or 0.0, LONGEST_WAIT_SECONDS))
        reply = driven[0].reply
        if reply is not None:  # whoever polls drove the call on; a stream has nobody to go to here
            spawn(self._drain(call, reply, driven[0].salt), "drain")
        await self._tell(driven, visit.base, send)

    async def _drain(self, call: str, reply: Reply, salt: bytes) -> None:
        await self.engine.note(call, await drain(reply, salt))

    async def _tell(self, driven: Driven, base: Base, send: Send) -> None:
        life, step = driven
        answer: Answer | None = None
        if isinstance(step, Finish):
            verdict = (await judge(life, self.engine.journal, self.engine.suspended)).verdict
            judgeable = verdict.code != REQUEST_NOT_KEPT  # otherwise the request, sent again, is judged and answered
            if verdict.decision == "deny" and judgeable and timeline.state(life.record) in ("answered", "settled"):
                call = life.record.call
                raise errors.PolicyDenied.of(verdict, tool=call.tool, call=call.id)
            answer = _led_back(await self.engine.kept_answer(life), life, base) if judgeable else None
        await respond_json(send, 200, status_document(life.record, answer, life.admission), life.record.call.id)
        if isinstance(step, Finish) and answer is not None:
            handed_over(self.engine, life, polled=True)


def _entered(scope: Scope, index: Index) -> Entry:
    head = http.head(scope, index)
    tool, variables = index.match(head.system.name, head.method, head.path)
    reader = index.reader(tool)
    reader.headers(head.headers)
    return Entry(head, tool, variables, reader)


def _looks_like_an_id(call: str) -> bool:
    return len(call) == 24 and call[:2].isdigit() and call.isalnum() and call.isascii()


def _not_kept(life: Life, rendered: Rendered) -> errors.GatewayError:
    status, sha256, length = rendered
    return errors.AnswerNotKept(life.record.call.id, upstream_status=status, sha256=sha256, length=length)


def _accepted(error: errors.GatewayError) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """202: only for whoever asked for it, since an unmodified SDK would read it as done."""
    _, headers, _ = problem(error)
    body = orjson.dumps({"status": "pending", "call": error.call, "message": error.detail})
    kept = [(name, value) for name, value in headers if name not in (b"content-length", b"content-type")]
    fresh = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return [*kept, *fresh, (b"preference-applied", b"respond-async")], body


def _index(life: Life) -> Index:
    """Of the generation that this drive used from beginning to end."""
    assert isinstance(life.generation, LoadedGeneration), "the door's engine serves nothing else"
    return life.generation.index


def _led_back(answer: Answer | None, life: Life, base: Base) -> Answer | None:
    """A stored answer as the agent may see it: its addresses lead back to the gateway, as those of a fresh one do."""
    system = life.generation.routes.systems.get(life.record.call.system)
    if answer is None or system is None:
        return answer and replace(answer, headers=())
    body = rewrite_body(answer.body, answer.headers, system, base) if system.rewrite_urls else answer.body
    headers = answer_headers(answer.headers, system, _index(life), base, life.record.call.id, length=len(body))
    return Answer(status=answer.status, headers=tuple(headers), body=body)


async def _send_answer(answer: Answer, head: http.Head, life: Life, send: Send, *, replayed: bool) -> None:
    body, length = answer.body, None
    system, base = head.system, head.base
    if system.rewrite_urls:
        body = rewrite_body(body, answer.headers, system, base)
        length = len(body) if body != answer.body else None
    headers = answer_headers(answer.headers, system, _index(life), base, life.record.call.id, length=length)
    headers += edited_fields(life.record)
    if replayed:
        headers.append((b"idempotent-replayed", b"true"))
    await respond(send, answer.status, headers, body)


__all__ = ["AgentsDoor", "Rate"]
