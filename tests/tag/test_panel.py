"""The debug panel says what happened and what to do next; nobody who did not ask for it loads it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.tag.conftest import Call
from tests.tag.sites import FaultBox, Shop


def panel_text(page: Page, until: str) -> str:
    page.wait_for_function(
        "text => document.querySelector('mtag-panel')?.shadowRoot.textContent.includes(text)", arg=until, timeout=5000
    )
    text: str = page.evaluate("document.querySelector('mtag-panel').shadowRoot.textContent")
    return text


def test_nobody_loads_it_unasked(page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call) -> None:
    page.goto(shop.page("/", snippet))
    call("sale", {"orderId": 1}, ["1.00"])
    assert box.of("mtag-debug") == []


@pytest.mark.parametrize("how", ["address", "call"])
def test_it_shows_what_was_kept_sent_and_answered(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call, how: str
) -> None:
    box.config["origins"] = [shop.url]
    page.goto(shop.page("/", snippet) + "?clickId=c1" + ("&mtag_debug=1" if how == "address" else ""))
    call("sale", {"orderId": "A-1"}, ["12.50"])
    if how == "call":
        page.evaluate("mtag('debug')")
    text = panel_text(page, "The sale is counted and attributed.")
    assert "Click c1 is kept." in text
    assert '"orderId":"A-1"' in text
    assert f"{shop.url} is in the merchant's config." in text


def test_it_says_why_a_sale_would_not_be_attributed(page: Page, box: FaultBox, shop: Shop, snippet: str) -> None:
    box.config |= {"origins": ["https://elsewhere.example"], "consent": "required"}
    page.goto(shop.page("/", snippet) + "?mtag_debug=1")
    text = panel_text(page, "Consent is required and not given")
    assert f"{shop.url} is not in site.origins" in text
    assert "No click is kept" in text


def test_a_refusal_stands_there_with_its_sentence(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    box.answers = [(422, {"code": "value_invalid", "detail": "Send 12.50."})]
    page.goto(shop.page("/", snippet) + "?mtag_debug=1")
    call("sale", {"orderId": "A-1"}, ["12,50"])
    panel_text(page, "refused for good: value_invalid - Send 12.50.")


def test_it_can_be_closed(page: Page, shop: Shop, snippet: str) -> None:
    page.goto(shop.page("/", snippet) + "?mtag_debug=1")
    page.get_by_role("button", name="Close").click()
    assert page.locator("mtag-panel").count() == 0
