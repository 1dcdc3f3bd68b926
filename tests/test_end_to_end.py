"""One sale in a real browser: publisher's page, shop, checkout, receipt on the network, figure on the dashboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from ops.asking import ask
from ops.local.running import RunningBox
from tests.shopper import as_merchant, final_receipt

SECONDS = 30_000


@pytest.fixture
def page(chromium: Browser) -> Page:
    context = chromium.new_context()
    context.set_default_timeout(SECONDS)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.problems = problems  # type: ignore[attr-defined]
    return page


def order_the_plates(page: Page) -> str:
    """From the product's page to the receipt; the order's number."""
    page.click("#buy")
    page.fill("[name=name]", "Ada")
    page.fill("[name=address]", "1 Mill Lane")
    page.click("text=Place the order")
    page.wait_for_url("**/receipt.html")
    return page.inner_text("#number")


def test_a_shopper_walks_from_the_publishers_page_to_a_receipt_on_the_network(box: RunningBox, page: Page) -> None:
    before = clicks_and_conversions(box)
    page.goto(box.line["publisher"])
    page.click("#plates")
    page.wait_for_url("**/product.html?*clickId=*")
    order_id = order_the_plates(page)
    expect(page.locator("#tracked")).to_contain_text("Tracked for the publisher", timeout=SECONDS)

    conversion_id = page.get_attribute("#tracked", "data-conversion-id")
    assert conversion_id
    receipt = final_receipt(box, conversion_id)
    assert receipt["commission"] == "10.00"
    conversion = as_merchant(box, "GET", f"/v1/conversions/{conversion_id}")
    assert (conversion["orderId"], conversion["amount"]) == (order_id, "100.00")
    assert (conversion["publisherId"], conversion["status"]) == (box.line["publisherId"], "open")
    assert conversion["subId"] == "three-things-plates"

    page.reload()
    expect(page.locator("#tracked")).to_contain_text("Tracked for the publisher", timeout=SECONDS)
    assert page.get_attribute("#tracked", "data-conversion-id") == conversion_id
    assert clicks_and_conversions(box) == (before[0] + 1, before[1] + 1)

    page.goto(box.line["dashboard"])
    page.fill("#key", box.keys["server"])
    page.click("#login-form button")
    clicks, conversions = todays_clicks_and_conversions(box)
    expect(page.locator("[data-figure=clicks]")).to_have_text(str(clicks), timeout=SECONDS)
    expect(page.locator("[data-figure=conversions]")).to_have_text(str(conversions), timeout=SECONDS)
    row = page.locator("#list tr", has_text=order_id)
    expect(row).to_contain_text("100.00", timeout=SECONDS)
    expect(row).to_contain_text("10.00")
    expect(row).to_contain_text("Open")
    assert page.problems == []  # type: ignore[attr-defined]


def clicks_and_conversions(box: RunningBox) -> tuple[int, int]:
    rows = as_merchant(box, "GET", "/v1/stats?by=publisher", key="readonly")["rows"]
    mine = [row for row in rows if row["key"] == box.line["publisherId"]]
    return (mine[0]["clicks"], mine[0]["conversions"]) if mine else (0, 0)


def todays_clicks_and_conversions(box: RunningBox) -> tuple[int, int]:
    """What the dashboard shows at first: since midnight UTC, which may have passed while the shopper shopped."""
    today = as_merchant(box, "GET", "/v1/stats", key="readonly")["to"]
    totals = as_merchant(box, "GET", f"/v1/stats?from={today}&to={today}", key="readonly")["totals"]
    return totals["clicks"], totals["conversions"]


def test_a_shopper_who_came_by_a_plain_link_with_via_is_attributed_too(box: RunningBox, page: Page) -> None:
    page.goto(box.line["publisher"])
    with page.expect_response(re.compile(r"/v1/beacon/click$")) as clicked:
        page.click("#direct")
    assert clicked.value.status == 202
    page.click("text=Four plates")
    order_the_plates(page)
    expect(page.locator("#tracked")).to_contain_text("Tracked for the publisher", timeout=SECONDS)


def test_a_shopper_whom_nobody_sent_is_counted_and_not_attributed(box: RunningBox, page: Page) -> None:
    page.goto(f"{box.line['shop']}/product.html?id=plates")
    order_the_plates(page)
    expect(page.locator("#tracked")).to_contain_text("no publisher sent you", timeout=SECONDS)
    conversion_id = page.get_attribute("#tracked", "data-conversion-id")
    answer = ask("GET", f"{box.url}/v1/receipts/{conversion_id}")
    assert answer.status == 202
    assert answer.json["state"] == "none"


def test_signing_up_for_the_letter_is_a_lead(box: RunningBox, page: Page) -> None:
    page.goto(box.line["publisher"])
    page.click("#shop")
    page.wait_for_url("**clickId=*")
    page.fill("[type=email]", "ada@example.com")
    with page.expect_response(re.compile(r"/v1/beacon/conversion$")) as reported:
        page.click("text=Write to me")
    assert reported.value.status == 202
    body = reported.value.request.post_data or ""
    assert '"lead"' in body
    assert "ada@example.com" not in body
    receipt = final_receipt(box, reported.value.json()["conversionId"])
    assert receipt["commission"] == "2.50"


def test_the_shop_works_with_the_box_switched_off(box: RunningBox, chromium: Browser) -> None:
    context = chromium.new_context()
    context.route(re.compile(re.escape(box.url)), lambda route: route.abort())
    page = context.new_page()
    page.goto(f"{box.line['shop']}/product.html?id=plates")
    assert order_the_plates(page).startswith("B-")
