"""Paths and queries: what two servers could read differently is refused (standards snippet S1)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AmbiguousRequest
from gateway.wire.target import checked_path, checked_query, decoded_field, decoded_segment, without_parameter


@pytest.mark.parametrize(
    "raw",
    [
        b"/",
        b"/v1/charges",
        b"/v1/charges/",
        b"/a-b_c~d.e",
        b"/.well-known/x",
        b"/a...b",
        b"/%41%20%C3%A9",
        b"/a%2Fb",
        b"/@me:act!$&'()*+,=",
        b"/a%25b",
    ],
)
def test_plain_paths_pass_byte_for_byte(raw):
    assert checked_path(raw).encode() == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"v1",
        b"*",
        b"http://evil/x",
        b"//",
        b"/a//b",
        b"/.",
        b"/..",
        b"/a/./b",
        b"/a/../b",
        b"/a/..",
        b"/a;x=1/b",
        b"/a\\b",
        b"/a%5Cb",
        b"/a%5cb",
        b"/a%00",
        b"/a%0a",
        b"/a%1F",
        b"/a%7f",
        b"/a%",
        b"/a%4",
        b"/a%zz",
        b"/\xc3\xa9",
        b"/a b",
        b"/a\tb",
        b"/a\n",
        b"/a#b",
        b"/a?b",
        b'/a"b',
        b"/a<b",
        b"/a|b",
        b"/a{b}",
        b"/a^b",
        b"/a`b",
        b"/a[b]",
    ],
)
def test_ambiguous_paths_are_refused(raw):
    with pytest.raises(AmbiguousRequest):
        checked_path(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"a=1&b=2", b"expand[]=x", b"a=%41&b=+", b"q=a:b/c?d@e", b"a={b|c}^`", b"&&", b"a=="]
)
def test_plain_queries_pass_byte_for_byte(raw):
    assert checked_query(raw).encode() == raw


@pytest.mark.parametrize(
    "raw",
    [b"a=1;b=2", b"a b", b"a=\x00", b"a=\x7f", b"a=%", b"a=%4", b"a=%zz", b"a=\xc3", b'a="', b"a=<", b"a#b", b"a\\b"],
)
def test_ambiguous_queries_are_refused(raw):
    with pytest.raises(AmbiguousRequest):
        checked_query(raw)


def test_a_quote_is_written_as_the_url_parser_below_us_would_write_it():
    assert checked_query(b"q='x'") == "q=%27x%27"


def test_segments_are_decoded_once():
    assert decoded_segment("a%20b%C3%A9") == "a b\u00e9"
    assert decoded_segment("a+b") == "a+b"
    assert decoded_segment("%252F") == "%2F"


@pytest.mark.parametrize("raw", ["%ff", "%C3", "..%2F..%2Fetc", "a%2F..%2Fb", "%2E%2E", "%2e", "%C0%AF"])
def test_encoded_traversal_and_bad_text_are_refused_even_where_encoding_is_allowed(raw):
    with pytest.raises(AmbiguousRequest):
        decoded_segment(raw)


def test_fields_are_decoded_once_and_plus_is_a_space():
    assert decoded_field("a+b%2Bc%2520") == "a b+c%20"


@pytest.mark.parametrize("raw", ["%00", "a%00b", "%ff"])
def test_fields_with_nul_or_bad_text_are_refused(raw):
    with pytest.raises(AmbiguousRequest):
        decoded_field(raw)


@pytest.mark.parametrize(
    ("query", "left", "values"),
    [
        ("key=gk&q=a%20b", "q=a%20b", ["gk"]),
        ("q=%7E&key=gk", "q=%7E", ["gk"]),
        ("q=1&key=gk&r=+", "q=1&r=+", ["gk"]),
        ("k%65y=gk&q=1", "q=1", ["gk"]),
        ("key=a&key=b", "", ["a", "b"]),
        ("key", "", [""]),
        ("akey=1&keyb=2", "akey=1&keyb=2", []),
        ("", "", []),
        ("a=1&&b=2", "a=1&&b=2", []),
    ],
)
def test_a_parameter_is_taken_out_without_touching_another_byte(query, left, values):
    assert without_parameter(query, "key") == (left, values)


@given(st.binary())
def test_whatever_comes_is_passed_or_refused(raw):
    for check in (checked_path, checked_query):
        with contextlib.suppress(AmbiguousRequest):
            assert check(raw).replace("%27", "'").encode() == raw.replace(b"%27", b"'")


@given(st.from_regex(rb"/(?:[a-z.%2fF]{0,3}/?){0,4}", fullmatch=True))
def test_no_accepted_path_changes_its_segments_by_normalising(raw):
    try:
        path = checked_path(raw)
    except AmbiguousRequest:
        return
    assert "//" not in path and not {".", ".."} & set(path.split("/"))
