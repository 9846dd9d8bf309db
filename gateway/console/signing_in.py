"""Coming in and going out: a person's token in a form, and a session in return.

A wrong token, an agent's key and a form from elsewhere each get their sentence and no session. Whatever session the
browser had is over when a new one begins.
"""

import logging
import re
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import control_errors
from gateway.console.attempts import Attempts
from gateway.console.guard import check_origin, check_token, form, guarded, is_private
from gateway.console.rendering import page
from gateway.console.sessions import LASTS_MS, Proof, Session, Sessions
from gateway.core.addresses import networks
from gateway.core.routes import Routes
from gateway.doors.people import person_of
from gateway.wire.forwarded import client

LOCAL = re.compile(r"/(inbox(/[0-9a-zA-Z]{1,64}(/run)?)?|record(/[0-9a-zA-Z]{1,64}|/grant/grant-[0-9a-f]{24})?)")
"""Where somebody may be sent after signing in: our own pages only."""

log = logging.getLogger("gateway.console")


@dataclass(slots=True)
class SigningIn:
    sessions: Sessions
    control_url: str
    provider: bool = False
    """There is an identity provider to sign in with."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies that are believed about who is behind them."""
    attempts: Attempts = field(default_factory=Attempts)

    def cookie(self, request: Request) -> str:
        """Its name. `__Host-` makes browsers refuse one that another host or an unencrypted page has set."""
        return "__Host-gateway" if is_private(request, self.control_url) else "gateway"

    def address(self, request: Request) -> str:
        """Whose failures are counted together."""
        peer, forwarded = request.client.host if request.client else "", request.headers.getlist("x-forwarded-for")
        return client(peer, forwarded, networks(self.trusted_proxies))

    async def session(self, request: Request, routes: Routes, now: int) -> Session | None:
        return await self.sessions.find(request.cookies.get(self.cookie(request), ""), routes, now)

    def ask(self, wanted: str, said: str = "", status: int = 200) -> Response:
        """The page on which one signs in; `wanted` is where one was going."""
        return page("login.html", status, next=local(wanted), said=said, provider=self.provider)

    def send_to_sign_in(self, request: Request) -> Response:
        return guarded(RedirectResponse(f"/login?next={local(request.url.path)}", 303))

    async def by_token(self, request: Request, routes: Routes, now: int) -> Response:
        check_origin(request, self.control_url)
        told = await form(request)
        wanted, address = told.one("next"), self.address(request)
        try:
            digest, person = person_of(told.one("token").strip(), routes)
        except (control_errors.AgentAtControlPlane, control_errors.PersonToken) as error:
            return self._failed(address, wanted, error)
        log.info("%s signed in by token", person.name)
        return await self.begin(request, Proof("token", digest), wanted, now)

    def _failed(
        self, address: str, wanted: str, error: control_errors.AgentAtControlPlane | control_errors.PersonToken
    ) -> Response:
        """Only who fails is made to wait: people share an address, and a stranger could lock it."""
        if wait := self.attempts.wait(address):
            answer = self.ask(wanted, f"Too many failed sign-ins from your address. Try again in {wait} seconds.", 429)
            answer.headers["retry-after"] = str(wait)
            return answer
        self.attempts.failed(address)
        if isinstance(error, control_errors.AgentAtControlPlane):
            return self.ask(wanted, error.detail, 403)
        return self.ask(wanted, "That token belongs to nobody in routes.yaml. Paste yours whole.", 401)

    async def begin(self, request: Request, proof: Proof, wanted: str, now: int) -> Response:
        """Start a session; the one that the browser had before is over."""
        await self.sessions.end(request.cookies.get(self.cookie(request), ""))
        name = await self.sessions.begin(proof, now)
        answer = guarded(RedirectResponse(local(wanted), 303))
        answer.set_cookie(
            self.cookie(request), name, max_age=LASTS_MS // 1000, path="/", httponly=True,
            secure=is_private(request, self.control_url), samesite="lax",
        )  # fmt: skip
        return answer

    async def out(self, request: Request, session: Session | None) -> Response:
        check_origin(request, self.control_url)
        told = await form(request)
        if session is not None:
            check_token(told, session.csrf)
            await self.sessions.end(session.id)
            log.info("%s signed out", session.person.name)
        answer = guarded(RedirectResponse("/login", 303))
        answer.delete_cookie(
            self.cookie(request), path="/", httponly=True, secure=is_private(request, self.control_url), samesite="lax"
        )
        return answer


def local(wanted: str) -> str:
    """Where to go after signing in, if that is one of our pages; else the inbox."""
    return wanted if LOCAL.fullmatch(wanted) else "/inbox"
