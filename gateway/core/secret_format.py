"""What a secret must look like to be usable: asked before anything starts, and again whenever one is used.

Webhooks are signed by a secret that both sides know (v1, `whsec_`), or by a private key (v1a, `whsk_`) whose public
half (`whpk_`) can verify and never sign. No sentence here quotes a secret or a part of one.
"""

import base64
import binascii
import re

PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
FEWEST_BYTES, MOST_BYTES = 24, 64  # of a webhook secret, by the Standard Webhooks specification
KEY_BYTES = 32
"""Of an Ed25519 public key, and of the seed that is the private one (RFC 8032)."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What could end a header line early or cannot be sent. Surrogates stand for bytes that are not UTF-8."""
UNSENDABLE = "it contains a line break, another control character or bytes that are not UTF-8"


def key_of(secret: str) -> bytes:
    """The bytes of a secret written as `whsec_<base64>`. Raises ValueError, which never quotes the secret."""
    if not secret.startswith(PREFIX):
        raise ValueError("a webhook secret must begin with whsec_, followed by the base64 of 24 to 64 random bytes")
    key = _decoded(secret, PREFIX)
    if not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"a webhook secret must be 24 to 64 bytes long, in base64; this one has {len(key)}")
    return key


def signing_key(secret: str) -> tuple[str, bytes]:
    """The version (`v1` or `v1a`) and the bytes of a secret that signs. Raises ValueError without quoting it.

    A private key may be followed by its public key, 64 bytes in all, as some libraries keep it.
    """
    if secret.startswith(PUBLIC_PREFIX):
        raise ValueError("this webhook secret is a public key (whpk_), which cannot sign: use the private one (whsk_)")
    if not secret.startswith(PRIVATE_PREFIX):
        return "v1", key_of(secret)
    key = _decoded(secret, PRIVATE_PREFIX)
    if len(key) not in (KEY_BYTES, 2 * KEY_BYTES):
        raise ValueError(
            "a private webhook secret must be whsk_ and the base64 of 32 bytes (or 64 with the public key)"
        )
    return "v1a", key[:KEY_BYTES]


def verifying_key(secret: str) -> tuple[str, bytes]:
    """The version (`v1` or `v1a`) and the bytes of a secret that verifies. Raises ValueError without quoting it."""
    if secret.startswith(PRIVATE_PREFIX):
        raise ValueError(
            "this webhook secret is a private key (whsk_), which stays with whoever signs: use the public one (whpk_)"
        )
    if not secret.startswith(PUBLIC_PREFIX):
        return "v1", key_of(secret)
    key = _decoded(secret, PUBLIC_PREFIX)
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"a public webhook secret must be whpk_ and the base64 of {KEY_BYTES} bytes; it has {len(key)}"
        )
    return "v1a", key


def slack_token(secret: str) -> str:
    """The token of a Slack app. Raises ValueError without quoting it."""
    if not secret.startswith(("xoxb-", "xoxe.xoxb-")):
        raise ValueError("it must be a bot's token, which begins with xoxb-")
    return secret


def _decoded(secret: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(prefix).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError(
            f"what follows {prefix} in a webhook secret must be standard base64 with its padding"
        ) from None
