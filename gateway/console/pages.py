"""The routes of the page: who is at the door, what they see, and what they say.

    GET  /login  /inbox  /inbox/numbers  /inbox/{call}  /inbox/{call}/run  /inbox/events  /static/{name}   show
    POST /login  /logout  /inbox/{call}/decision  /take-back  /cancel                       do

A GET never decides anything. Every answer, also of a mistake, is a page with the headers of `guard`; none of them is
for an agent, and none is served on the agents' port.
"""

import asyncio
import secrets as random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway import control_errors, errors
from gateway.console.by_provider import ByProvider
from gateway.console.card import card, open_card
from gateway.console.deciding import Said, cancel, decide, reason_in, take_back, wish
from gateway.console.editing import fields
from gateway.console.guard import Form, NotFromHere, OddForm, check_origin, check_token, form, guarded
from gateway.console.inbox import Inbox, Item
from gateway.console.live import EVERYTHING, Live, TooManyPages
from gateway.console.numbers import NumberPages
from gateway.console.past import Past
from gateway.console.record import RecordPages
from gateway.console.rendering import page, static
from gateway.console.sessions import Session
from gateway.console.signing_in import SigningIn
from gateway.console.standing import GrantPages
from gateway.core.admit import Inadmissible
from gateway.core.routes import Routes
from gateway.core.timeline import state
from gateway.decisions import Decisions
from gateway.judging import admission_of
from gateway.life import Life
from gateway.ports import JournalUnavailable

READERS = frozenset({"approver", "operator", "auditor"})
OUTCOME_SECONDS = 1.5
"""How long the answer to a decision waits for what comes of it: most systems answer sooner."""
LOOK_SECONDS = 0.05
UNSETTLED = ("judging", "executing")
PRESENT_MS = 40_000
"""An open card asks more than twice within that time."""

Shows = Callable[[Request, Session], Awaitable[Response]]


class Looking(Protocol):
    """`gateway.adapters.redis.short_lived.RedisShortLived`. Raises JournalUnavailable."""

    async def look(self, key: str, person: str, milliseconds: int) -> list[str]: ...


@dataclass(slots=True)
class Console:
    decisions: Decisions
    inbox: Inbox
    past: Past
    looking: Looking
    live: Live
    signing_in: SigningIn
    by_provider: ByProvider | None = None
    grants: GrantPages | None = None
    numbers: NumberPages | None = None
    record: RecordPages | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home),
            Route("/static/{name}", self.static),
            Route("/login", self._guarded(self.sign_in), methods=["GET", "POST"]),
            Route("/login/oidc", self._guarded(self.to_provider)),
            Route("/login/oidc/return", self._guarded(self.from_provider)),
            Route("/logout", self._guarded(self.sign_out), methods=["POST"]),
            Route("/inbox", self._guarded(self._for_people(self.waiting))),
            Route("/inbox/events", self._guarded(self._for_people(self.events))),
            *(route for pages in self._others for route in pages.routes(self._signed_in)),
            Route("/inbox/{call}", self._guarded(self._for_people(self.show))),
            Route("/inbox/{call}/run", self._guarded(self._for_people(self.run))),
            *(
                Route(f"/inbox/{{call}}/{what}", self._guarded(self._for_people(does)), methods=["POST"])
                for what, does in (("decision", self.decide), ("take-back", self.take_back), ("cancel", self.cancel))
            ),
        ]

    @property
    def _others(self) -> list[GrantPages | NumberPages | RecordPages]:
        return [pages for pages in (self.grants, self.numbers, self.record) if pages]

    @property
    def _routes(self) -> Routes:
        return self.decisions.engine.generation().routes

    @property
    def _now(self) -> int:
        return self.decisions.engine.journal.now()

    # --- Who -------------------------------------------------------------------------------------------------

    async def home(self, _: Request) -> Response:
        return guarded(RedirectResponse("/inbox", 303))

    async def static(self, request: Request) -> Response:
        found = static(request.path_params["name"], request.query_params.get("v", ""))
        return found or page("mistake.html", 404, title="There is nothing here", said="There is no such file.")

    async def sign_in(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.signing_in.by_token(request, self._routes, self._now)
        wanted = request.query_params.get("next", "")
        if await self.signing_in.session(request, self._routes, self._now):
            return guarded(RedirectResponse("/inbox", 303))
        return self.signing_in.ask(wanted)

    async def to_provider(self, request: Request) -> Response:
        return await self._provider().start(request)

    async def from_provider(self, request: Request) -> Response:
        return await self._provider().finish(request, self._routes, self._now)

    def _provider(self) -> ByProvider:
        if self.by_provider is None:
            raise control_errors.NothingHere("GET", "/login/oidc")
        return self.by_provider

    async def sign_out(self, request: Request) -> Response:
        return await self.signing_in.out(request, await self.signing_in.session(request, self._routes, self._now))

    def _signed_in(self, shows: Shows) -> Callable[[Request], Awaitable[Response]]:
        return self._guarded(self._for_people(shows))

    def _for_people(self, shows: Shows) -> Callable[[Request], Awaitable[Response]]:
        """Only for somebody who is signed in and has a role; everybody else is sent to sign in."""

        async def endpoint(request: Request) -> Response:
            session = await self.signing_in.session(request, self._routes, self._now)
            if session is None and request.method == "POST":
                said = "You are no longer signed in, so nothing was recorded. Sign in and decide again."
                return self.signing_in.ask(request.url.path.removesuffix("/decision"), said, 401)
            if session is None:
                return self.signing_in.send_to_sign_in(request)
            if not session.person.roles & READERS:
                raise control_errors.RoleMissing(session.person.name, sorted(READERS))
            return await shows(request, session)

        return endpoint

    def _guarded(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Whatever goes wrong is a page that says what to do."""

        async def whole(request: Request) -> Response:
            try:
                return await endpoint(request)
            except NotFromHere as no:
                said = f"Nothing was recorded: {no}. Open the inbox and decide there."
                return page("mistake.html", 403, title="Not from here", said=said)
            except OddForm as odd:
                call, said = request.path_params.get("call", ""), f"Nothing was recorded: {odd}."
                return page("mistake.html", 400, title="Something is missing", said=said, call=call)
            except errors.GatewayError as error:
                return page("mistake.html", error.status, title=error.title, said=error.detail)
            except JournalUnavailable:
                said = "The journal does not answer, so nothing can be shown or recorded. Try again in a moment."
                return page("mistake.html", 503, title="The journal is away", said=said)

        return whole

    # --- Reading ---------------------------------------------------------------------------------------------

    async def waiting(self, request: Request, session: Session) -> Response:
        listed = await self.inbox.of(session.person.name, self._routes)
        template = "list.html" if request.query_params.get("part") == "list" else "inbox.html"
        return page(template, session=session, listed=listed, now=self._now)

    async def show(self, request: Request, session: Session) -> Response:
        if request.method == "HEAD":
            await self._load(request.path_params["call"])
            return guarded(Response())
        if request.query_params.get("part") == "live":
            return await self._part(request.path_params["call"], session, request.query_params.get("shown", ""))
        return await self._card(request.path_params["call"], session)

    async def events(self, request: Request, session: Session) -> Response:
        """A stream that says when to look again: at one call, or at the inbox."""
        if request.method == "HEAD":  # a stream would not end
            return guarded(Response())

        async def alive() -> bool:
            found = await self.signing_in.session(request, self._routes, self._now)
            return found is not None and found.person.name == session.person.name

        try:
            stream = self.live.open(request.query_params.get("call", EVERYTHING), alive)
        except TooManyPages:
            return guarded(Response("Too many pages are open.\n", 503, {"retry-after": "30"}))
        return guarded(StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"}))

    async def _part(self, call: str, session: Session, seen: str) -> Response:
        """How it stands now. It never puts another question under a finger that is about to press."""
        _, shown = await open_card(self.decisions.engine, call, person := session.person.name)
        present = await self._present(call, person)
        return page("part.html", session=session, card=shown, seen=seen, present=present, now=self._now)

    async def _present(self, call: str, person: str) -> list[str]:
        """Who else has it open."""
        return [name for name in await self.looking.look(f"open:{call}", person, PRESENT_MS) if name != person]

    async def run(self, request: Request, session: Session) -> Response:
        life = await self._load(request.path_params["call"])
        call = life.record.call
        if not call.run:
            raise control_errors.UnknownCall(call.id)
        told = await self.past.of_run(call, life.generation.routes, self._now)
        return page("run.html", session=session, call=call, told=told)

    async def _card(self, call: str, session: Session, said: list[Said] | None = None, status: int = 200) -> Response:
        life, shown = await open_card(self.decisions.engine, call, person := session.person.name)
        before = await self.past.with_tool(life.record.call, routes := life.generation.routes, self._now)
        listed = await self.inbox.of(person, routes)
        same = next((item for item in listed.items if call in item.same), None)
        return page(
            "card.html", status, session=session, card=shown, before=before, now=self._now, said=said or [],
            same=await self._alike(same, call, person), next=_after(call, listed.items), waiting=listed.waiting,
            grantable={name for name, group in routes.groups.items() if group.standing_seconds and self.grants},
            seen=shown.shown, present=await self._present(call, person), once=random.token_urlsafe(16),
        )  # fmt: skip

    async def _alike(self, item: Item | None, call: str, person: str) -> dict[str, dict[str, str]]:
        """By group, the other calls that ask the same, each with what is shown of it."""
        found: dict[str, dict[str, str]] = {}
        for other in item.same if item else ():
            life = await self.decisions.engine.load(other)
            if other != call and life is not None:
                told = await card(life, self.decisions.engine.journal, person)
                for question in told.mine:
                    found.setdefault(question.group, {})[other] = question.shown
        return found

    async def _load(self, call: str) -> Life:
        life = await self.decisions.engine.load(call)
        if life is None:
            raise control_errors.UnknownCall(call)
        return life

    # --- Saying ----------------------------------------------------------------------------------------------

    async def decide(self, request: Request, session: Session) -> Response:
        told, life = await self._told(request, session)
        call, known = life.record.call, []
        with suppress(Inadmissible):
            known = fields(await admission_of(life, self.decisions.engine.journal))
        said = await decide(self.decisions, session, wish(told, call.id, call.effect, known))
        return await self._said(call.id, session, said)

    async def take_back(self, request: Request, session: Session) -> Response:
        told, life = await self._told(request, session)
        call = life.record.call.id
        return await self._said(call, session, [await take_back(self.decisions, session, call, told.one("group"))])

    async def cancel(self, request: Request, session: Session) -> Response:
        told, life = await self._told(request, session)
        call = life.record.call.id
        return await self._said(call, session, [await cancel(self.decisions, session, call, reason_in(told))])

    async def _told(self, request: Request, session: Session) -> tuple[Form, Life]:
        """The form that a page of this session sent about a call that exists. Raises NotFromHere or OddForm."""
        check_origin(request, self.signing_in.control_url)
        told = await form(request)
        check_token(told, session.csrf)
        return told, await self._load(request.path_params["call"])

    async def _said(self, call: str, session: Session, said: list[Said]) -> Response:
        worst = max(item.status for item in said)
        if worst == 200:
            await self._outcome(call)
        if worst == 200 and len(said) == 1:
            return guarded(RedirectResponse(f"/inbox/{call}", 303))
        return await self._card(call, session, said, worst)

    async def _outcome(self, call: str) -> None:
        """Wait a moment for what comes of a decision, so that most people see it at once."""
        for _ in range(round(OUTCOME_SECONDS / LOOK_SECONDS)):
            life = await self.decisions.engine.load(call)
            if life is None or state(life.record) not in UNSETTLED:
                return
            await asyncio.sleep(LOOK_SECONDS)


def _after(call: str, items: tuple[Item, ...]) -> str:
    """The question that comes after this one in the inbox, or the first if this one no longer waits; empty if none."""
    at = next((number for number, item in enumerate(items) if call in item.same), -1)
    rest = items[at + 1 :] or items[: max(at, 0)]
    return rest[0].call if rest else ""
