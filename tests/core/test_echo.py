"""The scanner lets everything through but the credential, however the network cuts the body."""

import bz2
import gzip
import itertools
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.echo import PIECE, SHORTEST, Echoed, Scanner, Unreadable, contains, forms, readable_codings
from gateway.core.routes import Credential, SecretReference

REFERENCE = SecretReference("env", "KEY")
SECRET = b"sk_live_51Hxyz"


def scan(pieces: list[bytes], coding: str = "", searched: tuple[bytes, ...] = (SECRET,)) -> bytes:
    scanner = Scanner(searched, coding)
    return b"".join(scanner.pass_on(piece) for piece in pieces) + scanner.rest()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(st.integers(0, 200), max_size=8))
def test_a_secret_is_found_however_it_is_cut_and_never_passes(before: bytes, after: bytes, places: list[int]) -> None:
    scanner, passed = Scanner((SECRET,)), b""
    with pytest.raises(Echoed):  # noqa: PT012 - which piece raises depends on the cuts
        for piece in cut(before + SECRET + after, places):
            passed += scanner.pass_on(piece)
    assert (before + SECRET + after).startswith(passed)
    assert len(passed) < len(before) + 4


@given(
    st.lists(st.sampled_from([SECRET[:n] for n in range(1, len(SECRET))] + [b"\n", b"sk", b"live"]), max_size=12),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_what_only_looks_like_a_secret_passes_unchanged(parts: list[bytes], places: list[int]) -> None:
    body = b"|".join(parts)
    assert scan(cut(body, places)) == body


def test_an_event_is_not_held_back_because_its_last_byte_begins_a_secret() -> None:
    scanner = Scanner((SECRET,))
    for event in (b"data: s", b"data: sk_", b"data: 1\n\n"):
        assert scanner.pass_on(event) == event


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"a" * 100 + SECRET)),
        ("GZIP", gzip.compress(b"a" * 100 + SECRET)),
        ("x-gzip", gzip.compress(b"a" * 100 + SECRET)),
        ("identity, gzip", gzip.compress(b"a" * 100 + SECRET)),
        ("gzip", gzip.compress(b"first member") + gzip.compress(SECRET)),
        ("deflate", zlib.compress(b"a" * 100 + SECRET)),
        ("deflate", zlib.compress(b"a" * 100 + SECRET)[2:-4]),
        ("gzip", gzip.compress(random.Random(1).randbytes(500_000) + SECRET)),
        ("gzip", gzip.compress(b"a" * 900_000 + SECRET)),
        ("gzip", gzip.compress(b"fine") + SECRET),
        ("gzip", SECRET),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000_000])
def test_a_secret_is_found_inside_a_compressed_body(coding: str, packed: bytes, size: int) -> None:
    """Also behind megabytes of the same letter, across members, and where there is no compression at all."""
    size = max(size, len(packed) // 20_000)
    with pytest.raises((Echoed, Unreadable)) as caught:
        scan([packed[at : at + size] for at in range(0, len(packed), size)], coding)
    assert caught.type is Echoed or packed == SECRET


@pytest.mark.parametrize("length", range(PIECE - 20, PIECE + 5))
def test_nothing_that_zlib_still_holds_escapes(length: int) -> None:
    """The last piece can be exactly full while zlib, which has read all its input, holds the secret's last letters."""
    packing = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packing.compress(b"a" * length + SECRET) + packing.flush()
    with pytest.raises(Echoed):
        scan([packed], "deflate")


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=6), st.sampled_from(["gzip", "deflate"]))
def test_a_compressed_body_without_a_secret_passes_unchanged(body: bytes, places: list[int], coding: str) -> None:
    packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    assert scan(cut(packed, places), coding) == packed


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "gzip, deflate", "xz", "Br"])
def test_what_cannot_be_looked_into_is_said_to_be_so(coding: str) -> None:
    with pytest.raises(Unreadable, match="Content-Encoding"):
        scan([b"anything"], coding)


@pytest.mark.parametrize("coding", ["", "identity", "utf-8", "none", "UTF-8, identity"])
def test_what_is_no_coding_is_plain_text(coding: str) -> None:
    assert scan([b"plain"], coding) == b"plain"
    with pytest.raises(Echoed):
        scan([SECRET], coding)


def test_a_body_that_is_not_what_it_says_is_unreadable() -> None:
    """A part of a gzip body (a range request), or another format."""
    for body in (gzip.compress(random.Random(2).randbytes(5000))[40:], bz2.compress(b"x" * 1000), b"plain text"):
        with pytest.raises(Unreadable):
            scan([body], "gzip")


def test_a_bomb_is_given_up_and_not_passed() -> None:
    """An agent that echoes megabytes of padding must not get the secret behind them, nor all of our CPU."""
    packed = gzip.compress(b"a" * 50_000_000)
    with pytest.raises(Unreadable, match="inflates"):
        scan([packed], "gzip")


def test_the_forms_of_a_secret() -> None:
    bearer = forms(Credential("bearer", REFERENCE), "a/b+c=12")
    assert {b"a/b+c=12", rb"a\/b+c=12", rb"a\u002fb\u002bc\u003d12", rb"a\u002Fb\u002Bc\u003D12"} <= set(bearer)
    assert {b"a%2Fb%2Bc%3D12", b"a%2fb%2bc%3d12"} <= set(bearer)
    assert b"1234&amp;5678" in forms(Credential("bearer", REFERENCE), "1234&5678")
    assert rb"dXNlcjphL2IrYz0xMg\u003d\u003d" in forms(Credential("basic", REFERENCE, "user"), "a/b+c=12")
    assert b"dXNlcjphL2IrYz0xMg==" in forms(Credential("basic", REFERENCE, "user"), "a/b+c=12")
    query = forms(Credential("query", REFERENCE, "key"), "a/b+C=12")
    assert {b"a%2Fb%2BC%3D12", b"a%2fb%2bC%3d12", b"a/b%2BC%3D12"} <= set(query)
    assert b'qu\\"ote12' in forms(Credential("bearer", REFERENCE), 'qu"ote12')


def test_a_short_secret_is_not_searched_but_its_long_forms_are() -> None:
    assert SHORTEST == 8
    assert forms(Credential("bearer", REFERENCE), "1234567") == ()
    assert forms(Credential("bearer", REFERENCE), "12345678") == (b"12345678",)
    assert b"dXNlcjpwdw==" in forms(Credential("basic", REFERENCE, "user"), "pw")
    assert not contains((), b"anything")
    assert scan([b"anything"], searched=()) == b"anything"


@pytest.mark.parametrize(
    ("accept", "kept"),
    [
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("GZIP;q=0.5,br", "GZIP;q=0.5"),
        ("br", "identity"),
        ("*", "identity"),
        ("", "identity"),
        ("identity;q=0, br", "identity;q=0"),
        ("gzip", "gzip"),
    ],
)
def test_only_readable_codings_are_asked_for(accept: str, kept: str) -> None:
    assert readable_codings(accept) == kept
