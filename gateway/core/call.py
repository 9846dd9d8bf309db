"""One intended use of a tool by an agent: its identity, and the two digests that bind people and retries to it.

The *fingerprint* is what an approver approves: change one byte of what would be sent, or where, or under which
credential, and it differs. The *match digest* is what makes two requests the same intent, whatever key they carry.
Neither contains the key or the call id (design section 2). This file must never read a clock or draw a random
number: ids and salts are arguments.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

from gateway.core.value import keyword_value

FORMAT = b"gateway-1"
"""First part of every digest, so that a future format can never collide with this one."""
PARTITIONS = 64
"""For ever: the partition is part of every id and of every key in Redis (design section 10)."""
PARTITION_NAMES = tuple(f"{number:02d}" for number in range(PARTITIONS))
"""As they stand in ids and keys."""


@keyword_value
class Request:
    """What would be sent to the system, exactly, before the credential is added.

    It was cleaned once at the door: agent credentials, hop-by-hop fields and known noise are gone. It is stored
    beside a call's facts and is all that a later process needs in order to judge and send the call.
    """

    system: str
    method: str
    target: str
    """Raw path below the system's root, with `?query` if there is one, byte for byte (ASCII)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Lower-case names. Values are latin-1 text, as they came."""
    body: bytes = b""

    def header(self, name: str) -> str:
        for found, value in self.headers:
            if found == name:
                return value
        return ""


@keyword_value
class Call:
    """Everything that is decided about a call when it is admitted. Carries digests, never arguments."""

    id: str
    """Partition (two digits), then random."""
    agent: str
    user: str | None = None
    run: str | None = None
    system: str
    tool: str
    effect: str
    method: str
    resource: str
    """`Charge/ch_1`, for people; empty if the system itself."""
    fingerprint: str
    match: str = ""
    key: str = ""
    """Name of the key pointer: a digest over agent, user, tool and key. Empty if the tool does not dedupe."""
    key_given: bool = False
    """The agent sent a key; otherwise the pointer is derived from the match digest."""
    repeatable: bool = False
    keeps_ms: int = 0
    """How long the system keeps keys, if repeatable."""
    keep_ms: int = 24 * 3_600_000
    """How long the key pointer lasts after the call ended."""
    not_acted: tuple[int, ...] = (401, 429)
    doubtful: tuple[int, ...] = ()
    source_ip: str = ""
    traceparent: str = ""
    reason: str = ""
    """The agent's own why (`Gateway-Reason`). Shown to people as the agent's words; never to policies."""

    @property
    def partition(self) -> int:
        return int(self.id[:2])

    @property
    def acts(self) -> bool:
        return self.effect != "read"


@lru_cache(maxsize=4096)  # agents are few
def partition_of(agent: str) -> int:
    """The partition of all calls of an agent, for ever."""
    return hashlib.sha256(agent.encode()).digest()[0] % PARTITIONS


def call_id(agent: str, random: str) -> str:
    """`random` must be unguessable and unique: at least 80 bits, hex."""
    return f"{partition_of(agent):02d}{random}"


def joined(parts: Collection[bytes]) -> bytes:
    """How many parts, their lengths, then the parts: no two lists of parts give the same bytes."""
    count = len(parts)
    return _lengths(count)(count, *map(len, parts)) + b"".join(parts)


@lru_cache(maxsize=64)
def _lengths(count: int) -> Callable[..., bytes]:
    return struct.Struct(f">{count + 1}Q").pack


NONE = joined(())


def _headers(declared: Iterable[tuple[str, str]]) -> bytes:
    return joined([f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in declared])


def fingerprint(  # noqa: PLR0913 - everything an approval is bound to, by name
    *,
    salt: bytes,
    agent: str,
    user: str | None,
    origin: str,
    credential: str,
    tool: str,
    request: Request,
    key_header: str = "",
    declared_headers: Collection[tuple[str, str]],
) -> str:
    """SHA-256, hex, over everything an approver's yes is bound to, and a re-send must share."""
    headers = _headers(declared_headers) if declared_headers else NONE
    parts = (
        FORMAT, salt, agent.encode(), (user or "").encode(), request.system.encode(), origin.encode(),
        credential.encode(), tool.encode(), request.method.encode(), request.target.encode(), headers,
        request.header("content-type").encode(), key_header.encode(), request.body,
    )  # fmt: skip
    return hashlib.sha256(joined(parts)).hexdigest()


def match_digest(
    *,
    key: bytes,
    agent: str,
    user: str | None,
    run: str | None,
    tool: str,
    request: Request,
    declared_headers: Collection[tuple[str, str]],
    comparable_body: bytes,
) -> str:
    """HMAC-SHA-256 under the deployment's key, hex: equal for two requests that mean the same.

    `comparable_body`: JSON per RFC 8785, multipart as its parts without the boundary, anything else as bytes.
    """
    headers = _headers(declared_headers) if declared_headers else NONE
    parts = (
        FORMAT, agent.encode(), (user or "").encode(), (run or "").encode(), tool.encode(),
        request.method.encode(), request.target.encode(), headers, comparable_body,
    )  # fmt: skip
    digest = _keyed(key).copy()
    digest.update(joined(parts))
    return digest.hexdigest()


@lru_cache(maxsize=8)  # a process has one; looking the algorithm up anew costs more than the digest
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def key_pointer(*, agent: str, user: str | None, tool: str, key: str) -> str:
    """Name of the pointer from an idempotency key to its call: scoped, so agents cannot meet."""
    parts = (FORMAT, agent.encode(), (user or "").encode(), tool.encode(), key.encode())
    return hashlib.sha256(joined(parts)).hexdigest()[:40]
