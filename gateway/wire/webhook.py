"""Standard Webhooks 1.0.0: how a notice proves that it comes from us, and a decision from an approver's system.

The signature is an HMAC (v1) or Ed25519 (v1a) over `{id}.{timestamp}.{body}`, so neither may contain a dot or be read
in two ways: an id is visible ASCII, a timestamp is digits. A public key verifies nothing but v1a, a shared secret
nothing but v1: a public key used as an HMAC key would let everybody sign. Whatever a stranger puts into headers and
body, `verify` raises `BadSignature` and nothing else (peer failure 27: `garbage` as a signature raised the wrong class
and became a 500).

This file must never read a clock, and never put a secret, or a part of one, into an exception.

A signature authenticates a system, not a person, and does not cover the URL. Whoever calls `verify` must compare
what the body names with the path, and remember the id for longer than the sender retries.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.core.secret_format import signing_key, verifying_key

TOLERANCE_SECONDS = 300
"""By how much the sender's clock may differ from ours; what the reference libraries allow."""
SCHEDULE_MS = tuple(
    seconds * 1000
    for seconds in (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""How long to wait before each attempt, counted from the failure of the one before it (Standard Webhooks)."""
JITTER = 0.1
"""At most this part of a delay is added to it, so that receivers that failed together are not asked together."""

LONGEST_ID = 256
LONGEST_SIGNATURES = 4096
"""Characters of the signature header: some forty signatures, more than any rotation needs."""

_ID = re.compile(r"[!-\-/-~]+")  # visible ASCII without the dot, which separates the parts that are signed
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class BadSignature(Exception):
    """The message is not proven to come from a holder of one of our secrets, now. Says why, without any secret."""


LAST_CHANCE_MS = 10_000
"""With less time than this before a question closes, nobody could answer it any more."""


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002 - the specification's word
    """One item of a `webhook-signature` header: `v1,<base64>` of a shared secret, `v1a,<base64>` of a private key.

    `timestamp` is in whole seconds since the epoch, of this attempt; `id` stays the same over all attempts.
    Raises ValueError if the secret or the id cannot be used.
    """
    if not _ID.fullmatch(id) or len(id) > LONGEST_ID:
        raise ValueError(f"{id!r} cannot be a webhook-id: use up to {LONGEST_ID} visible ASCII characters, no dot")
    if timestamp < 0:
        raise ValueError(f"{timestamp} cannot be a webhook-timestamp: use seconds since the epoch")
    version, key = signing_key(secret)
    signed = _signed(id, str(timestamp), body)
    made = _mac(key, signed) if version == "v1" else Ed25519PrivateKey.from_private_bytes(key).sign(signed)
    return f"{version},{base64.b64encode(made).decode()}"


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: int,
    tolerance: int = TOLERANCE_SECONDS,
) -> tuple[str, int]:
    """The message's id and timestamp, if it is signed with one of the secrets and is not old or of the future.

    `headers` has lower-case names; `now` and `tolerance` are in seconds. Several secrets are a rotation. Raises
    BadSignature whatever the message is; ValueError only if one of our own secrets is not a secret.
    """
    keys = [verifying_key(secret) for secret in secrets]
    message, stamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (message and stamp and signatures):
        raise BadSignature("webhook-id, webhook-timestamp and webhook-signature are all needed")
    if not _ID.fullmatch(message) or len(message) > LONGEST_ID:
        raise BadSignature(f"webhook-id must be up to {LONGEST_ID} visible ASCII characters without a dot")
    if not _TIMESTAMP.fullmatch(stamp):
        raise BadSignature("webhook-timestamp must be seconds since the epoch, in digits")
    if abs(now - int(stamp)) > tolerance:
        raise BadSignature(f"webhook-timestamp differs from this gateway's clock by more than {tolerance} seconds")
    if len(signatures) > LONGEST_SIGNATURES:
        raise BadSignature(f"webhook-signature must be at most {LONGEST_SIGNATURES} characters")
    signed = _signed(message, stamp, body)
    offered = [given for item in signatures.split(" ") if (given := _offered(item)) is not None]
    if not any(_matches(key, given, signed) for key in keys for given in offered):
        raise BadSignature("no v1 or v1a signature in webhook-signature was made with a secret of this endpoint")
    return message, int(stamp)


def next_attempt_ms(
    attempt: int, *, retry_after: float | None = None, expires_in: int | None = None, jitter: float = 0.0
) -> int | None:
    """Milliseconds from now until the next attempt, or None if there is none.

    `attempt`: how many were made. `retry_after`: what the receiver asked for, in seconds; obeyed unless that would
    be the end of the notice, which is for the schedule to say and not for the receiver. `expires_in`: milliseconds
    after which nobody needs the notice. `jitter`: a random number from 0 to 1.
    """
    if not 0 <= attempt < len(SCHEDULE_MS):
        return None
    planned = int(SCHEDULE_MS[attempt] * (1 + JITTER * jitter))
    asked = int(min(max(retry_after or 0.0, 0.0), SCHEDULE_MS[-1] / 1000) * 1000)
    waits = [max(planned, asked), planned]
    fits = next((wait for wait in waits if expires_in is None or wait < expires_in), None)
    if fits is None and expires_in is not None and expires_in >= LAST_CHANCE_MS:
        return expires_in // 2  # the schedule is too slow for this question: somebody has to hear of it before its end
    return fits


def _signed(message: str, timestamp: str, body: bytes) -> bytes:
    return f"{message}.{timestamp}.".encode("ascii") + body


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _matches(key: tuple[str, bytes], offered: tuple[str, bytes], signed: bytes) -> bool:
    """True if a key of that version made that signature of that version."""
    (version, material), (claimed, signature) = key, offered
    if version != claimed:
        return False
    if version == "v1":
        return hmac.compare_digest(_mac(material, signed), signature)
    try:
        Ed25519PublicKey.from_public_bytes(material).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _offered(item: str) -> tuple[str, bytes] | None:
    """Version and bytes of one `v1,<base64>`; None for other versions and for garbage, which simply match nothing."""
    version, _, text = item.partition(",")
    if version not in ("v1", "v1a"):
        return None
    try:
        return version, base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
