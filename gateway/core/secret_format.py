"""What a secret must look like to be usable: asked before anything starts, and again whenever one is used.

No sentence here quotes a secret or a part of one.
"""

import base64
import binascii
import re

PREFIX = "whsec_"
FEWEST_BYTES, MOST_BYTES = 24, 64  # of a webhook secret, by the Standard Webhooks specification

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What could end a header line early or cannot be sent. Surrogates stand for bytes that are not UTF-8."""
UNSENDABLE = "it contains a line break, another control character or bytes that are not UTF-8"


def key_of(secret: str) -> bytes:
    """The bytes of a secret written as `whsec_<base64>`. Raises ValueError, which never quotes the secret."""
    if not secret.startswith(PREFIX):
        raise ValueError("a webhook secret must begin with whsec_, followed by the base64 of 24 to 64 random bytes")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("what follows whsec_ in a webhook secret must be standard base64 with its padding") from None
    if not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"a webhook secret must be 24 to 64 bytes long, in base64; this one has {len(key)}")
    return key
