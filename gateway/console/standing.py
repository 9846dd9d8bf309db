"""Standing grants on the page: choose what may differ, read the text, confirm; see all of them, revoke one.

    GET /inbox/grants                      all grants, and a button at those that this person may revoke
    GET, POST /inbox/{call}/grant          choose; `step=show` shows the text, `step=give` grants what was shown
    POST /inbox/grants/{grant}/revoke

The form carries what was shown, the end that was shown and the ids of the texts, so nobody grants what they did not
read; `gateway.granting` decides everything. It works without a script.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway import control_errors
from gateway.console.guard import Form, OddForm, check_origin, check_token, form, guarded
from gateway.console.questions import VIA
from gateway.console.rendering import page
from gateway.console.sessions import Session
from gateway.core.admit import Inadmissible
from gateway.core.approval import NotEligible, Stale, shown
from gateway.core.grants import Grant, NotGrantable, Terms, about_nobody, obstacle
from gateway.core.notices import arguments, summary
from gateway.core.routes import Person, Routes
from gateway.decisions import NoSuchCall
from gateway.granting import Draft, Granting, NoSuchGrant, NotShown, NotYours, Wish
from gateway.judging import admission_of
from gateway.life import Life
from gateway.viewing import opened

HOUR_MS = 3_600_000
HOURS = (1, 4, 8, 24, 72, 168, 720)
"""That a person may choose from, as far as the group allows them."""

Shows = Callable[[Request, Session], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Row:
    """One argument, and what was chosen for it."""

    name: str
    value: object
    """None if it is absent."""
    whole: bool
    """It may be bounded."""
    choice: str = "same"
    most: str = ""


@dataclass(frozen=True, slots=True)
class GrantPages:
    granting: Granting
    control_url: str

    def routes(self, for_people: Callable[[Shows], Endpoint]) -> list[Route]:
        return [
            Route("/inbox/grants", for_people(self.listed)),
            Route("/inbox/grants/{grant}/revoke", for_people(self.revoke), methods=["POST"]),
            Route("/inbox/{call}/grant", for_people(self.offer), methods=["GET", "POST"]),
        ]

    async def listed(self, _: Request, session: Session) -> Response:
        return await self._list(session)

    async def revoke(self, request: Request, session: Session) -> Response:
        await self._form(request, session)
        grant = request.path_params["grant"]
        try:
            await self.granting.revoke(grant, session.person)
        except NoSuchGrant as error:
            raise control_errors.UnknownGrant(grant) from error
        except NotYours as no:
            raise control_errors.GrantNotYours(grant, no.group) from no
        return guarded(RedirectResponse("/inbox/grants", 303))

    async def offer(self, request: Request, session: Session) -> Response:
        told = await self._form(request, session) if request.method == "POST" else None
        life = await self._opened(request.path_params["call"], session)
        group = told.one("group") if told else request.query_params.get("group", "")
        if told is None:
            return await self._choose(life, group, session, Form([("shown", shown(life.record, group))]))
        try:
            wanted = self._wish(told, life, group, session)
            if told.one("step") != "give":
                return await self._choose(life, group, session, told, drafts=await self.granting.draft(wanted))
            if life.record.call.effect == "destructive" and told.one("sure") != "yes":
                raise OddForm("this lets things be destroyed again and again: tick that you have read it, then grant")
            await self.granting.give(wanted, told.all("confirm"))
        except (Stale, NotShown) as stale:
            why = str(stale) or "what would be granted is not what you were shown; look at it again"
            return await self._choose(life, group, session, told, f"Nothing was recorded: {why}.", 409)
        except NotEligible as no:
            return await self._choose(life, group, session, told, f"Nothing was recorded: {no}.", 403)
        except NotGrantable as no:
            return await self._choose(life, group, session, told, f"Nothing was recorded: {no}.", 422)
        except NoSuchCall as error:
            raise control_errors.UnknownCall(life.record.call.id) from error
        return guarded(RedirectResponse(f"/inbox/{life.record.call.id}", 303))

    async def _opened(self, call: str, session: Session) -> Life:
        """The call whose arguments this person is about to see, as is written down first."""
        view = await opened(self.granting.engine, call, by=session.person.name, via=VIA)
        if view is None:
            raise control_errors.UnknownCall(call)
        if view.hidden:
            raise control_errors.NotGrantable(call, view.hidden)
        return view.life

    async def _form(self, request: Request, session: Session) -> Form:
        check_origin(request, self.control_url)
        told = await form(request)
        check_token(told, session.csrf)
        return told

    def _wish(self, told: Form, life: Life, group: str, session: Session) -> Wish:
        """What the form asks for. Raises OddForm."""
        bounds: dict[str, int] = {}
        choices = told.starting("choice:")
        for name, choice in choices.items():
            if choice == "most":
                bounds[name] = _number(told.one(f"most:{name}"), f"the most of {name}")
        until = _number(told.one("until"), "the end") if told.one("until") else 0
        if told.one("step") != "give":
            until = self.granting.engine.journal.now() + _number(told.one("hours"), "the number of hours") * HOUR_MS
        terms = Terms(
            bounds=bounds, free=frozenset(name for name, choice in choices.items() if choice == "any"), until=until
        )
        return Wish(
            call=life.record.call.id, group=group, fingerprint=told.one("shown"), by=session.person.name, via=VIA,
            way="page", terms=terms,
        )  # fmt: skip

    async def _choose(
        self, life: Life, group: str, session: Session, told: Form, said: str = "", status: int = 200,
        drafts: tuple[Draft, ...] = (),
    ) -> Response:  # fmt: skip
        found = life.generation.routes.groups.get(group)
        longest = found.standing_seconds * 1000 if found else 0.0
        try:
            admission = await admission_of(life, self.granting.engine.journal)
        except Inadmissible as no:
            raise control_errors.NotGrantable(life.record.call.id, no.reason) from no
        given = arguments(admission)
        rows = [
            Row(each.name, given.get(each.name), each.schema.get("type") == "integer",
                told.one(f"choice:{each.name}") or "same", told.one(f"most:{each.name}"))
            for each in admission.tool.parameters
        ]  # fmt: skip
        return page(
            "grant.html", status, session=session, call=life.record.call, group=group, summary=summary(admission),
            rows=rows, hours=[each for each in HOURS if each * HOUR_MS <= longest], chosen=told.one("hours"), said=said,
            shown=told.one("shown"), drafts=drafts, allowed=bool(longest), quorum=found.quorum if found else 1,
        )  # fmt: skip

    async def _list(self, session: Session) -> Response:
        engine = self.granting.engine
        routes, now = engine.generation().routes, engine.journal.now()
        items = [
            (grant, grant.standing(now), obstacle(grant, about_nobody(grant), routes, now=now),
             grant.standing(now) == "open" and _may_revoke(grant, session.person, routes))
            for grant in await self.granting.listed()
        ]  # fmt: skip
        return page("grants.html", session=session, items=items, now=now)


def _may_revoke(grant: Grant, person: Person, routes: Routes) -> bool:
    group = routes.groups.get(grant.requirement.group)
    member = group is not None and person.name in group.members and "approver" in person.roles
    return member or "operator" in person.roles


def _number(text: str, what: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise OddForm(f"{what} must be a whole number from 0")
    return int(text)
