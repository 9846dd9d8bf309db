"""Where the ledger lives: made once, never over anything, and a sentence for whatever is wrong."""

import os
import re
import stat
import threading

import pytest

from gateway.core.ledger_settings import LedgerSettings
from gateway.core.secret_reference import SecretReference
from gateway.ledger.note import Signer, read_signer, sign_checkpoint
from gateway.ledger.place import Place, Unusable

GIVEN = Signer.new("gateway.example/audit")


def at(tmp_path, **settings) -> Place:
    return Place.of(LedgerSettings(**settings), tmp_path / "data")


@pytest.fixture
def place(tmp_path) -> Place:
    (tmp_path / "data").mkdir()
    return at(tmp_path)


def with_a_log(place: Place, signer: Signer, log: str = "07") -> Place:
    (place.directory / log).mkdir(parents=True, exist_ok=True)
    (place.directory / log / "checkpoint").write_text(sign_checkpoint(signer.of(log), 3, b"x" * 32), encoding="utf-8")
    return place


def everything(tmp_path):
    """Every file with its bytes, and every folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}


def said(act) -> str:
    with pytest.raises(Unusable) as raised:
        act()
    return str(raised.value)


def test_the_first_start_makes_a_key_that_only_we_can_read_and_the_next_one_keeps_it(place, tmp_path):
    place.make()
    signer = place.signer()
    assert re.fullmatch(r"policy-gateway/[0-9a-f]{8}", signer.name)
    assert stat.S_IMODE((tmp_path / "data" / "ledger.key").stat().st_mode) == 0o600
    before = everything(tmp_path)
    place.make()
    assert everything(tmp_path) == before
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["ledger", "ledger.key"]
    assert (place.directory / "format").read_text(encoding="ascii") == "policy-gateway ledger 1\n"


def test_a_key_is_made_under_the_name_that_routes_yaml_gives(tmp_path):
    (tmp_path / "data").mkdir()
    place = at(tmp_path, origin="gateway.example/audit", directory=str(tmp_path / "elsewhere" / "ledger"))
    place.make()
    assert place.signer().name == "gateway.example/audit"
    assert (tmp_path / "elsewhere" / "ledger" / "format").exists()


def test_a_key_that_is_given_is_used_and_none_is_made(tmp_path):
    (tmp_path / "data").mkdir()
    place = at(tmp_path, key=SecretReference("env", "KEY"))
    place.make()
    assert place.look(GIVEN.text()).verifier == GIVEN.verifier
    assert not (tmp_path / "data" / "ledger.key").exists()


def test_two_starts_at_once_agree_about_the_key(place):
    made = []

    def start() -> None:
        place.make()
        made.append(place.signer().verifier)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1


def test_a_start_that_was_killed_while_it_made_the_key_harms_nobody(place, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        place.make()
    monkeypatch.undo()
    assert not (tmp_path / "data" / "ledger.key").exists()
    place.make()
    place.signer()


@pytest.mark.parametrize("log", ["00", "64"])
def test_a_key_is_never_made_beside_a_log_that_another_one_signed(place, log, tmp_path):
    with_a_log(place, GIVEN, log)
    for act in (place.make, place.signer, place.look):
        sentence = said(act)
        assert "is missing, but there is a log in" in sentence and "put the key back from a backup" in sentence
        assert "by --data" in sentence
    assert not (tmp_path / "data" / "ledger.key").exists()


def test_a_key_that_is_missing_before_there_is_a_log_is_made_by_serve(place):
    assert said(place.signer).endswith("is missing: `gateway serve` makes it.")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it does not begin with PRIVATE+KEY+"),
        (str(GIVEN.verifier), "it does not begin with PRIVATE+KEY+"),
        (GIVEN.text()[:-4], "is none, because it is not of the form"),
        (GIVEN.text().replace("example", "axample"), "its parts do not belong together"),
    ],
)
def test_a_key_that_is_none_is_said_and_left_as_it_is(place, text, why, tmp_path):
    (tmp_path / "data" / "ledger.key").write_text(text, encoding="ascii")
    before = (tmp_path / "data" / "ledger.key").read_bytes()
    place.make()
    sentence = said(place.look)
    assert "The ledger's signing key cannot be used" in sentence and why in sentence
    assert "put the right one back from a backup" in sentence
    assert (tmp_path / "data" / "ledger.key").read_bytes() == before
    given = at(tmp_path, key=SecretReference("env", "KEY"))
    assert "`gateway key new ledger NAME` makes one" in said(lambda: given.signer(text))
    if len(text) > 50:
        assert GIVEN.text()[-44:-4] not in sentence, "a key is never shown"


def test_a_link_in_the_place_of_the_key_is_not_followed(place, tmp_path):
    (tmp_path / "key").write_text(GIVEN.text(), encoding="ascii")
    (tmp_path / "data" / "ledger.key").symlink_to(tmp_path / "key")
    assert "cannot be read" in said(place.signer)


def test_the_name_of_the_log_is_that_of_the_key(tmp_path):
    place = at(tmp_path, origin="other.example/audit", key=SecretReference("env", "KEY"))
    assert "is of 'gateway.example/audit', but `ledger.origin` says 'other.example/audit'" in said(
        lambda: place.signer(GIVEN.text())
    )


def test_a_log_that_another_key_signed_is_said(tmp_path):
    place = at(tmp_path, key=SecretReference("env", "KEY"))
    with_a_log(place, Signer.new("gateway.example/audit"))
    before = everything(tmp_path)
    assert "does not belong to the ledger's signing key" in said(lambda: place.look(GIVEN.text()))
    assert everything(tmp_path) == before
    with_a_log(place, GIVEN)
    place.look(GIVEN.text())


def test_a_log_of_a_newer_version_is_not_touched(place, tmp_path):
    place.make()
    (place.directory / "format").write_text("policy-gateway ledger 2\n", encoding="ascii")
    before = everything(tmp_path)
    for act in (place.make, place.look):
        sentence = said(act)
        assert "in format 2, and this version knows format 1: run that version again" in sentence
    assert everything(tmp_path) == before


@pytest.mark.parametrize("text", ["", "something else\n", "policy-gateway ledger x\n"])
def test_a_directory_of_something_else_is_not_touched(place, text, tmp_path):
    place.directory.mkdir()
    (place.directory / "format").write_text(text, encoding="ascii")
    before = everything(tmp_path)
    assert "does not name the format of a ledger" in said(place.make)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("blocked", ["data/ledger", "data"])
def test_a_directory_that_cannot_be_made_says_why(blocked, tmp_path):
    if blocked != "data":
        (tmp_path / "data").mkdir()
    (tmp_path / blocked).write_text("in the way", encoding="ascii")
    sentence = said(at(tmp_path).make)
    assert sentence.startswith("The ledger cannot be kept in") or "cannot be read" in sentence
    assert (tmp_path / blocked).read_text(encoding="ascii") == "in the way"


def test_the_text_of_a_key_reads_back(place):
    place.make()
    assert place.key is not None
    assert read_signer(place.key.read_text(encoding="ascii")).verifier == place.signer().verifier
