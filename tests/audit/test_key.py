"""`gateway audit key`: the line that auditors get, and nothing else of the key."""

import pytest
import typer
from typer.testing import CliRunner

from gateway.audit.key import key
from gateway.core.ledger_settings import LedgerSettings
from gateway.ledger.note import Signer
from gateway.ledger.place import Place
from tests.config.routes_documents import document

app = typer.Typer()
app.command()(key)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def told(*words: str):
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def test_the_key_that_routes_yaml_names(tmp_path):
    signer = Signer.new("gateway.example/audit")
    (tmp_path / "key").write_text(f"{signer.text()}\n", encoding="ascii")
    (tmp_path / "routes.yaml").write_text(document("ledger: {key: {file: key}}"), encoding="utf-8")
    assert told() == (0, f"{signer.verifier}\n", "")


def test_the_key_of_a_data_directory_is_told_without_any_other_file(tmp_path):
    (tmp_path / "data").mkdir()
    made = Place.of(LedgerSettings(), tmp_path / "data")
    made.make()
    assert told("--data", "data") == (0, f"{made.signer().verifier}\n", "")


def test_what_the_rest_of_routes_yaml_needs_is_not_needed(tmp_path):
    signer = Signer.new("gateway.example/audit")
    (tmp_path / "key").write_text(f"{signer.text()}\n", encoding="ascii")
    text = "version: 1\nledger: {key: {file: key}}\nsystems: {bank: {upstream: {env: BANK_URL}}}\n"
    (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")
    assert told() == (0, f"{signer.verifier}\n", "")


@pytest.mark.parametrize("name", ["acme.yaml", "routes/ledger.yaml"])
def test_what_the_gateway_of_the_data_directory_serves_is_asked_before_a_file_that_lies_here(tmp_path, name):
    signer = Signer.new("gateway.example/audit")
    (tmp_path / "key").write_text(f"{signer.text()}\n", encoding="ascii")
    (tmp_path / "routes.yaml").write_text(document("ledger: {key: {file: another}}"), encoding="utf-8")
    copy = tmp_path / "data/serving/abc" / name
    copy.parent.mkdir(parents=True)
    copy.write_text(document("ledger: {key: {file: key}}"), encoding="utf-8")
    if "/" in name:
        (copy.parent / "agents.yaml").write_text("version: 1\n", encoding="utf-8")
    (tmp_path / "data/serving/current").write_text("abc")
    assert told("--data", "data") == (0, f"{signer.verifier}\n", "")


def test_a_file_that_is_named_and_not_there_is_a_mistake(tmp_path):
    Place.of(LedgerSettings(), tmp_path / ".gateway").make()
    code, out, err = told("--routes", "nope.yaml")
    assert (code, out) == (1, "") and err.startswith("nope.yaml: there is no such file")


def test_a_key_that_is_missing_is_a_sentence():
    sentence = "The ledger's signing key '.gateway/ledger.key' is missing: `gateway serve` makes it.\n"
    assert told() == (1, "", sentence)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("ledger: {key: {env: NOWHERE}}", "set the environment variable NOWHERE"),
        ("ledger: {keys: 1}", "`ledger` has no field `keys`"),
    ],
)
def test_what_is_wrong_with_routes_yaml_is_said(line, sentence, tmp_path):
    (tmp_path / "routes.yaml").write_text(document(line), encoding="utf-8")
    code, out, err = told()
    assert (code, out) == (1, "") and sentence in err
