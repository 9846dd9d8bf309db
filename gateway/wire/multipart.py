"""Multipart bodies in a form that does not depend on their boundary, to recognise the same intent sent twice.

SDKs draw a new boundary for every attempt. The result is only compared, never forwarded or shown. A body that is not
well-formed is compared as it is: then a retry is merely not recognised, which is the safe side.
"""

import re

from gateway.core.call import joined

_BOUNDARY = re.compile(
    r"""(?:^|;)\s*boundary=(?:"([^"\\]{1,70})"|([A-Za-z0-9'()+_,\-./:=?]{1,70}))\s*(?:;|$)""", re.IGNORECASE
)
MARK = b"multipart"
"""First part of the encoding, so that no other body can equal it by accident."""


def comparable(body: bytes, content_type: str) -> bytes:
    """The parts of a multipart body, encoded without its boundary; any other body as it is."""
    if not content_type.lower().startswith("multipart/"):
        return body
    found = _BOUNDARY.search(content_type.partition(";")[2])
    if found is None:
        return body
    parts = _parts(body, (found[1] or found[2]).encode("latin-1"))
    return body if parts is None else joined((MARK, *parts))


def _parts(body: bytes, boundary: bytes) -> list[bytes] | None:
    """What stands between the delimiters, each part with its own headers; None if malformed (RFC 2046)."""
    delimiter = b"\r\n--" + boundary
    first, *pieces = (b"\r\n" + body).split(delimiter)
    if first or not pieces or pieces.pop() not in {b"--", b"--\r\n"}:
        return None
    if any(not piece.startswith(b"\r\n") for piece in pieces):
        return None
    return [piece[2:] for piece in pieces]
