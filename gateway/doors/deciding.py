"""What people and approvers' systems say about held calls: yes, no, yes but, not after all, and the end.

A decision comes from a person with a token, or signed by the system that asked its approver; the signature covers the
body alone, so that must name the call. Who may say what about which call is decided in `gateway.decisions`.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import control_errors
from gateway.adapters.secrets import Secrets
from gateway.core.approval import Decision
from gateway.core.record import Record
from gateway.core.routes import Routes
from gateway.decisions import Decisions
from gateway.doors import control_bodies
from gateway.doors.control_documents import brief
from gateway.doors.people import person, signed_by
from gateway.doors.unrecorded import unrecorded


@dataclass(frozen=True, slots=True)
class DecidingDoor:
    decisions: Decisions
    secrets: Secrets

    @property
    def routes(self) -> Routes:
        return self.decisions.engine.generation().routes

    def paths(self) -> list[Route]:
        return [
            Route("/approvals/{call}/decision", self.decide, methods=["POST"]),
            Route("/calls/{call}/cancel", self.cancel, methods=["POST"]),
        ]

    async def decide(self, request: Request) -> Response:
        """A vote: signed by the system that asked its approver, or by a person with a token."""
        call, raw = request.path_params["call"], await control_bodies.body(request)
        told = control_bodies.decision(raw)
        by, via, message = self._who(request, call, raw, told)
        decision = Decision(
            approve=told.decision == "approve", by=by, group=told.approval, fingerprint=told.fingerprint,
            via=via, message=message, reason=told.reason, way="webhook" if message else "token",
        )  # fmt: skip
        with unrecorded(call):
            if told.decision == "retract":
                record = await self.decisions.retract(call, by=by, group=told.approval, via=via, message=message)
            elif told.edit is not None:
                record = await self.decisions.edit(call, decision, told.edit)
            else:
                record = await self.decisions.vote(call, decision)
        return await self._shown(record)

    def _who(self, request: Request, call: str, raw: bytes, told: control_bodies.Told) -> tuple[str, str, str]:
        """Who said it, how that is known, and the message's id if it was signed. Raises a GatewayError."""
        if "webhook-signature" in request.headers:
            group = self.routes.groups.get(told.approval)
            if group is None:
                raise control_errors.BadSignature(f"there is no approval group {told.approval!r}")
            if told.call != call:  # the signature covers the body and not the address
                raise control_errors.BadSignature(
                    "`call` in the body is not the call of this address" if told.call else
                    "`call` is missing in the body; it must be that of the address"
                )  # fmt: skip
            message = signed_by(request, raw, group, self.secrets, self.decisions.engine.journal.now() // 1000)
            return told.approver, f"asserted by webhook of {group.name}", message
        who = person(request, self.routes, ("approver",))
        if told.call not in ("", call):
            raise control_errors.InvalidBody(["`call` is not the call of this address; it may be left out"])
        if told.approver not in ("", who.name):
            raise control_errors.NotEligible(
                call, f"your token is that of {who.name!r}; you cannot decide as {told.approver!r}"
            )
        return who.name, "by token", ""

    async def cancel(self, request: Request) -> Response:
        who, call = person(request, self.routes), request.path_params["call"]
        reason = control_bodies.cancellation(await control_bodies.body(request))
        with unrecorded(call, stale=control_errors.NotCancelled):
            record = await self.decisions.cancel(call, by=who.name, via="by token", reason=reason)
        return await self._shown(record)

    async def _shown(self, record: Record) -> Response:
        facts = await self.decisions.engine.journal.facts(record.call.id)
        told: dict[str, Any] = brief(record, facts[0].at if facts else 0) | {"recorded": True}
        body = orjson.dumps(told, default=str, option=orjson.OPT_APPEND_NEWLINE)
        return Response(body, 200, headers={"cache-control": "no-store"}, media_type="application/json")
