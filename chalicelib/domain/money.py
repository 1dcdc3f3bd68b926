"""Money: decimal strings at the edges, integers in minor units inside. Never floats.

Exponents are ISO 4217's: two digits unless listed here.
"""

import re

from chalicelib.domain.errors import Unprocessable

_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_EXPONENTS = {
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
    **dict.fromkeys(_FOUR.split(), 4),
}
_DECIMAL = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)

MAX_MINOR_UNITS = 2**40 - 1
"""An amount on chain has five bytes: 10,995,116,277.75 in a currency of two decimals."""
MAX_DIGITS = len(str(MAX_MINOR_UNITS))


def exponent(currency: str) -> int:
    return _EXPONENTS.get(currency, 2)


def minor_units(currency: str) -> int:
    """How many minor units make one unit of the currency: 100 for EUR, 1 for JPY."""
    return int("1".ljust(exponent(currency) + 1, "0"))


def check_currency(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        raise Unprocessable("currency_invalid", "Give the currency as three capital letters (ISO 4217), such as EUR.")
    return code


def parse_amount(text: str, currency: str) -> int:
    """`"100.00"`, `"EUR"` -> 10000. Refuses anything but digits with at most one point, more decimals than the currency has,
    and amounts past MAX_MINOR_UNITS; nothing is ever rounded or cut off here."""
    match = _DECIMAL.fullmatch(text)
    if not match:
        raise Unprocessable(
            "amount_invalid",
            'Write an amount as digits with a point before the decimals, such as "12.50": no sign, comma or exponent.',
        )
    whole, fraction = match[1], match[2] or ""
    digits = exponent(currency)
    if len(fraction) > digits:
        raise Unprocessable("amount_precision", f"{currency} has {digits} decimals; this amount has {len(fraction)}.")
    if len(whole.lstrip("0")) > MAX_DIGITS:  # Python refuses to read an integer of thousands of digits
        raise _too_large(currency)
    return check_amount(int(whole + fraction.ljust(digits, "0")), currency)


def parse_named(name: str, text: str, currency: str) -> int:
    """As parse_amount; a refusal begins with the field's name, for there may be a hundred of them."""
    try:
        return parse_amount(text, currency)
    except Unprocessable as refusal:
        raise Unprocessable(refusal.code, f"{name}: {refusal.detail}") from None


def check_amount(minor: int, currency: str) -> int:
    """The amount as it is. Refuses one past MAX_MINOR_UNITS: a sum or a conversion of what is not may be."""
    if minor > MAX_MINOR_UNITS:
        raise _too_large(currency)
    return minor


def _too_large(currency: str) -> Unprocessable:
    largest = format_amount(MAX_MINOR_UNITS, currency)
    return Unprocessable("amount_too_large", f"One conversion may be at most {largest} {currency}.")


def format_amount(minor: int, currency: str) -> str:
    """10000, `"EUR"` -> `"100.00"`."""
    digits = exponent(currency)
    if digits == 0:
        return str(minor)
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    whole, fraction = divmod(minor, 10**digits)
    return f"{sign}{whole}.{fraction:0{digits}d}"
