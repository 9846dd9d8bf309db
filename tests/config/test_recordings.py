"""`record:` of a tool: a mask that would mask nothing is a mistake with its line."""

import pytest

from gateway.core.recording import Recording
from tests.config.routes_documents import expect, the_tool, write

INPUT = (
    'input: {card: {type: object, properties: {number: {type: string}}}, "a.b": {type: string}, '
    "charge: {type: string}, "
    "items: {type: array, items: {type: object, additionalProperties: true}}}"
)
HEADERS = "headers: {Stripe-Account: {type: string}}"


def test_without_it_nothing_is_kept(tmp_path):
    assert the_tool(write(INPUT), tmp_path).record is None


def test_everything_can_be_said(tmp_path):
    mask = '[card.number, "items[].secret", Stripe-Account, a.b.c]'
    found = the_tool(
        write(INPUT, HEADERS, f"record: {{input: redacted, output: full, mask: {mask}, keep: 30d}}"), tmp_path
    )
    assert found.record == Recording(
        input="redacted", output="full", keep_seconds=30 * 24 * 3600.0,
        mask=(("card", "number"), ("items", "[]", "secret"), ("stripe-account",), ("a.b", "c")),
    )  # fmt: skip


def test_a_path_may_be_of_the_answer_or_of_an_open_tool(tmp_path):
    assert the_tool(write(INPUT, "record: {output: redacted, mask: [holder.iban]}"), tmp_path).record
    assert the_tool(write(INPUT, "open: true", "record: {input: redacted, mask: [else]}"), tmp_path).record


@pytest.mark.parametrize(
    ("said", "fragment"),
    [
        ("{input: redacted}", "`redacted` needs `mask`"),
        ("{keep: 30d, mask: [card]}", "`keep` does nothing while only digests are kept"),
        ("{}", "this keeps nothing and masks nothing"),
        ("{input: redacted, mask: [crad.number]}", "`crad.number` leads to no argument; did you mean `card`?"),
        ("{mask: [charge]}", "`charge` is part of `resource`, which facts and traces name"),
        (
            "{input: redacted, mask: [card..number]}",
            "must be the way to a value, such as card.number or items[].secret",
        ),
        ("{input: redacted, mask: [card, card]}", "must not list `card` twice"),
        ("{input: redacted, mask: card}", "must be a list"),
        ("{input: hashed}", "digest"),
        ("{keep: forever, input: full}", "must be a duration"),
        ("redacted", "must be a mapping such as {input: redacted"),
        ("{inputs: full}", "did you mean `input`?"),
    ],
)
def test_mistakes_are_told_with_their_line(said, fragment, tmp_path):
    expect(write(INPUT, 'resource: "Charge/{charge}"', f"record: {said}  # <-"), tmp_path, fragment)
