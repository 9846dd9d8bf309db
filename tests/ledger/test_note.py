"""Signed notes against the example of the specification, and against everybody who has no key."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.note import (
    BadKey,
    BadNote,
    Checkpoint,
    Signer,
    Verifier,
    open_checkpoint,
    read_checkpoint,
    read_signer,
    read_verifier,
    sign_checkpoint,
)

# From the documentation of golang.org/x/mod/sumdb/note, which C2SP's signed-note specifies.
SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

KEY = Signer.new("gateway.example/audit").of("07")
ROOT = bytes(range(32))


def test_the_example_of_the_specification():
    signer = read_signer(SIGNER)
    assert str(signer.verifier) == VERIFIER
    assert signer.text() == SIGNER
    text = NOTE.partition("\n\n")[0] + "\n"
    assert signer.sign(text) == NOTE
    signature = base64.b64decode(NOTE.rsplit(maxsplit=1)[-1])
    assert read_verifier(VERIFIER).signed(text.encode(), signature[4:])


def test_a_checkpoint_comes_back_as_it_was_signed():
    note = sign_checkpoint(KEY, 1234, ROOT)
    assert open_checkpoint(note.encode(), KEY.verifier) == Checkpoint("gateway.example/audit/07", 1234, ROOT)


def test_a_partition_has_the_same_key_under_a_name_of_its_own():
    whole = Signer.new("gateway.example/audit")
    assert whole.of("07").verifier == whole.verifier.of("07")
    assert read_verifier(str(whole.verifier)).of("07") == whole.of("07").verifier
    with pytest.raises(BadNote, match="is signed by"):
        open_checkpoint(sign_checkpoint(whole.of("08"), 1, ROOT).encode(), whole.verifier.of("07"))


@given(st.data())
def test_no_byte_can_be_changed(data):
    note = bytearray(sign_checkpoint(KEY, 1234, ROOT).encode())
    place = data.draw(st.integers(0, len(note) - 1))
    note[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadNote):
        open_checkpoint(bytes(note), KEY.verifier)


@given(st.binary(max_size=400))
def test_anything_else_is_refused(data):
    for note in (data, sign_checkpoint(KEY, 1, ROOT).encode() + data):
        try:
            found = open_checkpoint(note, KEY.verifier)
        except BadNote:
            continue
        assert found == Checkpoint(KEY.name, 1, ROOT)


def test_somebody_elses_key_under_our_name_is_noticed():
    thief = Signer.new("gateway.example/audit").of("07")
    note = sign_checkpoint(thief, 1234, ROOT)
    with pytest.raises(BadNote, match="not under the key"):
        open_checkpoint(note.encode(), KEY.verifier)
    ours = KEY.verifier.key_id + base64.b64decode(note.split()[-1])[4:]
    forged = note.replace(note.split()[-1], base64.b64encode(ours).decode())
    with pytest.raises(BadNote, match="its signature is wrong"):
        open_checkpoint(forged.encode(), KEY.verifier)


def test_a_witness_may_sign_below_us():
    witness = Signer.new("witness.example")
    text = Checkpoint(KEY.name, 3, ROOT).text
    note = KEY.sign(text) + witness.sign(text).rpartition("\n\n")[2]
    assert open_checkpoint(note.encode(), KEY.verifier).size == 3


def test_a_checkpoint_of_another_log_is_refused_though_we_signed_it():
    note = KEY.sign(Checkpoint("gateway.example/audit/08", 3, ROOT).text)
    with pytest.raises(BadNote, match=r"is of the log gateway\.example/audit/08"):
        open_checkpoint(note.encode(), KEY.verifier)


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY.name}\n01\n{base64.b64encode(ROOT).decode()}\n",
        f"{KEY.name}\n-1\n{base64.b64encode(ROOT).decode()}\n",
        f"{KEY.name}\n1\n{base64.b64encode(ROOT[1:]).decode()}\n",
        f"{KEY.name}\n1\nnot base64!\n",
        f"{KEY.name}\n1\n",
    ],
)
def test_a_note_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(BadNote):
        read_checkpoint(KEY.sign(text).encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "PRIVATE"),
        (VERIFIER, "PRIVATE"),
        (SIGNER[:-2], "form"),
        (SIGNER.replace("c74f20a3", "c74f20a4"), "belong together"),
        (SIGNER.replace("PeterNeumann", "PeterNeuman"), "belong together"),
    ],
)
def test_a_private_key_that_is_none_is_refused_without_being_repeated(text, why):
    with pytest.raises(BadKey, match=why) as refused:
        read_signer(text)
    assert "AYEKFALV" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SIGNER, "private"),
        (VERIFIER.replace("+A", "+B", 1), "type|form|belong"),
        (VERIFIER[:-4], "form"),
        ("x", "form"),
        (VERIFIER.replace("c74f20a3", "c74f20a4"), "belong together"),
    ],
)
def test_a_verifier_key_that_is_none_is_refused(text, why):
    with pytest.raises(BadKey, match=why):
        read_verifier(text)


def test_a_name_with_a_space_or_a_plus_is_none():
    for name in ("a b", "a+b", ""):
        with pytest.raises(BadKey):
            Signer.new(name)


def test_nothing_shows_the_key():
    assert KEY.text().split("+", 4)[4] not in repr(KEY)  # base64 may hold a plus sign itself
    assert isinstance(KEY.verifier, Verifier)


def test_no_other_bytes_are_the_same_note():
    """Of the last base64 character some bits mean nothing, and a decoder that is told to be strict accepts them."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    signer = Signer.new("a.test/log")
    note = sign_checkpoint(signer, 1, bytes(32))
    last = alphabet.index(note[-3])
    for bits in (1, 2, 3):
        with pytest.raises(BadNote):
            open_checkpoint(f"{note[:-3]}{alphabet[last ^ bits]}=\n".encode(), signer.verifier)
