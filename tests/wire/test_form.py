"""Forms and queries: brackets mean what every system takes them to mean, or the request is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AmbiguousRequest
from gateway.wire.form import MOST_FIELDS, body_text, parse


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("metadata[order]=7&metadata[x][y]=z", {"metadata": {"order": "7", "x": {"y": "z"}}}),
        ("metadata%5Border%5D=7", {"metadata": {"order": "7"}}),
        (
            "items[0][price]=p&items[0][quantity]=2&items[1][price]=q",
            {"items": {"0": {"price": "p", "quantity": "2"}, "1": {"price": "q"}}},
        ),
        ("expand[]=x&expand[]=y", {"expand": ["x", "y"]}),
        ("a[b][]=x", {"a": {"b": ["x"]}}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a=b+c%2B%26%3D", {"a": "b c+&="}),
        ("a=&b", {"a": "", "b": ""}),
        ("a=1&&b=2&", {"a": "1", "b": "2"}),
        ("a==", {"a": "="}),
        ("%C3%A9=%E2%82%AC", {"\u00e9": "\u20ac"}),
    ],
)
def test_fields_become_a_tree(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "a=1&a[b]=2",
        "a[b]=2&a=1",
        "a[b]=1&a[b][c]=2",
        "a[b][c]=1&a[b]=2",
        "a=1&a[]=2",
        "a[]=1&a=2",
        "a[]=1&a[0]=2",
        "a[0]=1&a[]=2",
        "a[b]=1&a[b]=2",
        "a[0]=1&a[0]=2",
        "a[][b]=1",
        "a[=1",
        "a]=1",
        "a[b=1",
        "a[b]c=1",
        "[a]=1",
        "a[[b]]=1",
        "=1",
        "[]=1",
        "a%5B=1",
        "a=%00",
        "a%00=1",
        "a=%ff",
        "a=%C3",
        "a" + "[b]" * 65 + "=1",
    ],
)
def test_what_systems_read_differently_is_refused(text):
    with pytest.raises(AmbiguousRequest):
        parse(text)


def test_a_declared_name_may_contain_brackets():
    assert parse("page[size]=5", {"page[size]"}) == {"page[size]": "5"}


def test_more_fields_than_systems_read_are_refused():
    assert len(parse("&".join(f"a{n}=1" for n in range(MOST_FIELDS)))) == MOST_FIELDS
    with pytest.raises(AmbiguousRequest):
        parse("&".join(f"a{n}=1" for n in range(MOST_FIELDS + 1)))
    with pytest.raises(AmbiguousRequest):
        parse("&" * 1_000_000)


@pytest.mark.parametrize(
    "body", [b"a=1;b=2", b"a=1\n", b"a b=1", b"a=\x00", b"a=%", b"a=%4", b"a=%zz", b"a=\xff", b"a=\x7f"]
)
def test_bodies_that_no_encoder_writes_are_refused(body):
    with pytest.raises(AmbiguousRequest):
        body_text(body)


@given(st.text("ab[]01=&%4+\u00e9;", max_size=30))
def test_whatever_comes_is_read_or_refused(text):
    with contextlib.suppress(AmbiguousRequest):
        parse(body_text(text.encode()))


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
    )
)
def test_plain_fields_survive(fields):
    from urllib.parse import urlencode

    assert parse(body_text(urlencode(fields).encode())) == fields
