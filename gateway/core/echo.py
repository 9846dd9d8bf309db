"""Is a system's credential in this answer? So that no agent ever gets it back from an endpoint that echoes requests.

An agent chooses what it sends and often in which coding it wants the answer, so a check that it could steer around
would be none. Therefore: the raw bytes are searched and, of gzip and deflate, the inflated ones too; codings that
cannot be looked into (br, zstd) are neither asked for (`readable_codings`) nor let through (`Unreadable`), and an
answer that inflates absurdly is not let through either. Secrets shorter than SHORTEST bytes are not searched: they
would be found everywhere. What remains: a system that echoes a secret transformed in a way of its own (encrypted,
reversed, split over two answers of a range request) is not seen through.

Nothing here may put a secret into an exception or a repr.
"""

import base64
import html
import json
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

from gateway.core.routes import Credential

SHORTEST = 8
"""Bytes. A shorter secret is no secret, and it appears in answers by chance."""
GIVEAWAY = 4
"""Bytes of a secret's beginning that make a stream's tail suspicious enough to be held back until more is known.
Fewer (`sk_`) are public knowledge, and holding them would delay events that happen to end like that."""
PIECE = 64 * 1024
"""Bytes inflated at a time, so that a bomb never has more memory than this."""
EXPANSION = 200
"""An answer may inflate to this many times its size (plus ALLOWANCE); JSON reaches 20, a bomb 1,000."""
ALLOWANCE = 1024 * 1024

ESCAPE = re.compile("%[0-9A-F]{2}")
MARKUP, ANGLES = re.compile(r"[+&<>'`=/]"), re.compile("[&<>]")

INFLATED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Codings we can look into -> zlib's wbits."""
OPAQUE = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "lzma", "xz", "bzip2", "pack200-gzip"})
"""Codings that we cannot look into. Anything else is not a coding (`Content-Encoding: utf-8` exists) and ignored."""


class Echoed(Exception):
    """The credential is in there."""


class Unreadable(Exception):
    """Whether the credential is in there cannot be told, so the answer must not pass. The text says why."""


def forms(credential: Credential, secret: str) -> tuple[bytes, ...]:
    """The byte strings by which an answer would give the credential away; empty if it is too short to be searched."""
    texts = [secret]
    if credential.kind == "basic":
        texts.append(base64.b64encode(f"{credential.name}:{secret}".encode()).decode())
    found = [form.encode() for text in texts for form in _spellings(text)]
    return tuple(form for form in dict.fromkeys(found) if len(form) >= SHORTEST)


def _lower(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _upper(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04X}"


def _spellings(text: str) -> Iterator[str]:
    """How programs write a text into JSON, HTML, addresses and forms. For letters and digits all are one."""
    plain = json.dumps(text)[1:-1]
    yield from (text, plain, plain.replace("/", r"\/"), html.escape(text), html.escape(text, quote=False))
    for by_number in (_lower, _upper):  # .NET, Rails and Go write these characters so
        yield from (MARKUP.sub(by_number, plain), ANGLES.sub(by_number, plain))
    for encoded in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield from (encoded, ESCAPE.sub(lambda escape: escape[0].lower(), encoded))


@lru_cache(maxsize=64)
def readable_codings(accept: str) -> str:
    """An Accept-Encoding without the codings that we could not look into. `identity` if nothing is left."""
    wanted = [item.strip() for item in accept.split(",")]
    kept = [item for item in wanted if item.partition(";")[0].strip().lower() in {*INFLATED, "identity"}]
    return ", ".join(kept) or "identity"


def contains(forms_of: tuple[bytes, ...], data: bytes) -> bool:
    for form in forms_of:  # noqa: SIM110 - a loop, because any() costs twice as much and this runs on every answer
        if form in data:
            return True
    return False


class Scanner:
    """Lets a body through, piece by piece, except the credential.

    `pass_on` returns what may go to the agent; it can lag a few bytes behind if the last ones look like the
    beginning of the secret. `rest` returns what was held back, once the body is over.
    """

    __slots__ = ("_held", "_inflate", "_inflated", "_raw")

    def __init__(self, forms_of: tuple[bytes, ...], content_encoding: str = "") -> None:
        """`content_encoding` is the answer's header. Raises Unreadable."""
        self._raw = _Search(forms_of)
        self._inflated = _Search(forms_of)
        self._inflate = _inflater(content_encoding)
        self._held = b""

    def pass_on(self, data: bytes) -> bytes:
        """Raises Echoed before the whole credential was returned; Unreadable if that cannot be promised any more."""
        suspicious = self._raw.see(data)
        waiting = self._held + data
        if self._inflate is not None:
            inside = 0
            for piece in self._inflate.feed(data):
                inside = self._inflated.see(piece)
            suspicious = len(waiting) if inside else suspicious
        cut = max(len(waiting) - suspicious, 0)
        self._held = waiting[cut:]
        return waiting[:cut]

    def rest(self) -> bytes:
        rest, self._held = self._held, b""
        return rest


class _Search:
    """Finds byte strings in a stream, also across the borders of its pieces."""

    __slots__ = ("_forms", "_longest", "_tail")

    def __init__(self, forms_of: tuple[bytes, ...]) -> None:
        self._forms = forms_of
        self._longest = max(map(len, forms_of), default=0)
        self._tail = b""

    def see(self, data: bytes) -> int:
        """How many of the last bytes could be the beginning of a secret. Raises Echoed."""
        window = self._tail + data
        if contains(self._forms, window):
            raise Echoed
        self._tail = window[max(len(window) - self._longest + 1, 0) :] if self._longest else b""
        return max((self._beginning(form) for form in self._forms), default=0)

    def _beginning(self, form: bytes) -> int:
        """Length of the longest ending of what was seen that this form begins with, if it is a giveaway."""
        at = self._tail.find(form[:GIVEAWAY], max(len(self._tail) - len(form) + 1, 0))
        while at >= 0:
            if form.startswith(self._tail[at:]):
                return len(self._tail) - at
            at = self._tail.find(form[:GIVEAWAY], at + 1)
        return 0


class _Inflater:
    """Inflates gzip (of several members) or deflate (with or without the zlib header, both are in use)."""

    __slots__ = ("_bits", "_consumed", "_ended", "_engine", "_first", "_produced")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._engine: zlib._Decompress | None = None
        self._first = b""
        self._ended = False
        self._consumed = self._produced = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._consumed += len(data)
        data, self._first = self._first + data, b""
        more = False
        while data or more:
            if self._engine is None:
                if self._ended and not (data := self._next_member(data)):
                    return
                if len(data) < 2:  # too little to tell how it begins
                    self._first = data
                    return
                self._engine = zlib.decompressobj(self._wbits(data))
            try:
                piece = self._engine.decompress(data, PIECE)
            except zlib.error:
                raise Unreadable("it is not what its Content-Encoding says") from None
            self._produced += len(piece)
            if self._produced > EXPANSION * self._consumed + ALLOWANCE:
                raise Unreadable(f"it inflates to more than {EXPANSION} times its size")
            if piece:
                yield piece
            data, more = self._engine.unconsumed_tail, len(piece) == PIECE  # a full piece: zlib may still hold output
            if self._engine.eof:
                data, more = self._engine.unused_data, False
                self._engine, self._ended = None, True

    def _next_member(self, data: bytes) -> bytes:
        """What follows the end: another member, or bytes that nobody inflates (the raw search sees those)."""
        data = data.lstrip(b"\0")
        return data if self._bits == 31 and data.startswith(b"\x1f") else b""

    def _wbits(self, data: bytes) -> int:
        zlib_header = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return self._bits if self._bits == 31 or zlib_header else -15


def _inflater(content_encoding: str) -> _Inflater | None:
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    codings = [coding for coding in codings if coding in INFLATED or coding in OPAQUE]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] in OPAQUE:
        raise Unreadable(f"its Content-Encoding is {', '.join(codings)}")
    return _Inflater(INFLATED[codings[0]])
