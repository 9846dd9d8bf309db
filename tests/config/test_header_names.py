"""Header names that an argument, a credential or a key may have."""

import pytest

from gateway.config.header_names import carrying_key, carrying_secret, covers, declared, dropped
from gateway.wire.headers import NEVER_PASS, OVERRIDES


@pytest.mark.parametrize("name", ["Stripe-Account", "Xero-Tenant-Id", "x-goog-user-project", "X-User-Id"])
def test_a_header_that_chooses_something_can_be_an_argument(name):
    assert declared(name) == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "cookie", "HOST", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Trailer"),
        *("Upgrade", "Idempotency-Key", "X-API-Key", "Gateway-Key", "Gateway-Run", "Via", "X-Forwarded-For"),
        *("Forwarded", "Expect", "Proxy-Authorization", "X-HTTP-Method-Override", "X-Original-URL", "traceparent"),
        *("Content-Type", "Content-Encoding", "a b", "", "ä"),
    ],
)
def test_a_header_that_the_gateway_itself_needs_cannot(name):
    with pytest.raises(ValueError, match=r"cannot be an argument|must be a header name"):
        declared(name)


@pytest.mark.parametrize("name", sorted(NEVER_PASS | OVERRIDES))
def test_a_header_that_never_passes_the_door_cannot_be_declared(name):
    """Or an argument would be promised and never sent."""
    with pytest.raises(ValueError, match="cannot be an argument"):
        declared(name.decode())


def test_a_credential_may_replace_authorization_but_never_framing():
    assert carrying_secret("PRIVATE-TOKEN") == "PRIVATE-TOKEN" and carrying_secret("Authorization") == "Authorization"
    for name in ("Host", "Content-Length", "Idempotency-Key", "Gateway-Key", "Connection"):
        with pytest.raises(ValueError, match="must be a header that carries a credential"):
            carrying_secret(name)


def test_a_key_may_have_its_own_header_but_no_identity():
    assert carrying_key("Idempotency-Key") == "Idempotency-Key" and carrying_key("X-Request-Id") == "X-Request-Id"
    for name in ("Authorization", "Cookie", "Host", "traceparent"):
        with pytest.raises(ValueError, match="must be the header in which"):
            carrying_key(name)


def test_a_dropped_header_is_a_name_or_a_beginning():
    assert dropped("X-Noise-*") == "x-noise-*"
    assert covers("x-noise-*", "x-noise-a") and covers("x-a", "x-a") and not covers("x-a", "x-ab")
    for pattern in ("*", "", "a*b", "a b", "x-**", "Host", "content-type"):
        with pytest.raises(ValueError, match="must"):
            dropped(pattern)
