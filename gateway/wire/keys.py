"""Who sends a request: finding the gateway key where SDKs put credentials, and nowhere else.

Keys are stored as SHA-256 and compared in constant time. Every place where a key may stand is emptied before
anything is sent (peer failure 23); a key anywhere else is on its way to the system's logs, so the request is refused.
This file must never put a key, or a part of one, into an error.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from gateway.core.routes import Agent, Credential
from gateway.errors import AmbiguousRequest, GatewayCredential

KEY_PREFIX = b"gk_"
"""Every gateway key begins with it, so that one is recognised wherever it stands."""
KEY_LENGTH = 43
"""Characters after the prefix: 32 random bytes in url-safe base64 without padding."""
_KEY = re.compile(rb"(?=(%b[A-Za-z0-9_-]{%d}))" % (KEY_PREFIX, KEY_LENGTH))  # a lookahead, since matches may overlap
MOST_CANDIDATES = 64
"""Key-shaped strings looked at per request. More of them is not data, it is an attempt to keep us busy."""
AUTHORIZATION = b"authorization"


class Agents:
    """Agents by the digest of their keys."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._by_digest = {bytes.fromhex(key): agent for agent in agents for key in agent.keys}
        self._digests = {digest: digest for digest in self._by_digest}

    def owner(self, key: bytes) -> Agent | None:
        """Whose key this is. Only digests are compared, and those in constant time."""
        digest = hashlib.sha256(key).digest()
        stored = self._digests.get(digest)
        if stored is None or not hmac.compare_digest(stored, digest):
            return None
        return self._by_digest[stored]

    def authenticate(self, presented: list[bytes]) -> tuple[Agent, bytes]:
        """The agent and its key. Raises GatewayCredential, or AmbiguousRequest for two different keys.

        Something else in one of the places (a system's dummy key beside Gateway-Key) is ignored.
        """
        if len(presented) == 1 and (only := self.owner(presented[0])) is not None:
            return only, presented[0]
        found: Agent | None = None
        keys = []
        for candidate in dict.fromkeys(presented):
            agent = self.owner(candidate)
            if agent is not None or candidate.startswith(KEY_PREFIX):
                keys.append(candidate)
                found = found or agent
        if len(keys) > 1:
            raise AmbiguousRequest("two different gateway keys are presented")
        if found is None:
            raise GatewayCredential(presented=bool(presented))
        return found, keys[0]

    def contains_key(self, data: bytes) -> bool:
        """True if the key of any agent stands in the data."""
        if KEY_PREFIX not in data:
            return False
        candidates: set[bytes] = set()
        for count, found in enumerate(_KEY.finditer(data)):
            candidates.add(found[1])
            if count == MOST_CANDIDATES:
                raise AmbiguousRequest(f"it has more than {MOST_CANDIDATES} strings that look like gateway keys")
        return any(self.owner(candidate) is not None for candidate in candidates)


def presented(fields: Mapping[bytes, bytes], places: frozenset[bytes], credential: Credential | None) -> list[bytes]:
    """Everything that stands where a key may stand, with schemes and prefixes taken off."""
    found: list[bytes] = []
    for place in places & fields.keys():
        value = fields[place]
        found += _authorization(value, credential) if place == AUTHORIZATION else [_bare(value, credential)]
    return [candidate for candidate in found if candidate]


def _authorization(value: bytes, credential: Credential | None) -> list[bytes]:
    scheme, space, rest = value.strip(b" \t").partition(b" ")
    rest = rest.strip(b" \t")
    match scheme.lower():
        case b"bearer" | b"token":
            return [rest]
        case b"basic":
            return _basic(rest)
        case _ if not space:
            return [scheme]
        case _:
            return [_bare(value, credential)]


def _basic(encoded: bytes) -> list[bytes]:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return []
    return [user, password]


def _bare(value: bytes, credential: Credential | None) -> bytes:
    """A header's value without the text that the system wants before its secret."""
    value = value.strip(b" \t")
    prefix = credential.prefix.encode().strip() if credential is not None else b""
    return value[len(prefix) :].strip(b" \t") if prefix and value.lower().startswith(prefix.lower()) else value
