"""Approve, reject, re-open, amend: asked once more, sent, shown as the box and then the network has them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ops.local import rpc
from ops.local.running import RunningBox
from tests.dashboard.conftest import WAIT_MS, Visit, row
from tests.dashboard.orders import conversion, order

NETWORK_MS = 45_000


@pytest.fixture
def made(box: RunningBox) -> Any:
    return order(box)


@pytest.fixture
def page(box: RunningBox, visit: Visit, made: Any) -> Page:
    page = visit(box, at=f"#conversion={made['conversionId']}")
    expect(page.locator("#detail h2")).to_have_text(made["orderId"])
    return page


def decide(page: Page, action: str) -> None:
    page.locator(f"[data-action={action}]").click()
    page.locator(".ask [type=submit]").click()


def fact(page: Page, name: str) -> Any:
    return page.locator("#detail dt", has_text=name).locator("xpath=following-sibling::dd[1]")


def test_an_approval_moves_the_status_and_reaches_the_network(box: RunningBox, page: Page, made: Any) -> None:
    decide(page, "approve")
    expect(page.locator("#detail .badge")).to_have_text("Approved")
    expect(row(page, made["conversionId"]).locator(".badge")).to_have_text("Approved")
    assert conversion(box, made["conversionId"])["status"] == "approved"

    expect(fact(page, "Last change")).to_contain_text("Confirmed · block", timeout=NETWORK_MS)
    transaction = page.locator("#detail dt", has_text="Its transaction").locator("xpath=following-sibling::dd[1]//code")
    mined = rpc.call(box.line["rpc"], "eth_getTransactionReceipt", transaction.get_attribute("title"))
    assert mined["status"] == "0x1"
    assert mined["to"].lower() == box.line["contract"].lower()
    assert int(mined["blockNumber"], 16) == conversion(box, made["conversionId"])["network"]["change"]["blockNumber"]


def test_a_decision_can_be_thought_over(box: RunningBox, page: Page, made: Any) -> None:
    page.locator("[data-action=approve]").click()
    page.locator("[data-action=cancel]").click()
    page.locator("[data-action=approve]").click()
    page.keyboard.press("Escape")
    expect(page.locator("[data-action=approve]")).to_be_focused()
    expect(page.locator("#detail h2")).to_have_text(made["orderId"])
    assert conversion(box, made["conversionId"])["status"] == "open"


def test_a_rejection_needs_a_reason_and_can_be_re_opened(box: RunningBox, page: Page, made: Any) -> None:
    decide(page, "reject")
    expect(page.locator(".ask .fault")).to_contain_text("Choose a reason")
    page.get_by_label("Reason").select_option("returned")
    page.locator(".ask [type=submit]").click()
    expect(page.locator("#detail .badge")).to_have_text("Rejected")
    expect(fact(page, "Reason")).to_have_text("Returned by the customer (returned)")
    expect(row(page, made["conversionId"]).locator("s")).to_have_text("€10.00")
    held = conversion(box, made["conversionId"])
    assert (held["status"], held["reason"]) == ("rejected", "returned")

    decide(page, "re-open")
    expect(page.locator("#detail .badge")).to_have_text("Open")
    assert conversion(box, made["conversionId"])["reason"] is None


def test_an_amended_amount_changes_the_commission(box: RunningBox, page: Page, made: Any) -> None:
    page.locator("[data-action=amend]").click()
    page.get_by_label("New amount (EUR)").fill("80.00")
    page.locator(".ask [type=submit]").click()
    expect(page.locator("#detail .worth")).to_contain_text("€8.00")
    expect(row(page, made["conversionId"])).to_contain_text("€80.00")
    held = conversion(box, made["conversionId"])
    assert (held["amount"], held["commission"], held["status"]) == ("80.00", "8.00", "open")


@pytest.mark.parametrize(
    ("amount", "code"), [("12,50", "amount_invalid"), ("-1", "amount_invalid"), ("1.005", "amount_precision")]
)
def test_an_amount_that_the_box_refuses_is_shown_with_its_code(
    box: RunningBox, page: Page, made: Any, amount: str, code: str
) -> None:
    page.locator("[data-action=amend]").click()
    page.get_by_label("New amount (EUR)").fill(amount)
    page.locator(".ask [type=submit]").click()
    expect(page.locator(".ask .fault")).to_contain_text(f"({code})")
    expect(page.get_by_label("New amount (EUR)")).to_have_value(amount)
    assert conversion(box, made["conversionId"])["amount"] == "100.00"


def test_an_open_question_survives_the_polls(box: RunningBox, page: Page, made: Any) -> None:
    page.locator("[data-action=amend]").click()
    page.get_by_label("New amount (EUR)").fill("61.5")
    newer = order(box)
    expect(row(page, newer["conversionId"])).to_be_visible(timeout=WAIT_MS)
    expect(fact(page, "Sequence")).to_be_visible(timeout=NETWORK_MS)
    expect(page.get_by_label("New amount (EUR)")).to_have_value("61.5")
    expect(page.get_by_label("New amount (EUR)")).to_be_focused()
    assert conversion(box, made["conversionId"])["amount"] == "100.00"


def test_an_order_of_several_groups_is_amended_line_by_line(box: RunningBox, visit: Visit) -> None:
    items = [
        {"unitPrice": "60.00", "group": "default"},
        {"unitPrice": "40.00", "group": "gifts"},
    ]
    made = order(box, "100.00", items=items)
    page = visit(box, at=f"#conversion={made['conversionId']}")
    page.locator("[data-action=amend]").click()
    page.get_by_label("gifts").fill("30.00")
    page.locator(".ask [type=submit]").click()
    expect(page.locator("#detail .worth")).to_contain_text("€90.00")
    lines = {line["group"]: line["amount"] for line in conversion(box, made["conversionId"])["lines"]}
    assert lines == {"default": "60.00", "gifts": "30.00"}


def test_what_earns_nobody_anything_cannot_be_decided(box: RunningBox, visit: Visit) -> None:
    made = order(box, clickId=None)
    page = visit(box, at=f"#conversion={made['conversionId']}")
    expect(page.locator("#detail")).to_contain_text("there is nothing to decide")
    expect(page.locator("#detail")).to_contain_text("without a click or voucher")
    assert page.locator("[data-action]").count() == 0
