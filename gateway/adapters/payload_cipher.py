"""Payload at rest: AES-256-GCM around every request, answer and salt, before it leaves this process.

A sealed value is `01, key id (4 bytes), nonce (12), ciphertext and tag (16)`, and what it belongs to (call and field)
is authenticated with it, so that nobody can put the request of one call in the place of another's. It must never use a
nonce twice under one key: a nonce is 8 random bytes of this object and a count, and the random ones are drawn anew
before the count can run over. It must never fail open: what cannot be read is `Unreadable`, with the id of its key.
"""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.payload_ports import KeyMissing, Unreadable

SEALED = b"\x01"
"""First byte of a sealed value. Requests and answers of older versions begin with a digit, previews with a bracket."""
HEAD = 1 + 4 + 12
SHORTEST = HEAD + 16
"""Bytes. A shorter value is plain, whatever it begins with: salts of older versions are 16 random bytes."""
MOST_COUNTED = 1 << 32
MISSING = "it is encrypted with the payload key {key}, which this gateway does not have"
CHANGED = "it is not what was encrypted with the payload key {key}: it was changed, or put in another's place"


def key_id(key: bytes) -> str:
    """What a key is called, in values and sentences: eight hex digits that tell nothing of it."""
    return hashlib.sha256(b"policy-gateway payload key\n" + key).hexdigest()[:8]


class PayloadCipher:
    """One event loop only. The first of `keys` (32 bytes each) encrypts, all of them decrypt.

    Without keys, for whoever needs no payload, it leaves everything as it is and cannot read what is sealed.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self.ids = tuple(key_id(key) for key in keys)
        """Of all keys; the first is that of the key which encrypts."""
        self._by_id = {bytes.fromhex(name): AESGCM(key) for name, key in zip(self.ids, keys, strict=True)}
        self._id = bytes.fromhex(self.ids[0]) if self.ids else b""
        self._encrypts = self._by_id.get(self._id)
        self._head, self._count = b"", MOST_COUNTED

    def seal(self, call: str, name: str, data: bytes) -> bytes:
        if self._encrypts is None:
            return data
        if self._count >= MOST_COUNTED:
            self._head, self._count = os.urandom(8), 0
        nonce = self._head + self._count.to_bytes(4, "big")
        self._count += 1
        return SEALED + self._id + nonce + self._encrypts.encrypt(nonce, data, _belonging(call, name))

    def open(self, call: str, name: str, data: bytes) -> bytes:
        if not is_sealed(data):
            return data
        which = data[1:5]
        key = self._by_id.get(which)
        if key is None:
            raise KeyMissing(which.hex(), MISSING.format(key=which.hex()))
        try:
            return key.decrypt(data[5:HEAD], data[HEAD:], _belonging(call, name))
        except InvalidTag as error:
            raise Unreadable(which.hex(), CHANGED.format(key=which.hex())) from error


def is_sealed(data: bytes) -> bool:
    """False for what versions without encryption wrote."""
    return data[:1] == SEALED and len(data) >= SHORTEST


def _belonging(call: str, name: str) -> bytes:
    return f"{call}/{name}".encode()
