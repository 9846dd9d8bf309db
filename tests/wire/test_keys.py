"""Finding the gateway key, and only where it belongs."""

import base64

import pytest

from gateway.core.routes import Credential
from gateway.errors import AmbiguousRequest, GatewayCredential
from gateway.wire.headers import KEY_PLACES
from gateway.wire.keys import MOST_CANDIDATES, presented
from tests.wire.wire_cases import INDEX, KEY, ODD_KEY, OTHER_KEY, secret

AGENTS = INDEX.agents


def basic(text):
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    "fields",
    [
        {b"authorization": f"Bearer {KEY}".encode()},
        {b"authorization": f"bearer  {KEY} ".encode()},
        {b"authorization": f"token {KEY}".encode()},
        {b"authorization": basic(f"{KEY}:")},
        {b"authorization": basic(f"user:{KEY}")},
        {b"authorization": basic(f"{KEY}:{KEY}")},
        {b"authorization": KEY.encode()},
        {b"x-api-key": KEY.encode()},
        {b"gateway-key": KEY.encode() + b"  "},
        {b"gateway-key": KEY.encode(), b"authorization": b"Bearer sk_test_dummy"},
        {b"gateway-key": KEY.encode(), b"authorization": f"Bearer {KEY}".encode()},
        {b"authorization": f"Bearer {ODD_KEY}".encode()},
    ],
)
def test_the_key_is_found_in_every_place(fields):
    assert AGENTS.authenticate(presented(fields, KEY_PLACES, None))[0].name == "bot"


def test_the_systems_own_place_counts_with_its_prefix():
    credential = Credential("header", secret(), name="X-Auth", prefix="Key ")
    places = KEY_PLACES | {b"x-auth"}
    for value in (f"Key {KEY}", f"key {KEY}", KEY):
        assert AGENTS.authenticate(presented({b"x-auth": value.encode()}, places, credential))[0].name == "bot"
    google = Credential("header", secret(), name="Authorization", prefix="GoogleLogin auth=")
    found = presented({b"authorization": f"GoogleLogin auth={KEY}".encode()}, KEY_PLACES, google)
    assert AGENTS.authenticate(found)[0].name == "bot"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"authorization": b""},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic !!!"},
        {b"authorization": b"Basic"},
        {b"authorization": b"Digest username=x"},
        {b"authorization": b"Bearer sk_live_x"},
        {b"authorization": f"Bearer {KEY[:-1]}".encode()},
        {b"authorization": f"Bearer {KEY}x".encode()},
        {b"authorization": f"Bearer {KEY.upper()}".encode()},
        {b"cookie": KEY.encode()},
        {b"x-other": KEY.encode()},
    ],
)
def test_without_a_valid_key_it_is_401_and_no_value_is_echoed(fields):
    """Peer failure 24: a request without a key answered 500."""
    with pytest.raises(GatewayCredential) as caught:
        AGENTS.authenticate(presented(fields, KEY_PLACES, None))
    assert caught.value.status == 401 and "www-authenticate" in caught.value.headers
    assert not any(
        value and value.decode().split(" ")[-1] in caught.value.detail for value in fields.values() if len(value) > 8
    )


@pytest.mark.parametrize("other", [OTHER_KEY, "gk_" + "x" * 43, "gk_short"])
def test_two_different_keys_are_refused(other):
    fields = {b"authorization": f"Bearer {KEY}".encode(), b"x-api-key": other.encode()}
    with pytest.raises(AmbiguousRequest):
        AGENTS.authenticate(presented(fields, KEY_PLACES, None))
    with pytest.raises(AmbiguousRequest):
        AGENTS.authenticate(presented({b"authorization": basic(f"{KEY}:{other}")}, KEY_PLACES, None))


@pytest.mark.parametrize(
    "text", ["{}", "x{}y", "gk_{}", "gk_gk_{}", "gk_" + "a" * 20 + "{}", '{{"a": "{}"}}', "-{}-", "\n{}\n"]
)
def test_a_key_of_any_agent_is_found_wherever_it_stands(text):
    for key in (KEY, OTHER_KEY):
        assert AGENTS.contains_key(text.format(key).encode())


def test_what_only_looks_like_a_key_is_data():
    assert not AGENTS.contains_key(b"gk_" + b"x" * 43)
    assert not AGENTS.contains_key(KEY[:-1].encode())
    assert not AGENTS.contains_key(b"")


def test_nobody_keeps_us_busy_with_strings_that_look_like_keys():
    with pytest.raises(AmbiguousRequest):
        AGENTS.contains_key(b"".join(b"gk_%043d" % number for number in range(MOST_CANDIDATES + 1)))
    with pytest.raises(AmbiguousRequest):
        AGENTS.contains_key(b"gk_" * 3_000_000)


def test_an_index_keeps_no_key():
    assert KEY not in repr(INDEX.routes) and all(KEY.encode() not in digest for digest in AGENTS._by_digest)
