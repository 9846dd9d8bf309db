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
