"""Arguments: their places, their names, and our own words about them."""

import pytest

from gateway.adapters.cedar import CedarPolicies
from gateway.config.schema import cedar_schema
from gateway.core.call import Request
from gateway.core.routes import Parameter
from gateway.core.verdict import Question
from gateway.errors import InvalidArguments
from gateway.wire.arguments import Reader
from tests.config import cedar_routes
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


NULLABLE = write("input: {title: {type: string}, milestone: {type: integer, minimum: 1, nullable: true}}")


def test_null_is_read_where_it_is_declared_and_policies_see_no_attribute(tmp_path):
    act = the_tool(NULLABLE, tmp_path)
    known = cedar_routes.routes(act)
    assert "milestone?: Long  // absent if null" in cedar_schema(known)
    policies = """
        @id("p") permit (principal, action == Action::"shop.act", resource);
        @id("f") forbid (principal, action == Action::"shop.act", resource) when { context.input has milestone };
    """
    judge = CedarPolicies(cedar_routes.load(tmp_path, policies, known), known).judge

    def decision(body):
        request = Request(
            system="shop", method="POST", target="/things", headers=(("content-type", "application/json"),), body=body
        )
        question = Question(
            agent="billing-bot", action=act.name, resource_type="", resource_id="", system="shop",
            input=Reader(act).read(request, {}).input,
            call={"method": "POST", "key_given": True, "source_ip": "10.0.0.1", "now": 1795255200000, "attempt": 1},
        )  # fmt: skip
        return judge(question, frozenset()).decision

    assert decision(b'{"title": "t", "milestone": 3}') == "deny"
    assert decision(b'{"title": "t", "milestone": null}') == "allow"
    for wrong in (b'{"title": null, "milestone": null}', b'{"title": "t"}', b'{"title": "t", "milestone": 0}'):
        with pytest.raises(InvalidArguments):
            decision(wrong)


@pytest.mark.parametrize(
    "lines",
    [
        ("body: form", "input: {x: {type: string, nullable: true}}  # <-"),
        ("input: {x: {type: string, in: query, nullable: true}}  # <-",),
        ("body: form", "input: {x: {type: array, items: {type: string, nullable: true}}}  # <-"),
        (
            "body: form",
            "input: {x: {type: object, properties: {a: {type: string, nullable: true}}}}  # <-",
        ),
        ("headers: {X-Account: {type: string, nullable: true}}  # <-",),
    ],
)
def test_only_a_json_body_can_carry_a_null(lines, tmp_path):
    expect(write(*lines), tmp_path, "`nullable` is for arguments in a JSON body")


@pytest.mark.parametrize("use", ["resource: Thing/{x}  # <-", "idempotency: {key: x}  # <-"])
def test_what_may_be_null_names_nothing(use, tmp_path):
    expect(write("input: {x: {type: string, nullable: true}}", use), tmp_path, "names `x`, which may be null")


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
