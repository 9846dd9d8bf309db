"""The form of secrets; how signatures use the key is in wire/test_webhook."""

import pytest

from gateway.core.secret_format import CONTROL, key_of, signing_key, verifying_key


def test_a_webhook_secret_is_the_base64_of_24_to_64_bytes():
    assert key_of("whsec_" + "QUJD" * 10) == b"ABC" * 10


@pytest.mark.parametrize("secret", ["changeme", "whsec_", "whsec_!!!", "whsec_QUJD", "whsec_" + "QUJD" * 30, "whsec_ö"])
def test_anything_else_is_refused_without_quoting_it(secret):
    with pytest.raises(ValueError, match="webhook secret") as caught:
        key_of(secret)
    assert secret == "whsec_" or secret not in str(caught.value)


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\x00", "a\x7f", "\udcff"])
def test_what_would_break_a_header_line_is_found(value):
    assert CONTROL.search(value) and not CONTROL.search("tö k~n")


THIRTY_TWO, SIXTY_FOUR = "A" * 43 + "=", "A" * 86 + "=="


@pytest.mark.parametrize(
    ("secret", "signs", "verifies"),
    [
        ("whsec_" + THIRTY_TWO, "v1", "v1"),
        ("whsk_" + THIRTY_TWO, "v1a", None),
        ("whsk_" + SIXTY_FOUR, "v1a", None),
        ("whpk_" + THIRTY_TWO, None, "v1a"),
        ("whpk_" + SIXTY_FOUR, None, None),
        ("whsk_QUJD", None, None),
        ("whpk_QUJD", None, None),
        ("whsk_!!!", None, None),
        ("sk_live_1", None, None),
    ],
)
def test_each_half_of_a_pair_has_its_side(secret, signs, verifies):
    for function, version in ((signing_key, signs), (verifying_key, verifies)):
        if version is not None:
            assert function(secret) == (version, bytes(64)[: len(function(secret)[1])])
            assert len(function(secret)[1]) == 32
            continue
        with pytest.raises(ValueError, match="webhook secret") as caught:
            function(secret)
        assert secret not in str(caught.value)
