"""Request targets: what may stand in a path and a query, and how they are decoded. Once, strictly, or not at all.

Proxies are bypassed where the judge and the system normalise a target differently, so nothing is normalised here:
whatever two servers could read differently is refused, and the bytes that were judged are the bytes that are sent
(standards section 2.5, snippet S1). This file must never repair a target, with one exception that it explains.
"""

import re
from urllib.parse import unquote_to_bytes

from gateway.errors import AmbiguousRequest

_PLAIN = rb"[A-Za-z0-9\-._~!$&'()*+,=:@/]"
_PATH = re.compile(rb"/%b*+(?:%%[0-9A-Fa-f]{2}%b*+)*+" % (_PLAIN, _PLAIN))
_NEVER_IN_PATH = re.compile(rb"%(?:[01][0-9A-Fa-f]|7[fF]|5[cC])")  # control characters and \ are never right
_ENCODED = re.compile(r"%2[eEfF5]")  # . / % : only where the parameter says `encoded: allow`
_DOT_SEGMENT = re.compile(rb"/\.\.?(?:/|\Z)")
# Everything hyper sends as it is. Left out: controls, space, " # < > which clients encode, \ and ; which some
# servers take for a separator.
_QUERY = re.compile(rb"[!$-&'-:=?-\[\]-~]*+")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def checked_path(raw: bytes) -> str:
    """The path of a target as text, still encoded. Raises AmbiguousRequest."""
    if not _PATH.fullmatch(raw):
        raise AmbiguousRequest("the path has a character that must be percent-encoded (or has `;` or `\\`)")
    if b"//" in raw:
        raise AmbiguousRequest("the path has an empty segment (//)")
    if b"/." in raw and _DOT_SEGMENT.search(raw):
        raise AmbiguousRequest("the path has a dot segment (. or ..)")
    if b"%" in raw and _NEVER_IN_PATH.search(raw):
        raise AmbiguousRequest("the path has an encoded control character or backslash")
    return raw.decode("ascii")


def checked_query(raw: bytes) -> str:
    """The query of a target as text, still encoded. Raises AmbiguousRequest.

    The exception: `'` becomes `%27`, the same value, because the URL parser below pyreqwest would do so later, and
    what is sent must be what was judged.
    """
    if not raw:
        return ""
    if not _QUERY.fullmatch(raw):
        raise AmbiguousRequest("the query has a character that must be percent-encoded (`;` and `\\` too)")
    if b"%" in raw and _BAD_ESCAPE.search(raw):
        raise AmbiguousRequest("the query has a % that is not followed by two hex digits")
    return raw.decode("ascii").replace("'", "%27")


def hides_structure(segment: str) -> bool:
    """True if an encoded dot, slash or percent sign is in it: decoding would change how the path is split."""
    return _ENCODED.search(segment) is not None


def decoded_segment(raw: str) -> str:
    """A path segment, or the rest of a path, decoded once. Raises AmbiguousRequest if it is not UTF-8."""
    if "%" not in raw:
        return raw
    try:
        value = unquote_to_bytes(raw).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise AmbiguousRequest("an encoded part of the path is not UTF-8") from None
    if any(part in {".", ".."} for part in value.split("/")):
        raise AmbiguousRequest("an encoded part of the path has a dot segment (. or ..)")
    return value


def decoded_field(raw: str) -> str:
    """A name or value of a query or form, decoded once: `+` is a space. Escapes were checked to be well-formed."""
    if "+" in raw:
        raw = raw.replace("+", " ")
    if "%" not in raw:
        return raw
    try:
        value = unquote_to_bytes(raw).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise AmbiguousRequest("an encoded field is not UTF-8") from None
    if "\x00" in value:
        raise AmbiguousRequest("a field has a NUL character, where some systems stop reading")
    return value


def without_parameter(query: str, name: str) -> tuple[str, list[str]]:
    """The query without every parameter of that name, and their decoded values. No other byte changes."""
    if not query:
        return query, []
    kept: list[str] = []
    values: list[str] = []
    for piece in query.split("&"):
        key, _, value = piece.partition("=")
        if decoded_field(key) == name:
            values.append(decoded_field(value))
        else:
            kept.append(piece)
    return ("&".join(kept), values) if values else (query, values)
