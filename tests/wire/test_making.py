"""A request that the gateway makes is read back as exactly the arguments it was made of, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routes import Parameter, Routes, System, Tool, Variable
from gateway.errors import GatewayError
from gateway.wire.index import Index
from gateway.wire.making import made

TEXT = {"type": "string"}
CHARGE = Tool(
    name="shop.charge", system="shop", method="GET", effect="read", template=("v1", Variable("charge")),
    parameters=(
        Parameter(name="charge", place="path", schema=TEXT),
        Parameter(name="q", place="query", schema=TEXT, optional=True),
        Parameter(name="expand", place="query", schema={"type": "array", "items": TEXT}, optional=True),
        Parameter(name="x-account", place="header", schema=TEXT, optional=True),
    ),
)  # fmt: skip
FILE = Tool(
    name="shop.file", system="shop", method="GET", effect="read", template=("files", Variable("path", rest=True)),
    parameters=(Parameter(name="path", place="path", schema=TEXT),),
)  # fmt: skip
INDEX = Index.of(
    Routes(systems={"shop": System(name="shop", origin="https://x.example", owner="o", tools=(CHARGE, FILE))})
)


def read_back(tool: Tool, given: list[tuple[str, str]]) -> dict[str, object]:
    request = made(tool, given)
    found, variables = INDEX.match("shop", request.method, request.target.partition("?")[0])
    assert found is tool
    return dict(INDEX.reader(tool).read(request, variables).input)


def test_arguments_go_where_they_are_declared():
    given = [("charge", "ch 1"), ("q", "a&b=c"), ("expand[]", "x"), ("expand[]", "y"), ("X-Account", "acct_1")]
    request = made(CHARGE, given)
    assert request.target == "/v1/ch%201?q=a%26b%3Dc&expand[]=x&expand[]=y"
    assert ("x-account", "acct_1") in request.headers and ("accept", "application/json") in request.headers
    assert request.body == b"" and request.method == "GET"
    assert read_back(CHARGE, given) == {
        "charge": "ch 1", "q": "a&b=c", "expand": ["x", "y"], "x-account": "acct_1",
    }  # fmt: skip


def test_the_rest_of_a_path_keeps_its_segments():
    assert made(FILE, [("path", "a b/c")]).target == "/files/a%20b/c"


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        (CHARGE, []),
        (CHARGE, [("charge", "")]),
        (CHARGE, [("charge", "..")]),
        (CHARGE, [("charge", ".")]),
        (CHARGE, [("charge", "a/b")]),
        (CHARGE, [("charge", "a%2fb")]),
        (CHARGE, [("charge", "a\\b")]),
        (CHARGE, [("charge", "a\x00b")]),
        (CHARGE, [("charge", "c"), ("q", "a\x00b")]),
        (CHARGE, [("charge", "c"), ("q", "\ud800")]),
        (CHARGE, [("charge", "c"), ("x-account", "a\r\nb: c")]),
        (CHARGE, [("charge", "c"), ("x-account", "ä")]),
        (CHARGE, [("charge", "c"), ("x-account", " acct_2")]),
        (CHARGE, [("charge", "c"), ("undeclared", "x")]),
        (CHARGE, [("charge", "c"), ("q", "1"), ("q", "2")]),
        (FILE, [("path", "a//b")]),
        (FILE, [("path", "a/../b")]),
    ],
)
def test_what_could_be_read_otherwise_is_refused(tool, given):
    with pytest.raises(GatewayError):
        read_back(tool, given)


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_made_is_read_back_as_it_was(charge, q):
    given = [("charge", charge), ("q", q)]
    try:
        found = read_back(CHARGE, given)
    except GatewayError:
        return
    assert found == {"charge": charge, "q": q}
