"""A leaf: one fact as it stands in the sealed log, in canonical JSON (RFC 8785).

    {"at":1795168800000,"by":"<token>","call":"<id>","entry":"<ms>-<n>","fact":{...},"position":3}

It is made by splicing: the bytes that were journalled are copied, not written anew, so what was durable before its
consequence is what is sealed. `entry` is the entry of the journal's stream that the fact came in and `position` its
place among the facts of its call, so the log alone tells how far the stream was sealed, and whether anything is
missing in a life. A fact about a standing grant has `grant` in the place of `call`, one about the deployment
`gateway`. This file must never change a byte of a fact, and never need to understand one in order to seal it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway.core.codec import UnreadableFact, decode, decode_deployment, decode_grant
from gateway.core.deployment import DeploymentFact
from gateway.core.facts import Fact
from gateway.core.grants import GrantFact

MOST_BYTES = 65_535
"""Of a leaf in an entry bundle, whose lengths have 16 bits. A longer one is named by its digest and kept beside."""

About = Literal["call", "grant", "gateway"]
_ABOUT: dict[bytes, About] = {b"call": "call", b"grant": "grant", b"gateway": "gateway"}
_ENVELOPE = re.compile(rb'\{"at":(0|[1-9][0-9]*),"by":"([0-9A-Za-z_-]*)","fact":\{')
_ENTRY = re.compile(r"(0|[1-9][0-9]*)-(0|[1-9][0-9]*)")


class NotALeaf(ValueError):
    """These bytes are no leaf that this version can read; the message is a clause that says why."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf says."""

    at: int
    """Milliseconds since the epoch, by the journal's clock."""
    by: str
    """Token of the append."""
    about: About
    name: str
    """Id of the call or of the grant; `deployment` of what is about neither."""
    entry: str
    """Of the stream: `<milliseconds>-<sequence>`."""
    position: int
    envelope: bytes
    """The very bytes that were journalled; empty if this leaf is only the digest of a longer one."""
    digest: str = ""
    """SHA-256, hex, of the whole leaf, if that is too long to stand in the log."""
    size: int = 0
    """Bytes of that."""

    @property
    def order(self) -> tuple[int, int]:
        """Of its entry in the stream."""
        return entry_order(self.entry)

    def fact(self) -> Fact | GrantFact | DeploymentFact:
        """What happened. Raises UnreadableFact."""
        if not self.envelope:
            raise UnreadableFact("the fact is too long to stand in the log; read it from its file under `long`")
        match self.about:
            case "call":
                return decode(self.envelope)
            case "grant":
                return decode_grant(self.envelope)
            case "gateway":
                return decode_deployment(self.envelope)


def entry_order(entry: str) -> tuple[int, int]:
    """An entry's id as numbers, which order as the stream does."""
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence)


def leaves_of(entry: bytes, fields: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """The leaves of one entry of the stream, in order; each may be longer than MOST_BYTES (see `short`).

    Raises NotALeaf if this is no entry that append.lua, grant.lua or note.lua wrote.
    """
    for about in _ABOUT:  # most are about a call, which comes first
        if about in fields:
            break
    else:
        raise NotALeaf("it is about no call, grant or deployment")
    name, first = fields[about], int(fields[b"from"])
    if about == b"call":
        before, after = b',"call":"%b","entry":"%b"' % (name, entry), b',"position":'
    else:
        before, after = b',"entry":"%b"' % entry, b',"%b":"%b","position":' % (about, name)
    found = []
    for number, envelope in enumerate(fields[b"facts"].split(b"\n"), first):
        cut = envelope.find(b',"fact":{')
        if cut < 0 or not envelope.endswith(b"}}"):
            raise NotALeaf("it holds what is not a fact")
        found.append(b"%b%b%b%b%d}" % (envelope[:cut], before, envelope[cut:-1], after, number))
    return tuple(found)


def short(leaf: bytes) -> bytes:
    """What stands in the log for this leaf: itself, or its digest if it is too long. Raises NotALeaf."""
    if len(leaf) <= MOST_BYTES:
        return leaf
    try:
        plain: dict[str, Any] = orjson.loads(leaf)
        del plain["fact"]
        plain |= {"digest": hashlib.sha256(leaf).hexdigest(), "size": len(leaf)}
    except (KeyError, TypeError, ValueError) as error:
        raise NotALeaf(f"it is not a JSON object with a fact ({error})") from error
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)


def read_leaf(data: bytes) -> Leaf:
    """What these bytes say. Raises NotALeaf, also if they are not exactly what the gateway would have written."""
    try:
        plain = orjson.loads(data)
    except ValueError as error:
        raise NotALeaf(f"it is not JSON ({error})") from error
    if not isinstance(plain, dict):
        raise NotALeaf("it is not a JSON object")
    try:
        canonical = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise NotALeaf(f"it is deeper than any fact ({error})") from error
    if canonical != data:
        raise NotALeaf("it is not canonical: its bytes differ from those of the same content per RFC 8785")
    try:
        return _understood(plain, data)
    except (KeyError, TypeError, ValueError) as error:
        raise NotALeaf(f"a member is missing or wrong ({error})") from error


def _understood(plain: dict[str, Any], data: bytes) -> Leaf:
    [about] = [name for name in _ABOUT.values() if name in plain]
    long = "digest" in plain
    wanted = {"at", "by", about, "entry", "position", *(("digest", "size") if long else ("fact",))}
    if set(plain) != wanted:
        raise ValueError(f"it has the members {', '.join(sorted(plain))}")
    at, by, name, entry, position = (plain[key] for key in ("at", "by", about, "entry", "position"))
    for value, kind in ((at, int), (position, int), (by, str), (name, str), (entry, str)):
        if type(value) is not kind:
            raise ValueError(f"{value!r} is not {kind.__name__}")
    if at < 0 or position < 0 or not name or not _ENTRY.fullmatch(entry):
        raise ValueError("a number is negative, or a name is none")
    if long:
        size = plain["size"]
        if type(size) is not int or size <= MOST_BYTES or not re.fullmatch(r"[0-9a-f]{64}", plain["digest"]):
            raise ValueError("the digest of a longer leaf is wrong")
        return Leaf(at, by, about, name, entry, position, b"", plain["digest"], size)
    return Leaf(at, by, about, name, entry, position, _envelope(data, about, name, position))


def _envelope(leaf: bytes, about: str, name: str, position: int) -> bytes:
    """What was journalled: the leaf without what sealing added."""
    cut = leaf.index(b'"entry":') if about != "call" else leaf.index(b'"call":')
    fact = leaf.index(b',"fact":', cut)
    tail = b',"position":%d}' % position
    if about != "call":
        tail = b',"%b":"%b"' % (about.encode(), name.encode()) + tail
    envelope = leaf[: cut - 1] + leaf[fact : len(leaf) - len(tail)] + b"}"
    if not leaf.endswith(tail) or not _ENVELOPE.match(envelope):
        raise ValueError("it is not a fact with what sealing adds")
    return envelope
