"""Multipart bodies compare equal whatever their boundary, and differ in everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.multipart import comparable


def encode(parts, boundary):
    pieces = [
        b"--" + boundary + b"\r\nContent-Disposition: form-data; name=a\r\n\r\n" + part + b"\r\n" for part in parts
    ]
    return b"".join(pieces) + b"--" + boundary + b"--\r\n", f"multipart/form-data; boundary={boundary.decode()}"


def test_the_boundary_does_not_matter():
    assert comparable(*encode([b"x", b"y"], b"one")) == comparable(*encode([b"x", b"y"], b"two"))
    body, _ = encode([b"x"], b"one")
    assert comparable(body, 'multipart/form-data; boundary="one"') == comparable(*encode([b"x"], b"two"))


@pytest.mark.parametrize("other", [[b"x"], [b"y", b"x"], [b"x", b"z"], [b"xy"], [b"x", b"y", b""], []])
def test_everything_else_does(other):
    assert comparable(*encode([b"x", b"y"], b"one")) != comparable(*encode(other, b"one"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"x", "text/plain"),
        (b"--one\r\n\r\nx\r\n--one--", "multipart/form-data"),
        (b"--one\r\n\r\nx", "multipart/form-data; boundary=one"),
        (b"preamble\r\n--one\r\n\r\nx\r\n--one--", "multipart/form-data; boundary=one"),
        (b"--one\r\n\r\nx\r\n--onemore--", "multipart/form-data; boundary=one"),
        (b"", "multipart/form-data; boundary=one"),
    ],
)
def test_what_is_not_well_formed_is_compared_as_it_is(body, content_type):
    assert comparable(body, content_type) == body


def test_where_one_part_ends_matters():
    one = comparable(b"--q\r\nab\r\n--q--", "multipart/x; boundary=q")
    assert one != comparable(b"--q\r\na\r\n--q\r\nb\r\n--q--", "multipart/x; boundary=q")
    assert one not in (b"ab", b"--q\r\nab\r\n--q--")


@given(st.lists(st.binary(max_size=10), max_size=3), st.lists(st.binary(max_size=10), max_size=3))
def test_different_parts_never_compare_equal(first, second):
    a, b = comparable(*encode(first, b"qqqq")), comparable(*encode(second, b"wwww"))
    assert (a == b) == (first == second)


@given(st.binary(), st.text())
def test_whatever_comes_is_comparable(body, content_type):
    comparable(body, "multipart/x;" + content_type)
