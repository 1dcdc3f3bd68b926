"""The tag in a real browser, on the shop's own origin, against the whole box: what each side takes the other for is what it is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from ops.local.process import ROOT
from ops.local.running import RunningBox
from tests.shopper import as_merchant

CALL = "([a, m, v]) => new Promise(done => mtag(a, (ok, result) => done([ok, result]), m, v))"


def visitor(chromium: Browser) -> BrowserContext:
    """A page that the test hands over has no address of its own, so Chromium asks whether it may reach this machine's."""
    context = chromium.new_context()
    context.grant_permissions(["local-network-access"])
    return context


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = visitor(chromium)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text))
    yield opened
    context.close()
    assert errors == []


def serve(page: Page, box: RunningBox, path: str, body: str, **headers: str) -> str:
    """A page of the shop's origin: the merchant's own, so only the box behind it is real."""
    url = f"{box.line['shop'].rstrip('/')}{path}"
    html = f"<!doctype html><meta charset=utf-8><title>shop</title>{body}"
    page.route(
        re.compile(re.escape(url) + r"(\?.*)?$"),
        lambda route: route.fulfill(body=html, content_type="text/html", headers=headers),
    )
    return url


def land(page: Page, box: RunningBox) -> None:
    """Through the demo publisher's link, until the click is kept."""
    page.goto(f"{box.url}/click/{box.line['publisherId']}?subId=mail")
    page.wait_for_function("document.cookie.includes('mtag=')")


def order(prefix: str) -> str:
    return f"{prefix}-{time.monotonic_ns()}"


def recorded(box: RunningBox, order_id: str) -> Any:
    found = as_merchant(box, "GET", f"/v1/conversions?orderId={order_id}")
    [one] = found["conversions"]
    return one


def test_a_page_written_from_the_seed_alone_sells_for_the_publisher(box: RunningBox, page: Page) -> None:
    reference = order("seed")
    land(page, box)
    page.goto(
        serve(
            page,
            box,
            "/seed.html",
            f'<script src="{box.url}/attrace/libs/mtag_xkCcc6el_js"></script>'
            f"<script>Attrace.action('sale', null, {{bookingReference: '{reference}'}}, ['100.00']);</script>",
        )
    )
    page.wait_for_function("mtag.log.some(([path, , status]) => path.endsWith('conversion') && status == 202)")
    found = recorded(box, reference)
    assert (found["publisherId"], found["amount"], found["subId"]) == (box.line["publisherId"], "100.00", "mail")


def test_the_callback_gets_what_the_box_decided(box: RunningBox, page: Page) -> None:
    land(page, box)
    page.goto(serve(page, box, "/thanks.html", f'<script src="{box.url}/libs/mtag.js"></script>'))
    order_id = order("call")
    ok, result = page.evaluate(CALL, ["sale", {"orderId": order_id}, ["12.50", "3"]])
    assert (ok, result["attributed"], result["duplicate"]) == (True, True, False)
    again, duplicate = page.evaluate(CALL, ["sale", {"orderId": order_id}, ["12.50", "3"]])
    assert (again, duplicate["duplicate"], duplicate["conversionId"]) == (True, True, result["conversionId"])
    assert recorded(box, order_id)["amount"] == "15.50"
    ok, lead = page.evaluate(CALL, ["leads", {"orderId": order("lead")}, None])
    assert (ok, lead["attributed"]) == (True, True)


def test_a_test_sale_is_marked_as_one(box: RunningBox, page: Page) -> None:
    land(page, box)
    page.goto(serve(page, box, "/thanks.html", f'<script src="{box.url}/libs/mtag.js"></script>'))
    ok, result = page.evaluate(CALL, ["sale", {"orderId": order("test"), "isTest": True}, ["1.00"]])
    assert (ok, result["isTest"]) == (True, True)


def test_what_a_page_writes_as_numbers_reaches_the_box_as_it_reads_it(box: RunningBox, page: Page) -> None:
    land(page, box)
    page.goto(serve(page, box, "/thanks.html", f'<script src="{box.url}/libs/mtag.js"></script>'))
    order_id = order("numbers")
    items = [{"sku": 4711, "unitPrice": 5.5, "quantity": "2"}, {"unitPrice": 1.5}]
    ok, result = page.evaluate(CALL, ["sale", {"orderId": order_id, "items": items, "isTest": 0}, [12.5]])
    assert (ok, result.get("attributed")) == (True, True), result
    assert recorded(box, order_id)["amount"] == "12.50"


@pytest.mark.parametrize("action", ["sale", "lead"])
def test_a_basket_without_values_is_worth_what_its_items_are(box: RunningBox, page: Page, action: str) -> None:
    page.goto(serve(page, box, "/thanks.html", f'<script src="{box.url}/libs/mtag.js"></script>'))
    order_id = order("items")
    items = [{"unitPrice": "5.00", "quantity": 2}]
    ok, result = page.evaluate(CALL, [action, {"orderId": order_id, "items": items}, None])
    assert ok is True, result
    assert recorded(box, order_id)["amount"] == "10.00"


@pytest.mark.parametrize(("signal", "lasts_days"), [({}, 30), ({"Sec-GPC": "1"}, 0)], ids=["", "privacy control"])
def test_a_box_under_the_shops_domain_sets_the_cookie_itself(
    box_under_the_shop: RunningBox, chromium: Browser, signal: dict[str, str], lasts_days: int
) -> None:
    context = chromium.new_context(extra_http_headers=signal)
    page = context.new_page()
    page.route("**/libs/mtag.js", lambda route: route.abort())  # what is found is the box's own
    address = box_under_the_shop.url.replace("127.0.0.1", "box.shop.localhost")
    page.goto(f"{address}/click/{box_under_the_shop.line['publisherId']}")
    click_id = parse_qs(urlsplit(page.url).query)["clickId"][0]
    found = [one for one in context.cookies("http://www.shop.localhost/") if one["name"] == "mtag"]
    context.close()
    if not lasts_days:
        assert found == []
        return
    [cookie] = found
    assert (cookie["value"], cookie["domain"], cookie["path"]) == (click_id, ".shop.localhost", "/")
    assert (cookie["secure"], cookie["sameSite"], cookie["httpOnly"]) == (True, "Lax", False)
    assert abs(cookie["expires"] - time.time() - lasts_days * 86_400) < 60


@pytest.fixture(scope="module")
def box_under_the_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    folder = tmp_path_factory.mktemp("under-the-shop")
    config = json.loads((ROOT / "configs" / "demo.json").read_text())
    config["tracking"] = {"cookieDomain": "shop.localhost"}
    shop = "shop.localhost:8801"
    config["site"] |= {"landingPage": f"http://{shop}/", "origins": [f"http://{shop}", "null"], "hosts": [shop]}
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    box = RunningBox(folder / "data", "--port", "0", "--config", str(file))
    yield box
    box.stop()


@pytest.mark.parametrize("listed", [True, False])
def test_a_sandboxed_frame_sells_where_the_config_lists_its_null(
    request: pytest.FixtureRequest, chromium: Browser, listed: bool
) -> None:
    """As a Shopify pixel sends it. From the demo's shop itself, whose address the browser knows."""
    box: RunningBox = request.getfixturevalue("box_under_the_shop" if listed else "box")
    context = visitor(chromium)
    page = context.new_page()
    page.goto(box.line["shop"])
    page.evaluate(
        "new Promise(done => { const made = document.createElement('iframe'); made.sandbox = 'allow-scripts';"
        " made.srcdoc = '<p>pixel'; made.onload = done; document.body.append(made) })"
    )
    order_id = order("pixel")
    sent = {"action": "sale", "values": ["3.00"], "metadata": {"orderId": order_id}}
    status = page.frames[-1].evaluate(
        "([url, body]) => fetch(url, {method: 'POST', body: JSON.stringify(body)}).then(answer => answer.status, () => null)",
        [f"{box.url}/v1/beacon/conversion", sent],
    )
    assert status == (202 if listed else None), "a frame may not read who refused it"
    assert len(as_merchant(box, "GET", f"/v1/conversions?orderId={order_id}")["conversions"]) == listed
    context.close()


def test_a_visitor_without_a_click_is_counted_and_told_why_not_attributed(box: RunningBox, page: Page) -> None:
    page.goto(serve(page, box, "/thanks.html", f'<script src="{box.url}/libs/mtag.js"></script>'))
    ok, result = page.evaluate(CALL, ["sale", {"orderId": order("none")}, ["1.00"]])
    assert (ok, result["attributed"], result["reason"]) == (True, False, "no_click")


def test_a_direct_link_gets_a_click_of_the_box(box: RunningBox, page: Page) -> None:
    url = serve(page, box, "/direct.html", f'<script async src="{box.url}/libs/mtag.js"></script>')
    page.goto(f"{url}?via={box.line['publisherId']}&subId=direct%20mail")
    page.wait_for_function("document.cookie.includes('mtag=')")
    order_id = order("via")
    ok, result = page.evaluate(CALL, ["sale", {"orderId": order_id}, ["1.00"]])
    assert (ok, result["attributed"]) == (True, True)
    assert recorded(box, order_id)["subId"] == "direct mail", "as a link through the box reads it"


def test_a_reload_without_an_order_id_is_one_conversion(box: RunningBox, page: Page) -> None:
    land(page, box)
    before = as_merchant(box, "GET", "/v1/stats")["totals"]["conversions"]
    url = serve(
        page,
        box,
        "/thanks.html",
        f"<script src='{box.url}/libs/mtag.js'></script><script>mtag('sale', (ok, r) => {{ got = r }}, null, ['7.77'])</script>",
    )
    page.goto(url)
    page.wait_for_function("window.got")
    page.reload()
    page.wait_for_function("window.got?.duplicate")
    deadline = time.monotonic() + 10
    while as_merchant(box, "GET", "/v1/stats")["totals"]["conversions"] != before + 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_where_a_page_may_not_connect_the_image_brings_the_sale(box: RunningBox, chromium: Browser) -> None:
    page = visitor(chromium).new_page()
    order_id = order("image")
    origin = box.url.rsplit("/", 1)[0]
    policy = f"default-src 'none'; script-src {origin} 'unsafe-inline'; img-src {origin}"
    body = f"<script src='{box.url}/libs/mtag.js'></script><script>mtag('sale', null, {{orderId: '{order_id}'}}, ['9.00'])</script>"
    with page.expect_response(re.compile(r"conversion\.gif")) as answered:
        page.goto(serve(page, box, "/strict.html", body, **{"Content-Security-Policy": policy}))
    assert answered.value.headers["x-conversion-status"] == "202"
    assert recorded(box, order_id)["amount"] == "9.00"
    page.context.close()


def test_a_refused_value_comes_back_with_its_sentence(box: RunningBox, chromium: Browser) -> None:
    """The browser itself writes a line about any 4xx into the console, so this page is not held to silence."""
    page = visitor(chromium).new_page()
    page.goto(serve(page, box, "/thanks.html", f'<script src="{box.url}/libs/mtag.js"></script>'))
    ok, problem = page.evaluate(CALL, ["sale", {"orderId": order("bad")}, ["12,50"]])
    assert (ok, problem["status"]) == (False, 422)
    assert problem["code"] and problem["detail"]
    page.context.close()


def test_a_page_may_report_as_json_by_its_own_code(box: RunningBox, page: Page) -> None:
    """Unlike the tag's text, JSON makes the browser ask first whether it may. From the demo's shop itself: where a test hands pages over,
    Playwright answers that question in the box's place."""
    page.goto(box.line["shop"])
    order_id = order("json")
    script = (
        "([url, body]) => fetch(url, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})"
        ".then(answer => answer.status)"
    )
    body = {"action": "sale", "values": ["3.00"], "metadata": {"orderId": order_id}}
    assert page.evaluate(script, [f"{box.url}/v1/beacon/conversion", body]) == 202
    assert recorded(box, order_id)["amount"] == "3.00"


def test_a_page_left_at_once_sells_every_time(box: RunningBox, chromium: Browser) -> None:
    """Five times: more from one address would meet the box's rate limit. 100 of 100 are shown in tag/test_delivery.py."""
    page = visitor(chromium).new_page()
    land(page, box)
    run = order("leave")
    script = (
        f"<script src='{box.url}/libs/mtag.js'></script><script>"
        "mtag('sale', null, {orderId: location.search.slice(1)}, ['1.00']); location.replace('/left.html')</script>"
    )
    serve(page, box, "/left.html", "<p>left")
    url = serve(page, box, "/leave.html", script)
    for number in range(5):
        page.goto(f"{url}?{run}-{number}", wait_until="commit")
        page.wait_for_url("**/left.html")
    page.wait_for_timeout(500)
    missing = [n for n in range(5) if not as_merchant(box, "GET", f"/v1/conversions?orderId={run}-{n}")["conversions"]]
    assert missing == []
    page.context.close()
