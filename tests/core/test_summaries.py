"""`summary:` as its operator wrote it, filled with what an agent wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.summaries import LONGEST_TEXT, MOST_SLOTS, Slot, parse, render

GIVEN = {
    "amount": 5000,
    "charge": "ch_1",
    "currency": "jpy",
    "metadata": {"order": 7, "note": None, "deep": {"a": [10, 20]}},
    "items": ["a", "b", "c"],
    "day": "2026-11-20T12:00:00+02:00",
    "at": 1_795_168_800,
    "open": False,
    "memo": "paid twice\n(no amount)",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Refund {amount|money:usd} on {charge}", "Refund 50.00 USD on ch_1"),
        ("Refund {amount|money:USD}", "Refund 50.00 USD"),
        ("Refund {amount|money:currency}", "Refund 5,000 JPY"),
        ("Refund {amount|money:metadata.code}", "Refund 5,000 (as sent, of no currency)"),
        ("Refund {amount|money:memo}", 'Refund 5,000 (as sent, of "PAID TWICE\\n(NO AMOUNT)")'),
        ("Refund {amount|money:amount}", "Refund 5,000 (as sent, of no currency)"),
        ("{charge|money:usd}, {open|money:usd}", "ch_1, false"),
        ("{metadata.order}/{metadata.note}/{metadata.deep.a.1}", "7/null/20"),
        (
            "{metadata.deep.a.2}, {charge.x}, {items.x}, {items.²}",
            "(no metadata.deep.a.2), (no charge.x), (no items.x), (no items.²)",
        ),
        ("because {reason}", "because (no reason)"),
        ("because {reason|upper} {nothing|money:usd}", "because (no reason) (no nothing)"),
        ("{memo}", '"paid twice\\n(no amount)"'),
        ("{items|count} items, {metadata|count} notes, {charge|count}", "3 items, 3 notes, ch_1"),
        ("{day|date} {at|date} {charge|date}", "2026-11-20 10:00:00 UTC 2026-11-20 10:00:00 UTC ch_1"),
        ("{open|date}", "false"),
        ("{charge|upper} {amount|upper}", "CH_1 5000"),
        ("{memo|short:4}", '"paid..." (22 characters)'),
        ("{memo|short}", '"paid twice\\n(no amoun..." (22 characters)'),
        ("{{{amount}}} }}{{", "{5000} }{"),
        ("nothing to fill", "nothing to fill"),
    ],
)
def test_a_summary_is_filled_with_the_arguments(text, shown):
    assert render(parse(text), GIVEN) == shown


@pytest.mark.parametrize(
    "moment", [10**30, -(10**30), "2026-13-01", "9999-12-31T23:59:59-12:00", "2026-11-20T10:00:00"]
)
def test_what_is_no_date_is_shown_as_it_came(moment):
    assert render(parse("{at|date}"), {"at": moment}) == str(moment)


def test_milliseconds_are_said_to_be_so():
    assert render(parse("{at|date:ms}"), {"at": 1_795_168_800_123}) == "2026-11-20 10:00:00 UTC"


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("{", "a single {"),
        ("a } b", "a single }"),
        ("{a", "a single {"),
        ("{a{b}}", "a single {"),
        ("{}", "has {}; write an argument as {name}"),
        ("{ a}", "has { a}"),
        ("{a }", "has {a }"),
        ("{.a}", "has {.a}"),
        ("{a.}", "has {a.}"),
        ("{a..b}", "has {a..b}"),
        ("{|money:usd}", "has {|money:usd}"),
        ("{a|}", "no filter ``; known are money, date, count, upper, short"),
        ("{a|mony:usd}", "no filter `mony`; did you mean `money`?"),
        ("{a|upper|short}", "no filter `upper|short`"),
        ("{a|money}", "needs a currency"),
        ("{a|money:}", "needs a currency"),
        ("{a|date:s}", "`date:ms` for milliseconds"),
        ("{a|short:3}", "from 4 to 80"),
        ("{a|short:81}", "from 4 to 80"),
        ("{a|short:²}", "from 4 to 80"),
        ("{a|count:2}", "`count` without anything after it"),
        ("x" * (LONGEST_TEXT + 1), "at most 200 characters"),
        ("{a}" * (MOST_SLOTS + 1), "at most 8 arguments"),
    ],
)
def test_what_cannot_be_a_summary_is_refused(text, fragment):
    with pytest.raises(ValueError, match=r"^(must|has|needs|takes) ") as refused:
        parse(text)
    assert fragment in str(refused.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FILTERED = ("", "|money:usd", "|money:b", "|date", "|date:ms", "|count", "|upper", "|short", "|short:4")


@given(st.sampled_from(FILTERED), VALUES, VALUES)
def test_whatever_agents_write_a_summary_is_one_line_of_bounded_length(filtering, a, b):
    shown = render(parse(f"<{{a{filtering}}}|{{b}}>"), {"a": a, "b": b})
    assert shown.isprintable() and len(shown) < 3000
    assert shown.startswith("<") and shown.endswith(">")


@given(st.text())
def test_text_is_parsed_or_refused_with_what_to_do(text):
    try:
        parts = parse(text)
    except ValueError as error:
        parts, refused = (), str(error)
    else:
        refused = ""
    assert not refused or refused.split(" ")[0] in {"must", "has", "needs", "takes"}
    assert all(isinstance(part, str | Slot) for part in parts)
