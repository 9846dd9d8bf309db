"""The control plane: what people and approvers' systems may ask and say. Never on the agents' port.

GET never decides anything. Everything but /livez, /readyz and the signed callback needs a person's token and role:
approvers vote, operators resolve and suspend, auditors read. A door parses, calls and renders; who may do what to
which call is decided in `gateway.core.approval` and `gateway.decisions`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gateway import __version__, control_errors, errors
from gateway.adapters.redis.held import HeldCalls
from gateway.adapters.redis.journal import RedisJournal
from gateway.adapters.redis.ledger import RedisLedger
from gateway.adapters.secrets import Secrets
from gateway.core import timeline
from gateway.core.deployment import AgentReadmitted, AgentSuspended, DeploymentFact, LossAcknowledged
from gateway.core.figures import Figures
from gateway.core.record import Record, recall
from gateway.core.routes import Routes
from gateway.core.times import iso
from gateway.decisions import Decisions, TooEarly
from gateway.doors import control_bodies
from gateway.doors.control_documents import brief
from gateway.doors.deciding import DecidingDoor
from gateway.doors.grants import GrantsDoor
from gateway.doors.people import person
from gateway.doors.slack import SlackDoor, Whisper
from gateway.doors.unambiguous import Unambiguous
from gateway.doors.unrecorded import unrecorded
from gateway.doors.waiting import Waiting, days_of
from gateway.metrics import exposition
from gateway.open_calls import STATES, OpenCalls
from gateway.ports import JournalUnavailable
from gateway.wire.problem import problem

LISTED = 100
READERS = ("approver", "operator", "auditor")

log = logging.getLogger("gateway.control")

Check = Callable[[], Awaitable[list[str]]]


@dataclass(slots=True)
class ControlPlane:
    decisions: Decisions
    journal: RedisJournal
    ledger: RedisLedger
    open_calls: OpenCalls
    held: HeldCalls
    secrets: Secrets
    readiness: Check
    """Sentences about what is not as it must be; empty if ready."""
    measures: Callable[[], Awaitable[Figures]]
    whisper: Whisper
    grants: GrantsDoor
    stats: Callable[[int], Awaitable[dict[str, Any]]]
    """The numbers about the decisions of the last so many days."""
    note: Callable[[DeploymentFact], Awaitable[None]]
    """Writes down what a person did to the deployment. Raises JournalUnavailable."""
    record_generation: Callable[[], Awaitable[None]]
    """Writes down what serves, if the journal does not know."""
    pages: Sequence[BaseRoute] = ()
    """What is for people with a browser (`gateway.console`)."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/livez", self.livez),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
                Route("/approvals", self.approvals),
                Route("/approvals/stats", self.approvals_stats),
                Route("/approvals/{call}", self.approval),
                *DecidingDoor(self.decisions, self.secrets).paths(),
                Route("/slack/interactions", self.pressed, methods=["POST"]),
                *self.grants.paths(),
                Route("/calls", self.calls),
                Route("/calls/{call}", self.call),
                Route("/calls/{call}/resolve", self.resolve, methods=["POST"]),
                Route("/agents", self.agents),
                Route("/agents/{agent}/suspend", self.suspend, methods=["POST", "DELETE"]),
                Route("/journal/acknowledge-loss", self.acknowledge_loss, methods=["POST"]),
                *self.pages,
            ],
            middleware=[Middleware(Unambiguous)],
            exception_handlers={
                errors.GatewayError: _refused,
                JournalUnavailable: _journal_unavailable,
                404: _not_found,
                405: _wrong_method,
            },
        )

    @property
    def _waiting(self) -> Waiting:
        return Waiting(self.decisions.engine, self.held)

    @property
    def routes(self) -> Routes:
        return self.decisions.engine.generation().routes

    # --- Health ----------------------------------------------------------------------------------------------

    async def livez(self, _: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(self, _: Request) -> Response:
        problems = await self.readiness()
        generation = self.decisions.engine.generation().digest
        body = {"ready": not problems, "problems": problems, "generation": generation, "version": __version__}
        return _json(body, 503 if problems else 200)

    async def metrics(self, request: Request) -> Response:
        person(request, self.routes)
        text, content_type = exposition(await self.measures(), request.headers.get("accept", ""))
        return Response(text, media_type=content_type)

    # --- Reading ---------------------------------------------------------------------------------------------

    async def approvals(self, request: Request) -> Response:
        person(request, self.routes, READERS)
        return _json(await self._waiting.page(request.query_params))

    async def approvals_stats(self, request: Request) -> Response:
        person(request, self.routes, READERS)
        return _json(await self.stats(days_of(request.query_params)))

    async def approval(self, request: Request) -> Response:
        who = person(request, self.routes, READERS)
        shows = request.method != "HEAD"
        return _json(await self._waiting.whole(request.path_params["call"], who.name, shows=shows))

    async def calls(self, request: Request) -> Response:
        person(request, self.routes, READERS)
        wanted = timeline.state_named(request.query_params.get("state", ""))
        if wanted and wanted not in STATES:
            raise control_errors.UnknownState(wanted, [name.replace(" ", "-") for name in STATES])
        calls = await self.open_calls.named(wanted, LISTED) if wanted else await self.ledger.recent(LISTED)
        read = await asyncio.gather(*(self.journal.facts(call) for call in calls))
        return _json({"calls": [brief(recall(facts), facts[0].at) for facts in read if facts]})

    async def call(self, request: Request) -> Response:
        person(request, self.routes, READERS)
        call = request.path_params["call"]
        facts = await self.journal.facts(call)
        if not facts:
            raise control_errors.UnknownCall(call)
        return _json(brief(recall(facts), facts[0].at) | {"timeline": timeline.timeline(facts)})

    async def agents(self, request: Request) -> Response:
        """Every agent, and who suspended it when."""
        person(request, self.routes, READERS)
        known = self.routes.agents
        suspended = await self.journal.suspensions(known)
        return _json(
            {
                "agents": [
                    {"agent": name, "owner": agent.owner, "suspended": name in suspended}
                    | (
                        {"by": (it := suspended[name]).by, "at": iso(it.at) if it.at else None}
                        if name in suspended
                        else {}
                    )
                    for name, agent in known.items()
                ]
            }
        )

    # --- Saying ----------------------------------------------------------------------------------------------

    async def pressed(self, request: Request) -> Response:
        return await SlackDoor(self.decisions, self.secrets.read, self.whisper).pressed(request, self.journal.now())

    async def resolve(self, request: Request) -> Response:
        who = person(request, self.routes, ("operator",))
        call = request.path_params["call"]
        told = control_bodies.resolution(await control_bodies.body(request))
        with unrecorded(call, stale=control_errors.NotInDoubt):
            try:
                record = await self.decisions.resolve(
                    call, by=who.name, acted=told.acted, note=told.note, answer=told.answer
                )
            except TooEarly as early:
                raise control_errors.TooEarlyToSettle(call, early.seconds) from early
        log.info("%s settled call %s: it %s", who.name, call, "acted" if told.acted else "did not act")
        return _json(await self._shown(record))

    async def _shown(self, record: Record) -> dict[str, Any]:
        facts = await self.journal.facts(record.call.id)
        return brief(record, facts[0].at if facts else 0)

    async def suspend(self, request: Request) -> Response:
        who = person(request, self.routes, ("operator",))
        agent = request.path_params["agent"]
        if agent not in self.routes.agents:
            raise control_errors.UnknownAgent(agent)
        if request.method == "POST":
            await self.journal.suspend(agent, who.name)  # first of all: stopping needs no record
            await self.note(AgentSuspended(agent=agent, by=who.name))
        else:
            await self.note(AgentReadmitted(agent=agent, by=who.name))
            await self.journal.readmit(agent)
        log.info("%s %s %s", who.name, "suspended" if request.method == "POST" else "readmitted", agent)
        return _json({"agent": agent, "suspended": request.method == "POST", "by": who.name})

    async def acknowledge_loss(self, request: Request) -> Response:
        who = person(request, self.routes, ("operator",))
        await self.journal.heed()
        loss = self.journal.loss
        if not loss:
            raise control_errors.NothingLost
        await self.note(LossAcknowledged(by=who.name, loss=loss))  # first: nobody could say it later
        await self.journal.acknowledge_loss()
        await self.record_generation()
        log.info("%s acknowledged the loss; effects go on: %s", who.name, loss)
        return _json({"acknowledged": True, "loss": loss, "by": who.name})


def _json(value: object, status: int = 200) -> Response:
    body = orjson.dumps(value, default=str, option=orjson.OPT_APPEND_NEWLINE)  # as in wire/problem.py
    return Response(body, status, headers={"cache-control": "no-store"}, media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.GatewayError)
    status, headers, body = problem(error)
    return Response(body, status, headers={name.decode(): value.decode("latin-1") for name, value in headers})


async def _journal_unavailable(request: Request, _: Exception) -> Response:
    return await _refused(request, errors.JournalUnavailable())


async def _not_found(request: Request, _: Exception) -> Response:
    return await _refused(request, control_errors.NothingHere(request.method, request.url.path))


async def _wrong_method(request: Request, error: Exception) -> Response:
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
    names = [name.strip() for name in allowed.split(",") if name.strip() not in ("", "HEAD")]
    return await _refused(request, errors.MethodNotAllowed(request.method, names))
