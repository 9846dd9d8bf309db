"""What is typed after `edit`: values of the right type, and the difference that the person is asked about."""

import pytest

from gateway.approvals_edit import NotAnEdit, difference, edited

GIVEN = {"to": "ann", "amount": 5000, "memo": None, "on": True, "lines": [{"sku": "a"}], "digits": "123"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("amount=300", {"amount": 300}),
        ("to=bob", {"to": "bob"}),
        ("digits=456", {"digits": "456"}),
        ("to=null", {"to": "null"}),
        ("to=a=b", {"to": "a=b"}),
        ("to=", {"to": ""}),
        ("on=false", {"on": False}),
        ('lines=[{"sku": "b"}]', {"lines": [{"sku": "b"}]}),
        ("note=hello", {"note": "hello"}),
        ("note=7", {"note": 7}),
        ('note="7"', {"note": "7"}),
        ("memo=hello", {"memo": "hello"}),
    ],
)
def test_a_value_takes_the_type_that_the_argument_has(change, found):
    assert edited(GIVEN, [change], ()) == found


def test_an_argument_can_be_left_out():
    assert edited(GIVEN, ["amount=1"], ["memo", "to"][1:]) == {"amount": 1, "to": None}


@pytest.mark.parametrize(
    ("changes", "without", "said"),
    [
        (["amount"], [], "not NAME=VALUE"),
        (["=3"], [], "not NAME=VALUE"),
        (["amount=three"], [], "not JSON"),
        ([], ["note"], "no argument 'note'"),
        (["amount=5000"], [], "amount is 5000 already"),
        (["to=ann"], [], 'to is "ann" already'),
    ],
)
def test_what_changes_nothing_or_cannot_be_read_is_a_sentence(changes, without, said):
    with pytest.raises(NotAnEdit, match=said):
        edited(GIVEN, changes, without)


def test_true_is_not_one():
    assert edited({"n": 1}, ["n=true"], ()) == {"n": True} and edited({"n": True}, ["n=1"], ()) == {"n": 1}


def test_the_difference_names_both_sides_and_commands_no_terminal():
    lines = difference(GIVEN, {"amount": 300, "to": None, "new\x1b": "x\u202e"})
    assert lines == [
        "    amount     5000 -> 300",
        '    to         "ann" -> nothing',
        '    new\\u001b  nothing -> "x\\u202e"',
    ]
