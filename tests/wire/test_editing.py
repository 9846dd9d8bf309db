"""An approver's other arguments: exactly those, everything else byte for byte as the agent wrote it."""

from contextlib import nullcontext, suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.admit import Asker, admit
from gateway.core.approval import CannotEdit
from gateway.core.call import Request
from gateway.core.routes import Agent, Parameter, System, Tool, Variable
from gateway.errors import AmbiguousRequest
from gateway.wire.arguments import Reader
from gateway.wire.editing import differences, edited

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def parameter(name, place="body", **schema):
    return Parameter(name=name, place=place, schema=schema or {"type": "string"}, optional=True)


ARGUMENTS = (
    parameter("charge"),
    parameter("amount", type="integer", minimum=1),
    parameter("rate", type="number"),
    parameter("instant", type="boolean"),
    parameter("expand", type="array", items={"type": "string"}),
    parameter("metadata", type="object", additionalProperties={"type": "string"}),
    parameter("limit", "query", type="integer"),
    parameter("Stripe-Account", "header"),
)


def tool(body="form", **changes):
    template = ("v1", "accounts", Variable("account"), "refunds")
    full = Tool(
        name="stripe.refund", system="stripe", method="POST", template=template, effect="write", body=body,
        parameters=ARGUMENTS, resource_type="Account", resource_id="{account}",
    )  # fmt: skip
    return replace(full, **changes)


def admission(wanted, body, target="/v1/accounts/ac_1/refunds", headers=(), variables=None):
    fields = (("content-type", {"form": FORM, "json": JSON}.get(wanted.body, "text/plain")), *headers)
    request = Request(system="stripe", method="POST", target=target, headers=fields, body=body)
    return again(wanted, request, variables or {"account": "ac_1"})


def again(wanted, request, variables):
    arguments = Reader(wanted).read(request, variables)
    system = System(name="stripe", origin="https://api.stripe.example", owner="olga", tools=(wanted,))
    asker = Asker(agent=Agent(name="bot", owner="olga"))
    return admit(
        asker, system, wanted, request, arguments, call_id="07" + "ab" * 10, salt=b"s" * 16, deployment_key=b"k" * 32
    )


def change(before, variables=None, **changes):
    named = {name.replace("_", "-") if name.startswith("stripe_") else name: value for name, value in changes.items()}
    request = edited(before, named)
    after = again(before.tool, request, variables or {"account": request.target.split("/")[3]})
    return request, differences(before, after, named)


def test_one_field_of_a_form_is_replaced_and_the_others_keep_their_bytes():
    before = admission(tool(), b"charge=ch%5F1&amount=5000&metadata[order]=7&expand[]=a")
    request, changed = change(before, amount=300)
    assert request.body == b"charge=ch%5F1&metadata[order]=7&expand[]=a&amount=300"
    assert changed == ("amount",)


def test_every_shape_of_a_form():
    before = admission(tool(), b"amount=5000&expand=a&expand=b&metadata[a]=1")
    request, changed = change(before, expand=["x y", "&="], metadata={"a&b": "1+1"}, instant=False, rate=Decimal("0.5"))
    assert request.body == (
        b"amount=5000&expand%5B%5D=x+y&expand%5B%5D=%26%3D&metadata%5Ba%26b%5D=1%2B1&instant=false&rate=0.5"
    )
    assert changed == ("expand", "instant", "metadata", "rate")


def test_a_member_of_json_is_replaced_in_its_place():
    before = admission(tool("json"), b'{"charge": "ch_1", "amount": 5000, "rate": 0.25}')
    request, changed = change(before, amount=300)
    assert request.body == b'{"charge":"ch_1","amount":300,"rate":0.25}'
    assert changed == ("amount",)


def test_an_optional_argument_can_be_added_and_taken_away():
    before = admission(tool("json"), b'{"charge":"ch_1"}')
    request, changed = change(before, charge=None, amount=3)
    assert (request.body, changed) == (b'{"amount":3}', ("amount", "charge"))
    assert change(admission(tool(), b"charge=a&amount=1"), charge=None)[0].body == b"amount=1"
    assert change(admission(tool("json"), b""), amount=3)[0].body == b'{"amount":3}'


def test_path_query_and_headers():
    before = admission(tool(), b"amount=5", "/v1/accounts/ac_1/refunds?limit=3", (("stripe-account", "acct_1"),))
    request, changed = change(before, variables={"account": "a c"}, account="a c", limit=4, stripe_account="acct_2")
    assert request.target == "/v1/accounts/a%20c/refunds?limit=4"
    assert request.header("stripe-account") == "acct_2"
    assert request.body == b"amount=5"
    assert changed == ("account", "limit", "stripe-account")
    assert change(before, limit=None)[0].target == "/v1/accounts/ac_1/refunds"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "names at least one argument"),
        ({"amuont": 3}, "amount"),
        ({"account": ""}, "path"),
        ({"account": None}, "path"),
        ({"account": True}, "path"),
        ({"Stripe-Account": "x"}, "stripe-account"),  # under the name that everybody sees
    ],
)
def test_what_cannot_be_changed_is_named(changes, why):
    with pytest.raises(CannotEdit, match=why):
        edited(admission(tool(), b"amount=5"), changes)


def test_an_opaque_body_has_no_arguments_to_change():
    with pytest.raises(CannotEdit, match="account"):
        edited(admission(tool("opaque"), b"%PDF"), {"amount": 3})


def test_an_edit_that_changes_nothing_is_no_edit():
    with pytest.raises(CannotEdit, match="changes nothing"):
        change(admission(tool(), b"amount=5"), amount=5)


def test_what_would_be_read_otherwise_is_refused():
    """A value that a form cannot carry, and one that comes back as another type."""
    refused: list[dict[str, object]] = [{"expand": []}, {"metadata": {"a": 1}}, {"metadata": {}}]
    for changes in refused:
        with pytest.raises(CannotEdit, match="would not be read as it was meant"):
            change(admission(tool(), b"amount=5&expand[]=a&metadata[a]=b"), **changes)


def test_undeclared_arguments_of_an_open_tool_stay():
    before = admission(tool(open=True), b"amount=5&color=red&size=3")
    assert change(before, amount=3)[0].body == b"color=red&size=3&amount=3"
    with pytest.raises(CannotEdit, match="not an argument"):
        edited(before, {"color": "blue"})


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@pytest.mark.parametrize("body", ["form", "json"])
@given(charge=TEXT, order=TEXT, name=st.text("abc ;&=%+[é", min_size=1, max_size=5), amount=st.integers(1, 2**53 - 1))
def test_any_text_arrives_as_it_was_meant_or_is_refused(body, charge, order, name, amount):
    start = b"charge=x&amount=1" if body == "form" else b'{"charge":"x","amount":1}'
    changes = {"charge": charge, "metadata": {name: order}, "amount": amount}
    before = admission(tool(body), start)
    strange = any(ord(letter) < 32 or ord(letter) == 127 for letter in charge + order)
    with suppress(CannotEdit, AmbiguousRequest) if "[" in name or strange else nullcontext():
        request = edited(before, changes)
        after = again(before.tool, request, {"account": "ac_1"})
        differences(before, after, changes)
        assert after.question.input == {**changes, "account": "ac_1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"account": ".."}, {"account": "."}, {"account": "a\\b"}, {"account": "a\r\nb"}, {"account": "a\0b"},
        {"stripe-account": " acct_2"}, {"stripe-account": "acct_2\t"}, {"stripe-account": "a\r\nX-Evil: 1"},
        {"stripe-account": "a\0"}, {"charge": "\udc00"}, {"account": "\ud800"},
    ],
)  # fmt: skip
def test_an_edit_cannot_say_what_an_agent_could_not_have_sent(changes):
    """What the door refuses or strips, another parser may read differently (peer failure 22, design promise 3)."""
    before = admission(tool(), b"amount=5000", headers=(("stripe-account", "acct_1"),))
    with pytest.raises(CannotEdit):
        edited(before, changes)


@pytest.mark.parametrize("path", ["a/../b", "a//b", "/a", "./a"])
def test_the_rest_of_a_path_is_no_place_for_other_segments(path):
    whole = tool(template=("v1", "files", Variable("path", rest=True)))
    before = admission(whole, b"amount=5", "/v1/files/a/b", variables={"path": "a/b"})
    with pytest.raises(CannotEdit):
        edited(before, {"path": path})


@pytest.mark.parametrize("value", ["\ud800", 10**30])
def test_what_json_cannot_hold_is_an_answer_and_no_accident(value):
    before = admission(tool("json"), b'{"amount": 5000}')
    with pytest.raises(CannotEdit):
        edited(before, {"metadata": {"a": value}})
