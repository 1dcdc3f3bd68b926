"""Who earns an order that came with a voucher, a customer status, another currency or signed page data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from chalicelib.domain import config
from chalicelib.domain.errors import NotFound, Unprocessable
from chalicelib.domain.page_signature import sign_page
from chalicelib.domain.party import Publisher
from chalicelib.domain.report import Line, ServerBody, normalise
from chalicelib.services import page_secrets, track, vouchers
from tests.api.conftest import Desk
from tests.domain.orders import demo_config


@pytest.fixture(scope="module")
def rival(desk: Desk) -> Iterator[str]:
    """A second publisher, under the demo's agreement."""
    demo = desk.inside.publishers.get(desk.box.line["publisherId"])
    assert demo is not None
    desk.inside.publishers.put(
        Publisher(publisher_id="rival", name="Rival", account=demo.account, hosted=True, link=demo.link)
    )
    yield "rival"


def test_a_voucher_alone_attributes_whatever_its_case(desk: Desk, rival: str) -> None:
    vouchers.assign(desk.inside, "Summer10", rival)
    sold = desk.sell(desk.order_id(), voucher="SUMMER10", isTest=True).json
    assert (sold["publisherId"], sold["attribution"]["rule"]) == (rival, "voucher")
    assert sold["voucher"] == "SUMMER10"


def test_a_click_wins_over_anothers_voucher_unless_that_is_exclusive(desk: Desk, rival: str) -> None:
    vouchers.assign(desk.inside, "PLAIN", rival)
    vouchers.assign(desk.inside, "MINE-ALONE", rival, exclusive=True)
    click_id = desk.click()
    plain = desk.sell(desk.order_id(), voucher="PLAIN", clickId=click_id, isTest=True).json
    exclusive = desk.sell(desk.order_id(), voucher="MINE-ALONE", clickId=click_id, isTest=True).json
    assert (plain["publisherId"], plain["attribution"]["loser"]) == (desk.box.line["publisherId"], "voucher of rival")
    assert exclusive["publisherId"] == rival
    assert exclusive["attribution"]["loser"] == f"last_click of {desk.box.line['publisherId']}"


def test_an_unknown_or_withdrawn_voucher_attributes_nothing_and_says_why(desk: Desk, rival: str) -> None:
    vouchers.assign(desk.inside, "GONE", rival)
    vouchers.withdraw(desk.inside, "gone")
    for code in ("GONE", "NEVER"):
        sold = desk.sell(desk.order_id(), voucher=code, isTest=True).json
        assert (sold["attributed"], sold["attribution"]["reason"]) == (False, "unknown_voucher")
    assert "GONE" not in [voucher.code for voucher in vouchers.listed(desk.inside)]


def test_a_voucher_needs_a_publisher_and_a_readable_code(desk: Desk) -> None:
    with pytest.raises(NotFound):
        vouchers.assign(desk.inside, "X", "nobody-known")
    with pytest.raises(Unprocessable):
        vouchers.assign(desk.inside, "x" * 61, desk.box.line["publisherId"])


@pytest.mark.parametrize("click_id", ["none-of-this-box", "x" * 500, "ö", "a\tb"])
def test_an_order_with_a_click_that_the_box_does_not_know_is_counted_and_says_so(desk: Desk, click_id: str) -> None:
    answer = desk.beacon(desk.order_id(), "5.00", clickId=click_id)
    assert (answer.status, answer.json["attributed"], answer.json["reason"]) == (202, False, "unknown_click")


def test_page_data_signed_by_the_shop_verifies_a_browsers_report(desk: Desk) -> None:
    secret = page_secrets.renew(desk.inside)
    order_id = desk.order_id()
    signature = sign_page(secret, order_id, "sale", ["40.00"], "EUR")
    unsigned = desk.beacon(order_id, "10.00", eventId="e1")
    signed = desk.beacon(order_id, "40.00", currency="EUR", signature=signature)
    held = desk.held(unsigned.json["conversionId"])
    assert (signed.status, held["amount"], held["verified"], held["source"]) == (202, "40.00", True, "signed-tag")
    for changes in ({"amount": "40.01"}, {"action": "lead"}):
        answer = desk.beacon(order_id, changes.pop("amount", "40.00"), signature=signature, **changes)
        assert (answer.status, answer.json["code"]) == (422, "signature_invalid")


def test_a_signature_over_no_values_lets_no_visitor_choose_the_amount(desk: Desk) -> None:
    order_id = desk.order_id()
    signed = sign_page(page_secrets.renew(desk.inside), order_id, "sale", [], "EUR")
    report = {"action": "sale", "metadata": {"orderId": order_id}, "currency": "EUR", "signature": signed}
    items = [{"unitPrice": "9999.00"}]
    answer = desk.ask("POST", "/v1/beacon/conversion", {**report, "items": items}, Origin=desk.box.line["shop"])
    assert (answer.status, answer.json["code"]) == (422, "values_missing")


def test_an_empty_signature_is_none_and_the_report_counts_as_a_browsers(desk: Desk) -> None:
    answer = desk.beacon(desk.order_id(), "5.00", signature="")
    assert (answer.status, desk.held(answer.json["conversionId"])["verified"]) == (202, False)


def test_a_page_signed_with_the_secret_before_still_counts_until_the_next_renewal(desk: Desk) -> None:
    old = page_secrets.renew(desk.inside)
    page_secrets.renew(desk.inside)
    order_id = desk.order_id()
    signature = sign_page(old, order_id, "sale", ["1.00"], "EUR")
    assert desk.beacon(order_id, "1.00", signature=signature).status == 202
    page_secrets.renew(desk.inside)
    other = desk.order_id()
    assert desk.beacon(other, "1.00", signature=sign_page(old, other, "sale", ["1.00"], "EUR")).status == 422


def with_tracking(**fields: object) -> config.Config:
    found = demo_config()
    return replace(found, tracking=replace(found.tracking, **fields))


def test_a_customers_status_chooses_the_commission_group_of_what_names_none() -> None:
    chosen = with_tracking(customer_groups={"new": "new-customer"})
    items = [{"unitPrice": "5.00"}, {"unitPrice": "2.00", "group": "books"}]
    import msgspec

    def lines(**fields: object) -> tuple[Line, ...]:
        body = msgspec.convert({"action": "sale", "orderId": "o", **fields}, ServerBody)
        return normalise(body, "server", chosen).lines

    assert lines(values=["7.00"], customerStatus="new") == (Line("new-customer", 700),)
    assert lines(values=["7.00"], customerStatus="existing") == (Line("default", 700),)
    assert lines(values=["7.00"]) == (Line("default", 700),)
    assert lines(items=items, customerStatus="new") == (Line("books", 200), Line("new-customer", 500))


def test_another_currency_is_converted_by_the_configs_rate_which_the_history_keeps(desk: Desk) -> None:
    inside = type(desk.inside)(desk.inside.settings)
    inside.config = replace(inside.config, rates={"USD": "0.9137"})
    body = ServerBody(action="sale", order_id=desk.order_id(), values=["10.05"], currency="USD")
    held = track.conversion(inside, body, "server").conversion
    assert (held.amount, held.currency, held.original, held.rate) == (918, "EUR", (1005, "USD"), "0.9137")
    assert "converted from USD at 0.9137" in held.history[0].detail
    shown = desk.held(held.conversion_id)
    assert shown["converted"] == {"amount": "10.05", "currency": "USD", "rate": "0.9137"}
    again = track.conversion(inside, body, "server")
    assert again.duplicate


def test_what_only_a_browser_said_is_held_until_verified_where_the_config_says_so(desk: Desk) -> None:
    inside = type(desk.inside)(desk.inside.settings)
    inside.config = with_tracking(hold_unverified=True)
    from chalicelib.domain.report import Body
    from chalicelib.services import present, validate

    click_id, order_id = desk.click(), desk.order_id()
    body = Body(action="sale", values=["5.00"], metadata={"orderId": order_id}, click_id=click_id)
    held = track.conversion(inside, body, "tag").conversion
    assert present.conversions(inside, [held])[0]["network"]["state"] == "held"
    assert held.conversion_id not in [c.conversion_id for _, c in inside.conversions.outbox(400)]
    approved, _ = validate.correct(inside, held.conversion_id, validate.Correction(status="approved"), "test")
    assert present.conversions(inside, [approved])[0]["network"]["state"] == "pending"


def test_a_test_order_is_gone_after_seven_days_even_where_the_table_still_has_it(desk: Desk) -> None:
    from chalicelib.domain.errors import NotFound as Gone
    from chalicelib.services import report

    sold = desk.sell(desk.order_id(), isTest=True).json["conversionId"]
    later = type(desk.inside)(desk.inside.settings)
    later.ahead = 7 * 86_400_000 - 60_000
    assert report.one(later, sold, None).conversion_id == sold
    later.ahead += 120_000
    with pytest.raises(Gone):
        report.one(later, sold, None)
