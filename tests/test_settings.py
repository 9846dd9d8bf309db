"""The environment becomes one Settings, or everything that is wrong with it is said at once."""

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

import gateway.settings
from gateway.setting_readers import READERS, MailServer
from gateway.settings import Settings, SettingsMistake, read_settings, variable

DOCUMENT = Path(__file__).parent.parent / "docs" / "operations.md"


def sentences_for(**environ):
    with pytest.raises(SettingsMistake) as caught:
        read_settings(environ)
    return caught.value.sentences


def test_nothing_set_gives_the_defaults():
    assert read_settings({"PATH": "/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}) == Settings()


def test_every_setting_can_be_set(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    environ = {
        "GATEWAY_TRUSTED_PROXIES": "10.0.0.5, 2001:db8::/32",
        "GATEWAY_OIDC_ISSUER": "https://login.example/realms/people",
        "GATEWAY_OIDC_CLIENT_ID": "gateway",
        "GATEWAY_OIDC_CLIENT_SECRET": "s3cret",
        "GATEWAY_REDIS_URL": "rediss://user:secret@redis.example:6380/2",
        "GATEWAY_REDIS_DURABILITY": "may-lose-one-second",
        "GATEWAY_REDIS_REPLICAS": "2",
        "GATEWAY_PAYLOAD_KEYS": "c2VjcmV0",
        "GATEWAY_CONTROL_URL": "https://gateway.example:8081/",
        "GATEWAY_SMTP_URL": "smtp://gateway:p%40ss@mail.example",
        "GATEWAY_SMTP_PASSWORD_FILE": str(ca),
        "GATEWAY_EMAIL_FROM": "gateway@acme.example",
        "GATEWAY_SLACK_API": "http://127.0.0.1:9000/api/",
        "GATEWAY_BODY_LIMIT": "20MiB",
        "GATEWAY_HELD_BODY_LIMIT": "512KiB",
        "GATEWAY_KEPT_ANSWER_LIMIT": "4096",
        "GATEWAY_CA_FILE": str(ca),
        "GATEWAY_LOG_LEVEL": "debug",
        "GATEWAY_RATE_LIMIT": "2.5",
        "GATEWAY_CONCURRENCY_LIMIT": "7",
        "GATEWAY_SHUTDOWN_GRACE": "40",
    }
    instead = {"GATEWAY_OIDC_CLIENT_SECRET_FILE", "GATEWAY_PAYLOAD_KEYS_FILE"}
    assert set(environ) | instead == {variable(field.name) for field in fields(Settings)}
    assert read_settings(environ) == Settings(
        trusted_proxies=("10.0.0.5/32", "2001:db8::/32"),
        oidc_issuer="https://login.example/realms/people",
        oidc_client_id="gateway",
        oidc_client_secret="s3cret",
        redis_url="rediss://user:secret@redis.example:6380/2",
        redis_durability="may-lose-one-second",
        redis_replicas=2,
        payload_keys="c2VjcmV0",
        control_url="https://gateway.example:8081",
        smtp_url=MailServer(host="mail.example", port=587, security="starttls", user="gateway", password="p@ss"),
        smtp_password_file=ca,
        email_from="gateway@acme.example",
        slack_api="http://127.0.0.1:9000/api",
        body_limit=20 * 1024 * 1024,
        held_body_limit=512 * 1024,
        kept_answer_limit=4096,
        ca_file=ca,
        log_level="debug",
        rate_limit=2.5,
        concurrency_limit=7,
        shutdown_grace=40.0,
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost", "redis://:pw@h:6379/0", "unix:///run/redis.sock", "redis://[::1]:6379",
        "redis+sentinel://u:p@a:26379,b:26379/mymaster", "redis+cluster://h:6379",
    ],
)  # fmt: skip
def test_every_kind_of_redis_has_a_url(url):
    assert read_settings({"GATEWAY_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_REDIS_URL", "localhost:6379"),
        ("GATEWAY_REDIS_URL", "http://localhost"),
        ("GATEWAY_REDIS_URL", "redis://"),
        ("GATEWAY_REDIS_URL", "redis://host:notaport"),
        ("GATEWAY_REDIS_URL", "redis://[::1"),
        ("GATEWAY_REDIS_URL", "unix://"),
        ("GATEWAY_REDIS_URL", "redis+sentinel://a:26379,b:26379"),
        ("GATEWAY_REDIS_URL", "redis+sentinel://a,b/mymaster"),
        ("GATEWAY_REDIS_DURABILITY", "everysec"),
        ("GATEWAY_REDIS_REPLICAS", "-1"),
        ("GATEWAY_REDIS_REPLICAS", "two"),
        ("GATEWAY_REDIS_REPLICAS", "²"),
        ("GATEWAY_CONTROL_URL", "gateway.example"),
        ("GATEWAY_CONTROL_URL", "ftp://gateway.example"),
        ("GATEWAY_CONTROL_URL", "https://gateway.example/prefix"),
        ("GATEWAY_CONTROL_URL", "https://gateway.example?x=1"),
        ("GATEWAY_SMTP_URL", "mail.example:587"),
        ("GATEWAY_SMTP_URL", "http://mail.example"),
        ("GATEWAY_SMTP_URL", "smtp://"),
        ("GATEWAY_SMTP_URL", "smtp://mail.example:99999"),
        ("GATEWAY_SMTP_URL", "smtp://mail.example/path"),
        ("GATEWAY_SMTP_URL", "smtp+plain://user@mail.example"),
        ("GATEWAY_SMTP_PASSWORD_FILE", "/nonexistent/password"),
        ("GATEWAY_EMAIL_FROM", "Gateway <gateway@acme.example>"),
        ("GATEWAY_EMAIL_FROM", "gateway@acme.example\nBcc: x@y.example"),
        ("GATEWAY_SLACK_API", "slack.com/api"),
        ("GATEWAY_TRUSTED_PROXIES", "proxy.acme.example"),
        ("GATEWAY_TRUSTED_PROXIES", "10.0.0.5/8"),
        ("GATEWAY_TRUSTED_PROXIES", "10.0.0.5,"),
        ("GATEWAY_BODY_LIMIT", "0"),
        ("GATEWAY_BODY_LIMIT", "10 megabytes"),
        ("GATEWAY_BODY_LIMIT", "-5"),
        ("GATEWAY_CA_FILE", "/nonexistent/ca.pem"),
        ("GATEWAY_LOG_LEVEL", "INFO!"),
        ("GATEWAY_RATE_LIMIT", "-1"),
        ("GATEWAY_RATE_LIMIT", "nan"),
        ("GATEWAY_SHUTDOWN_GRACE", "inf"),
        ("GATEWAY_SHUTDOWN_GRACE", "25s"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name, value):
    (sentence,) = sentences_for(**{name: value})
    assert sentence.startswith(f"{name} is {value!r}, but must be ")


def test_everything_that_is_wrong_is_said_at_once():
    said = sentences_for(GATEWAY_BODY_LIMIT="x", GATEWAY_REDIS_REPLICAS="y", GATEWAY_TYPO="z", GATEWAY_LOG_LEVEL="info")
    assert [sentence.split()[0] for sentence in said] == [
        "GATEWAY_BODY_LIMIT",
        "GATEWAY_REDIS_REPLICAS",
        "GATEWAY_TYPO",
    ]


def test_a_misspelt_setting_is_a_mistake_with_the_nearest_one():
    (sentence,) = sentences_for(GATEWAY_BODY_LIMT="1")
    assert sentence == "GATEWAY_BODY_LIMT is not a setting: remove it, or did you mean GATEWAY_BODY_LIMIT?"
    (sentence,) = sentences_for(GATEWAY_redis_url="redis://h")
    assert "GATEWAY_REDIS_URL" in sentence


def test_a_setting_that_is_set_but_empty_is_a_mistake_and_not_the_default():
    """An empty GATEWAY_REDIS_URL would start a private journal beside the real one, and calls would happen twice."""
    for name in READERS:
        (sentence,) = sentences_for(**{variable(name): ""})
        assert sentence.startswith(f"{variable(name)} is set but empty: give it ")


def test_a_password_inside_a_url_is_never_repeated():
    for url in (
        "rdis://user:hunter2@host:6379",
        "redis://:hunter2@:1",
        "redis+sentinel://u:hunter2@a,b/x",
        "redis://u:p@hunter2@",
    ):
        (sentence,) = sentences_for(GATEWAY_REDIS_URL=url)
        assert "hunter2" not in sentence
    (sentence,) = sentences_for(GATEWAY_SMTP_URL="smtp+plain://user:hunter2@mail.example")
    assert "hunter2" not in sentence and "without TLS" in sentence
    assert "hunter2" not in repr(read_settings({"GATEWAY_SMTP_URL": "smtps://user:hunter2@mail.example"}))


@pytest.mark.parametrize(
    ("url", "port", "security"),
    [
        ("smtp://mail.example", 587, "starttls"),
        ("smtps://mail.example", 465, "tls"),
        ("smtp+plain://mail.example", 25, "none"),
        ("smtp://mail.example:2525", 2525, "starttls"),
    ],
)
def test_the_scheme_says_how_mail_is_protected(url, port, security):
    assert read_settings({"GATEWAY_SMTP_URL": url}).smtp_url == MailServer(
        host="mail.example", port=port, security=security
    )


def test_variables_that_routes_read_by_name_and_those_of_orchestrators_are_no_mistake():
    environ = {
        "GATEWAY_KEY_OF_BILLING": "secret",
        "GATEWAY_CHILD": "{}",
        "GATEWAY_SERVICE_HOST": "10.0.0.1",
        "GATEWAY_SERVICE_PORT_AGENTS": "8080",
        "GATEWAY_PORT": "tcp://10.0.0.1:8080",
        "GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.1",
        "GATEWAY_CONTROL_SERVICE_HOST": "10.0.0.2",
        "GATEWAY_CONTROL_PORT_8081_TCP": "tcp://10.0.0.2:8081",
    }
    assert read_settings(environ, ignore=frozenset({"GATEWAY_KEY_OF_BILLING"})) == Settings()
    assert len(sentences_for(**environ)) == 1


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        Settings().body_limit = 1  # type: ignore[misc]


def test_every_setting_has_a_reader_and_a_docstring_with_its_variable():
    assert list(READERS) == [field.name for field in fields(Settings)]
    tree = ast.parse(Path(gateway.settings.__file__).read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings").body[1:]
    documented = {
        field.target.id: ast.literal_eval(text.value)
        for field, text in zip(body[::2], body[1::2], strict=True)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr)
    }
    assert set(documented) == set(READERS)
    for name, text in documented.items():
        assert text.startswith(f"{variable(name)}: ")
        assert "efault" in text or "every level" in text


def test_every_setting_is_in_the_table_of_the_operations_page_with_its_default():
    rows = dict(re.findall(r"^\| `(GATEWAY_\w+)` \| ([^|]+) \|", DOCUMENT.read_text(), re.MULTILINE))
    assert set(rows) == {variable(field.name) for field in fields(Settings)}
    for field in fields(Settings):
        assert field.default is not MISSING
        if field.default not in {"", None, ()}:
            text = rows[variable(field.name)].strip().strip("`")
            assert READERS[field.name](text) == field.default


OIDC = {"GATEWAY_OIDC_ISSUER": "https://login.example", "GATEWAY_OIDC_CLIENT_ID": "gateway"}


def test_what_belongs_to_an_identity_provider_belongs_together(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    assert sentences_for(GATEWAY_OIDC_ISSUER="https://login.example") == [
        "GATEWAY_OIDC_ISSUER is set, so set GATEWAY_OIDC_CLIENT_ID too."
    ]
    assert sentences_for(GATEWAY_OIDC_CLIENT_SECRET="x")[0] == (
        "GATEWAY_OIDC_CLIENT_SECRET is set, so set GATEWAY_OIDC_ISSUER too."
    )
    (both,) = sentences_for(**OIDC, GATEWAY_OIDC_CLIENT_SECRET="x", GATEWAY_OIDC_CLIENT_SECRET_FILE=str(secret))
    assert both.endswith("are both set: remove one.")
    found = read_settings(OIDC | {"GATEWAY_OIDC_CLIENT_SECRET": "s3cret"})
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("issuer", ["http://login.example", "login.example", "https://a.example/?x=1", "https://"])
def test_an_issuer_is_an_address_with_tls(issuer):
    (said,) = sentences_for(GATEWAY_OIDC_ISSUER=issuer, GATEWAY_OIDC_CLIENT_ID="gateway")
    assert "GATEWAY_OIDC_ISSUER" in said and "the issuer exactly as the provider writes it" in said
