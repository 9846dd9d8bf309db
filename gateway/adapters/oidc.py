"""Who somebody is according to the identity provider of the deployment: OpenID Connect, authorization code with PKCE.

Nothing that the browser brings is believed: the code is exchanged at the provider's own endpoint, and the identity
token must be signed by one of its keys with one of our algorithms, for this client, for this sign-in (nonce), by this
issuer, and not be over. Keys named inside a token are ignored. Addresses come from the provider's own description, are
fetched without redirects or proxies, and answers are bounded in time and size.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from gateway.core.identity import Identity, NotIdentified, ProviderAway

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric ones only: with an HMAC the client secret would be a signing key."""
DESCRIPTION_SECONDS = 3600.0
KEYS_SECONDS = 300.0
COOLDOWN_SECONDS = 30.0
"""Between two look-ups of keys for the sake of an unknown one: made-up key ids must not become a flood there."""
LEEWAY_SECONDS = 60
ANSWER_LIMIT = 256 * 1024
LONGEST_TOKEN = 32 * 1024


@dataclass(slots=True)
class OidcProvider:
    """`gateway.console.by_provider.IdentityProvider`."""

    issuer: str
    client_id: str
    secret: Callable[[], str]
    """The client's secret, read when it is used; empty for a public client."""
    client: httpx.AsyncClient
    clock: Callable[[], float] = time.monotonic
    _description: tuple[float, Mapping[str, Any]] | None = None
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _keys_at: float = float("-inf")
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to sign in. Raises NotIdentified."""
        found = await self._described()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": redirect_uri,
            "scope": "openid email", "state": state, "nonce": nonce, "code_challenge": challenge,
            "code_challenge_method": "S256",
        }  # fmt: skip
        endpoint = str(found["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def identity(self, code: str, redirect_uri: str, nonce: str, verifier: str, said_issuer: str) -> Identity:
        """Whose sign-in `code` is. `said_issuer` is what came beside it (RFC 9207). Raises NotIdentified."""
        found = await self._described()
        required = found.get("authorization_response_iss_parameter_supported") is True
        if said_issuer != self.issuer and (said_issuer or required):
            raise NotIdentified("the answer is of another identity provider")
        tokens = await self._exchange(found, code, redirect_uri, verifier)
        claims = await self._verified(str(tokens.get("id_token", "")), nonce)
        if "email" not in claims and found.get("userinfo_endpoint") and tokens.get("access_token"):
            bearer = {"authorization": f"Bearer {tokens['access_token']}"}
            told = await self._json("GET", str(found["userinfo_endpoint"]), headers=bearer)
            if told.get("sub") == claims["sub"]:
                claims |= {name: told[name] for name in ("email", "email_verified") if name in told}
        email = claims.get("email") if claims.get("email_verified") is True else None
        return Identity(str(claims["sub"]), email if isinstance(email, str) else "")

    async def _exchange(
        self, found: Mapping[str, Any], code: str, redirect_uri: str, verifier: str
    ) -> Mapping[str, Any]:
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
                "code_verifier": verifier}  # fmt: skip
        secret, methods = self.secret(), found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        headers = {}
        if secret and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            pair = urlencode({self.client_id: secret}).replace("=", ":", 1)  # each part form-encoded (RFC 6749, 2.3.1)
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            body |= {"client_id": self.client_id} | ({"client_secret": secret} if secret else {})
        return await self._json("POST", str(found["token_endpoint"]), data=body, headers=headers)

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an identity token that is meant for this sign-in."""
        if not token or len(token) > LONGEST_TOKEN:
            raise NotIdentified("the identity provider gave no usable identity token")
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=list(ALGORITHMS), audience=self.client_id, issuer=self.issuer,
                leeway=LEEWAY_SECONDS, options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise NotIdentified(f"its identity token is not valid ({error})") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client_id) != self.client_id:
            raise NotIdentified("its identity token is for another client")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise NotIdentified("its identity token is of another sign-in")
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        """The provider's key of that name; without a name the only one it has."""
        async with self._one_at_a_time:
            age = self.clock() - self._keys_at
            if age > KEYS_SECONDS or (kid not in self._keys and age > COOLDOWN_SECONDS):
                told = await self._json("GET", str((await self._described())["jwks_uri"]))
                found = jwt.PyJWKSet.from_dict(dict(told)).keys
                self._keys, self._keys_at = {key.key_id or "": key for key in found}, self.clock()
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if kid not in self._keys:
            raise NotIdentified("its identity token is signed with a key that it does not publish")
        return self._keys[kid]

    async def _described(self) -> Mapping[str, Any]:
        """What the provider says about itself, under its own name."""
        known = self._description
        if known is not None and self.clock() - known[0] < DESCRIPTION_SECONDS:
            return known[1]
        found = await self._json("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != self.issuer or not all(isinstance(found.get(name), str) for name in wanted):
            raise NotIdentified("it does not describe itself as the issuer that GATEWAY_OIDC_ISSUER names")
        if self.issuer.startswith("https://") and not all(found[name].startswith("https://") for name in wanted):
            raise NotIdentified("it names an address without TLS")
        self._description = self.clock(), found
        return found

    async def _json(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        raw = bytearray()
        try:
            async with self.client.stream(method, url, follow_redirects=False, **more) as answer:
                async for chunk in answer.aiter_bytes():
                    raw += chunk
                    if len(raw) > ANSWER_LIMIT:
                        raise NotIdentified("it answers with more than an identity provider has to say")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderAway(f"it cannot be reached ({type(error).__name__})") from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise ProviderAway(f"it answered {answer.status_code}")
        if answer.status_code != 200:
            raise NotIdentified(f"it answered {answer.status_code}")
        try:
            found = httpx.Response(200, content=bytes(raw)).json()
        except ValueError as error:
            raise NotIdentified("it does not answer in JSON") from error
        if not isinstance(found, dict):
            raise NotIdentified("it does not answer with an object")
        return found
