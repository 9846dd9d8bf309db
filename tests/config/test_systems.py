"""Systems: where they are, who answers for them, how the gateway proves itself, and what their parts share."""

import pytest

from gateway.core.routes import Credential, SecretReference
from tests.config.routes_documents import document, expect, load, system, the_system, tool, write


def test_every_field_reaches_the_system(tmp_path):
    text = system(
        "credential: {bearer: {file: /run/secrets/shop}}",
        "timeout: 5s",
        "hosts: [API.Shop.example, files.shop.example]",
        "drop_headers: [X-Noise-*, X-Junk]",
        "rewrite_urls: true",
        "allow_addresses: [169.254.0.0/16, 10.0.0.1]",
        upstream="upstream: https://SHOP.example:443/v2/",
    )
    found = the_system(text, tmp_path)
    assert (found.origin, found.base_path, found.owner) == ("https://shop.example", "/v2", "lead")
    assert (found.timeout_seconds, found.rewrite_urls) == (5, True)
    assert found.hosts == ("api.shop.example", "files.shop.example")
    assert found.drop_headers == {"x-noise-*", "x-junk"}
    assert found.allow_addresses == ("169.254.0.0/16", "10.0.0.1/32")
    assert found.credential == Credential("bearer", SecretReference("file", "/run/secrets/shop"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{bearer: {env: K}}", Credential("bearer", SecretReference("env", "K"))),
        ("{basic: {username: bot, password: {env: K}}}", Credential("basic", SecretReference("env", "K"), name="bot")),
        (
            "{header: {name: Authorization, value: {env: K}, prefix: 'token '}}",
            Credential("header", SecretReference("env", "K"), name="Authorization", prefix="token "),
        ),
        (
            "{header: {name: PRIVATE-TOKEN, value: {file: f}}}",
            Credential("header", SecretReference("file", "f"), name="PRIVATE-TOKEN"),
        ),
        ("{query: {name: key, value: {env: K}}}", Credential("query", SecretReference("env", "K"), name="key")),
    ],
)
def test_the_gateway_proves_itself_in_one_of_four_ways(written, expected, tmp_path):
    assert the_system(system(f"credential: {written}"), tmp_path).credential == expected


@pytest.mark.parametrize(
    ("written", "fragment"),
    [
        ("{}", "`credential` must be exactly one of bearer, basic, header and query"),
        ("{bearer: {env: A}, query: {name: k, value: {env: B}}}", "must be exactly one of"),
        (
            "sk_live_51H",
            "`credential` must be a mapping such as {bearer: {env: NAME}}, not text; a secret itself is never written",
        ),
        (
            "{bearer: sk_live_51H}",
            "`bearer` must be {env: NAME} or {file: path}, not text; a secret itself is never written here",
        ),
        ("{bearer: {}}", "`bearer` must be {env: NAME} or {file: path}, one of the two"),
        ("{bearer: {env: A, file: b}}", "one of the two"),
        ("{bearer: {env: sk-live-51H}}", "`env` must be the name of an environment variable"),
        ("{bearer: {env: $KEY}}", "`env` must be the name of an environment variable"),
        ("{bearer: {value: sk_live_51H}}", "`bearer` has no field `value`; known here: env, file"),
        ("{bearer: {env: 5}}", "`env` must be text, not a number; put it in quotes"),
        ("{basic: {username: 'a:b', password: {env: K}}}", "`username` must be text without a colon"),
        ("{basic: {username: a}}", "`basic` needs `password`"),
        ("{header: {name: Host, value: {env: K}}}", "`name` must be a header that carries a credential"),
        ('{header: {name: X-K, value: {env: K}, prefix: "a\\r\\nb"}}', "`prefix` must be plain ASCII text"),
        ("{query: {name: '', value: {env: K}}}", "`name` must be text that can be printed, and not empty"),
        ("{oauth: {}}", "this version does not perform `oauth` yet; remove it"),
        ("{beerer: {env: K}}", "`credential` has no field `beerer`; did you mean `bearer`?"),
    ],
)
def test_a_credential_is_a_reference_and_never_quoted(written, fragment, tmp_path):
    expect(system(f"credential: {written}  # <-"), tmp_path, fragment)


@pytest.mark.parametrize(
    "secret", ["sk_live_51H", "[sk_live_51H]", "{env: [sk_live_51H]}", "{env: 'sk live_51H'}", "{file: [sk_live_51H]}"]
)
def test_a_secret_in_the_wrong_place_is_never_repeated(secret, tmp_path):
    for written in (
        f"{{bearer: {secret}}}",
        f"{{query: {{name: k, value: {secret}}}}}",
        f"{{basic: {{username: a, password: {secret}}}}}",
    ):
        routes, mistakes = load(system(f"credential: {written}"), tmp_path)
        assert routes is None and mistakes
        assert "live_51H" not in str(mistakes)


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("timeout: 30", "`timeout` must be a duration"),
        ("timeout: 0s", "`timeout` must be longer than zero"),
        ("hosts: [https://a.example]", "item 1 of `hosts` must list host names alone"),
        ("hosts: [a.example:443]", "item 1 of `hosts` must list host names alone"),
        ("hosts: [a.example, A.example]", "`hosts` must not list `a.example` twice"),
        ("hosts: a.example", "`hosts` must be a list"),
        ("drop_headers: ['*']", "item 1 of `drop_headers` must list header names"),
        ("drop_headers: [Host]", "the gateway writes this header itself"),
        ("rewrite_urls: yes", "`rewrite_urls` must be true or false"),
        ("allow_addresses: [10.0.0.1/8]", "item 1 of `allow_addresses` must be a network"),
        ("tools: [a]", "`tools` must be a mapping of names to values, not a list"),
        ("tools: {a: GET /a}", "tool `a` must be a mapping such as"),
        ("tools: {a.b: {request: GET /a, effect: read}}", "tool `a.b` needs another name"),
        ("colour: red", "system `shop` has no field `colour`; known here: allow_addresses, credential"),
        ("mcp: https://a.example/mcp", "this version does not perform `mcp` yet; remove it"),
        ("unlisted: allow", "this version does not perform `unlisted` yet; remove it"),
    ],
)
def test_a_field_that_cannot_be_is_refused(line, fragment, tmp_path):
    expect(system(f"{line}  # <-"), tmp_path, fragment)


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("upstream: shop.example", "`upstream` must be an http or https address"),
        ("upstream: https://u:secret@shop.example", "must not contain a user name or password"),
        ("upstream: {env: SHOP}", "`upstream` takes its value from the environment variable SHOP, which is not set"),
        ("upstream: {env: EMPTY}", "the environment variable EMPTY, which is not set"),
        ("upstream: {file: a}", "`upstream` must be text, or {env: NAME} to take it from the environment"),
        ("upstream: 5", "`upstream` must be text, or {env: NAME}"),
        ("upstream: {env: BAD}", "`upstream` must be an http or https address"),
        ("upstream: http://169.254.169.254", "`upstream` is a link-local or cloud-metadata address"),
        ("upstream: http://[fd00:ec2::254]/latest", "`upstream` is a link-local or cloud-metadata address"),
        ("upstream: http://[::ffff:a9fe:a9fe]", "`upstream` is a link-local or cloud-metadata address"),
    ],
)
def test_an_upstream_that_cannot_be_is_refused(line, fragment, tmp_path):
    expect(system(upstream=f"{line}  # <-"), tmp_path, fragment, environ={"EMPTY": "", "BAD": "nowhere"})


def test_a_metadata_address_is_allowed_where_it_is_listed(tmp_path):
    text = system("allow_addresses: [169.254.169.254]", upstream="upstream: http://169.254.169.254")
    assert the_system(text, tmp_path).origin == "http://169.254.169.254"


def test_the_environment_says_where_a_system_is(tmp_path):
    text = system(upstream="upstream: {env: SHOP}")
    assert the_system(text, tmp_path, {"SHOP": "http://127.0.0.1:9"}).origin == "http://127.0.0.1:9"


def test_an_owner_is_a_person(tmp_path):
    text = document(systems="systems:\n  shop:\n    upstream: https://a.example\n    owner: leed  # <-\n")
    expect(text, tmp_path, "there is no person `leed` under `people`; did you mean `lead`?")


@pytest.mark.parametrize(
    "name", ["calls", "healthz", "read", "write", "destructive", "a.b", ".well-known", "ä", "a/b", "9a"]
)
def test_some_names_are_taken_or_no_names(name, tmp_path):
    text = document(systems=f"systems:\n  {name}:  # <-\n    upstream: https://a.example\n    owner: lead\n")
    expect(text, tmp_path, f"`{name}`")


def test_a_host_belongs_to_one_system(tmp_path):
    both = "".join(
        f"  {name}:\n    upstream: https://{name}.example\n    owner: lead\n    hosts: [api.example]{mark}\n"
        for name, mark in (("one", ""), ("two", "  # <-"))
    )
    expect(document(systems=f"systems:\n{both}"), tmp_path, "`api.example` is already a host of system `one`")


def test_a_tie_between_templates_names_both_lines(tmp_path):
    text = system(
        "tools:",
        "  one: {request: 'GET /a/{x}', effect: read}",
        "  other: {request: 'GET /{y}/b', effect: read}  # <-",
        "  more: {request: 'GET /a/b', effect: read}",
        "  post: {request: 'POST /a/{x}', effect: write}",
    )
    line = text.splitlines().index("      one: {request: 'GET /a/{x}', effect: read}") + 1
    expect(text, tmp_path, f"the request of `one` ({tmp_path / 'routes.yaml'}:{line}), and neither has more literal")


def test_a_tie_is_reported_even_if_one_of_the_tools_has_another_mistake(tmp_path):
    text = system(
        "tools:",
        "  one: {request: 'GET /{x}', effect: read, resource: 'X/{z}'}  # <-",
        "  two: {request: 'GET /{y}', effect: read}  # <-",
    )
    expect(text, tmp_path, "`resource` names `z`", "some paths match both")


def test_a_whole_system_can_be_read_beside_its_tools(tmp_path):
    text = system(
        "tools:",
        "  read_any: {request: 'GET /{path...}', effect: read, open: true}",
        "  get: {request: 'GET /things/{thing}', effect: read}",
    )
    assert [tool.name for tool in the_system(text, tmp_path).tools] == ["shop.read_any", "shop.get"]


@pytest.mark.parametrize(
    ("of", "lines", "fragment"),
    [
        (
            ("credential: {query: {name: key, value: {env: K}}}",),
            ("input: {key: {type: string, in: query}}  # <-",),
            "so it cannot be",
        ),
        (
            ("credential: {header: {name: X-Token, value: {env: K}}}",),
            ("headers: {x-token: {type: string}}  # <-",),
            "nothing else can",
        ),
        (
            ("credential: {header: {name: X-Token, value: {env: K}}}",),
            ("idempotency: {send: X-Token, keeps: 1h}  # <-",),
            "nothing else can",
        ),
        (
            ("drop_headers: [x-shop-*]",),
            ("headers: {X-Shop-Account: {type: string}}  # <-",),
            "`x-shop-*` under `drop_headers`",
        ),
        (("drop_headers: [idempotency-*]",), ("idempotency: {send: Idempotency-Key, keeps: 1h}  # <-",), "drops it"),
    ],
)
def test_credential_dropped_headers_and_arguments_do_not_share_a_place(of, lines, fragment, tmp_path):
    expect(write(*lines, of=of), tmp_path, fragment)


def test_a_body_argument_may_have_the_name_of_the_query_credential(tmp_path):
    of = ("credential: {query: {name: key, value: {env: K}}}",)
    assert the_system(write("input: {key: {type: string}}", of=of), tmp_path).tools[0].parameters[0].place == "body"


def test_mistakes_in_a_system_do_not_hide_those_of_its_tools(tmp_path):
    text = tool("request: GET //a  # <-", "effect: raed  # <-", of=("timeout: 3  # <-", "hots: [a]  # <-"))
    expect(text, tmp_path, "a duration", "did you mean `hosts`", "must not contain //", "did you mean `read`")


def test_a_header_that_is_dropped_is_reported_on_its_own_line(tmp_path):
    text = write("headers:", "  X-One: {type: string}", "  X-Two: {type: string}  # <-", of=("drop_headers: [x-two]",))
    expect(text, tmp_path, "`x-two` is used here")
