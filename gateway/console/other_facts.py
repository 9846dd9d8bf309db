"""Facts about no call, from the sealed log: the life of one standing grant, and what happened to the deployment.

    GET /record/grant/{grant}      who gave it, for what, until when, who revoked it
    GET /record/deployment         which configurations were loaded, and what people did to the deployment

Each with its leaf, and verified by `?verify`. They are read from the log alone, which has them within a second.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.rendering import page
from gateway.console.sealed import SealedLog
from gateway.console.sessions import Session
from gateway.core.codec import UnreadableFact
from gateway.core.deployment import (
    NAME,
    AgentReadmitted,
    AgentSuspended,
    DeploymentFact,
    Erased,
    Loaded,
    LossAcknowledged,
)
from gateway.core.grants import Granted, GrantFact, Revoked, is_grant_id
from gateway.core.leaf import NotALeaf
from gateway.core.times import iso
from gateway.errors.base import shortened
from gateway.ledger.evidence import Proven, current
from gateway.ledger.files import Damaged

MOST_SHOWN = 200
"""Of the deployment's facts, the last ones."""

Shows = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Told:
    """One fact."""

    at: int
    name: str
    says: str
    index: int
    hash: str


@dataclass(frozen=True, slots=True)
class OtherFacts:
    log: SealedLog

    def routes(self, for_people: Callable[[Shows], Endpoint]) -> list[Route]:
        return [
            Route("/record/deployment", for_people(self.deployment)),
            Route("/record/grant/{grant}", for_people(self.grant)),
        ]

    async def deployment(self, request: Request, session: Session) -> Response:
        return await self._page(request, session, NAME, "What happened to the deployment")

    async def grant(self, request: Request, session: Session) -> Response:
        grant = request.path_params["grant"]
        if not is_grant_id(grant):
            return _no_grant(grant)
        return await self._page(request, session, grant, "A standing grant")

    async def _page(self, request: Request, session: Session, name: str, title: str) -> Response:
        odd, told, sealed, proof = [], [], None, None
        try:
            sealed = await self.log.of(name)
            if sealed is not None:
                facts = sealed.evidence.facts if name == NAME else current(sealed.evidence)
                told = _told(facts[-MOST_SHOWN:])
            if sealed is not None and "verify" in request.query_params:
                proof = await self.log.prove(sealed)
        except (Damaged, NotALeaf, UnreadableFact) as error:
            odd.append(f"The sealed log cannot be read here: {error}.")
        if sealed is None and not odd and name != NAME:
            return _no_grant(name)
        return page(
            "record_other.html", session=session, title=title, name=name, told=told[::-1], proof=proof, odd=odd,
            elsewhere="", sealed=len(sealed.evidence.facts) if sealed else 0, left=0,
            path="" if name == NAME else f"/record/{name}", key=str(self.log.verifier),
            receipt_name=f"{name}.receipt.json",
        )  # fmt: skip


def _no_grant(name: str) -> Response:
    said = f"No standing grant with the id {shortened(name, 60)!r} is in the sealed log of this host."
    return page("mistake.html", 404, title="The record has nothing under this id", said=said, onward="/record")


def _told(facts: Sequence[Proven]) -> list[Told]:
    """Raises NotALeaf, UnreadableFact."""
    found = []
    for each in facts:
        fact = each.leaf().fact()
        if isinstance(fact, GrantFact | DeploymentFact):
            found.append(Told(fact.at, type(fact).__name__, says(fact), each.index, each.hash.hex()))
    return found


def says(fact: GrantFact | DeploymentFact) -> str:
    """What happened, in one sentence."""
    match fact:
        case Granted():
            return (
                f"{fact.by} let {fact.agent} use {fact.tool} until {iso(fact.until)} without being asked for "
                f"{fact.requirement.policy} of {fact.requirement.group}, {fact.via}, when asked about call {fact.call}"
            )
        case Revoked(by=by):
            return f"{by} revoked it: it meets nothing any more"
        case Loaded():
            files = ", ".join(f"{file.name} ({file.sha256[:12]})" for file in fact.files)
            return f"generation {fact.generation[:12]} may serve, loaded by version {fact.version}: {files}"
        case AgentSuspended(agent=agent, by=by):
            return f"{by} suspended {agent}"
        case AgentReadmitted(agent=agent, by=by):
            return f"{by} readmitted {agent}"
        case LossAcknowledged(by=by, loss=loss):
            return f"{by} acknowledged a loss: {loss}"
        case Erased(by=by, calls=calls, reason=reason):
            of = f"{len(calls)} call{'' if len(calls) == 1 else 's'}"
            return f'{by} had the payloads of {of} erased: "{reason}"'
        case _:
            assert_never(fact)
