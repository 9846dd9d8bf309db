"""Which fields reach a system."""

import pytest

from gateway.errors import AmbiguousRequest
from gateway.wire.headers import OVERRIDES, check_connection, inert, keeping, merged
from tests.wire.wire_cases import ROUTES

STRIPE, GITLAB = keeping(ROUTES.systems["stripe"]), keeping(ROUTES.systems["gitlab"])


@pytest.mark.parametrize(
    "name",
    [
        "accept",
        "accept-language",
        "content-type",
        "range",
        "if-match",
        "if-none-match",
        "user-agent",
        "stripe-version",
        "x-github-api-version",
        "anthropic-version",
        "tracestate",
        "baggage",
        "x-request-id",
        "cache-control",
    ],
)
def test_inert_fields_pass_undeclared(name):
    assert STRIPE(name.encode()) == name
    assert inert(name)


@pytest.mark.parametrize(
    "name",
    [
        "cookie",
        "host",
        "connection",
        "transfer-encoding",
        "te",
        "upgrade",
        "keep-alive",
        "proxy-authorization",
        "expect",
        "authorization",
        "x-api-key",
        "gateway-key",
        "gateway-run",
        "gateway-reason",
        "idempotency-key",
        "traceparent",
        "content-length",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "x-client-cert",
        "x-user",
        "x-user-id",
        "x-agent-name",
        "x-remote-user",
        "cf-connecting-ip",
        "dpop",
        "via",
        "max-forwards",
        "http2-settings",
        "x-stainless-lang",
        "x-stripe-client-user-agent",
        "sec-fetch-mode",
        "origin",
        "referer",
        "x-noise-level",
        "x-one",
    ],
)
def test_credentials_claims_noise_and_hop_by_hop_fields_never_pass(name):
    assert STRIPE(name.encode()) == ""


@pytest.mark.parametrize("name", ["xero-tenant-id", "openai-organization", "x-two", "x-custom", "authorization-x"])
def test_an_unknown_field_stays_so_that_it_is_refused_by_name(name):
    assert STRIPE(name.encode()) == name
    assert not inert(name)


def test_a_declared_field_stays():
    assert STRIPE(b"stripe-account") == "stripe-account"
    assert not inert("stripe-account")


def test_the_field_of_the_systems_own_credential_is_emptied():
    """Peer failure 23: the caller's key forwarded to the system."""
    assert GITLAB(b"private-token") == ""
    assert STRIPE(b"private-token") == "private-token"


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_fields_that_name_another_request_are_refused(name):
    with pytest.raises(AmbiguousRequest):
        STRIPE(name)


@pytest.mark.parametrize(
    "value",
    [
        b"authorization",
        b"close, Stripe-Account",
        b"x-custom",
        b"host",
        b"content-length",
        b"cookie",
        b"idempotency-key",
        b"gateway-run",
        b"mcp-session-id",
        b"traceparent",
    ],
)
def test_connection_cannot_take_a_field_away(value):
    with pytest.raises(AmbiguousRequest):
        check_connection({b"connection": value, b"stripe-account": b"a", b"x-custom": b"b"})


@pytest.mark.parametrize(
    "value", [b"close", b"Keep-Alive", b"keep-alive, TE", b"Upgrade, HTTP2-Settings", b"", b"x-absent", b","]
)
def test_connection_may_speak_about_the_connection(value):
    check_connection({b"connection": value, b"te": b"trailers", b"upgrade": b"h2c"})


def test_only_lists_may_be_repeated():
    assert merged([(b"accept", b"a"), (b"accept", b"b"), (b"x", b"1")]) == {b"accept": b"a, b", b"x": b"1"}
    for name in (b"host", b"authorization", b"stripe-account", b"content-type", b"gateway-key", b"x-unknown", b"range"):
        with pytest.raises(AmbiguousRequest):
            merged([(name, b"a"), (name, b"a")])
