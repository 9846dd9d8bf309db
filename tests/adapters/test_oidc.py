"""What an identity provider, or somebody who plays one, may send, and that only the right token opens anything."""

import asyncio
import base64
import hashlib
import json
import time
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.adapters.oidc import COOLDOWN_SECONDS, KEYS_SECONDS, OidcProvider
from gateway.core.identity import Identity, NotIdentified, ProviderAway

ISSUER, CLIENT, BACK = "https://login.example/realm", "gateway", "https://gateway.example/login/oidc/return"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(key, kid="k1"):
    return json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}


class Provider:
    """Answers as told and counts what it was asked."""

    def __init__(self):
        self.description = {
            "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }  # fmt: skip
        self.keys = [published(KEY)]
        self.claims = {
            "iss": ISSUER, "aud": CLIENT, "sub": "s-1", "nonce": "n", "iat": int(time.time()),
            "exp": int(time.time()) + 300, "email": "ann@acme.example", "email_verified": True,
        }  # fmt: skip
        self.signed = lambda claims: jwt.encode(claims, KEY, "RS256", headers={"kid": "k1"})
        self.asked: list[httpx.Request] = []
        self.answers: dict[str, httpx.Response] = {}
        self.userinfo: dict[str, object] = {}
        self.now = 0.0
        self.secret = "s3:cr et"
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        self.adapter = OidcProvider(ISSUER, CLIENT, lambda: self.secret, client, clock=lambda: self.now)

    def answer(self, request):
        self.asked.append(request)
        path = request.url.path.removeprefix("/realm")
        if path in self.answers:
            return self.answers[path]
        return httpx.Response(200, json={
            "/.well-known/openid-configuration": self.description,
            "/token": {"id_token": self.signed(self.claims), "access_token": "at"},
            "/keys": {"keys": self.keys},
            "/userinfo": self.userinfo,
        }[path])  # fmt: skip

    def identity(self, said_issuer=""):
        return asyncio.run(self.adapter.identity("code", BACK, "n", "verifier", said_issuer))

    def count(self, path):
        return sum(request.url.path.endswith(path) for request in self.asked)


@pytest.fixture
def provider():
    return Provider()


def refused(provider, **how):
    with pytest.raises(NotIdentified) as caught:
        provider.identity(**how)
    return str(caught.value)


def test_the_browser_is_sent_with_everything_that_binds_the_answer(provider):
    address = asyncio.run(provider.adapter.address(BACK, "st", "no", "verifier"))
    told = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
    assert address.startswith(f"{ISSUER}/auth?")
    assert told == {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "scope": "openid email", "state": "st",
        "nonce": "no", "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip


def test_a_code_is_exchanged_for_somebody(provider):
    assert provider.identity() == provider.identity(said_issuer=ISSUER) == Identity("s-1", "ann@acme.example")
    exchange = next(request for request in provider.asked if request.url.path.endswith("/token"))
    assert dict(parse_qsl(exchange.content.decode())) == {
        "grant_type": "authorization_code", "code": "code", "redirect_uri": BACK, "code_verifier": "verifier",
    }  # fmt: skip
    basic = base64.b64decode(exchange.headers["authorization"].removeprefix("Basic ")).decode()
    assert basic == "gateway:s3%3Acr+et"
    assert provider.count("/openid-configuration") == provider.count("/keys") == 1


def test_the_secret_goes_where_the_provider_takes_it(provider):
    provider.description["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    provider.identity()
    provider.secret = ""
    provider.identity()
    first, second = [dict(parse_qsl(it.content.decode())) for it in provider.asked if it.url.path.endswith("/token")]
    assert (first["client_id"], first["client_secret"]) == (CLIENT, "s3:cr et")
    assert second["client_id"] == CLIENT and "client_secret" not in second


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_counts_only_if_the_provider_verified_it(provider, verified):
    provider.claims["email_verified"] = verified
    assert provider.identity() == Identity("s-1", "")


def test_an_address_may_come_from_the_userinfo_of_the_same_subject(provider):
    del provider.claims["email"]
    provider.description["userinfo_endpoint"] = f"{ISSUER}/userinfo"
    provider.userinfo = {"sub": "s-1", "email": "ann@acme.example", "email_verified": True}
    assert provider.identity() == Identity("s-1", "ann@acme.example")
    assert provider.asked[-1].headers["authorization"] == "Bearer at"
    provider.userinfo["sub"] = "s-2"
    assert provider.identity() == Identity("s-1", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iss": "https://evil.example"}, "not valid"), ({"aud": "another"}, "not valid"),
        ({"exp": int(time.time()) - 120}, "not valid"), ({"iat": int(time.time()) + 86_400}, "not valid"),
        ({"nonce": "another"}, "another sign-in"), ({"nonce": None}, "another sign-in"),
        ({"aud": [CLIENT, "another"]}, "another client"), ({"azp": "another"}, "another client"),
        ({"sub": None}, "not valid"), ({"exp": None}, "not valid"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(provider, change, said):
    provider.claims = {name: value for name, value in (provider.claims | change).items() if value is not None}
    assert said in refused(provider)


def test_several_audiences_need_this_client_as_the_authorised_party(provider):
    provider.claims |= {"aud": [CLIENT, "another"], "azp": CLIENT}
    assert provider.identity().subject == "s-1"


PUBLIC = KEY.public_key().public_numbers()


@pytest.mark.parametrize(
    "signed",
    [
        lambda claims: jwt.encode(claims, OTHER, "RS256", headers={"kid": "k1"}),
        lambda claims: jwt.encode(claims, OTHER, "RS256", headers={"kid": "k2"}),
        lambda claims: jwt.encode(claims, OTHER, "RS256", headers={"kid": "k1", "jwk": published(OTHER)}),
        lambda claims: jwt.encode(claims, OTHER, "RS256", headers={"kid": "k1", "jku": "https://evil.example/keys"}),
        lambda claims: jwt.encode(claims, "", "none", headers={"kid": "k1"}),
        lambda claims: jwt.encode(claims, str(PUBLIC.n).encode(), "HS256", headers={"kid": "k1"}),
        lambda claims: jwt.encode(claims, KEY, "RS512", headers={"kid": "k1"}),
        lambda claims: jwt.encode(claims, KEY, "RS256", headers={"kid": "k1"})[:-4] + "AAAA",
        lambda claims: "not.a.token", lambda claims: "", lambda claims: "x" * 40_000,
    ],
)  # fmt: skip
def test_a_token_that_the_providers_keys_did_not_sign_with_our_algorithms_opens_nothing(provider, signed):
    provider.signed = signed
    refused(provider)
    assert not any("evil" in str(request.url) for request in provider.asked)


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (published(KEY) | {"alg": "RS512"}, lambda claims: jwt.encode(claims, KEY, "RS512", headers={"kid": "k1"})),
        (
            {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode(), "alg": "HS256", "kid": "k1"},
            lambda claims: jwt.encode(claims, b"k" * 32, "HS256", headers={"kid": "k1"}),
        ),
    ],
    ids=["RS512", "HS256"],
)
def test_an_algorithm_that_is_not_ours_opens_nothing_even_if_the_provider_publishes_such_a_key(provider, key, signed):
    provider.keys, provider.signed = [key], signed
    assert "not valid" in refused(provider)


def test_a_new_key_is_looked_up_once_and_made_up_ones_are_no_flood(provider):
    provider.identity()
    provider.signed = lambda claims: jwt.encode(claims, OTHER, "RS256", headers={"kid": "k2"})
    for _ in range(5):
        refused(provider)
    assert provider.count("/keys") == 1
    provider.keys.append(published(OTHER, "k2"))
    provider.now += COOLDOWN_SECONDS + 1
    assert provider.identity().subject == "s-1" and provider.count("/keys") == 2
    provider.keys, provider.now = [published(KEY)], provider.now + KEYS_SECONDS + 1
    assert "does not publish" in refused(provider)  # a key that was withdrawn


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"issuer": "https://login.example"}, "GATEWAY_OIDC_ISSUER"), ({"jwks_uri": None}, "GATEWAY_OIDC_ISSUER"),
        ({"token_endpoint": "http://login.example/token"}, "without TLS"),
    ],
)  # fmt: skip
def test_a_provider_that_describes_somebody_else_is_refused(provider, change, said):
    provider.description |= change
    assert said in refused(provider)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(302, headers={"location": "https://evil.example"}), "answered 302"),
        (httpx.Response(500), "answered 500"), (httpx.Response(200, content=b"[]"), "an object"),
        (httpx.Response(200, content=b"<html>"), "in JSON"), (httpx.Response(200, content=b" " * 300_000), "more than"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_strange_answers_are_refused(provider, path, answer, said):
    provider.answers[path] = answer
    assert said in refused(provider)
    assert not any("evil" in str(request.url) for request in provider.asked)


def test_a_provider_that_is_away_says_so_without_addresses(provider):
    def away(request):
        raise httpx.ConnectError("all about https://login.example", request=request)

    provider.adapter.client = httpx.AsyncClient(transport=httpx.MockTransport(away))
    assert refused(provider) == "it cannot be reached (ConnectError)"


def test_an_answer_of_another_provider_is_refused(provider):
    assert "another identity provider" in refused(provider, said_issuer="https://evil.example")
    provider.adapter._description = None
    provider.description["authorization_response_iss_parameter_supported"] = True
    assert "another identity provider" in refused(provider)


@pytest.mark.parametrize(("status", "away"), [(500, True), (503, True), (429, True), (400, False), (401, False)])
def test_a_provider_that_answers_nobody_is_told_from_one_that_refuses_a_code(status, away):
    provider = Provider()
    provider.answers["/token"] = httpx.Response(status, json={"error": "x"})
    with pytest.raises(NotIdentified) as refused:
        asyncio.run(provider.adapter.identity("code", BACK, "n", "v", ""))
    assert isinstance(refused.value, ProviderAway) is away
