"""One configuration that the tests of gateway/wire share, and scopes as uvicorn makes them."""

import hashlib

from gateway.core.routes import Agent, Credential, Parameter, Routes, SecretReference, System, Tool, Variable
from gateway.wire.index import Index

KEY = "gk_" + "Ab3-_" * 8 + "xyz"
OTHER_KEY = "gk_" + "Zz9-_" * 8 + "abc"
ODD_KEY = "legacy-key-without-prefix"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def secret(name="X"):
    return SecretReference("env", name)


def parameter(name, place, optional=False, **schema):  # noqa: FBT002 - as short as routes.yaml
    return Parameter(name=name, place=place, schema=schema or {"type": "string"}, optional=optional)


def tool(name, line, *parameters, **more):
    """A tool from its request line as routes.yaml has it."""
    method, _, path = line.partition(" ")
    template: list[str | Variable] = []
    for segment in path.split("/")[1:]:
        if segment.startswith("{"):
            inner = segment[1:-1]
            encoded = inner.startswith("%")
            inner = inner.removeprefix("%")
            template.append(Variable(inner.removesuffix("..."), rest=inner.endswith("..."), encoded=encoded))
        else:
            template.append(segment)
    declared = {item.name for item in parameters}
    implied = tuple(
        parameter(part.name, "path") for part in template if isinstance(part, Variable) and part.name not in declared
    )
    defaults = {"effect": "read" if method in {"GET", "HEAD"} else "write"}
    return Tool(
        name=name,
        system=name.partition(".")[0],
        method=method,
        template=tuple(template),
        parameters=(*parameters, *implied),
        **(defaults | more),
    )


CREATE_REFUND = tool(
    "stripe.create_refund",
    "POST /v1/refunds",
    parameter("charge", "body"),
    parameter("amount", "body", type="integer", minimum=1),
    parameter("reason", "body", True, type="string", enum=["duplicate", "fraudulent"]),
    parameter("rate", "body", True, type="number", minimum=0),
    parameter("instant", "body", True, type="boolean"),
    parameter("metadata", "body", True, type="object", additionalProperties={"type": "string"}),
    parameter("expand", "body", True, type="array", items={"type": "string"}),
    parameter(
        "items",
        "body",
        True,
        type="array",
        items={
            "type": "object",
            "properties": {"price": {"type": "string"}, "quantity": {"type": "integer"}},
            "additionalProperties": False,
        },
    ),
    parameter("stripe-account", "header", True),
    body="form",
    resource_type="Charge",
    resource_id="{charge}",
)
LIST_CHARGES = tool(
    "stripe.list_charges",
    "GET /v1/charges",
    parameter("limit", "query", True, type="integer", maximum=100),
    parameter("expand", "query", True, type="array", items={"type": "string"}),
    parameter("paid", "query", True, type="boolean"),
    parameter("customer", "query", True),
)
GET_CHARGE = tool("stripe.get_charge", "GET /v1/charges/{charge}", resource_type="Charge", resource_id="{charge}")
CREATE_ISSUE = tool(
    "github.create_issue",
    "POST /repos/{owner}/{repo}/issues",
    parameter("title", "body"),
    parameter("labels", "body", True, type="array", items={"type": "string"}),
    parameter("weight", "body", True, type="number", maximum=10),
    parameter("points", "body", True, type="integer"),
    body="json",
    resource_type="Repo",
    resource_id="{owner}/{repo}",
)
ROUTES = Routes(
    systems={
        "stripe": System(
            name="stripe",
            origin="https://api.stripe.com",
            owner="o",
            credential=Credential("bearer", secret()),
            hosts=("stripe.internal",),
            drop_headers=frozenset({"x-noise-*", "x-one"}),
            tools=(CREATE_REFUND, LIST_CHARGES, GET_CHARGE),
        ),
        "github": System(
            name="github",
            origin="https://api.github.com",
            owner="o",
            credential=Credential("header", secret(), name="Authorization", prefix="token "),
            rewrite_urls=True,
            tools=(
                CREATE_ISSUE,
                tool("github.any", "GET /{path...}", open=True),
                tool("github.repo", "GET /repos/{owner}/{repo}"),
                tool("github.upload", "POST /upload", body="opaque"),
                tool("github.graph", "POST /open", parameter("a", "body", True), body="json", open=True),
            ),
        ),
        "gitlab": System(
            name="gitlab",
            origin="https://gitlab.example:8443",
            base_path="/api/v4",
            owner="o",
            credential=Credential("header", secret(), name="PRIVATE-TOKEN"),
            tools=(
                tool("gitlab.project", "GET /projects/{%project}"),
                tool("gitlab.project_issues", "GET /projects/{%project}/issues"),
                tool("gitlab.user", "GET /users/{user}"),
                tool("gitlab.put_file", "PUT /files/{%path...}", body="opaque"),
            ),
        ),
        "maps": System(
            name="maps",
            origin="http://127.0.0.1:9000",
            owner="o",
            credential=Credential("query", secret(), name="key"),
            tools=(tool("maps.find", "GET /find", parameter("q", "query")),),
        ),
    },
    agents={
        "bot": Agent(name="bot", owner="o", keys=(sha(KEY), sha(ODD_KEY))),
        "other": Agent(name="other", owner="o", keys=(sha(OTHER_KEY),)),
    },
)
INDEX = Index.of(ROUTES)
BEARER = (b"authorization", b"Bearer " + KEY.encode())


def scope(method="GET", target="/stripe/v1/charges", headers=(BEARER,), host=b"127.0.0.1:8080", **more):
    """An ASGI scope as uvicorn makes it. `host=None` leaves the field out."""
    path, _, query = target.partition("?")
    fields = [] if host is None else [(b"host", host)]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [*fields, *headers],
        "client": ("10.1.2.3", 5000),
    } | more
