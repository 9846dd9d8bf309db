"""Arguments: typed, closed, complete; and digests that see what policies see."""

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Request
from gateway.errors import AmbiguousRequest, GatewayError, InvalidArguments, UnsupportedMediaType
from gateway.wire.arguments import Reader, check_media_type
from tests.wire.wire_cases import CREATE_ISSUE, CREATE_REFUND, INDEX, LIST_CHARGES, parameter, tool

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def read(declared, body=b"", content_type="", target="/x", variables=None, headers=()):
    fields = ((("content-type", content_type),) if content_type else ()) + tuple(headers)
    request = Request(system=declared.system, method=declared.method, target=target, headers=fields, body=body)
    return Reader(declared).read(request, variables or {})


def refund(body, headers=()):
    return read(CREATE_REFUND, body, FORM, headers=headers)


def issue(body, content_type=JSON):
    return read(CREATE_ISSUE, body, content_type, variables={"owner": "acme", "repo": "site"})


def problems(error):
    return {item["where"]: item["expected"] for item in error.members["errors"]}


def test_a_form_is_typed_by_the_schema():
    found = refund(
        b"charge=ch_1&amount=5000&rate=0.5&instant=true&metadata[order]=7&expand[]=a&expand[]=b&items[0][price]=p"
        b"&items[0][quantity]=2"
    )
    assert found.input == {
        "charge": "ch_1",
        "amount": 5000,
        "rate": Decimal("0.5"),
        "instant": True,
        "metadata": {"order": "7"},
        "expand": ["a", "b"],
        "items": [{"price": "p", "quantity": 2}],
    }
    assert found.resource_id == "ch_1"
    assert found.extra == {}


def test_what_is_not_declared_or_not_json_is_told_in_sentences():
    with pytest.raises(InvalidArguments) as found:
        issue(b'{"title": "t", "assignees": []}')
    assert problems(found.value)["body.assignees"].startswith("it is not declared; declared are title, ")
    with pytest.raises(AmbiguousRequest) as garbled:
        issue(b"nojson")
    told = str(garbled.value)
    assert told.startswith("The request cannot be read in exactly one way: ")
    assert told.endswith("Correct that and send it again.")


def test_json_is_typed_by_itself():
    found = issue(b'{"title": "t", "weight": 0.50, "points": 3.0, "labels": ["a"]}')
    assert found.input == {
        "owner": "acme",
        "repo": "site",
        "title": "t",
        "weight": Decimal("0.50"),
        "points": 3,
        "labels": ["a"],
    }
    assert type(found.input["points"]) is int
    assert found.resource_id == "acme/site"


def test_a_query_is_typed_like_a_form():
    found = read(LIST_CHARGES, target="/v1/charges?limit=3&paid=false&expand[]=a&expand[]=b&customer=cus%201")
    assert found.input == {"limit": 3, "paid": False, "expand": ["a", "b"], "customer": "cus 1"}
    assert read(LIST_CHARGES, target="/v1/charges?expand=a&expand=b").input == {"expand": ["a", "b"]}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"amount=5", "body.charge"),
        (b"charge=c", "body.amount"),
        (b"", "body.amount"),
        (b"charge=c&amount=0", "body.amount"),
        (b"charge=c&amount=05", "body.amount"),
        (b"charge=c&amount=5.0", "body.amount"),
        (b"charge=c&amount=%2B5", "body.amount"),
        (b"charge=c&amount=+5", "body.amount"),
        (b"charge=c&amount=", "body.amount"),
        (b"charge=c&amount=5&reason=why", "body.reason"),
        (b"charge=c&amount=5&metadata=x", "body.metadata"),
        (b"charge=c&amount=5&items[0][prize]=x", "body.items.0.prize"),
        (b"charge[x]=c&amount=5", "body.charge"),
        (b"charge=c&amount=5&amonut=6", "body.amonut"),
        (b"charge=c&amount=5&limit=6", "body.limit"),
    ],
)
def test_what_does_not_fit_is_named(body, where):
    with pytest.raises(InvalidArguments) as caught:
        refund(body)
    assert where in problems(caught.value)


def test_all_problems_are_listed_and_no_value_is_echoed():
    with pytest.raises(InvalidArguments) as caught:
        refund(b"amount=SECRET-1&reason=SECRET-2&items[0][quantity]=SECRET-3")
    assert set(problems(caught.value)) == {"body.charge", "body.amount", "body.reason", "body.items.0.quantity"}
    assert "SECRET" not in caught.value.detail and "SECRET" not in str(caught.value.members)


def test_a_misspelt_argument_gets_a_suggestion():
    with pytest.raises(InvalidArguments, match="did you mean 'amount'"):
        refund(b"charge=c&amount=5&amonut=6")


@pytest.mark.parametrize(
    "body",
    [
        b"charge=a&charge=b&amount=5",
        b"charge=a&amount=5&amount=6",
        b"charge=a&charge[x]=b&amount=5",
        b"charge=a&amount=5&_method=DELETE",
        b"charge=%ff&amount=5",
        b"charge=a;amount=5",
    ],
)
def test_an_ambiguous_form_is_refused(body):
    with pytest.raises(AmbiguousRequest):
        refund(body)


@pytest.mark.parametrize("query", ["limit=1&limit=2", "customer=a&customer=b", "_method=DELETE", "limit=1&limit[a]=2"])
def test_an_ambiguous_query_is_refused(query):
    with pytest.raises(AmbiguousRequest):
        read(LIST_CHARGES, target=f"/v1/charges?{query}")


def test_the_policy_reads_what_the_system_reads():
    """Peer failure 30: a duplicate JSON key."""
    with pytest.raises(AmbiguousRequest):
        issue(b'{"title": "small", "title": "large"}')


def test_the_whole_body_is_judged_however_long():
    """Peer failure 6: padding pushed the decisive argument out of the part that was looked at."""
    padding = b'{"labels": ["' + b"x" * 100_000 + b'"], "title": "t", "undeclared": 1}'
    with pytest.raises(InvalidArguments):
        issue(padding)
    found = refund(b"metadata[pad]=" + b"x" * 100_000 + b"&charge=c&amount=999999")
    assert found.input["amount"] == 999999
    assert found.comparable_body.endswith(b"amount=999999")


def test_undeclared_query_arguments_are_refused():
    with pytest.raises(InvalidArguments) as caught:
        read(LIST_CHARGES, target="/v1/charges?limt=3")
    assert "query.limt" in problems(caught.value)


@pytest.mark.parametrize("body", [b"[1]", b'"x"', b"1", b"null"])
def test_a_json_body_is_an_object(body):
    with pytest.raises(InvalidArguments):
        issue(body)


def test_numbers_are_checked_as_they_are_written():
    with pytest.raises(InvalidArguments):
        issue(b'{"title": "t", "weight": 10.5}')
    with pytest.raises(InvalidArguments):
        issue(b'{"title": "t", "points": 1.5}')
    with pytest.raises(InvalidArguments):
        issue(b'{"title": "t", "points": true}')


def test_an_empty_body_will_do_where_everything_is_optional():
    optional = tool("s.t", "POST /x", parameter("a", "body", True), body="json")
    assert read(optional).input == {}
    assert read(optional, content_type=JSON).comparable_body == b""


def test_a_tool_without_body_takes_none():
    with pytest.raises(InvalidArguments):
        read(LIST_CHARGES, b"{}", JSON)


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("json", "application/json"),
        ("json", "Application/JSON; charset=UTF-8"),
        ("json", 'application/json;charset="utf-8"'),
        ("json", "application/vnd.github+json"),
        ("form", "application/x-www-form-urlencoded; charset=utf-8"),
    ],
)
def test_content_types_that_fit(kind, content_type):
    check_media_type(content_type, kind, "s.t")


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("json", ""),
        ("json", "text/plain"),
        ("json", FORM),
        ("json", "application/json; charset=utf-16"),
        ("json", "application/jsonx"),
        ("json", "application/x+json+xml"),
        ("form", "multipart/form-data"),
        ("form", JSON),
        ("form", FORM + "; charset=iso-8859-1"),
        ("json", "application/json, text/plain"),
    ],
)
def test_content_types_under_which_the_system_would_parse_otherwise(kind, content_type):
    with pytest.raises(UnsupportedMediaType):
        check_media_type(content_type, kind, "s.t")


def test_an_open_tool_shows_undeclared_arguments_to_approvers_only():
    found = read(INDEX.routes.tool("github.graph"), b'{"a": "1", "b": {"c": [2]}}', JSON, target="/open?d=4&d=5")
    assert found.input == {"a": "1"}
    assert found.extra == {"b": {"c": [2]}, "d": ["4", "5"]}


def test_an_undeclared_argument_never_takes_a_declared_name():
    both = tool("s.t", "POST /{id}", parameter("a", "body", True), body="json", open=True)
    assert read(both, b'{"a": "x"}', JSON, "/7", {"id": "7"}).input == {"id": "7", "a": "x"}
    for body, target in (
        (b'{"id": "from-body"}', "/7"),
        (b'{"ID": "from-body"}', "/7"),
        (b"{}", "/7?a=from-query"),
        (b"{}", "/7?id=q"),
    ):
        with pytest.raises(AmbiguousRequest, match="declared elsewhere"):
            read(both, body, JSON, target, {"id": "7"})


def test_an_open_tool_still_refuses_the_method_field():
    with pytest.raises(AmbiguousRequest):
        read(INDEX.routes.tool("github.graph"), b'{"_method": "DELETE"}', JSON)


def test_an_opaque_body_is_size_type_and_digest():
    found = read(INDEX.routes.tool("github.upload"), b"\x00\x01", "image/png")
    digest = hashlib.sha256(b"\x00\x01").hexdigest()
    assert found.input == {"body": {"size": 2, "type": "image/png", "digest": digest}}
    assert found.comparable_body == b"\x00\x01"


def test_declared_headers_are_arguments_and_part_of_the_digests():
    found = refund(b"charge=c&amount=5", [("stripe-account", "acct_1"), ("accept", "*/*")])
    assert found.input["stripe-account"] == "acct_1"
    assert found.declared_headers == (("stripe-account", "acct_1"),)


def test_an_undeclared_header_is_refused_naming_both_cures():
    with pytest.raises(InvalidArguments) as caught:
        refund(b"charge=c&amount=5", [("xero-tenant-id", "t1")])
    told = problems(caught.value)["header.xero-tenant-id"]
    assert "`headers:`" in told and "`drop_headers:`" in told and "t1" not in caught.value.detail


def test_a_declared_header_beyond_ascii_is_refused():
    with pytest.raises(AmbiguousRequest):
        refund(b"charge=c&amount=5", [("stripe-account", "caf\xe9")])


def test_headers_can_be_checked_before_there_is_a_body():
    with pytest.raises(InvalidArguments):
        INDEX.reader(CREATE_REFUND).headers((("xero-tenant-id", "t1"),))


def test_comparable_bodies():
    assert (
        issue(b'{"title":"t","points":3}').comparable_body
        == issue(b' {"points": 3.0, "title": "\\u0074"}').comparable_body
    )
    assert refund(b"charge=c&amount=5").comparable_body == b"charge=c&amount=5"


def test_resource_ids_of_several_variables_cannot_meet():
    declared = tool("s.t", "GET /{%a}/{%b}", resource_type="R", resource_id="{a}/{b}")
    first = read(declared, variables={"a": "x/y", "b": "z"}).resource_id
    assert first != read(declared, variables={"a": "x", "b": "y/z"}).resource_id
    assert read(declared, variables={"a": "x", "b": "z"}).resource_id == "x/z"


def test_a_path_variable_is_typed_too():
    declared = tool("s.t", "GET /items/{id}", parameter("id", "path", type="integer"))
    assert read(declared, variables={"id": "7"}).input == {"id": 7}
    with pytest.raises(InvalidArguments) as caught:
        read(declared, variables={"id": "07"})
    assert "path.id" in problems(caught.value)


fragments = st.sampled_from(
    [
        "charge",
        "amount",
        "=",
        "&",
        "5",
        "[",
        "]",
        "0",
        "[]",
        "metadata",
        "x",
        "%",
        "%41",
        "+",
        "_method",
        "{",
        "}",
        '"',
        ":",
        ",",
        "title",
        "1e5",
        "-",
        ".5",
        "null",
        "\u00e9",
        ";",
    ]
)


@given(st.lists(fragments, max_size=14).map("".join), st.sampled_from([FORM, JSON]))
def test_whatever_comes_is_read_or_refused(text, content_type):
    declared = CREATE_REFUND if content_type == FORM else CREATE_ISSUE
    target = "/x?" + text if text.isascii() else "/x"
    for body, where in ((text.encode(), "/x"), (b"", target)):
        try:
            found = read(declared, body, content_type, where, {})
        except GatewayError:
            continue
        assert {"charge", "amount"} <= set(found.input) or {"title"} <= set(found.input)
