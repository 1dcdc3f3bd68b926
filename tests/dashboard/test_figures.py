"""The figures are the API's, formatted; the list is the API's, paged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ops.local.running import RunningBox
from tests.dashboard.conftest import WAIT_MS, Visit, euros, row
from tests.dashboard.orders import order
from tests.shopper import as_merchant

MANY = 55


def figure(page: Page, name: str) -> Any:
    return page.locator(f'[data-figure="{name}"]')


def test_the_figures_equal_the_apis(box: RunningBox, visit: Visit) -> None:
    order(box, "1234.50")
    order(box, clickId=None)
    stats = as_merchant(box, "GET", "/v1/stats?by=day&from=" + today(box) + "&to=" + today(box))["totals"]
    page = visit(box)
    expect(figure(page, "clicks")).to_have_text(f"{stats['clicks']:,}", timeout=WAIT_MS)
    expect(figure(page, "conversions")).to_have_text(f"{stats['conversions']:,}")
    expect(figure(page, "amount")).to_have_text(euros(stats["amount"]))
    expect(figure(page, "earningsPerClick")).to_have_text(euros(stats["earningsPerClick"]))
    percent = f"{round(float(stats['conversionRate']) * 100, 2):g}%"
    expect(figure(page, "conversionRate")).to_have_text(percent)
    for status, amount in stats["commission"].items():
        expect(figure(page, f"commission-{status}")).to_have_text(euros(amount))
    unattributed = sum(stats["unattributed"].values())
    expect(page.locator("#unattributed")).to_contain_text(f"{unattributed} unattributed")
    expect(page.locator("#unattributed")).to_contain_text("without a click or voucher")


def today(box: RunningBox) -> str:
    to: str = as_merchant(box, "GET", "/v1/stats")["to"]
    return to


def test_the_period_switch_asks_for_that_period_and_shows_its_days(box: RunningBox, visit: Visit) -> None:
    order(box)
    page = visit(box)
    with page.expect_request(lambda sent: "/v1/stats" in sent.url and "by=day" in sent.url) as asked:
        page.get_by_role("button", name="7 days").click()
    assert "from=" in asked.value.url
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#figures-title")).to_have_text("Last 7 days")
    expect(page.locator("#days svg rect")).to_have_count(7)
    page.reload()
    expect(page.locator("#figures-title")).to_have_text("Last 7 days")


def test_a_time_is_the_merchants_and_its_title_is_utc(box: RunningBox, visit: Visit) -> None:
    made = order(box)
    page = visit(box)
    shown = row(page, made["conversionId"]).locator("time")
    assert shown.get_attribute("title") == made["createdAt"][:19].replace("T", " ") + " UTC"
    in_amsterdam = page.evaluate(
        "at => new Date(at).toLocaleTimeString('en-GB', {timeZone: 'Europe/Amsterdam', hour: '2-digit', minute: '2-digit'})",
        made["createdAt"],
    )
    expect(shown).to_contain_text(in_amsterdam)


def test_a_sale_appears_by_itself_and_moves_nothing_else(box: RunningBox, visit: Visit) -> None:
    first = order(box)
    page = visit(box)
    row(page, first["conversionId"]).locator("button").focus()
    made = order(box, "77.00")
    expect(row(page, made["conversionId"])).to_contain_text("€7.70", timeout=WAIT_MS)
    expect(row(page, first["conversionId"]).locator("button")).to_be_focused()
    expect(page.locator("#said")).to_contain_text("new conversion")


def test_hostile_text_is_shown_and_never_run(box: RunningBox, visit: Visit) -> None:
    hostile = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
    made = order(box, order_id=hostile, metadata={"note": hostile, hostile[:40]: "x"})
    page = visit(box, at=f"#conversion={made['conversionId']}")
    expect(page.locator("#detail h2")).to_have_text(hostile)
    expect(row(page, made["conversionId"]).locator("button")).to_have_text(hostile)
    page.locator("summary", has_text="Metadata").click()
    expect(page.locator("[data-name=metadata]")).to_contain_text(hostile)
    assert page.locator("#dashboard img").count() == 1, "the box's own mark"
    assert page.title() == "Demo Shop · merchant box"


def test_older_conversions_come_page_by_page_and_stay_while_new_ones_arrive(box: RunningBox, visit: Visit) -> None:
    made = [order(box, "5.00")["conversionId"] for _ in range(MANY)]
    page = visit(box)
    expect(page.locator("tr[data-id]")).to_have_count(50)
    assert row(page, made[0]).count() == 0
    page.get_by_role("button", name="Show older ones").click()
    expect(row(page, made[0])).to_be_visible()
    newest = order(box)["conversionId"]
    expect(row(page, newest)).to_be_visible(timeout=WAIT_MS)
    expect(row(page, made[0])).to_be_visible()
    shown = page.locator("tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)")
    assert len(shown) == len(set(shown))
    assert shown[0] == newest
    assert [key for key in shown if key in made] == made[::-1]


def test_a_status_filter_lists_that_status_only(box: RunningBox, visit: Visit) -> None:
    made, other = order(box), order(box)
    as_merchant(box, "PATCH", f"/v1/conversions/{made['conversionId']}", {"status": "rejected", "reason": "unpaid"})
    page = visit(box)
    expect(row(page, other["conversionId"])).to_be_visible()
    page.get_by_label("Status").select_option("rejected")
    expect(row(page, other["conversionId"])).to_have_count(0)
    expect(row(page, made["conversionId"])).to_be_visible()
    assert set(page.locator("tr[data-id] .c-status").all_inner_texts()) == {"Rejected"}


@pytest.mark.parametrize("by", ["orderId", "conversionId"])
def test_an_order_is_found_by_its_id_and_the_id_stays_out_of_the_address(
    box: RunningBox, visit: Visit, by: str
) -> None:
    made, other = order(box), order(box)
    page = visit(box)
    expect(row(page, other["conversionId"])).to_be_visible()
    page.get_by_label("Order or conversion id").fill(made[by])
    page.keyboard.press("Enter")
    expect(row(page, other["conversionId"])).to_have_count(0)
    expect(row(page, made["conversionId"])).to_be_visible()
    assert made["orderId"] not in page.url


def test_a_filter_that_nothing_matches_offers_the_way_back(box: RunningBox, visit: Visit) -> None:
    made = order(box)
    page = visit(box)
    page.get_by_label("Order or conversion id").fill("no such order")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Show all of them").click()
    expect(row(page, made["conversionId"])).to_be_visible()


def test_the_row_and_the_detail_say_what_the_api_says(box: RunningBox, visit: Visit) -> None:
    made = order(box, "19.99", metadata={"channel": "shop"})
    page = visit(box, at=f"#conversion={made['conversionId']}")
    detail = page.locator("#detail")
    expect(detail.locator(".at-confirmed").first).to_be_visible(timeout=WAIT_MS)
    held = as_merchant(box, "GET", f"/v1/conversions/{made['conversionId']}")
    receipt_link = detail.get_by_role("link", name="Public receipt")
    with page.context.expect_page() as opened:
        receipt_link.click()
    receipt = json.loads(opened.value.locator("body").inner_text())
    assert receipt["transaction"] == held["network"]["transaction"]
    with page.context.expect_page() as checking:
        detail.get_by_role("link", name="Check it without the box").click()
    expect(checking.value.get_by_role("heading", name="Check a receipt")).to_be_visible()
    expect(detail.locator(f'code[title="{held["network"]["transaction"]}"]')).to_be_visible()
    expect(detail).to_contain_text(f"{receipt['sequence']:,}")
    expect(detail).to_contain_text(f"{receipt['blockNumber']:,}")
    for mark in ("verified", "hosted", "final"):
        expect(detail.locator(".marks").get_by_text(mark, exact=True)).to_be_visible()
    expect(detail.locator(".history li")).to_have_count(len(held["history"]))
