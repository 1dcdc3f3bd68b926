"""Money is read strictly and never as a float."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Unprocessable
from chalicelib.domain.money import MAX_MINOR_UNITS, format_amount, minor_units, parse_amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("100.00", "EUR", 10_000),
        ("100", "EUR", 10_000),
        ("0.5", "EUR", 50),
        ("0", "EUR", 0),
        ("007.10", "EUR", 710),
        ("1500", "JPY", 1_500),
        ("1.234", "KWD", 1_234),
        ("10995116277.75", "EUR", MAX_MINOR_UNITS),
    ],
)
def test_a_decimal_string_becomes_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        "12,50",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        "",
        " ",
        "1 ",
        " 1",
        "1.",
        ".5",
        "1.2.3",
        "0x10",
        "١٢",
        "1_000",
        "€5",
    ],
)
def test_anything_but_digits_with_a_point_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_amount(text, "EUR")
    assert refused.value.code == "amount_invalid"


@pytest.mark.parametrize(
    ("text", "currency"), [("1.234", "EUR"), ("1.0", "JPY"), ("1.2345", "KWD"), ("1.23456", "EUR")]
)
def test_more_decimals_than_the_currency_has_are_refused_rather_than_cut_off(text: str, currency: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_amount(text, currency)
    assert refused.value.code == "amount_precision"


@pytest.mark.parametrize("text", ["10995116277.76", "1" * 20, "9" * 5_000])
def test_an_amount_that_does_not_fit_five_bytes_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_amount(text, "EUR")
    assert refused.value.code == "amount_too_large"


@given(st.integers(0, MAX_MINOR_UNITS), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_writing_and_reading_gives_the_same_amount(minor: int, currency: str) -> None:
    assert parse_amount(format_amount(minor, currency), currency) == minor


def test_a_currency_has_as_many_minor_units_as_iso_4217_says() -> None:
    assert [minor_units(code) for code in ("EUR", "JPY", "KWD", "CLF")] == [100, 1, 1000, 10_000]
