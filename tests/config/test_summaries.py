"""A summary that could not be filled is a mistake with its line."""

import pytest

from gateway.core.summaries import render
from tests.config.routes_documents import expect, loaded, the_tool, write

INPUT = (
    "input: {amount: {type: integer}, currency: {type: string, optional: true}, note: {type: string, nullable: true}, "
    "meta: {type: object, properties: {order: {type: integer}}}, any: {type: object, additionalProperties: true}, "
    'items: {type: array, items: {type: object, properties: {sku: {type: string}}}}, "a.b": {type: string}}'
)
HEADERS = "headers: {Stripe-Account: {type: string, optional: true}}"


@pytest.mark.parametrize(
    ("summary", "arguments", "shown"),
    [
        ("{amount|money:eur} {currency}", {"amount": 5}, "0.05 EUR (no currency)"),
        ("{amount|money:currency}", {"amount": 5, "currency": "eur"}, "0.05 EUR"),
        ("{note|upper}", {"note": None}, "null"),
        ("{meta.order}", {"meta": {"order": 5}}, "5"),
        ("{any.thing.at.all|money:usd}", {"any": {"thing": {"at": {"all": 5}}}}, "0.05 USD"),
        ("{items.0.sku|short}", {"items": [{"sku": "x"}]}, "x"),
        ("{items|count} {meta|count}", {"items": [1], "meta": {}}, "1 0"),
        ("for {Stripe-Account}", {"stripe-account": "acct_1"}, "for acct_1"),
        ("{a.b}", {"a.b": "x"}, "x"),
    ],
)
def test_a_summary_names_arguments(summary, arguments, shown, tmp_path):
    found = the_tool(write(INPUT, HEADERS, f'summary: "{summary}"'), tmp_path)
    assert render(found.summary, arguments) == shown


@pytest.mark.parametrize(
    ("summary", "fragment"),
    [
        ("{amuont}", "`summary` names `amuont`, which is not an argument of this tool; did you mean `amount`?"),
        ("{amount|money:curency}", "`summary` names `curency`, which is not an argument of this tool"),
        ("{amount|money:amount}", "`summary` tells `amount` by `money`, for which it must be of type string"),
        (
            "{currency|money:usd}",
            "`summary` tells `currency` by `money`, for which it must be of type integer, not string",
        ),
        ("{note|money:usd}", "must be of type integer, not string"),
        ("{amount|count}", "must be of type array or object, not integer"),
        ("{meta.ordre}", "`summary` names `meta.ordre`, and there is no `ordre` inside; did you mean `order`?"),
        ("{meta.order.x}", "there is no `x` inside"),
        ("{amount.x}", "there is no `x` inside"),
        ("{items.sku}", "`sku` is no place in a list"),
        ("{items.0.sku|money:usd}", "must be of type integer, not string"),
        ("{amount|mony:usd}", "`summary` has no filter `mony`; did you mean `money`?"),
        ("{amount", "`summary` has a single {"),
        ("{stripe-account|money:usd}", "must be of type integer"),
        ("a\\nb", "`summary` must be one line of text"),
        (" ", "`summary` must be one line of text"),
    ],
)
def test_a_summary_that_could_not_be_filled_is_a_mistake(summary, fragment, tmp_path):
    expect(write(INPUT, HEADERS, f'summary: "{summary}"  # <-'), tmp_path, fragment)


def test_a_summary_is_text(tmp_path):
    expect(write("summary: [a]  # <-"), tmp_path, "`summary` must be one line of text, such as Refund")


def test_what_is_wrong_with_an_input_is_said_once(tmp_path):
    expect(write("input: {a: {type: str}}  # <-", 'summary: "{a|money:a}"'), tmp_path, "type `str`")
    expect(write("headers: {X-A: {type: str}}  # <-", 'summary: "{X-A}"'), tmp_path, "type `str`")


def test_an_open_tool_may_be_sent_what_nobody_declared(tmp_path):
    found = the_tool(write("open: true", 'summary: "{x.y|money:z}"'), tmp_path)
    assert render(found.summary, {"x": {"y": 5}, "z": "usd"}) == "0.05 USD"


def test_an_opaque_body_can_be_named(tmp_path):
    found = the_tool(write("body: opaque", 'summary: "{body.size} bytes of {body.type}"'), tmp_path)
    assert render(found.summary, {"body": {"size": 5, "type": "image/png"}}) == "5 bytes of image/png"
    expect(write("body: opaque", 'summary: "{body.name}"  # <-'), tmp_path, "there is no `name` inside")


def test_another_summary_is_another_configuration(tmp_path):
    digests = {loaded(write(f'summary: "{text}"'), tmp_path).digest for text in ("Pay", "Buy")}
    assert len(digests) == 2
