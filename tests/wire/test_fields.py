"""Fields that speak to the gateway."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.wire.fields import idempotency_key, prefer, reason, run, traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (b'"8e03978e"', "8e03978e"),
        (b' "a b" ', "a b"),
        (rb'"a\"b\\c"', 'a"b\\c'),
        (b"a" * 255, "a" * 255),
        (None, None),
    ],
)
def test_keys_are_quoted_or_bare(value, key):
    assert idempotency_key(value) == key


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b'""',
        b'"a',
        b'a"b c',
        b"a b",
        b'"a"; p=1',
        b'"a", "b"',
        b"a" * 256,
        b"\xc3\xa9",
        b'"\x7f"',
        rb'"a\x"',
        b'"a" "b"',
        b'"',
    ],
)
def test_other_keys_are_refused(value):
    with pytest.raises(GatewayError):
        idempotency_key(value)


def test_runs_and_reasons():
    assert run(None) is None and run(b" run-7 ") == "run-7"
    assert reason(None) == "" and reason("r\u00fcckerstattung".encode()) == "r\u00fcckerstattung"
    assert len(reason("\u00e9".encode() * 500)) == 500
    for bad in (b"", b"a b", b"a" * 256, b"\xc3\xa9"):
        with pytest.raises(GatewayError):
            run(bad)
    for bad in (b"x" * 501, b"\xff"):
        with pytest.raises(GatewayError, match="Gateway-Reason"):
            reason(bad)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (f"00-{TRACE}", f"00-{TRACE}"),
        (f"01-{TRACE}-future", f"00-{TRACE}"),
        (f"00-{TRACE}-more", ""),
        (f"ff-{TRACE}", ""),
        (f"00-{TRACE}".upper(), ""),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", ""),
        ("garbage", ""),
        ("", ""),
    ],
)
def test_a_trace_parent_is_valid_or_ignored(value, kept):
    assert traceparent(value.encode()) == kept


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, ("", None, False)),
        (b"wait=10", ("", 10.0, False)),
        (b"respond-async, wait=5", ("", 5.0, True)),
        (b'Respond-Async,Wait = "7"', ("", 7.0, True)),
        (b"return=minimal, wait=5", ("return=minimal", 5.0, False)),
        (b"wait=5, wait=9", ("", 5.0, False)),
        (b"wait=-1", ("wait=-1", None, False)),
        (b"wait=soon", ("wait=soon", None, False)),
        (b"respond-asyncx", ("respond-asyncx", None, False)),
    ],
)
def test_preferences(value, found):
    assert prefer(value) == found


@given(st.binary())
def test_whatever_comes_is_read_or_refused(value):
    for read in (idempotency_key, run, reason, traceparent, prefer):
        with contextlib.suppress(GatewayError):
            read(value)
