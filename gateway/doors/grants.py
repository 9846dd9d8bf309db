"""Standing grants at the control plane: give one at a question, list them, revoke one.

`POST /approvals/{call}/grant` with `dry: true` shows the text of what would be granted; the same request with
`confirm` instead, naming what was shown, gives it. Who may give or revoke what is decided in `gateway.granting`.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import control_errors
from gateway.core.grants import Grant, NotGrantable, Terms, about_nobody, obstacle
from gateway.core.routes import Routes
from gateway.core.times import iso
from gateway.doors import control_bodies
from gateway.doors.people import person
from gateway.doors.unrecorded import unrecorded
from gateway.granting import Draft, Granting, NoSuchGrant, NotShown, NotYours, Wish

READERS = ("approver", "operator", "auditor")
MEMBERS = ("call", "approval", "fingerprint", "bounds", "free", "until", "dry", "confirm")

log = logging.getLogger("gateway.control")


@dataclass(frozen=True, slots=True)
class GrantsDoor:
    granting: Granting

    @property
    def routes(self) -> Routes:
        return self.granting.engine.generation().routes

    def paths(self) -> list[Route]:
        return [
            Route("/approvals/{call}/grant", self.give, methods=["POST"]),
            Route("/grants", self.listed),
            Route("/grants/{grant}", self.revoke, methods=["DELETE"]),
        ]

    async def give(self, request: Request) -> Response:
        who, call = person(request, self.routes, ("approver",)), request.path_params["call"]
        told = control_bodies.members(await control_bodies.body(request), MEMBERS)
        wish, confirmed = _wish(told, call, who.name)
        try:
            with unrecorded(call):
                if told.get("dry") is True:
                    drafts = await self.granting.draft(wish)
                    return _json({"recorded": False, "grants": [_draft(draft, self.routes) for draft in drafts]})
                given = await self.granting.give(wish, confirmed)
        except NotGrantable as no:
            raise control_errors.NotGrantable(call, str(no)) from no
        except NotShown as no:
            raise control_errors.GrantNotShown(call) from no
        for grant in given:
            log.info(
                "%s gave %s: %s may use %s until %s", who.name, grant.id, grant.agent, grant.tool, iso(grant.until)
            )
        return _json({"recorded": True, "grants": [self._shown(grant) for grant in given]})

    async def listed(self, request: Request) -> Response:
        person(request, self.routes, READERS)
        return _json({"grants": [self._shown(grant) for grant in await self.granting.listed()]})

    async def revoke(self, request: Request) -> Response:
        who, grant = person(request, self.routes, ("approver", "operator")), request.path_params["grant"]
        try:
            revoked = await self.granting.revoke(grant, who)
        except NoSuchGrant as error:
            raise control_errors.UnknownGrant(grant) from error
        except NotYours as no:
            raise control_errors.GrantNotYours(grant, no.group) from no
        log.info("%s revoked %s", who.name, grant)
        return _json(self._shown(revoked))

    def _shown(self, grant: Grant) -> dict[str, Any]:
        now = self.granting.engine.journal.now()
        why_not = obstacle(grant, about_nobody(grant), self.routes, now=now)
        return {
            "grant": grant.id, "state": grant.standing(now), "agent": grant.agent, "tool": grant.tool,
            "approval": grant.requirement.group, "forbid": grant.requirement.policy, "until": iso(grant.until),
            "given": [{"by": fact.by, "at": iso(fact.at), "via": fact.via, "call": fact.call} for fact in grant.given],
            "revoked": {"by": grant.revoked.by, "at": iso(grant.revoked.at)} if grant.revoked else None,
            "unused_because": why_not or None, "text": grant.text or None,
        }  # fmt: skip


def _draft(draft: Draft, routes: Routes) -> dict[str, Any]:
    fact = draft.fact
    return {
        "grant": fact.grant, "agent": fact.agent, "tool": fact.tool, "approval": fact.requirement.group,
        "forbid": fact.requirement.policy, "until": iso(fact.until), "text": draft.text,
        "covers_this_call": draft.covers, "quorum": routes.groups[fact.requirement.group].quorum,
    }  # fmt: skip


def _wish(told: dict[str, Any], call: str, by: str) -> tuple[Wish, list[str]]:
    """What the person wants, and the ids that they were shown. Raises InvalidBody with everything that is wrong."""
    group, shown = told.get("approval"), told.get("fingerprint")
    bounds, free, confirmed = told.get("bounds", {}), told.get("free", []), told.get("confirm", [])
    until, dry = _moment(told.get("until")), told.get("dry", False)
    wrong = [f"`{name}` must be text" for name in ("approval", "fingerprint") if not isinstance(told.get(name), str)]
    if told.get("call", call) != call:
        wrong.append("`call` is not the call of this address; it may be left out")
    if not isinstance(bounds, dict) or any(type(most) is not int for most in bounds.values()):
        wrong.append('`bounds` must be whole numbers by argument, such as {"amount": 10000}')
    wrong += [
        f"`{name}` must be a list of texts"
        for name, listed in (("free", free), ("confirm", confirmed))
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed)
    ]
    if until is None:
        wrong.append("`until` must be a moment with its time zone, such as 2026-11-20T18:00:00Z")
    if not isinstance(dry, bool):
        wrong.append("`dry` must be true or false")
    elif dry == ("confirm" in told):
        wrong.append("say either `dry: true`, to be shown what would be granted, or `confirm`, with what was shown")
    if wrong:
        raise control_errors.InvalidBody(wrong)
    terms = Terms(bounds=bounds, free=frozenset(free), until=until or 0)
    wish = Wish(call=call, group=str(group), fingerprint=str(shown), by=by, via="by token", way="token", terms=terms)
    return wish, confirmed


def _moment(value: object) -> int | None:
    """Milliseconds since the epoch."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return round(found.timestamp() * 1000) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _json(value: object) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")
