"""A preview that could not be taken is a mistake with its line."""

import pytest

from gateway.core.previews import asked_for
from tests.config.routes_documents import expect, system, the_system

READS = (
    "  charge:",
    "    request: GET /charges/{charge}",
    "    effect: read",
    "    input: {expand: {type: array, items: {type: string}, optional: true}}",
    "    headers: {Stripe-Account: {type: string, optional: true}}",
    '  any: {request: "GET /any/{path...}", effect: read, open: true}',
    "  trigger: {request: GET /trigger, effect: write}",
    "  search: {request: POST /search, effect: read, safe: true}",
)
REFUND = (
    "  refund:",
    "    request: POST /refunds",
    "    effect: write",
    "    input: {charge: {type: string}, amount: {type: integer}, email: {type: string, optional: true}}",
    "    headers: {Stripe-Account: {type: string, optional: true}}",
)


def refund(*lines: str) -> str:
    return system("tools:", *READS, *REFUND, *(f"    {line}" for line in lines))


def about(text: str, mark: str = "  # <-") -> str:
    return refund(f"preview: {{about: {{{text}}}}}{mark}")


def test_a_preview_reaches_the_tool_whole(tmp_path):
    text = refund(
        "preview:",
        "  about:",
        "    tool: charge",
        '    input: {charge: "{charge}", "expand[]": [customer, review], Stripe-Account: "{stripe-account}"}',
        "    show: [amount|money:currency, header:ETag, /a.b]",
        "    bind: [header:ETag, amount]",
        '    becomes: {amount: "{amount|money:usd}"}',
        "    title: customer.name",
        '  all: {tool: any, input: {path: "refunds/{charge}", limit: 3, deep: true}, show: [count]}',
    )
    (found, other) = the_system(text, tmp_path).tools[-1].previews
    given = {"charge": "ch_1", "amount": 5, "stripe-account": "acct_1"}
    assert (found.name, found.tool, found.title) == ("about", "shop.charge", ("customer", "name"))
    assert asked_for(found, given) == (
        ("charge", "ch_1"), ("expand[]", "customer"), ("expand[]", "review"), ("Stripe-Account", "acct_1"),
    )  # fmt: skip
    assert [slot.path for slot in found.show] == [("amount",), ("header:etag",), ("a.b",)]
    assert found.bind == ("header:etag", "amount")
    assert [name for name, _ in found.becomes] == ["amount"]
    assert asked_for(other, given) == (("path", "refunds/ch_1"), ("limit", "3"), ("deep", "true"))


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ('tool: chrge, input: {charge: "{charge}"}, show: [a]', "`tool` names `chrge`, which is not a tool of this"),
        ("tool: refund, show: [a]", "`shop.refund` is no read by GET, and a preview must change nothing"),
        ("tool: trigger, show: [a]", "`shop.trigger` is no read by GET"),
        ("tool: search, show: [a]", "`shop.search` is no read by GET"),
        ("tool: charge, show: [a]", "`shop.charge` needs `charge`; say under `input` where it comes from"),
        ('tool: charge, input: {charge: "{charge}", x: 1}, show: [a]', "`shop.charge` has no argument `x`"),
        ('tool: charge, input: {charge: "{chrge}"}, show: [a]', "`charge` names `chrge`, which is not an argument"),
        ('tool: charge, input: {charge: "{charge|upper}"}, show: [a]', "what is sent is the argument itself"),
        ('tool: charge, input: {charge: "{"}, show: [a]', "`charge` has a single {"),
        ('tool: charge, input: {charge: 1.5}, show: [a]', "must be text, such as \"{charge}\", a whole number"),
        ('tool: charge, input: {charge: {a: b}}, show: [a]', "not a mapping"),
        ("tool: charge, input: {charge: x}, show: []", "`show` must not be empty"),
        ("tool: charge, input: {charge: x}", "needs `show`"),
        ("input: {charge: x}, show: [a]", "needs `tool`"),
        ('tool: charge, input: {charge: x}, show: ["{a}"]', "item 1 of `show` has `{a}`; write a field as name"),
        ("tool: charge, input: {charge: x}, show: [1]", "must be the name of a field, such as amount"),
        ("tool: charge, input: {charge: x}, show: [a, a|upper]", "`show` must not list a field twice"),
        ("tool: charge, input: {charge: x}, show: [a], bind: [b]", "`bind` names `b`, which `show` does not list"),
        ("tool: charge, input: {charge: x}, show: [a], becomes: {b: x}", "`becomes` names `b`, which `show` does not"),
        ('tool: charge, input: {charge: x}, show: [a], becomes: {a: "{emial}"}', "did you mean `email`?"),
        ('tool: charge, input: {charge: x}, show: [a], becomes: {a: "{email|money:usd}"}', "must be of type integer"),
        ("tool: charge, input: {charge: x}, show: [a], title: a|upper", "must be the name of a field alone"),
        ("tool: charge, input: {charge: x}, show: [a], title: header:etag", "must be the name of a field alone"),
        ('tool: charge, input: {charge: x}, show: [a], title: "{"', "`title` has a single"),
        ("tool: charge, input: {charge: x}, show: [a], with: x", "has no field `with`"),
        (f"tool: charge, input: {{charge: x}}, show: [{', '.join(f'f{n}' for n in range(13))}]", "at most 12"),
    ],
)  # fmt: skip
def test_a_preview_that_could_not_be_taken_is_a_mistake(text, fragment, tmp_path):
    expect(about(text), tmp_path, fragment)


def test_a_tool_has_few_previews_with_names(tmp_path):
    one = "{tool: charge, input: {charge: x}, show: [a]}"
    many = ", ".join(f"p{number}: {one}" for number in range(4))
    the_system(refund(f"preview: {{{many}}}"), tmp_path)
    expect(refund(f"preview: {{{many}, p4: {one}}}  # <-"), tmp_path, "a tool has at most 4 previews")
    expect(refund(f'preview: {{"1 2": {one}}}  # <-'), tmp_path, "needs another name")
    expect(refund("preview: x  # <-"), tmp_path, "`preview` must be a mapping")
    expect(refund("preview: {about: x}  # <-"), tmp_path, "preview `about` must be a mapping such as {tool: get_charge")


def test_a_read_that_is_wrong_itself_is_not_missed_too(tmp_path):
    text = system(
        "tools:", "  broken: {request: GET /broken, effect: look}  # <-", *REFUND,
        "    preview: {about: {tool: broken, show: [a]}}",
    )  # fmt: skip
    expect(text, tmp_path, "`effect` must be read, write or destructive")
