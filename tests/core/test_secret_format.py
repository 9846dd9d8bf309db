"""The form of secrets; how signatures use the key is in wire/test_webhook."""

import pytest

from gateway.core.secret_format import CONTROL, key_of


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
