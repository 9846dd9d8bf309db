"""JSON that every parser reads alike, or an error; and its canonical form.

A lenient parser lets an agent show the policy one value and the system another: the last of two equal keys, an
integer that becomes a float, half a surrogate pair (standards section 2.4, peer failure 30). What is accepted here
means the same everywhere. The original bytes are what is forwarded; canonical bytes are only ever compared.
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jiter
import orjson
import rfc8785

from gateway.errors import AmbiguousRequest

MOST_DEPTH = 64
"""Far above what APIs use, and below what any parser in the field refuses or overflows on."""
LARGEST = 2**53 - 1
"""Beyond this, parsers that use doubles (JavaScript) read another number (RFC 8259 section 6)."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
# Sorting by UTF-16 units (RFC 8785) differs from sorting by code points only where characters beyond U+FFFF (first
# byte F0 and above) meet others from U+E000 on (first byte EE and above).
_SORTS_DIFFERENTLY = re.compile(rb"[\xf0-\xff]")


def loads(data: bytes) -> tuple[object, bytes]:
    """The value, and its canonical bytes (RFC 8785). Raises AmbiguousRequest.

    Numbers are int where their value is whole, else Decimal; never float. Fast for what has no fractions.
    """
    if data.count(b"[") + data.count(b"{") > MOST_DEPTH and _depth(data) > MOST_DEPTH:
        raise AmbiguousRequest(f"the JSON is nested deeper than {MOST_DEPTH} levels")
    try:
        value = jiter.from_json(data, catch_duplicate_keys=True, float_mode="decimal", allow_inf_nan=False)
    except ValueError as error:
        raise AmbiguousRequest(_why(data, error)) from None
    if b"\\u0000" in data and any("\x00" in text for text in _texts(value)):
        raise AmbiguousRequest("the JSON has a NUL character in a string, where some systems stop reading")
    try:
        canonical = orjson.dumps(value, option=_CANONICAL)
    except TypeError:  # fractions, or integers out of range
        value = _checked(value)
        return value, rfc8785.dumps(_with_floats(value))
    if not canonical.isascii() and _SORTS_DIFFERENTLY.search(canonical):
        canonical = rfc8785.dumps(value)
    return value, canonical


def dumps(value: object) -> bytes:
    """The bytes of a value that `loads` gave, or that is made of such: members in their order, no white space."""
    return orjson.dumps(_with_floats(value))


def _why(data: bytes, error: ValueError) -> str:
    """jiter's sentence without the key that it may quote."""
    text = str(error)
    if data.startswith(BYTE_ORDER_MARK):
        return "the JSON begins with a byte order mark"
    place = re.search(r"at line \d+ column \d+$", text)
    where = f" {place[0]}" if place else ""
    if text.startswith("Detected duplicate key"):
        return f"the JSON has the same key twice in one object{where}"
    if "number out of range" in text:
        return f"the JSON has a number with too many digits{where}"
    return f"the body is not valid JSON: {text}"


def _depth(data: bytes) -> int:
    """How deep brackets nest outside strings, counted before a recursive parser sees them."""
    depth = deepest = 0
    outside = re.sub(rb'"(?:[^"\\]++|\\.)*+"', b"", data, flags=re.DOTALL)
    for byte in re.sub(rb"[^\[\]{}]++", b"", outside):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)


def _checked(value: object) -> object:
    """The same value with every number checked and whole ones as int."""
    match value:
        case bool():
            return value
        case int():
            return _in_range(value)
        case Decimal():
            return number(value)
        case list():
            return [_checked(item) for item in value]
        case dict():
            return {key: _checked(item) for key, item in value.items()}
        case _:
            return value


def _in_range(value: int) -> int:
    if not -LARGEST <= value <= LARGEST:
        raise AmbiguousRequest("a whole number is beyond +/-(2^53-1), where systems round it; send it as a string")
    return value


def number(value: Decimal) -> int | Decimal:
    """A number that doubles hold exactly as it is written. Raises AmbiguousRequest."""
    double = float(value)
    if math.isinf(double) or Decimal(repr(double)) != value:
        raise AmbiguousRequest("a number has more digits than systems keep, or is too large; send it as a string")
    return _in_range(int(value)) if double.is_integer() else value


def _with_floats(value: object) -> Any:
    match value:
        case Decimal():
            return float(value)
        case list():
            return [_with_floats(item) for item in value]
        case dict():
            return {key: _with_floats(item) for key, item in value.items()}
        case _:
            return value
