"""Payload at rest: what is sealed for one place can be read there and nowhere else, and never silently differs."""

import itertools
import os

import pytest

from gateway.adapters import payload_cipher
from gateway.adapters.payload_cipher import SHORTEST, PayloadCipher, is_sealed, key_id
from gateway.core.call import Request
from gateway.core.payload import Answer, pack_answer, pack_request
from gateway.core.previews import pack
from gateway.payload_ports import KeyMissing, Unreadable

OLD, NEW = b"o" * 32, b"n" * 32
CALL = "07" + "ab" * 11


def test_what_is_sealed_is_read_back_and_does_not_show():
    cipher = PayloadCipher((OLD,))
    for data in (b"", b"x", b"amount=9000" * 1000):
        sealed = cipher.seal(CALL, "request", data)
        assert is_sealed(sealed) and len(sealed) == SHORTEST + len(data)
        assert b"amount" not in sealed
        assert cipher.open(CALL, "request", sealed) == data


def test_the_first_key_encrypts_and_all_decrypt():
    before = PayloadCipher((OLD,)).seal(CALL, "salt", b"x")
    rotated = PayloadCipher((NEW, OLD))
    assert rotated.open(CALL, "salt", before) == b"x"
    after = rotated.seal(CALL, "salt", b"x")
    assert after[1:5].hex() == key_id(NEW) == rotated.ids[0]
    assert PayloadCipher((NEW,)).open(CALL, "salt", after) == b"x"


def test_a_key_that_is_gone_is_named():
    sealed = PayloadCipher((OLD,)).seal(CALL, "request", b"x")
    for without in (PayloadCipher((NEW,)), PayloadCipher()):
        with pytest.raises(KeyMissing, match=key_id(OLD)) as caught:
            without.open(CALL, "request", sealed)
        assert caught.value.key == key_id(OLD)


def test_not_one_bit_can_be_changed_and_nothing_can_be_put_elsewhere():
    cipher = PayloadCipher((OLD,))
    sealed = cipher.seal(CALL, "request", b"amount=50")
    for place in range(5, len(sealed)):
        changed = bytes((*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]))
        with pytest.raises(Unreadable, match=key_id(OLD)):
            cipher.open(CALL, "request", changed)
    for call, name in (("08" + CALL[2:], "request"), (CALL, "original")):
        with pytest.raises(Unreadable, match="another's place"):
            cipher.open(call, name, sealed)
    with pytest.raises(Unreadable):
        cipher.open(CALL, "request", sealed[:-1])


def test_no_nonce_comes_twice_not_even_when_the_count_is_used_up(monkeypatch):
    monkeypatch.setattr(payload_cipher, "MOST_COUNTED", 3)
    ciphers = PayloadCipher((OLD,)), PayloadCipher((OLD,))
    sealed = [cipher.seal(CALL, "salt", b"x") for cipher, _ in itertools.product(ciphers, range(10))]
    assert len({value[5:17] for value in sealed}) == 20


def test_what_older_versions_wrote_in_plain_is_read_as_it_is():
    """Requests and answers begin with a digit, previews with a bracket; a salt may begin with anything."""
    cipher = PayloadCipher((OLD,))
    request = Request(system="bank", method="POST", target="/v1/x", body=b"\x01" * 99)
    plain = [pack_request(request), pack_answer(Answer(status=200, headers=(), body=b"\x01")), pack([])]
    plain += [b"\x01" + os.urandom(15), b"\x01" * 16, b"", bytes(16)]
    for data in plain:
        assert not is_sealed(data)
        assert cipher.open(CALL, "any", data) == data


def test_without_keys_nothing_changes():
    assert PayloadCipher().seal(CALL, "request", b"x") == b"x"
