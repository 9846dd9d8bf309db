"""Standard Webhooks: what we and others sign verifies, and garbage is a bad signature, never a crash."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.secret_format import key_of
from gateway.wire.webhook import BadSignature, next_attempt_ms, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
POINT = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
"""Test 2 of RFC 8032: a private key and its public one."""
PRIVATE, PUBLIC = ("whsk_" + base64.b64encode(SEED).decode(), "whpk_" + base64.b64encode(POINT).decode())
ID, NOW, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The vector of the specification's own libraries."""


def headers(**changes):
    return {"webhook-id": ID, "webhook-timestamp": str(NOW), "webhook-signature": SIGNATURE} | {
        f"webhook-{name}": value for name, value in changes.items()
    }


def test_the_published_vector():
    assert sign(SECRET, ID, NOW, BODY) == SIGNATURE
    assert verify(headers(), BODY, [SECRET], NOW) == (ID, NOW)


def test_any_one_of_several_secrets_is_enough_because_secrets_are_rotated():
    assert verify(headers(), BODY, [OTHER, SECRET], NOW) == (ID, NOW)
    assert verify(headers(signature=f"{sign(OTHER, ID, NOW, BODY)} {SIGNATURE}"), BODY, [SECRET], NOW) == (ID, NOW)


def test_signatures_of_other_versions_are_passed_over():
    assert verify(headers(signature=f"v1a,AAAA v2,{SIGNATURE[3:]} {SIGNATURE}"), BODY, [SECRET], NOW) == (ID, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "msg_other"},
        {"timestamp": str(NOW + 1)},
        {"timestamp": f"0{NOW}"},
        {"signature": sign(OTHER, ID, NOW, BODY)},
        {"signature": SIGNATURE.replace("v1,", "v1a,")},
        {"signature": SIGNATURE[:-2] + "="},
    ],
)
def test_whatever_is_changed_after_signing_is_noticed(changes):
    with pytest.raises(BadSignature):
        verify(headers(**changes), BODY, [SECRET], NOW)


def test_one_byte_more_or_another_secret_is_noticed():
    for body, secrets in ((BODY + b" ", [SECRET]), (BODY, [OTHER]), (BODY, [])):
        with pytest.raises(BadSignature):
            verify(headers(), body, secrets, NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_is_needed(missing):
    with pytest.raises(BadSignature, match="needed"):
        verify({name: value for name, value in headers().items() if name != missing}, BODY, [SECRET], NOW)


@pytest.mark.parametrize(("off", "accepted"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_message_is_good_for_five_minutes_in_both_directions(off, accepted):
    if accepted:
        assert verify(headers(), BODY, [SECRET], NOW + off) == (ID, NOW)
    else:
        with pytest.raises(BadSignature, match="clock"):
            verify(headers(), BODY, [SECRET], NOW + off)


def test_an_id_that_could_be_read_in_two_ways_is_refused():
    """`a.1` + `2` and `a` + `1.2` would be the same signed bytes; `é` and `?` were, in a lossy encoding."""
    key = key_of(SECRET)
    for message, signed in (("a.1", b"a.1"), ("a\u00e9b", b"a?b"), ("a\u00e9b", "a\u00e9b".encode()), ("a b", b"a b")):
        mac = hmac.digest(key, signed + f".{NOW}.".encode() + BODY, hashlib.sha256)
        signature = "v1," + base64.b64encode(mac).decode()
        with pytest.raises(BadSignature, match="webhook-id"):
            verify(headers(id=message, signature=signature), BODY, [SECRET], NOW)
        with pytest.raises(ValueError, match="webhook-id"):
            sign(SECRET, message, NOW, BODY)


@pytest.mark.parametrize(
    "signature", ["garbage", "v1,", "v1,!!!", "v1,\u00e9", ",", " ", "v1", "v1,A", "v1," + "A" * 5000]
)
def test_garbage_for_a_signature_is_a_bad_signature_and_nothing_else(signature):
    """Peer failure 27: it raised the wrong class there, and became a 500."""
    with pytest.raises(BadSignature):
        verify(headers(signature=signature), BODY, [SECRET], NOW)


@pytest.mark.parametrize(
    "stamp", ["", "x", "1614265330.5", "-1", "+1614265330", "\u0661\u0662", "1614265330\n", "9" * 5000]
)
def test_garbage_for_a_timestamp_is_a_bad_signature_and_nothing_else(stamp):
    with pytest.raises(BadSignature):
        verify(headers(timestamp=stamp), BODY, [SECRET], NOW)


garbage = st.one_of(st.text(), st.just(ID), st.just(str(NOW)), st.just(SIGNATURE), st.text("v1a, =+/A0"))


@given(
    st.fixed_dictionaries({}, optional={f"webhook-{n}": garbage for n in ("id", "timestamp", "signature")}), st.binary()
)
def test_no_headers_and_no_body_raise_anything_but_bad_signature(found, body):
    try:
        verify(found, body, [SECRET], NOW)
    except BadSignature:
        return
    pytest.fail("garbage was accepted")


@given(st.text("abcXYZ019_-", min_size=1, max_size=40), st.integers(0, 10**11), st.binary())
def test_what_is_signed_verifies(message, stamp, body):
    found = {
        "webhook-id": message,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(OTHER, message, stamp, body),
    }
    assert verify(found, body, [SECRET, OTHER], stamp) == (message, stamp)


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with whsec_"),
        ("whsec_not base64 at all!", "standard base64"),
        ("whsec_\u00e9", "standard base64"),
        ("whsec_MfKQ*9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "standard base64"),
        (SECRET + "\n", "standard base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "has 23"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "has 65"),
        ("", "must begin with whsec_"),
    ],
)
def test_a_bad_secret_is_our_mistake_and_is_never_quoted(secret, sentence):
    for attempt in (lambda: sign(secret, ID, NOW, BODY), lambda: verify(headers(), BODY, [SECRET, secret], NOW)):
        with pytest.raises(ValueError, match=sentence) as caught:
            attempt()
        rest = secret.removeprefix("whsec_")
        assert not rest or rest not in str(caught.value)


def test_the_shortest_and_the_longest_secret_work():
    for size in (24, 64):
        secret = "whsec_" + base64.b64encode(b"\xff" * size).decode()
        assert key_of(secret) == b"\xff" * size


def test_attempts_follow_the_schedule_of_standard_webhooks():
    seconds = [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert [next_attempt_ms(made) for made in range(11)] == [*(s * 1000 for s in seconds), None]


def test_jitter_only_ever_delays():
    assert next_attempt_ms(2, jitter=1.0) == 330_000
    assert next_attempt_ms(0, jitter=1.0) == 0


def test_retry_after_delays_but_never_hurries_and_never_ends_a_notice():
    assert next_attempt_ms(1, retry_after=60.0) == 60_000
    assert next_attempt_ms(3, retry_after=60.0) == 1_800_000
    assert next_attempt_ms(1, retry_after=-5.0) == 5_000
    assert next_attempt_ms(1, retry_after=1e12) == 86_400_000
    assert next_attempt_ms(1, retry_after=3600.0, expires_in=600_000) == 5_000


def test_nothing_is_sent_that_nobody_needs_any_more():
    assert next_attempt_ms(3, expires_in=1_800_000) == 900_000  # a question that closes soon is not given up
    assert next_attempt_ms(3, expires_in=9_999) is None
    assert next_attempt_ms(3, expires_in=1_800_001) == 1_800_000
    assert next_attempt_ms(0, expires_in=0) is None


# --- v1a: Ed25519 -----------------------------------------------------------------------------------------------------


def test_what_a_private_key_signs_its_public_key_verifies():
    signature = sign(PRIVATE, ID, NOW, BODY)
    assert signature.startswith("v1a,") and len(base64.b64decode(signature[4:])) == 64
    assert verify(headers(signature=signature), BODY, [PUBLIC], NOW) == (ID, NOW)
    assert sign("whsk_" + base64.b64encode(SEED + POINT).decode(), ID, NOW, BODY) == signature


def test_v1_and_v1a_rotate_side_by_side():
    both = f"{sign(SECRET, ID, NOW, BODY)} {sign(PRIVATE, ID, NOW, BODY)}"
    for secrets in ([SECRET], [PUBLIC], [OTHER, PUBLIC], [PUBLIC, SECRET]):
        assert verify(headers(signature=both), BODY, secrets, NOW) == (ID, NOW)


@pytest.mark.parametrize(
    "changes", [{"id": "msg_other"}, {"timestamp": str(NOW + 1)}, {"signature": sign(PRIVATE, ID, NOW, BODY + b" ")}]
)
def test_whatever_is_changed_after_signing_with_a_private_key_is_noticed(changes):
    with pytest.raises(BadSignature):
        verify(headers(signature=sign(PRIVATE, ID, NOW, BODY)) | headers(**changes), BODY, [PUBLIC], NOW)


@pytest.mark.parametrize("version", ["v1", "v1a"])
def test_a_public_key_is_never_the_key_of_an_hmac(version):
    """Everybody knows a public key, so everybody could sign with it."""
    mac = hmac.digest(POINT, f"{ID}.{NOW}.".encode() + BODY, "sha256")
    forged = f"{version},{base64.b64encode(mac).decode()}"
    with pytest.raises(BadSignature):
        verify(headers(signature=forged), BODY, [PUBLIC], NOW)


@pytest.mark.parametrize("signature", ["v1a,", "v1a,!!!", "v1a,AAAA", "v1a," + "A" * 88, "v1a,\u00e9"])
def test_garbage_for_an_ed25519_signature_is_a_bad_signature_and_nothing_else(signature):
    with pytest.raises(BadSignature):
        verify(headers(signature=signature), BODY, [PUBLIC, "whpk_" + base64.b64encode(b"\xff" * 32).decode()], NOW)


def test_halves_of_a_pair_in_the_wrong_place_are_refused():
    with pytest.raises(ValueError, match="cannot sign"):
        sign(PUBLIC, ID, NOW, BODY)
    with pytest.raises(ValueError, match="stays with whoever signs"):
        verify(headers(), BODY, [PRIVATE], NOW)
