"""A tool: what its fields mean together, and what they may not mean."""

import pytest

from gateway.core.routes import Variable
from tests.config.routes_documents import expect, the_tool, tool, write


def test_defaults_are_those_of_the_reference(tmp_path):
    found = the_tool(write(), tmp_path)
    assert (found.name, found.system, found.method, found.template) == ("shop.act", "shop", "POST", ("things",))
    assert (found.effect, found.body, found.open, found.dedupe) == ("write", "json", False, True)
    assert (found.keep_seconds, found.window_seconds, found.hold_wait_seconds) == (86400, 300, 25)
    assert (set(found.not_acted), set(found.doubtful), found.repeatable) == ({401, 429}, set(), False)
    assert (found.resource_type, found.resource_id, found.parameters) == ("", "", ())


def test_every_field_reaches_the_tool(tmp_path):
    text = write(
        "body: form",
        "input: {order: {type: string}, n: {type: integer}}",
        "headers: {Stripe-Account: {type: string, optional: true}}",
        "resource: Order/{order}",
        "idempotency: {send: Idempotency-Key, keeps: 24h, key: n, keep: 2h, window: 250ms}",
        "hold: {wait: 0s}",
        "not_acted: [401, 409]",
        "doubtful: [500]",
        "open: true",
    )
    found = the_tool(text, tmp_path)
    assert (found.resource_type, found.resource_id) == ("Order", "{order}")
    assert (found.send_key, found.system_keeps_seconds, found.key_input) == ("Idempotency-Key", 86400, "n")
    assert (found.keep_seconds, found.window_seconds, found.hold_wait_seconds) == (7200, 0.25, 0)
    assert (set(found.not_acted), set(found.doubtful), found.open, found.repeatable) == ({401, 409}, {500}, True, True)
    assert [(p.name, p.place, p.optional) for p in found.parameters] == [
        ("order", "body", False),
        ("n", "body", False),
        ("stripe-account", "header", True),
    ]


@pytest.mark.parametrize(("written", "dedupe"), [("off", False), ("on", True), ("false", False), ("'off'", False)])
def test_dedupe_off_means_off(written, dedupe, tmp_path):
    assert the_tool(write(f"dedupe: {written}"), tmp_path).dedupe is dedupe


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", "none"), ("HEAD", "none"), ("DELETE", "none"), ("POST", "json"), ("PUT", "json"), ("PATCH", "json")],
)
def test_the_body_is_json_where_a_method_has_one(method, body, tmp_path):
    assert the_tool(tool(f"request: {method} /a", "effect: destructive"), tmp_path).body == body


def test_encoded_allow_marks_the_variable_and_leaves_the_schema(tmp_path):
    text = tool("request: GET /p/{id}", "effect: read", "input: {id: {type: string, encoded: allow}}")
    found = the_tool(text, tmp_path)
    assert found.template == ("p", Variable("id", encoded=True))
    assert found.parameters[0].schema == {"type": "string"}


@pytest.mark.parametrize(
    ("lines", "fragment"),
    [
        (
            ["request: POST /a", "effect: read  # <-"],
            "`effect: read` is for GET and HEAD; if this POST changes nothing",
        ),
        (["request: DELETE /a", "effect: read  # <-"], "`effect: read` is for GET and HEAD"),
        (["request: GET /a", "effect: look  # <-"], "`effect` must be read, write or destructive"),
        (["request: GET /a", "effect: wriet  # <-"], "did you mean `write`?"),
        (["request: GET /a", "effect: read", "dedupe: off  # <-"], "`dedupe` does nothing for a read"),
        (
            ["request: GET /a", "effect: read", "idempotency: {window: 1h}  # <-"],
            "`idempotency` does nothing for a read",
        ),
        (["request: GET /a", "effect: read", "not_acted: [401]  # <-"], "`not_acted` does nothing for a read"),
        (["request: GET /a", "effect: read", "doubtful: [500]  # <-"], "`doubtful` does nothing for a read"),
        (["request: POST /a", "effect: write", "safe: true  # <-"], "the effect is write; choose one"),
        (["request: POST /a", "effect: write", "body: multipart  # <-"], "`body` must be json, form, none or opaque"),
        (["request: GET a  # <-", "effect: read"], "`request` must have a path that begins with /"),
        (["request: [GET, /a]  # <-", "effect: read"], "`request` must be a method, one space and a path"),
    ],
)
def test_effect_and_request(lines, fragment, tmp_path):
    expect(tool(*lines), tmp_path, fragment)


def test_a_read_by_post_needs_somebody_who_vouches_for_it(tmp_path):
    assert the_tool(tool("request: POST /search", "effect: read", "safe: true"), tmp_path).effect == "read"


def test_what_a_tool_needs_is_missed_at_its_name(tmp_path):
    text = tool("request: GET /a").replace("  act:", "  act:  # <-")
    expect(text, tmp_path, "tool `act` needs `effect`: read, write or destructive")


@pytest.mark.parametrize(
    ("lines", "fragment"),
    [
        (["idempotency: {send: Idempotency-Key}  # <-"], "`send` needs `keeps`"),
        (["idempotency: {keeps: 24h}  # <-"], "`keeps` needs `send`"),
        (["idempotency: {send: Authorization, keeps: 1h}  # <-"], "`send` must be the header in which"),
        (["idempotency: {send: a b, keeps: 1h}  # <-"], "`send` must be a header name"),
        (["idempotency: {send: Idempotency-Key, keeps: 24}  # <-"], "`keeps` must be a duration"),
        (["idempotency: {key: nonce}  # <-"], "`key` names `nonce`, which is not declared under `input`"),
        (
            ["input: {o: {type: object, properties: {a: {type: string}}}}", "idempotency: {key: o}  # <-"],
            "string or integer",
        ),
        (["headers: {X-Key: {type: string}}", "idempotency: {key: x-key}  # <-"], "not declared under `input`"),
        (["dedupe: off", "idempotency: {keep: 1h}  # <-"], "`keep` does nothing with `dedupe: off`"),
        (
            ["headers: {X-Key: {type: string}}", "idempotency: {send: X-Key, keeps: 1h}  # <-"],
            "remove it under `headers`",
        ),
        (["idempotency: {sent: X-Key}  # <-"], "`idempotency` has no field `sent`; did you mean `send`?"),
        (["dedupe: maybe  # <-"], "`dedupe` must be on or off"),
        (["hold: {wait: 25}  # <-"], "`wait` must be a duration"),
        (["hold: 25s  # <-"], "`hold` must be a mapping such as {wait: 25s}, not text"),
        (["not_acted: [503]  # <-"], "503 may come from a machine before the system, so it proves nothing"),
        (["not_acted: [500]", "doubtful: [500]  # <-"], "500 is also under `not_acted` (500); it cannot be both"),
        (["doubtful: [429]  # <-"], "429 is also under `not_acted` (401, 429); it cannot be both"),
        (["doubtful: [200]  # <-"], "item 1 of `doubtful` must be at least 400"),
        (["doubtful: [500, 600]  # <-"], "item 2 of `doubtful` must be at most 599"),
        (["doubtful: [500, 500]  # <-"], "must not list `500` twice"),
        (["doubtful: ['500']  # <-"], "item 1 of `doubtful` must be a whole number, not text"),
        (["doubtful: 500  # <-"], "`doubtful` must be a list, such as [one, two], not a number"),
        (["open: yes  # <-"], "`open` must be true or false, not `yes`, which is plain text here"),
        (["open: 1  # <-"], "`open` must be true or false, not a number"),
        (["body: opaque", "input: {body: {type: string}}  # <-"], "rename this input"),
    ],
)
def test_how_a_tool_behaves(lines, fragment, tmp_path):
    expect(write(*lines), tmp_path, fragment)


INPUT = "input: {a: {type: string}, b: {type: string, optional: true}, n: {type: integer}, o: {type: boolean}}"


@pytest.mark.parametrize("resource", ["Charge/{a}", "Repo/{a}/{n}", "Account/main", "_X1/{n}-{a}"])
def test_a_resource_is_a_type_and_an_id(resource, tmp_path):
    kind, _, identity = resource.partition("/")
    found = the_tool(write(INPUT, f'resource: "{resource}"'), tmp_path)
    assert (found.resource_type, found.resource_id) == (kind, identity)


@pytest.mark.parametrize(
    ("resource", "fragment"),
    [
        ("Charge", "must be a type and an id"),
        ("Charge/", "must be a type and an id"),
        ("/{a}", "must be a type and an id"),
        ("Charge/{c}", "names `c`, which is not declared under `input`"),
        ("Charge/{b}", "names `b`, which is optional"),
        ("Charge/{o}", "must be of type string or integer"),
        ("Charge/{a}{n}", "must have text between two arguments"),
        ("Charge/{a", "must have arguments as {name}"),
        ("Agent/{a}", "`Agent` cannot be a resource type"),
        ("Team/{a}", "`Team` cannot be a resource type"),
        ("System/{a}", "`System` cannot be a resource type"),
        ("String/{a}", "`String` cannot be a resource type"),
        ("Stripe::Charge/{a}", "`Stripe::Charge` cannot be a resource type"),
        ("in/{a}", "`in` cannot be a resource type"),
        ("1x/{a}", "`1x` cannot be a resource type"),
    ],
)
def test_a_resource_always_has_one_name(resource, fragment, tmp_path):
    expect(write(INPUT, f'resource: "{resource}"  # <-'), tmp_path, fragment)


def test_a_resource_cannot_be_named_by_a_header(tmp_path):
    text = write("headers: {X-Account: {type: string}}", "resource: Account/{x-account}  # <-")
    expect(text, tmp_path, "not declared under `input`")


def test_an_input_with_a_mistake_is_not_reported_again_where_it_is_used(tmp_path):
    expect(write("input: {a: {type: str}}  # <-", "resource: A/{a}", "idempotency: {key: a}"), tmp_path, "type `str`")


@pytest.mark.parametrize("name", ["unlisted", "budget"])
def test_what_a_later_version_performs_is_refused(name, tmp_path):
    expect(write(f"{name}: x  # <-"), tmp_path, f"this version does not perform `{name}` yet; remove it")
