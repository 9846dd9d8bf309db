"""Trace context from an agent: joined if valid, ignored if not."""

import pytest

from gateway.core.segments import SpanContext, derived, outgoing_traceparent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("text", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01-later"])
def test_a_valid_traceparent_is_joined_sampled_or_not(text):
    """What an agent's sampler decided does not decide what is recorded about it."""
    assert parse_traceparent(text) == SpanContext(TRACE, SPAN)


@pytest.mark.parametrize(
    "text",
    [
        "", "garbage", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01\n", f"00-{TRACE[:-1]}\u0661-{SPAN}-01",
    ],
)  # fmt: skip
def test_an_invalid_one_is_as_good_as_none(text):
    assert parse_traceparent(text) is None


def test_derived_ids_depend_on_every_part_and_on_where_parts_end():
    assert derived(8, "ab", "c") != derived(8, "a", "bc")
    assert derived(8, "a") == derived(8, "a") and len(derived(8, "a")) == 16


def test_a_send_without_an_admitted_call_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="admission"):
        outgoing_traceparent([], "t1")
