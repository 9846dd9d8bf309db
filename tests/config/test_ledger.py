"""The section `ledger`: everything it can say, and one sentence for everything it cannot."""

import pytest

from gateway.config.references import missing_secrets, missing_secrets_of_file, secrets
from gateway.core.ledger_settings import AnchorFile, AnchorWebhook, Bucket, LedgerSettings, SharedDirectory, Trim
from gateway.core.secret_reference import SecretReference
from tests.config.routes_documents import MARK, document, load, loaded

FULL = {"HOOK": "whsec_" + "QUJD" * 10, "CALLBACK": "whsec_" + "QUJD" * 10, "SHOP_KEY": "x"}
WHOLE = """\
ledger:
  origin: gateway.acme.example/audit
  directory: /var/lib/gateway/ledger
  key: {file: /run/secrets/ledger.key}
  store:
    s3:
      bucket: {env: BUCKET}
      prefix: gateway/ledger
      endpoint: https://minio.acme.example:9000/
      region: eu-central-1
      access_key: {env: ACCESS}
      secret_key: {file: /run/secrets/s3}
  anchors:
    - {webhook: "https://witness.example.com/gateway", secret: {env: ANCHOR}}
    - {file: {env: ELSEWHERE}, every: 10s}
  trim: {after: 30d, beyond: 5000}
"""


def test_everything_that_can_be_said(tmp_path):
    environ = {"BUCKET": "acme-ledger", "ELSEWHERE": "/mnt/elsewhere/checkpoints"}
    assert loaded(document() + WHOLE, tmp_path, environ).ledger == LedgerSettings(
        origin="gateway.acme.example/audit",
        directory="/var/lib/gateway/ledger",
        key=SecretReference("file", "/run/secrets/ledger.key"),
        store=Bucket(
            name="acme-ledger",
            prefix="gateway/ledger",
            endpoint="https://minio.acme.example:9000",
            region="eu-central-1",
            access_key=SecretReference("env", "ACCESS"),
            secret_key=SecretReference("file", "/run/secrets/s3"),
        ),
        anchors=(
            AnchorWebhook(url="https://witness.example.com/gateway", secret=SecretReference("env", "ANCHOR")),
            AnchorFile(path="/mnt/elsewhere/checkpoints", every_seconds=10.0),
        ),
        trim=Trim(after_seconds=30 * 24 * 3600.0, beyond=5000),
    )


def test_nothing_of_it_is_needed(tmp_path):
    assert loaded(document(), tmp_path).ledger == LedgerSettings()
    assert loaded(document("ledger: {}"), tmp_path).ledger == LedgerSettings()


def test_a_shared_directory(tmp_path):
    text = document("ledger: {store: {directory: /mnt/shared}}")
    assert loaded(text, tmp_path).ledger.store == SharedDirectory(path="/mnt/shared")


@pytest.mark.parametrize(
    ("said", "fragment"),
    [
        ("yes", "`ledger` must be a mapping such as {origin: "),
        ("{trims: {}}", "`ledger` has no field `trims`; did you mean `trim`?"),
        ("{origin: 'https://gateway.example/audit'}", "`origin` must be a name without a scheme and spaces"),
        ("{origin: 'gateway example'}", "`origin` must be a name without a scheme and spaces"),
        ("{origin: 'gateway+example'}", "`origin` must be a name without a scheme and spaces"),
        ("{origin: 'gateway.example/'}", "`origin` must be a name without a scheme and spaces"),
        (f"{{origin: {'x' * 201}}}", "`origin` must be a name without a scheme and spaces"),
        ("{directory: {env: NOWHERE}}", "`directory` takes its value from the environment variable NOWHERE"),
        ("{key: 'PRIVATE+KEY+x'}", "`key` must be {env: NAME} or {file: path}, not text; a secret"),
        ("{store: {}}", "`store` must be exactly one of directory and s3"),
        ("{store: {directory: /a, s3: {bucket: acme}}}", "`store` must be exactly one of directory and s3"),
        ("{store: {s3: {}}}", "`s3` needs `bucket`"),
        ("{store: {s3: {bucket: 's3://acme'}}}", "`bucket` must be the name of a bucket"),
        ("{store: {s3: {bucket: acme, prefix: /x/}}}", "`prefix` must be a path such as gateway/ledger"),
        ("{store: {s3: {bucket: acme, prefix: a/../b}}}", "`prefix` must be a path such as gateway/ledger"),
        ("{store: {s3: {bucket: acme, endpoint: minio}}}", "`endpoint` must be an http or https address"),
        ("{store: {s3: {bucket: acme, endpoint: 'http://169.254.169.254'}}}", "`endpoint` must not be a link-local"),
        ("{store: {s3: {bucket: acme, access_key: {env: A}}}}", "`s3` must have both `access_key` and `secret_key`"),
        ("{anchors: [{}]}", "item 1 of `anchors` must be exactly one of webhook and file"),
        (
            "{anchors: [{webhook: 'https://w.example', file: /a, secret: {env: A}}]}",
            "item 1 of `anchors` must be exactly one of webhook and file",
        ),
        ("{anchors: [{webhook: 'https://w.example'}]}", "item 1 of `anchors` needs `secret`"),
        ("{anchors: [{file: /a, secret: {env: A}}]}", "item 1 of `anchors` must not have `secret`"),
        ("{anchors: [{file: /a, every: 0s}]}", "`every` must be longer than zero"),
        ("{trim: {after: 7}}", "`after` must be a duration"),
        ("{trim: {beyond: 0}}", "`beyond` must be at least 1"),
        ("{trim: {beyond: 1e6}}", "`beyond` must be a whole number"),
    ],
)
def test_what_cannot_be_is_one_sentence_on_its_line(said, fragment, tmp_path):
    routes, mistakes = load(document(f"ledger: {said}  {MARK}"), tmp_path)
    assert routes is None
    (found,) = mistakes
    assert found.sentence.startswith(fragment)
    assert found.line == len(document().splitlines()) + 1


def test_every_secret_of_it_is_looked_for(tmp_path):
    routes = loaded(document() + WHOLE, tmp_path, {"BUCKET": "acme", "ELSEWHERE": "/a"})
    named = [str(reference) for where, _, reference in secrets(routes) if where[0] == "ledger"]
    assert named == ["file:/run/secrets/ledger.key", "env:ACCESS", "file:/run/secrets/s3", "env:ANCHOR"]
    found = missing_secrets(routes, FULL, tmp_path / "routes.yaml")
    lines, absent = (document() + WHOLE).splitlines(), "cannot be read (no such file or directory)"
    assert [(lines[mistake.line - 1].split(":")[0].strip(" -{"), mistake.sentence) for mistake in found] == [
        (
            "key",
            f"the signing key of the ledger is missing: the file /run/secrets/ledger.key {absent}",
        ),
        ("access_key", "the access key of the ledger's store is missing: set the environment variable ACCESS"),
        (
            "secret_key",
            f"the secret key of the ledger's store is missing: the file /run/secrets/s3 {absent}",
        ),
        ("webhook", "the webhook secret of the ledger's anchor is missing: set the environment variable ANCHOR"),
    ]
    (unusable,) = [
        mistake
        for mistake in missing_secrets(routes, {**FULL, "ACCESS": "a", "ANCHOR": "changeme"})
        if "anchor" in mistake.sentence
    ]
    assert "(environment variable ANCHOR) cannot be used: a webhook secret must begin" in unusable.sentence


def test_secrets_are_looked_for_beside_other_mistakes(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(document() + WHOLE.replace("after: 30d", "after: 30"), encoding="utf-8")
    found = [mistake.sentence for mistake in missing_secrets_of_file(path, FULL)]
    assert len(found) == 4
    assert all("ledger" in sentence for sentence in found)
