"""Where the keys of payload at rest come from, and every sentence about keys that are wrong."""

import base64
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.payload_keys import FILE, PayloadKeysMistake, ensure_keys, read_keys

ONE, TWO = (base64.b64encode(letter * 32).decode() for letter in (b"1", b"2"))


def test_keys_are_made_once_private_and_read_back(tmp_path):
    ensure_keys(tmp_path)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    ensure_keys(tmp_path)
    assert path.read_bytes() == before and len(read_keys("", path)[0]) == 32
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_a_file_that_is_there_is_never_replaced_whatever_is_in_it(tmp_path):
    (tmp_path / FILE).write_text("nonsense")
    ensure_keys(tmp_path)
    assert (tmp_path / FILE).read_text() == "nonsense"


def test_many_who_make_them_at_once_agree(tmp_path):
    def made(_):
        ensure_keys(tmp_path)
        return read_keys("", tmp_path / FILE)

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(made, range(64)))
    assert len(found) == 1, "whoever was first made them for all"
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_a_directory_in_which_none_can_be_made(tmp_path):
    with pytest.raises(PayloadKeysMistake, match="GATEWAY_PAYLOAD_KEYS_FILE"):
        ensure_keys(tmp_path / "missing")


def test_the_environment_comes_before_the_file_and_order_is_kept(tmp_path):
    (tmp_path / "keys").write_text(f"{TWO}\n{ONE}\n")
    assert read_keys("", tmp_path / "keys") == (b"2" * 32, b"1" * 32)
    assert read_keys(f"{ONE} {TWO}", tmp_path / "keys") == (b"1" * 32, b"2" * 32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no payload key in {path}: it must hold one key a line"),
        ("not base64!", "Key 1 in {path} is no payload key"),
        (f"{ONE}\n{ONE[:-8]}\n", "Key 2 in {path} is no payload key"),
        (f"{ONE}\n{TWO}\n{ONE}\n", "A payload key is in {path} twice"),
        ("\xff\xfe", "The payload keys in {path} cannot be read (it is not text)"),
    ],
)
def test_a_file_with_anything_else_is_one_sentence_that_never_shows_a_key(tmp_path, text, said):
    path = tmp_path / "keys"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PayloadKeysMistake, match="^" + re.escape(said.format(path=path))) as caught:
        read_keys("", path)
    assert ONE not in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(PayloadKeysMistake, match="is missing, and payloads cannot be read without it"):
        read_keys("", tmp_path / "keys")
    with pytest.raises(PayloadKeysMistake, match="cannot be read"):
        read_keys("", tmp_path)
