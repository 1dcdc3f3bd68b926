"""Whatever a source says is read strictly, or refused with a stable code."""

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.errors import Malformed, Refusal, Unprocessable
from chalicelib.domain.report import UNREADABLE_CLICK, Body, Item, Line, ServerBody, normalise, read_body, read_query
from tests.domain.orders import body, demo_config, report


def code_of(**fields: Any) -> str:
    with pytest.raises(Refusal) as refused:
        report(**fields)
    return refused.value.code


def test_several_values_are_summed_as_lines() -> None:
    assert report(values=["60.00", "40.5"]).amount == 10_050


@pytest.mark.parametrize("values", [[], ["12,50"], ["-1"], ["1e3"], ["NaN"], ["100.00", ""]])
def test_values_that_are_no_amounts_are_refused(values: list[str]) -> None:
    assert code_of(values=values) in ("values_missing", "amount_invalid")


def test_leads_is_taken_for_lead() -> None:
    assert report(action="leads").action == "lead"


@pytest.mark.parametrize("action", ["lead", "leads"])
def test_the_images_lead_needs_no_values_as_the_tags_needs_none(action: str) -> None:
    read = read_query({"action": action, "orderId": "L-1"}, [])
    assert normalise(read, "tag", demo_config()).amount == 0
    with pytest.raises(Unprocessable):
        normalise(read_query({"action": "sale", "orderId": "B-1"}, []), "tag", demo_config())


def test_an_unknown_action_is_refused() -> None:
    assert code_of(action="refund") == "action_unknown"


@pytest.mark.parametrize(
    "key", ["orderId", "order_id", "bookingReference", "booking_reference", "reference", "transactionId"]
)
def test_the_order_id_is_found_under_each_of_the_configs_keys(key: str) -> None:
    assert report(metadata={key: "B-7"}).order_id == "B-7"


def test_an_order_id_may_be_a_number() -> None:
    assert report(metadata={"orderId": 1042}).order_id == "1042"


def test_neither_order_id_nor_event_id_is_refused() -> None:
    assert code_of(metadata={}, event_id=None) == "order_id_missing"


def test_a_servers_report_needs_its_order_id_at_the_top_level() -> None:
    with pytest.raises(Refusal) as refused:
        normalise(body(), "server", demo_config())
    assert refused.value.code == "order_id_missing"


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"a": {"b": 1}}, "metadata_nested"),
        ({"a": [1]}, "metadata_nested"),
        ({str(i): i for i in range(21)}, "metadata_too_large"),
        ({"a": "x" * 2049}, "metadata_too_large"),
    ],
)
def test_metadata_is_flat_and_small(metadata: dict[str, Any], code: str) -> None:
    assert code_of(metadata=metadata) == code


@pytest.mark.parametrize("event_id", ["x" * 129, "a\tb", "ä", "a\n"])
def test_an_event_id_is_printable_ascii(event_id: str) -> None:
    assert code_of(event_id=event_id) == "event_id_invalid"


def test_an_event_id_may_hold_a_space() -> None:
    assert report(event_id="order 7 of today").event_id == "order 7 of today"


@pytest.mark.parametrize("click_id", ["x" * 129, "klick-ä", "a\nb", "\x00"])
def test_what_cannot_be_a_clicks_id_is_an_unknown_click_and_costs_nobody_the_order(click_id: str) -> None:
    assert report(click_id=click_id).click_id == UNREADABLE_CLICK
    assert report(click_id="").click_id is None


@pytest.mark.parametrize(
    "voucher", ["20 % off all garden furniture until Sunday evening, and on top free delivery", "A\tB"]
)
def test_what_cannot_be_a_voucher_is_nobodys_and_costs_nobody_the_order(voucher: str) -> None:
    kept = report(voucher=voucher).voucher
    assert kept is not None and len(kept) > 60, "longer than any code: it must not be taken for one that it begins with"
    assert kept.startswith(voucher[:60].replace("\t", " "))
    assert report(voucher="x" * 60).voucher == "x" * 60


def test_an_empty_field_is_one_that_was_not_sent() -> None:
    said = report(event_id="", voucher="", currency="", click_id="", customer_status="")
    assert (said.event_id, said.voucher, said.currency, said.click_id) == (None, None, "EUR", None)
    assert said.customer_status is None
    assert code_of(event_id="", metadata={}) == "order_id_missing"


def test_a_products_long_title_costs_nobody_the_order() -> None:
    [item] = report(items=[Item("100.00", sku="s" * 150, name="n" * 300)]).items
    assert (item.sku, item.name) == ("s" * 100, "n" * 200)


def test_a_refused_amount_is_named_by_its_field() -> None:
    for fields, name in (
        ({"values": ["1.00", "1,50"]}, "values[1]"),
        ({"items": [Item("1.00"), Item("1.005")]}, "items[1].unitPrice"),
    ):
        with pytest.raises(Unprocessable) as refused:
            report(**fields)
        assert refused.value.detail.startswith(f"{name}: ")


def test_a_body_may_begin_with_a_byte_order_mark_and_one_that_is_no_json_is_told_where() -> None:
    assert read_body(b'\xef\xbb\xbf{"action":"sale"}', Body).action == "sale"
    for text, told in ((b'{"action":"sale",}', "trailing comma in object (byte 17)"), (b'{"action":', "it breaks off")):
        with pytest.raises(Malformed) as refused:
            read_body(text, Body)
        assert refused.value.code == "json_malformed" and told in refused.value.detail


def test_items_are_split_by_commission_group() -> None:
    items = [Item("20.00", 2, "books"), Item("60.00", 1, "toys"), Item("0.00", 1, "books")]
    assert report(values=["100.00"], items=items).lines == (Line("books", 4_000), Line("toys", 6_000))


def test_items_that_do_not_add_up_to_the_values_are_refused() -> None:
    assert code_of(values=["100.00"], items=[Item("99.99")]) == "items_sum_mismatch"


def test_items_alone_give_the_amount() -> None:
    read = read_body(b'{"action":"sale","eventId":"e","items":[{"unitPrice":"12.50","quantity":2}]}', Body)
    assert normalise(read, "tag", demo_config()).amount == 2_500


def test_an_order_past_the_networks_largest_amount_is_refused() -> None:
    assert code_of(values=["9999999999.00", "9999999999.00"]) == "amount_too_large"


def test_an_order_that_the_rate_takes_past_the_largest_amount_is_refused() -> None:
    config = replace(demo_config(), rates={"GBP": "1.2"})

    def amount_of(value: str) -> int:
        return normalise(body(values=[value], currency="GBP"), "tag", config).amount

    assert amount_of("9162596898.12") == 1_099_511_627_774
    with pytest.raises(Unprocessable) as refused:
        amount_of("10000000000.00")
    assert refused.value.code == "amount_too_large" and "10995116277.75 EUR" in refused.value.detail


def test_a_currency_without_a_rate_is_refused_and_one_with_a_rate_is_converted_half_up() -> None:
    assert code_of(currency="USD") == "currency_not_accepted"
    config = replace(demo_config(), rates={"USD": "0.915"})
    converted = normalise(body(values=["10.01"], currency="USD"), "tag", config)
    assert (converted.amount, converted.currency, converted.original, converted.rate) == (
        916,
        "EUR",
        (1001, "USD"),
        "0.915",
    )


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "json_malformed"),
        (b"{", "json_malformed"),
        (b"\xff\xfe", "json_malformed"),
        (b"[]", "body_invalid"),
        (b'"x"', "body_invalid"),
        (b'{"values":["1"]}', "body_invalid"),
        (b'{"action":1,"values":["1"]}', "body_invalid"),
        (b'{"action":"sale","values":[100.0]}', "body_invalid"),
        (b'{"action":"sale","values":"100.00"}', "body_invalid"),
        (b'{"action":"sale","values":["1"],"isTest":"yes"}', "body_invalid"),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_malformed(raw: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_body(raw, Body)
    assert refused.value.code == code


def test_a_server_is_told_of_a_misspelt_field() -> None:
    with pytest.raises(Malformed, match="orderID"):
        read_body(b'{"action":"sale","values":["1"],"orderID":"B-1"}', ServerBody)
