"""Names, keys, contrast and small screens: what a person needs who does not use a mouse and a large bright screen."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from ops.local.running import RunningBox
from tests.dashboard.conftest import WAIT_MS, Visit, row
from tests.dashboard.orders import order

UNNAMED = """() => [...document.querySelectorAll('button, a[href], input, select')]
  .filter(node => node.checkVisibility())
  .filter(node => !(node.getAttribute('aria-label') || node.labels?.length || node.textContent.trim()))
  .map(node => node.outerHTML.slice(0, 120))"""

# What lies on top of what, and what a row hides behind its right edge.
COVERED = """() => {
  const [list, detail] = ['.column', '#detail'].map(one => document.querySelector(one).getBoundingClientRect());
  const rows = document.querySelector('#list');
  return [innerWidth > 1200 && list.right > detail.left, rows.scrollWidth > rows.clientWidth];
}"""

# Contrast of each visible text against what is painted behind it, as WCAG 2 computes it.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll('body *')) {
    const says = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!says || !node.checkVisibility() || node.closest('.unseen, script, noscript, :disabled, [aria-busy=true]')) continue;
    const [a, b] = [light(rgba(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent.trim().slice(0, 40)}`);
  }
  return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_everything_has_a_name_and_contrast_and_fits_the_screen(
    box: RunningBox, visit: Visit, scheme: Any, width: int
) -> None:
    made = order(box, order_id=f"a-long-order-number-without-any-break-{scheme}-{width}-000000000000000000000000")
    page = visit(box, key=None, width=width, scheme=scheme)
    assert (page.evaluate(UNNAMED), page.evaluate(FAINT)) == ([], [])
    page.get_by_label("API key").fill(box.keys["server"])
    page.keyboard.press("Enter")
    expect(row(page, made["conversionId"])).to_be_visible()
    expect(page.locator("#health")).to_have_attribute("data-level", "ok", timeout=WAIT_MS)
    page.emulate_media(reduced_motion="reduce")
    for place in ("the list", "the detail", "a question"):
        assert page.evaluate(UNNAMED) == [], place
        assert page.evaluate(FAINT) == [], place
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        if place == "the list":
            row(page, made["conversionId"]).click()
            expect(page.locator("#detail h2")).to_be_visible()
        elif place == "the detail":
            page.locator("[data-action=reject]").click()


@pytest.mark.parametrize("width", [1120, 1210, 1280, 1366, 1920])
def test_no_part_of_the_list_is_covered_or_cut_at_any_window(box: RunningBox, visit: Visit, width: int) -> None:
    made = order(box, order_id=f"a-long-order-number-without-any-break-{width}-000000000000000000000000")
    page = visit(box, width=width)
    expect(row(page, made["conversionId"]).locator(".c-network")).to_have_text("Confirmed")
    assert page.evaluate(COVERED) == [False, False]


def test_the_keyboard_alone_is_enough(box: RunningBox, visit: Visit) -> None:
    second, first = order(box), order(box)
    page = visit(box)
    row(page, first["conversionId"]).locator("button").focus()
    page.keyboard.press("ArrowDown")
    expect(row(page, second["conversionId"]).locator("button")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    page.keyboard.press("Enter")
    expect(page.locator("#detail h2")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".ask [type=submit]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#detail .badge")).to_have_text("Approved")
    expect(page.locator("#said")).to_contain_text("approved")
    page.keyboard.press("Escape")
    expect(row(page, second["conversionId"]).locator("button")).to_be_focused()


def test_going_back_closes_a_conversion(box: RunningBox, visit: Visit) -> None:
    made = order(box)
    page = visit(box)
    row(page, made["conversionId"]).click()
    expect(page.locator("#detail h2")).to_have_text(made["orderId"])
    page.go_back()
    expect(page.locator("#detail h2")).to_have_text("What a status means")


def test_regions_and_headings_tell_what_is_where(box: RunningBox, visit: Visit) -> None:
    order(box)
    page = visit(box)
    expect(page.locator("tr[data-id]").first).to_be_visible()
    assert page.locator("h1:visible").count() == 1
    assert page.get_by_role("main").count() == 1
    for role, name in (
        ("region", "Today"),
        ("region", "Conversions"),
        ("complementary", "Conversion"),
        ("group", "Period"),
    ):
        assert page.get_by_role(role, name=name, exact=True).count() == 1, name  # type: ignore[arg-type]
    assert page.get_by_role("columnheader").all_inner_texts() == [
        "Time", "Order", "Publisher", "Amount", "Commission", "Status", "Network"
    ]  # fmt: skip
    assert page.get_by_role("status").count() >= 1
