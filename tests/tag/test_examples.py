"""Each example of the integration guide does what it says, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.tag.conftest import Noise
from tests.tag.sites import STUB, FaultBox, Shop

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"
GUIDE = (DOCS / "integration.md").read_text()


def example(name: str, box: FaultBox) -> str:
    return (EXAMPLES / name).read_text().replace("https://box.example", box.url)


def test_the_guide_links_every_example_and_shows_the_stub_as_it_is() -> None:
    assert STUB in GUIDE
    for file in EXAMPLES.iterdir():
        assert f"(examples/{file.name})" in GUIDE
        if "window.mtag=" in file.read_text():
            assert STUB in file.read_text(), file


def test_every_local_link_of_the_guide_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", GUIDE)
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_plain_html(page: Page, box: FaultBox, shop: Shop, noise: Noise) -> None:
    page.goto(shop.page("/", example("plain.html", box)) + "?clickId=c1")
    sent = box.wait(1)[0].json
    assert (sent["metadata"], sent["currency"], sent["values"], sent["clickId"]) == (
        {"orderId": "A-1001"},
        "EUR",
        ["100.00"],
        "c1",
    )
    assert noise.console == []


def test_the_noscript_image_is_loaded_without_javascript(context: BrowserContext, box: FaultBox, shop: Shop) -> None:
    browser = context.browser
    assert browser
    without = browser.new_context(java_script_enabled=False)
    box.answers = [(202, {})]
    without.new_page().goto(shop.page("/", example("plain.html", box)))
    [seen] = box.of(".gif")
    assert seen.path.endswith("?action=sale&values=100.00&orderId=A-1001&currency=EUR")
    without.close()


def test_the_basket_reports_groups_voucher_and_customer(page: Page, box: FaultBox, shop: Shop) -> None:
    page.goto(shop.page("/", example("basket.html", box)))
    page.wait_for_function("document.getElementById('tracked').textContent == 'open'")
    [sent] = box.conversions
    assert [item["group"] for item in sent["items"]] == ["kitchen", "vouchers"]
    assert (sent["voucher"], sent["customerStatus"]) == ("SAVE10", "new")


def test_the_single_page_app_sells_after_a_route_change(page: Page, box: FaultBox, shop: Shop) -> None:
    page.goto(shop.page("/", example("single-page-app.html", box)) + "#/landing?clickId=c1")
    page.click("#order")
    assert box.wait(1)[0].json["clickId"] == "c1"
    assert page.url.endswith("/thanks")


def test_google_tag_managers_html_with_its_variables_filled_in(page: Page, box: FaultBox, shop: Shop) -> None:
    html = example("google-tag-manager.html", box)
    for name, value in {"transaction_id": '"T-1"', "currency": '"EUR"', "value": "49.9"}.items():
        html = html.replace("{{" + name + "}}", value)
    # Tag Manager puts a Custom HTML tag into the page after the fact, element by element.
    insert = (
        "html => { const box = document.createElement('div'); box.innerHTML = html; "
        "for (const old of box.querySelectorAll('script')) "
        "{ const made = document.createElement('script'); if (old.src) made.src = old.src; made.text = old.text; "
        "document.body.append(made) } }"
    )
    page.goto(shop.page("/", "<body></body>") + "?clickId=c1")
    page.evaluate(insert, html)
    sent = box.wait(1)[0].json
    assert (sent["metadata"], sent["values"], sent["clickId"]) == ({"orderId": "T-1"}, ["49.9"], "c1")


WORDPRESS = r"""<?php
// Stand-ins for what WordPress and WooCommerce give a plugin.
$actions = [];
function add_action($name, $do) { global $actions; $actions[$name] = $do; }
function esc_url($url) { return htmlspecialchars($url); }
class Order {
    function get_order_number() { return "W-7</script><b>'\"&"; }
    function get_currency() { return $_SERVER['argv'][2]; }
    function get_coupon_codes() { return ['SAVE10']; }
    function get_subtotal() { return 60.5; }
    function get_total_discount() { return '10.5'; }
}
function wc_get_order($id) { return new Order(); }
function wc_get_price_decimals() { return (int) $_SERVER['argv'][3]; }
require $argv[1];
$actions['wp_head'](); $actions['woocommerce_thankyou'](7);
"""


@pytest.mark.parametrize(("currency", "decimals", "value"), [("EUR", 2, "50.00"), ("JPY", 0, "50")])
def test_woocommerce(
    page: Page, box: FaultBox, shop: Shop, tmp_path: Path, currency: str, decimals: int, value: str
) -> None:
    plugin, host = tmp_path / "plugin.php", tmp_path / "host.php"
    plugin.write_text(example("woocommerce.php", box))
    host.write_text(WORDPRESS)
    run = ["php", str(host), str(plugin), currency, str(decimals)]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    page.goto(shop.page("/", printed))
    sent = box.wait(1)[0].json
    assert sent["metadata"] == {"orderId": "W-7</script><b>'\"&"}
    assert (sent["values"], sent["voucher"], sent["currency"]) == ([value], "SAVE10", currency)


SHOPIFY = """
const subscribed = {}, kept = {};
const analytics = {subscribe: (name, back) => { subscribed[name] = back }};
const browser = {localStorage: {setItem: async (k, v) => { kept[k] = v }, getItem: async k => kept[k] ?? null}};
"""


@pytest.mark.parametrize("landing", ["https://shop.example/?clickId=c1", "https://shop.example/"])
def test_the_shopify_pixel_in_a_sandboxed_frame_without_an_origin(
    page: Page, box: FaultBox, shop: Shop, landing: str
) -> None:
    checkout = {
        "order": {"id": 77},
        "subtotalPrice": {"amount": 45.5},
        "currencyCode": "EUR",
        "discountApplications": [{"title": "SAVE10"}],
    }
    shop.page("/pixel", f"<script>{SHOPIFY}{example('shopify-pixel.js', box)}</script>")
    page.goto(shop.page("/", '<iframe sandbox="allow-scripts" src="/pixel"></iframe>'))
    frame = page.frames[1]
    frame.evaluate("href => subscribed.page_viewed({context: {document: {location: {href}}}})", landing)
    frame.evaluate("checkout => subscribed.checkout_completed({data: {checkout}})", checkout)
    [seen] = box.wait(1)
    assert seen.headers["origin"] == "null"
    sent = seen.json
    assert sent.get("clickId") == ("c1" if "clickId" in landing else None)
    assert (sent["values"], sent["metadata"], sent["voucher"]) == (["45.5"], {"orderId": "77"}, "SAVE10")
    assert box.of("", "OPTIONS") == []


def test_the_aspnet_page_as_razor_would_print_it(page: Page, box: FaultBox, shop: Shop) -> None:
    html = re.sub(r"@\*.*?\*@|@model.*", "", example("ThankYou.cshtml", box))
    for name, value in {
        "@Json.Serialize(Model.OrderId)": json.dumps("N-5"),
        "@Model.Signature": "ab" * 32,
        "@Model.Total": "12.00",
    }.items():
        html = html.replace(name, value)
    page.goto(shop.page("/", html))
    sent = box.wait(1)[0].json
    assert (sent["signature"], sent["metadata"], sent["values"], sent["currency"]) == (
        "ab" * 32,
        {"orderId": "N-5"},
        ["12.00"],
        "EUR",
    )
