"""Arguments: their places, their names, and our own words about them."""

import pytest

from gateway.core.routes import Parameter
from tests.config.routes_documents import expect, the_tool, tool, write


def places(text, folder):
    return {parameter.name: parameter.place for parameter in the_tool(text, folder).parameters}


def test_a_path_variable_that_is_not_declared_is_text(tmp_path):
    found = the_tool(tool("request: GET /a/{x}/{rest...}", "effect: read"), tmp_path)
    assert found.parameters == (
        Parameter(name="x", place="path", schema={"type": "string"}),
        Parameter(name="rest", place="path", schema={"type": "string"}),
    )


@pytest.mark.parametrize(
    ("body", "place"), [("json", "body"), ("form", "body"), ("none", "query"), ("opaque", "query")]
)
def test_an_argument_is_in_the_body_if_there_is_one_that_can_be_read(body, place, tmp_path):
    text = tool(
        "request: POST /a/{x}", "effect: write", f"body: {body}", "input: {x: {type: integer}, y: {type: string}}"
    )
    assert places(text, tmp_path) == {"x": "path", "y": place}


def test_in_says_otherwise(tmp_path):
    text = write("input: {x: {type: string, in: query}, y: {type: string, in: body}}")
    assert places(text, tmp_path) == {"x": "query", "y": "body"}
    assert "in" not in the_tool(text, tmp_path).parameters[0].schema


@pytest.mark.parametrize(
    ("declared", "fragment"),
    [
        ("x: string", "`x` must be a mapping such as {type: string}, not text"),
        ("x: [string]", "not a list"),
        ("x: {type: string, optional: yes}", "`optional` must be true or false, not text"),
        ("id: {type: string, optional: true}", "`id` stands in the path, so it cannot be optional"),
        ("id: {type: object, additionalProperties: true}", "its type must be string, integer, number or boolean"),
        ("id: {type: string, encoded: yes}", "`encoded` must be allow"),
        ("x: {type: string, encoded: allow}", "`encoded` is for path variables, and {x} is not in the path"),
        ("x: {type: string, in: path}", "`x` does not stand in the path template"),
        ("id: {type: string, in: query}", "`id` stands in the path template"),
        ("x: {type: string, in: header}", "`in` must be query, body or path"),
        ("x: {type: string, in: cookie}", "`in` must be query, body or path"),
        ("'a[b]': {type: string}", "an input cannot be called `a[b]`"),
        ("__entity: {type: string}", "an input cannot be called `__entity`"),
        ("'': {type: string}", "an input cannot be called ``"),
    ],
)
def test_an_argument_that_cannot_be_is_refused(declared, fragment, tmp_path):
    text = tool("request: PUT /a/{id}", "effect: write", "input:", f"  {declared}  # <-")
    expect(text, tmp_path, fragment)


@pytest.mark.parametrize("body", ["none", "opaque"])
def test_an_argument_cannot_be_in_a_body_that_is_not_read(body, tmp_path):
    text = write(f"body: {body}", "input: {x: {type: string, in: body}}  # <-")
    expect(text, tmp_path, f"this tool has `body: {body}`")


@pytest.mark.parametrize(
    ("declared", "fragment"),
    [
        ("X-Account: string", "must be a mapping such as {type: string}"),
        ("X-Account: {type: boolean}", "a header must be of type string or integer"),
        ("X-Account: {type: string, in: query}", "`in` is not for headers"),
        ("X-Account: {type: string, encoded: allow}", "`encoded` is not for headers"),
        ("X-Account: {type: string, optional: 1}", "`optional` must be true or false"),
        ("X-Account: {}", "needs a `type`"),
        ("Authorization: {type: string}", "`Authorization` cannot be an argument"),
        ("Idempotency-Key: {type: string}", "`Idempotency-Key` cannot be an argument"),
        ("'X Y': {type: string}", "a header must be a header name"),
        ("X: {type: string}", "`X` and `x` would be the same argument"),
    ],
)
def test_a_header_that_cannot_be_an_argument_is_refused(declared, fragment, tmp_path):
    expect(write("input: {x: {type: string}}", "headers:", f"  {declared}  # <-"), tmp_path, fragment)


def test_two_headers_that_differ_in_case_are_one(tmp_path):
    text = write("headers:", "  X-Account: {type: string}", "  x-account: {type: string}  # <-")
    expect(text, tmp_path, "`x-account` and `X-Account` would be the same argument")


def test_a_header_argument_has_its_name_in_lower_case(tmp_path):
    (found,) = the_tool(write("headers: {Xero-Tenant-Id: {type: integer}}"), tmp_path).parameters
    assert found == Parameter(name="xero-tenant-id", place="header", schema={"type": "integer"})
