"""Who is suspended, by whom and since when: what stands behind the key that append.lua looks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.call import partition_of


@dataclass(frozen=True, slots=True)
class Suspension:
    by: str
    at: int
    """Journal time, milliseconds; 0 if it was written by a version that did not note it."""


def key_of(agent: str) -> str:
    return f"{{{partition_of(agent):02d}}}:suspended:{agent}"


def pack(suspension: Suspension) -> str:
    return f"{suspension.at} {suspension.by}"


def unpack(value: bytes) -> Suspension:
    at, _, by = value.decode().partition(" ")
    return Suspension(by, int(at)) if by and at.isdigit() else Suspension(value.decode(), 0)


def read(agents: Sequence[str], replies: Sequence[bytes | None]) -> dict[str, Suspension]:
    """The suspended ones of these agents, from the replies to GET of their keys."""
    found = zip(agents, replies, strict=True)
    return {agent: unpack(value) for agent, value in found if value is not None}
