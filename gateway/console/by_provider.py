"""Signing in with the deployment's identity provider: out to it, and back with somebody it knows.

What this sign-in is bound to (state, nonce, code verifier) is in a cookie of this browser, for ten minutes and this
purpose, so an answer that somebody else obtained, or that comes a second time, opens nothing; and whoever only starts
sign-ins leaves nothing behind in Redis.
"""

import hmac
import logging
import secrets as random
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console.attempts import Attempts
from gateway.console.guard import guarded, is_private
from gateway.console.sessions import Proof
from gateway.console.signing_in import SigningIn, local
from gateway.core.identity import Identity, NotIdentified, ProviderAway
from gateway.core.routes import Routes

MINUTES = 10
"""For a person to sign in there, with a second factor that has to be found first."""

log = logging.getLogger("gateway.console")


class IdentityProvider(Protocol):
    """`gateway.adapters.oidc.OidcProvider`. Believes nothing that a browser brings. Raises NotIdentified."""

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent."""
        ...

    async def identity(self, code: str, redirect_uri: str, nonce: str, verifier: str, said_issuer: str) -> Identity:
        """Whose sign-in it was that ended with this code."""
        ...


@dataclass(frozen=True, slots=True)
class ByProvider:
    provider: IdentityProvider
    signing_in: SigningIn
    attempts: Attempts = field(default_factory=Attempts)
    """Of codes that the provider did not give. A right one is not known before the provider is asked, so here everybody
    at that address waits, but never for somebody who mistypes a token."""

    async def start(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        wanted = local(request.query_params.get("next", ""))
        if wait := self.attempts.wait(self.signing_in.address(request)):
            return self._too_many(wanted, wait)
        state, nonce, verifier = (random.token_urlsafe(32) for _ in range(3))
        try:
            address = await self.provider.address(self._back(), state, nonce, verifier)
        except NotIdentified as no:
            return self._away(wanted, no)
        answer = guarded(RedirectResponse(address, 303))
        answer.set_cookie(
            self._cookie(request), f"{state}.{nonce}.{verifier}.{wanted}", max_age=MINUTES * 60, path="/",
            httponly=True, secure=is_private(request, self.signing_in.control_url), samesite="lax",
        )  # fmt: skip
        return answer

    async def finish(self, request: Request, routes: Routes, now: int) -> Response:
        """The browser is back. Whatever comes of it, what it was bound to is used up."""
        told = request.query_params
        state, nonce, verifier, wanted = (request.cookies.get(self._cookie(request), "").split(".", 3) + [""] * 4)[:4]
        if not state or not hmac.compare_digest(state.encode(), told.get("state", "").encode()):
            said = "This sign-in was not begun in this browser, or took too long. Begin again."
            return self._done(request, self._refused(wanted, said, 400))
        address = self.signing_in.address(request)
        if wait := self.attempts.wait(address):
            return self._done(request, self._too_many(wanted, wait))
        if "error" in told or not told.get("code"):
            said = "The identity provider did not let you in. Begin again, or use your token."
            return self._done(request, self._refused(wanted, said, 403))
        try:
            found = await self.provider.identity(told["code"], self._back(), nonce, verifier, told.get("iss", ""))
        except ProviderAway as no:
            return self._done(request, self._away(wanted, no))
        except NotIdentified as no:
            self.attempts.failed(address)
            log.warning("sign-in with the identity provider: %s", no)
            return self._done(request, self._refused(wanted, f"The identity provider's answer is refused: {no}.", 403))
        proof = Proof("oidc", found.subject, found.email)
        person = proof.person(routes)
        if person is None:
            who = found.email or f"the subject {found.subject}"
            said = (
                f"The identity provider says that you are {who}, and no one person in routes.yaml is. "
                "Ask for `email` or `oidc` under your name there."
            )
            return self._done(request, self._refused(wanted, said, 403))
        log.info("%s signed in with the identity provider", person.name)
        return self._done(request, await self.signing_in.begin(request, proof, wanted, now))

    def _away(self, wanted: str, no: NotIdentified) -> Response:
        log.warning("sign-in with the identity provider: %s", no)
        return self._refused(wanted, f"The identity provider cannot be used: {no}.", 502)

    def _too_many(self, wanted: str, wait: int) -> Response:
        said = (
            f"Too many sign-ins with the identity provider failed from your address. Try again in {wait} seconds, or "
            "use your token now."
        )
        answer = self._refused(wanted, said, 429)
        answer.headers["retry-after"] = str(wait)
        return answer

    def _refused(self, wanted: str, said: str, status: int) -> Response:
        return self.signing_in.ask(wanted, said, status)

    def _done(self, request: Request, answer: Response) -> Response:
        private = is_private(request, self.signing_in.control_url)
        answer.delete_cookie(self._cookie(request), path="/", httponly=True, secure=private, samesite="lax")
        return answer

    def _back(self) -> str:
        return f"{self.signing_in.control_url}/login/oidc/return"

    def _cookie(self, request: Request) -> str:
        return f"{self.signing_in.cookie(request)}-signing-in"
