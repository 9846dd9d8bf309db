"""Files of notes that were kept elsewhere: read to the last one, and believed only if the ledger's key signed them."""

import os

import pytest

from gateway.anchors import append
from gateway.ledger.files import Damaged
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.old_checkpoints import old_checkpoints
from tests.sealed_log import SIGNER

KEY = SIGNER.verifier


def note(partition: str, size: int, signer: Signer = SIGNER) -> str:
    return sign_checkpoint(signer.of(partition), size, size.to_bytes(32, "big"))


def test_notes_are_sorted_by_log_and_size_each_once(tmp_path):
    file = tmp_path / "anchor"
    file.write_text(note("07", 9) + "\n" + note("64", 1) + note("07", 4) + "\n\n" + note("07", 9))
    found = old_checkpoints([file, file], KEY)
    assert {name: [old.size for old in olds] for name, olds in found.items()} == {"07": [4, 9], "64": [1]}
    assert found["64"][0].offset == len(note("07", 9).encode()) + 1 and found["64"][0].file == str(file)
    assert found["07"][1].offset == 0 and found["07"][1].root == (9).to_bytes(32, "big")


def test_a_note_may_have_signatures_of_witnesses_too(tmp_path):
    file = tmp_path / "anchor"
    file.write_text(note("07", 9) + note("08", 1, Signer.new("witness.example")).split("\n\n")[1] + note("07", 10))
    assert [old.size for old in old_checkpoints([file], KEY)["07"]] == [9, 10]


def test_a_copy_of_a_ledger_is_a_set_of_checkpoints(tmp_path):
    for partition in ("07", "64", "xx"):
        (tmp_path / partition).mkdir()
        (tmp_path / partition / "checkpoint").write_text(note(partition, 3))
    assert set(old_checkpoints([tmp_path], KEY)) == {"07", "64"}


@pytest.mark.parametrize("cut", [20, 30, 40, -3, -40, -90, -100])
def test_what_a_power_cut_left_of_a_note_spoils_no_other(tmp_path, cut):
    whole = note("07", 9)
    file = tmp_path / "anchor"
    append(file, note("07", 4).encode())
    with file.open("a") as torn:
        torn.write(whole[:cut])
    append(file, note("07", 12).encode())
    assert [old.size for old in old_checkpoints([file], KEY)["07"]] == [4, 12]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (note("07", 1, Signer.new(SIGNER.name)), "not under the key"),
        (note("07", 1, Signer.new("other.test/audit")), "the key is that of gateway.test/audit"),
        (note("65", 1), "the key is that of"),
        (note("7", 1), "the key is that of"),
        (note("07", 1).replace("\n1\n", "\n2\n"), "its signature is wrong"),
        ("hello\n", "proves nothing"),
        ("x" * 70_000, "too long"),
        ("", "it is empty"),
    ],
)
def test_what_the_key_did_not_sign_proves_nothing(tmp_path, text, why):
    file = tmp_path / "anchor"
    file.write_text(note("07", 5) * bool(text) + text)
    with pytest.raises(Damaged, match=why) as caught:
        old_checkpoints([file], KEY)
    assert caught.value.place == file
    assert caught.value.offset == (len(note("07", 5).encode()) if text else 0)


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(Damaged, match="it cannot be read"):
        old_checkpoints([tmp_path / "nothing"], KEY)
    with pytest.raises(Damaged, match="no directory in it"):
        old_checkpoints([tmp_path], KEY)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Damaged, match="it is not a file"):
        old_checkpoints([tmp_path / "pipe"], KEY)
