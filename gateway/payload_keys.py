"""The keys of payload at rest: where they are, how they are made, and every way in which they can be wrong.

A deployment's keys are one base64 line each, 32 bytes; the first encrypts, all decrypt, so that a key is rotated by
putting a new line first. They come from GATEWAY_PAYLOAD_KEYS or GATEWAY_PAYLOAD_KEYS_FILE, or from `payload.keys` in
the data directory, which is made at the first start. It must never replace a file that is there, whatever is in it,
never make a key beside what another one encrypted, and never show a key.
"""

import base64
import binascii
import secrets
from pathlib import Path

from gateway import durable

FILE = "payload.keys"
KEY_BYTES = 32
CURE = "one key a line, each 32 bytes in base64 (`openssl rand -base64 32` makes one)"
ROTATION = 'see "Payload keys" in docs/operations.md'

WRONG_KEYS = (
    "this deployment encrypts payloads with the key {newest}, which is not among those of this host ({ours}): put "
    f"{FILE} back from your backup, or give this host the payload keys of the others; {ROTATION}."
)
LOST_KEYS = (
    "{path} is missing, but there is a journal or a record beside it that it encrypted: put it back from your backup. "
    f"None is made anew, since that would open nothing; {ROTATION}, also if it is lost for good."
)


class PayloadKeysMistake(Exception):
    """One sentence that says what is wrong with the keys and what to do."""


def read_keys(given: str, path: Path) -> tuple[bytes, ...]:
    """The keys in `given` (GATEWAY_PAYLOAD_KEYS) or, if that is empty, in the file. Raises PayloadKeysMistake."""
    if given:
        return _keys(given, "GATEWAY_PAYLOAD_KEYS")
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError as error:
        raise PayloadKeysMistake(
            f"{path} is missing, and payloads cannot be read without it: put the deployment's keys back; {ROTATION}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "it cannot be read").lower() if isinstance(error, OSError) else "it is not text"
        raise PayloadKeysMistake(f"The payload keys in {path} cannot be read ({why}): it must hold {CURE}.") from error
    return _keys(text, str(path))


def _keys(text: str, where: str) -> tuple[bytes, ...]:
    lines = [line for line in text.split() if line]
    found = []
    for number, line in enumerate(lines, 1):
        try:
            key = base64.b64decode(line, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise PayloadKeysMistake(f"Key {number} in {where} is no payload key: it must hold {CURE}.")
        found.append(key)
    if not found:
        raise PayloadKeysMistake(f"There is no payload key in {where}: it must hold {CURE}.")
    if len(set(found)) < len(found):
        raise PayloadKeysMistake(f"A payload key is in {where} twice: remove one of them.")
    return tuple(found)


def ensure_keys(data: Path) -> None:
    """Make `payload.keys` in the data directory (0600) unless it is there. Raises PayloadKeysMistake."""
    path = data / FILE
    line = base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n"
    try:
        durable.create(path, line, 0o600)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PayloadKeysMistake(
            f"{path} cannot be made ({why}), and payloads are never kept without a key: make the directory writable, "
            "or give the deployment's keys in GATEWAY_PAYLOAD_KEYS_FILE."
        ) from error
