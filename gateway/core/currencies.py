"""Amounts in minor units, as people read them: exact decimals by ISO 4217, and never a guess.

Systems disagree with ISO 4217, and with each other, about a few currencies: 5000 of them may be 50.00 or 5000, and an
approver who is shown the wrong one approves a hundredfold. Those are shown as the number that is sent.
"""

from gateway.core import one_line

_LISTED = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE
    CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD
    HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD
    MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
    RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH
    UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """
CURRENCIES = frozenset(_LISTED.split())
"""ISO 4217, list one, without precious metals, funds' units of account and codes for tests."""
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
EXPONENTS = {
    **dict.fromkeys(_WHOLE.split(), 0),
    **dict.fromkeys(_THOUSANDTHS.split(), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Digits after the point, where they are not two."""
DISPUTED = frozenset({"CLP", "CVE", "IDR", "ISK", "MGA", "UGX"})
"""Stripe counts ISK and UGX in hundredths, MGA whole; Adyen CLP and ISK in hundredths, CVE and IDR whole."""


def minor_units(amount: int, currency: str) -> str:
    """`5000` and `usd` as `50.00 USD`."""
    code = currency.upper()
    if code not in CURRENCIES or code in DISPUTED:
        named = f"of {one_line.value(code)}" if code else "of no currency"
        return f"{amount:,} (as sent, {named})"
    exponent = EXPONENTS.get(code, 2)
    whole, rest = divmod(abs(amount), 10**exponent)
    digits = f".{rest:0{exponent}d}" if exponent else ""
    return f"{'-' if amount < 0 else ''}{whole:,}{digits} {code}"
