"""The whole of routes.yaml: the example of the design, every mistake at once, and the digest."""

import random
import re
from pathlib import Path

import pytest

from gateway.config.routes_file import digest_of, load_routes
from gateway.core.routes import Listen, Variable
from tests.config.routes_documents import A, B, document, expect, load, loaded, system

ROOT = Path(__file__).parents[2]
DESIGN = f"""\
version: 1
people:
  finance-lead: {{email: finance-lead@acme.example, roles: [approver], tokens: [{{sha256: "{A}"}}]}}
  controller:   {{email: controller@acme.example, roles: [approver]}}
  cfo:          {{email: cfo@acme.example, roles: [approver, auditor]}}
  support-lead: {{email: support-lead@acme.example, roles: [operator]}}
approvals:
  finance:
    members: [finance-lead, controller]
    quorum: 1
    notify: [{{webhook: https://approvals.acme.example/hook, secret: {{env: NOTICE}}, callback_secret: {{env: BACK}}}}]
    expire: 24h
agents:
  billing-bot: {{owner: support-lead, teams: [finance-ops], keys: [{{sha256: "{B}"}}]}}
systems:
  stripe:
    upstream: https://api.stripe.com
    owner: finance-lead
    credential: {{bearer: {{env: STRIPE_API_KEY}}}}
    timeout: 30s
    tools:
      create_refund:
        request: POST /v1/refunds
        effect: write                       # read | write | destructive
        body: form                          # json | form | none | opaque (multipart is opaque: size, type, digest)
        input:                              # JSON Schema properties; closed unless `open: true`
          charge: {{type: string}}
          amount: {{type: integer, minimum: 1}}
          reason: {{type: string, enum: [duplicate, fraudulent, requested_by_customer], optional: true}}
        resource: Charge/{{charge}}
        headers: {{Stripe-Account: {{type: string, optional: true}}}}
        idempotency: {{send: Idempotency-Key, keeps: 24h}}   # the system dedupes by this header: repeatable
        hold: {{wait: 25s}}
      get_charge: {{request: "GET /v1/charges/{{charge}}", effect: read}}
listen: {{agents: 127.0.0.1:8080, control: 127.0.0.1:8081}}
"""


def test_the_example_of_the_design_loads(tmp_path):
    routes = loaded(DESIGN, tmp_path)
    refund = routes.tool("stripe.create_refund")
    charge = routes.tool("stripe.get_charge")
    assert refund is not None and charge is not None
    assert refund.template == ("v1", "refunds") and refund.body == "form" and refund.repeatable and refund.acts
    assert [parameter.name for parameter in refund.parameters] == ["charge", "amount", "reason", "stripe-account"]
    assert charge.template == ("v1", "charges", Variable("charge")) and not charge.acts
    assert routes.groups["finance"].expire_seconds == 86400
    assert routes.listen == Listen()


@pytest.mark.parametrize(
    ("before", "later"),
    [
        ("    timeout: 30s\n", "    mcp: https://mcp.example  # <-\n"),
    ],
)
def test_the_fields_of_later_versions_are_refused_in_it(before, later, tmp_path):
    text = DESIGN.replace(before, later, 1)
    assert text != DESIGN
    expect(text, tmp_path, "this version does not perform")


def test_the_routes_of_this_repository_load():
    environ = {"STRIPE_URL": "http://127.0.0.1:8420", "APPROVALS_URL": "http://127.0.0.1:9000/hook"}
    routes, mistakes = load_routes(ROOT / "routes.yaml", environ)
    assert mistakes == [] and routes is not None


def test_every_mistake_is_reported_at_once_in_the_order_of_lines(tmp_path):
    text = DESIGN.replace("controller@acme.example", "controller")
    text = text.replace("quorum: 1", "quorum: 3").replace("owner: support-lead", "owner: support-leed")
    text = text.replace("timeout: 30s", "timeout: 30").replace("effect: write  ", "efect: write  ")
    text = text.replace("{charge}}\n        headers", "{charg}\n        headers").replace(
        "control: 127.0.0.1:8081", "control: 8081"
    )
    routes, mistakes = load(text, tmp_path)
    assert routes is None
    assert [mistake.line for mistake in mistakes] == [4, 10, 11, 14, 20, 24, 35], mistakes
    assert [mistake.sentence.split("`")[1] for mistake in mistakes if "`" in mistake.sentence] == [
        "email", "quorum", "trusted: true", "support-leed", "timeout", "create_refund", "control",
    ]  # fmt: skip


def test_listen_and_tls(tmp_path):
    text = document("listen: {agents: '0.0.0.0:80', control: {env: CONTROL}, tls: {cert: a.crt, key: {env: KEY}}}")
    routes = loaded(text, tmp_path, {"CONTROL": "127.0.0.1:99", "KEY": "b.key"})
    assert routes.listen == Listen(
        agents="0.0.0.0:80", control="127.0.0.1:99", certificate="a.crt", private_key="b.key"
    )


@pytest.mark.parametrize(
    ("listen", "fragment"),
    [
        ("{agents: 8080}", "`agents` must be text, or {env: NAME}"),
        ("{agents: '8080'}", "`agents` must be host:port"),
        ("{control: {env: NONE}}", "`control` takes its value from the environment variable NONE, which is not set"),
        ("{agents: '127.0.0.1:81', control: '127.0.0.1:81'}", "`control` must have a port of its own"),
        ("{agents: '0.0.0.0:8081'}", "`control` must have a port of its own"),
        ("{tls: {cert: a}}", "`tls` needs `key`"),
        ("{tls: a}", "`tls` must be a mapping such as {cert: tls.crt, key: tls.key}, not text"),
        ("{port: 80}", "`listen` has no field `port`"),
        ("[127.0.0.1:80]", "`listen` must be a mapping such as"),
    ],
)
def test_a_listener_that_cannot_be_is_refused(listen, fragment, tmp_path):
    expect(document(f"listen: {listen}  # <-"), tmp_path, fragment)


def test_interpolation_does_not_exist(tmp_path):
    text = system("timeout: ${TIMEOUT:-30s}  # <-")
    routes, mistakes = load(text, tmp_path, {"TIMEOUT": "30s"})
    assert routes is None and "`${...}` is not replaced by anything" in str(mistakes)


def test_comments_order_of_keys_and_spelling_do_not_change_the_digest(tmp_path):
    one = loaded(document(), tmp_path)
    spelled = document().replace("https://shop.example", "https://SHOP.example:443/  # the shop")
    assert loaded(f"# hello\n{spelled}", tmp_path).digest == one.digest
    shuffled = document().replace("roles: [approver, auditor]", "roles: [auditor, approver]")
    assert loaded(shuffled, tmp_path).digest == one.digest
    assert re.fullmatch("[0-9a-f]{64}", one.digest) and digest_of(one) == one.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("roles: [operator]", "roles: [auditor]"),
        ("lead@acme.example", "lead2@acme.example"),
        ("members: [lead, boss]", "members: [boss]"),
        ("approvals.acme.example/hook", "approvals.acme.example/hook2"),
        ("{env: HOOK}", "{file: HOOK}"),
        ("teams: [ops]", "teams: [ops, more]"),
        (A, B),
        ("https://shop.example", "http://shop.example"),
        ("https://shop.example", "https://shop.example/v1"),
        ("{env: SHOP_KEY}", "{env: OTHER_KEY}"),
        ("effect: read", "effect: read, open: true"),
        ("effect: read", "effect: read, hold: {wait: 1s}"),
        ("Thing/{thing}", "Item/{thing}"),
        ("effect: read", "effect: read, input: {q: {type: integer}}"),
        ("effect: read", "effect: read, input: {q: {type: number}}"),
        ("version: 1", "version: 1\nledger: {trim: {after: 8d}}"),
    ],
)
def test_every_value_changes_the_digest(old, new, tmp_path):
    assert document().count(old) >= 1
    assert loaded(document().replace(old, new), tmp_path).digest != loaded(document(), tmp_path).digest


def test_a_value_from_the_environment_is_part_of_the_digest_and_a_secret_is_not(tmp_path):
    text = document("listen: {agents: {env: AGENTS}}").replace(
        "upstream: https://shop.example", "upstream: {env: SHOP}"
    )
    text = text.replace("https://approvals.acme.example/hook", "{env: APPROVALS}")
    environ = {"SHOP": "http://127.0.0.1:1", "APPROVALS": "http://127.0.0.1:2", "AGENTS": "127.0.0.1:3"}
    first = loaded(text, tmp_path, environ).digest
    for name, value in (("SHOP", "http://127.0.0.1:9"), ("APPROVALS", "http://127.0.0.1:9"), ("AGENTS", "127.0.0.1:9")):
        assert loaded(text, tmp_path, {**environ, name: value}).digest != first
    assert loaded(text, tmp_path, {**environ, "SHOP_KEY": "rotated", "HOOK": "rotated"}).digest == first
    literal = text.replace("{env: SHOP}", "http://127.0.0.1:1").replace("{env: APPROVALS}", "http://127.0.0.1:2")
    literal = literal.replace("{env: AGENTS}", "127.0.0.1:3")
    assert loaded(literal, tmp_path).digest == first, "where a value comes from does not matter"


def test_the_smallest_file_loads(tmp_path):
    assert loaded("version: 1\n", tmp_path).systems == {}


PIECES = [
    "[",
    "]",
    "{",
    "}",
    ":",
    "- ",
    "~",
    "&a",
    "*a",
    "!!x ",
    "'",
    '"',
    "1",
    "true",
    "\t",
    "#",
    "${A}",
    "  ",
    "|",
    "é",
]


def damaged(text: str, chance: random.Random) -> str:
    """The text with something put in, cut out, moved, or renamed."""
    at = chance.randrange(len(text))
    match chance.randrange(4):
        case 0:
            return text[:at] + chance.choice(PIECES) + text[at:]
        case 1:
            return text[:at] + text[at + chance.randint(1, 30) :]
        case 2:
            return text[:at] + "\n" + chance.choice(DESIGN.splitlines()) + "\n" + text[at:]
        case _:
            words = re.findall(r"[A-Za-z_]+", text)
            return text.replace(chance.choice(words), chance.choice(PIECES) + chance.choice(words), 1)


def test_no_damage_to_a_file_raises_or_loads_half(tmp_path):
    """Whatever is done to the text, the answer is routes without mistakes or mistakes without routes."""
    chance = random.Random(7)
    for _ in range(400):
        text = DESIGN
        for _ in range(chance.randint(1, 4)):
            text = damaged(text, chance)
        routes, mistakes = load(text, tmp_path)
        assert (routes is None) == bool(mistakes)
        assert all(mistake.sentence and "\n" not in mistake.sentence for mistake in mistakes), mistakes
        assert all(0 <= mistake.line <= text.count("\n") + 1 for mistake in mistakes), mistakes
