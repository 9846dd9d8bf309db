"""JSON is read as every parser reads it, or not at all; and its canonical form is RFC 8785."""

import json
import math
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AmbiguousRequest
from gateway.wire.strict_json import LARGEST, MOST_DEPTH, loads

REFUSED = {
    "duplicate key (peer failure 30)": b'{"amount": 1, "amount": 9999}',
    "duplicate key, escaped": b'{"a": 1, "\\u0061": 2}',
    "duplicate key, nested": b'{"a": [{"b": 1, "b": 2}]}',
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "2^53": b'{"a": 9007199254740992}',
    "-2^53": b'{"a": -9007199254740992}',
    "an integer of 30 digits": b'{"a": ' + b"9" * 30 + b"}",
    "an integer of 5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "2^53 as a float": b'{"a": 9007199254740992.0}',
    "1e20": b'{"a": 1e20}',
    "1e400": b'{"a": 1e400}',
    "1e99999999999999999999": b'{"a": 1e99999999999999999999}',
    "1e-400": b'{"a": 1e-400}',
    "more digits than a double keeps": b'{"a": 1.00000000000000000001}',
    "lone high surrogate": b'{"a": "\\ud800"}',
    "lone low surrogate": b'{"a": "\\udc00"}',
    "lone surrogate in a key": b'{"\\ud800": 1}',
    "UTF-8 surrogate": b'{"a": "\xed\xa0\x80"}',
    "bad UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NUL in a string": b'{"a": "admin\\u0000"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "raw control character": b'{"a": "\n"}',
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1} // x',
    "single quotes": b"{'a': 1}",
    "two values": b'{"a": 1}{"a": 2}',
    "leading zero": b'{"a": 01}',
    "leading plus": b'{"a": +1}',
    "hexadecimal": b'{"a": 0x1}',
    "form feed": b'\x0c{"a": 1}',
    "nothing": b"",
    "deep arrays": b'{"a":' + b"[" * MOST_DEPTH + b"]" * MOST_DEPTH + b"}",
    "very deep": b"[" * 100_000,
    "very deep, closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_parsers_read_differently_is_refused(data):
    with pytest.raises(AmbiguousRequest) as caught:
        loads(data)
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": 9007199254740991}', {"a": LARGEST}),
        (b'{"a": -9007199254740991, "b": 1.5}', {"a": -LARGEST, "b": Decimal("1.5")}),
        (b'{"a": 5.0}', {"a": 5}),
        (b'{"a": 5e3}', {"a": 5000}),
        (b'{"a": 0.1}', {"a": Decimal("0.1")}),
        (b'{"a": -0}', {"a": 0}),
        (b'{"a": -0.0}', {"a": 0}),
        (
            b'{"a": 19.99, "b": [true, null, "x", {"c": 1.25}]}',
            {"a": Decimal("19.99"), "b": [True, None, "x", {"c": Decimal("1.25")}]},
        ),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a": "[[[{{{"}', {"a": "[[[{{{"}),
        (b'{"a": "' + b"[" * 200 + b'\\""}', {"a": "[" * 200 + '"'}),
        (b" [1] ", [1]),
        (b"[" * MOST_DEPTH + b"]" * MOST_DEPTH, None),
    ],
)
def test_what_all_read_alike_is_read(data, value):
    found, _ = loads(data)
    if value is not None:
        assert found == value
        assert json.dumps(found, default=str) == json.dumps(value, default=str)  # types too: True is not 1


def test_an_error_never_quotes_a_key_or_value():
    with pytest.raises(AmbiguousRequest) as caught:
        loads(b'{"secret-name": "secret-value", "secret-name": 1}')
    assert "secret" not in caught.value.detail


def test_canonical_form_does_not_depend_on_spelling():
    first = loads(b'{"b": 1.50, "a": "\\u00e9/", "c": [5.0]}')[1]
    assert first == loads('{ "c":[5], "a":"é\\/", "b":15e-1 }'.encode())[1]
    assert first == '{"a":"é/","b":1.5,"c":[5]}'.encode()


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8) | st.sampled_from(
    ["\ufffd", "\U0001f600", "\ue000", "\u00e9", "\x7f", "\x1f", '"', "\\", "\u2028"]
)
whole = st.integers(-LARGEST, LARGEST)
values = st.recursive(
    st.none() | st.booleans() | whole | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer() or abs(x) <= LARGEST)


@given(values)
def test_the_fast_canonical_form_is_that_of_rfc_8785(value):
    assert loads(json.dumps(value).encode())[1] == rfc8785.dumps(value)
    assert loads(json.dumps(value, ensure_ascii=False).encode())[1] == rfc8785.dumps(value)


@given(st.dictionaries(text, floats, min_size=1, max_size=3))
def test_floats_have_the_canonical_form_of_rfc_8785(value):
    found, canonical = loads(json.dumps(value).encode())
    assert canonical == rfc8785.dumps(value) and isinstance(found, dict)
    assert {key: float(item) for key, item in found.items()} == value
    assert not any(isinstance(item, float) for item in found.values())


@given(st.binary(max_size=60) | st.text('[]{}",:019.eE+-\\u ntf', max_size=40).map(str.encode))
def test_whatever_comes_is_read_as_json_reads_it_or_refused(data):
    try:
        value, _ = loads(data)
    except AmbiguousRequest:
        return
    lenient = json.loads(data)
    assert value == lenient or math.isclose(float(str(value)), lenient) or isinstance(value, list | dict)
