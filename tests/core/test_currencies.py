"""Amounts as people read them: no digit lost, and no guess where systems disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.currencies import CURRENCIES, DISPUTED, EXPONENTS, minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (0, "usd", "0.00 USD"),
        (5, "EUR", "0.05 EUR"),
        (-5, "eur", "-0.05 EUR"),
        (-150, "eur", "-1.50 EUR"),
        (1234567, "usd", "12,345.67 USD"),
        (5000, "jpy", "5,000 JPY"),
        (5000, "kwd", "5.000 KWD"),
        (12345, "clf", "1.2345 CLF"),
        (2**53 - 1, "usd", "90,071,992,547,409.91 USD"),
        (5000, "isk", "5,000 (as sent, of ISK)"),
        (5000, "xyz", "5,000 (as sent, of XYZ)"),
        (5000, "", "5,000 (as sent, of no currency)"),
    ],
)
def test_money_is_exact(amount, currency, shown):
    assert minor_units(amount, currency) == shown


@given(st.integers(-(2**53), 2**53), st.sampled_from(sorted(CURRENCIES - DISPUTED)))
def test_no_digit_of_an_amount_is_lost(amount, currency):
    number, _, code = minor_units(amount, currency).partition(" ")
    assert code == currency
    assert int(number.replace(",", "").replace(".", "")) == amount
    assert len(number.partition(".")[2]) == EXPONENTS.get(code, 2)


def test_the_table_of_currencies_is_about_currencies():
    assert set(EXPONENTS) <= CURRENCIES and DISPUTED <= CURRENCIES
    assert len(CURRENCIES) > 150
