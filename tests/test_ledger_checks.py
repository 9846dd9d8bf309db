"""What `gateway check` says of the places that the ledger needs: each on its line, and nothing is made by looking."""

import os
from pathlib import Path

import pytest

from gateway.core.ledger_settings import LedgerSettings
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.place import Place
from gateway.ledger_checks import ledger_mistakes
from gateway.starting import notes
from tests.config.routes_documents import document, loaded

GIVEN = Signer.new("gateway.example/audit")
ENVIRON = {"KEY": GIVEN.text(), "BROKEN": GIVEN.text()[:-6]}

READ_ONLY = "cannot be written; make it writable"
OTHER_NAME = (
    "the ledger's signing key is of 'gateway.example/audit', but `ledger.origin` says 'other.example': a log keeps its "
    "name and its key for ever. Correct `ledger.origin`, or begin a new log in another directory"
)
BROKEN = (
    "the ledger's signing key cannot be used: the key that `ledger.key` names is none, because it is not of the form "
    "name+hash+base64; `gateway key new ledger NAME` makes one"
)


def found(tmp_path: Path, ledger: str) -> list[str]:
    """What is said, without the file and after its line was seen to be that of the section."""
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    text = document(f"ledger: {ledger.replace('HERE', str(tmp_path))}")
    routes = loaded(text, tmp_path)
    before |= {tmp_path / "routes.yaml": (tmp_path / "routes.yaml").stat().st_mtime_ns}
    mistakes = ledger_mistakes(routes, tmp_path / "data", ENVIRON, tmp_path / "routes.yaml")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert {mistake.line for mistake in mistakes} <= {len(text.splitlines()), 0}
    return [mistake.sentence for mistake in mistakes]


def test_a_first_start_has_nothing_to_say(tmp_path):
    assert found(tmp_path, "{}") == []
    (tmp_path / "shared").mkdir()
    everything = (
        "{directory: HERE/a/b/ledger, origin: gateway.example/audit, key: {env: KEY}, store: {directory: HERE/shared}, "
        "anchors: [{file: HERE/shared/checkpoints}]}"
    )
    assert found(tmp_path, everything) == []


def test_a_place_that_was_made_has_nothing_to_say(tmp_path):
    (tmp_path / "data").mkdir()
    Place.of(LedgerSettings(), tmp_path / "data").make()
    assert found(tmp_path, "{}") == []


@pytest.mark.parametrize(
    ("ledger", "sentence"),
    [
        ("{directory: HERE/file}", "the ledger cannot be kept in 'HERE/file': it is not a directory"),
        ("{directory: HERE/file/x}", "the ledger cannot be kept in 'HERE/file/x': 'HERE/file' is not a directory"),
        (
            "{directory: HERE/locked/x}",
            "the ledger cannot be kept in 'HERE/locked/x': 'HERE/locked' {READ_ONLY}",
        ),
        (
            "{store: {directory: HERE/mnt}}",
            "there is no directory 'HERE/mnt' for the ledger's store: mount it, or make it",
        ),
        (
            "{store: {directory: HERE/locked}}",
            "the ledger's store 'HERE/locked' cannot be used: 'HERE/locked' {READ_ONLY}",
        ),
        (
            "{directory: HERE/folder/x, store: {directory: HERE/folder}}",
            "the ledger's store must be another place than its directory",
        ),
        (
            "{directory: HERE/folder, store: {directory: HERE/folder/..//folder}}",
            "the ledger's store must be another place than its directory",
        ),
        ("{anchors: [{file: HERE/folder}]}", "the anchor 'HERE/folder' is not a file"),
        (
            "{anchors: [{file: HERE/data/ledger/checkpoints}]}",
            "an anchor must be elsewhere than the ledger itself: who can change the one could change both",
        ),
        (
            "{key: {env: KEY}, origin: other.example}",
            OTHER_NAME,
        ),
        (
            "{key: {env: BROKEN}}",
            BROKEN,
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_cure(ledger, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")  # root may write anywhere
    (tmp_path / "locked").mkdir()
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    (tmp_path / "folder").mkdir()
    assert found(tmp_path, ledger) == [sentence.replace("{READ_ONLY}", READ_ONLY).replace("HERE", str(tmp_path))]


def test_an_anchor_that_is_away_is_a_note_and_no_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked")
    (tmp_path / "locked").mkdir()
    anchors = "{anchors: [{file: HERE/mnt/checkpoints}, {file: HERE/locked/checkpoints}, {file: HERE/fine}]}"
    assert found(tmp_path, anchors) == []
    told = notes(tmp_path / "routes.yaml", ENVIRON, tmp_path / "data")
    away = {note.partition(": ")[2] for note in told if "anchor" in note or "checkpoints" in note}
    missing = f"there is no directory '{tmp_path}/mnt' for the anchor: mount it, or make it"
    locked = f"checkpoints cannot be appended to '{tmp_path}/locked/checkpoints': '{tmp_path}/locked' {READ_ONLY}"
    assert {note.partition(": ")[2] for note in away} == {f"{why}; it lags until then." for why in (missing, locked)}


def test_a_log_of_another_key_is_said(tmp_path):
    log = tmp_path / "data" / "ledger" / "07"
    log.mkdir(parents=True)
    (log / "checkpoint").write_text(sign_checkpoint(Signer.new(GIVEN.name).of("07"), 1, bytes(32)), encoding="utf-8")
    (sentence,) = found(tmp_path, "{key: {env: KEY}}")
    assert sentence.startswith(f"the log in '{tmp_path}/data/ledger' does not belong to the ledger's signing key")
    (sentence,) = found(tmp_path, "{}")
    assert sentence.startswith(f"the ledger's signing key '{tmp_path}/data/ledger.key' is missing, but there is a log")


def test_a_key_that_is_not_there_is_not_said_twice(tmp_path):
    """`missing_secrets` says it."""
    assert found(tmp_path, "{key: {env: ABSENT}}") == []
