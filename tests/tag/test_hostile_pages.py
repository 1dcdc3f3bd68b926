"""Pages that forbid, block or break things: the tag throws nothing into them, and sells where a way is left."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.tag.conftest import Noise
from tests.tag.sites import BREAKAGE, STUB, FaultBox, Shop

SALE = "<script>mtag('sale', (ok, result) => { window.got = [ok, result] }, {orderId: 1}, ['1.00'])</script>"


def nonced(box: FaultBox) -> str:
    sale = SALE.replace("<script>", "<script nonce=n0>")
    return f'<script nonce=n0>{STUB}</script><script nonce=n0 async src="{box.url}/libs/mtag.js"></script>{sale}'


def test_a_strict_policy_with_the_documented_lines_lets_it_work(
    page: Page, box: FaultBox, shop: Shop, noise: Noise
) -> None:
    policy = f"default-src 'none'; script-src 'nonce-n0'; connect-src {box.url}; img-src {box.url}"
    page.goto(shop.page("/", nonced(box), {"Content-Security-Policy": policy}) + "?clickId=c1")
    assert box.wait(1)[0].method == "POST"
    # Not wait_for_function: it would need the eval that this policy forbids.
    assert page.evaluate("new Promise(done => (function look() { window.got ? done(got[0]) : setTimeout(look, 9) })())")
    assert noise.console == []


def test_the_panel_loads_under_the_nonce_of_the_tag(page: Page, box: FaultBox, shop: Shop, noise: Noise) -> None:
    policy = f"default-src 'none'; script-src 'nonce-n0'; connect-src {box.url}; img-src {box.url}"
    page.goto(shop.page("/", nonced(box), {"Content-Security-Policy": policy}) + "?mtag_debug=1")
    page.wait_for_selector("mtag-panel")
    assert noise.console == []


def test_where_connections_are_forbidden_an_image_carries_the_sale(page: Page, box: FaultBox, shop: Shop) -> None:
    policy = f"default-src 'none'; script-src 'nonce-n0'; img-src {box.url}"
    page.goto(shop.page("/", nonced(box), {"Content-Security-Policy": policy}))
    [sent] = box.wait(1)
    assert (sent.method, sent.json["metadata"]) == ("GET", {"orderId": 1})


def test_where_the_script_has_no_nonce_the_page_goes_on_without_it(
    page: Page, box: FaultBox, shop: Shop, snippet: str
) -> None:
    page.goto(shop.page("/", snippet + "<h1>thanks</h1>", {"Content-Security-Policy": "script-src 'nonce-n0'"}))
    assert page.inner_text("h1") == "thanks"
    assert box.seen == []


@pytest.mark.parametrize("breakage", BREAKAGE)
def test_a_sale_leaves_a_page_that_broke_its_own_built_ins(
    page: Page, box: FaultBox, shop: Shop, breakage: str
) -> None:
    body = f'<script>{BREAKAGE[breakage]}</script><script src="{box.url}/libs/mtag.js"></script>{SALE}'
    page.goto(shop.page("/", body) + "?clickId=c1")
    sent = box.wait(1)[0].json
    assert (sent["values"], sent["metadata"]["orderId"], sent["clickId"]) == (["1.00"], 1, "c1")


@pytest.mark.parametrize(
    "breakage", ["fetch throws", "JSON is overwritten", "array methods throw", "everything is frozen"]
)
def test_what_a_page_breaks_after_the_tag_loaded_is_not_even_noticed(
    page: Page, box: FaultBox, shop: Shop, breakage: str
) -> None:
    body = f'<script src="{box.url}/libs/mtag.js"></script><script>{BREAKAGE[breakage]}</script>{SALE}'
    page.goto(shop.page("/", body))
    box.wait(1)
    assert [one.method for one in box.of("/v1/beacon/conversion")] == [
        "POST"
    ]  # by fetch, not by the image for want of it


@pytest.mark.parametrize(
    "blocked",
    [
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied', 'SecurityError') }})",
        "Object.defineProperty(window, 'localStorage', {value: null})",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') };"
        "Object.defineProperty(window, 'localStorage', {value: new Proxy({}, {set() { throw Error('full') }})})",
        "Object.defineProperty(document, 'cookie', {get() { throw Error() }, set() { throw Error() }})",
    ],
)
def test_blocked_storage_costs_the_memory_but_not_the_sale(
    page: Page, box: FaultBox, shop: Shop, snippet: str, blocked: str
) -> None:
    page.goto(shop.page("/", f"<script>{blocked}</script>" + snippet + SALE) + "?clickId=c1")
    page.wait_for_function("window.got")
    assert page.evaluate("got[0]") is True
    assert box.conversions[0]["clickId"] == "c1"


def test_a_sandboxed_frame_without_an_origin_sells_too(page: Page, box: FaultBox, shop: Shop, snippet: str) -> None:
    """Storage and cookies both throw there: browsers' own behaviour, nothing overridden."""
    shop.page("/frame", snippet + SALE)
    page.goto(shop.page("/", '<iframe sandbox="allow-scripts" src="/frame?clickId=c1"></iframe>'))
    assert box.wait(1)[0].json["clickId"] == "c1"


def test_a_browser_with_cookies_switched_off_remembers_by_local_storage(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str
) -> None:
    """The browser's own switch, nothing overridden."""
    context.new_cdp_session(page).send("Emulation.setDocumentCookieDisabled", {"disabled": True})
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    assert page.evaluate("navigator.cookieEnabled") is False
    page.wait_for_function("localStorage['mtag.click']")
    page.goto(shop.page("/thanks", snippet + SALE))
    assert box.wait(1)[0].json["clickId"] == "c1"


@pytest.mark.parametrize(
    "call",
    [
        "mtag()",
        "mtag(null)",
        "mtag('sale')",
        "mtag('sale', 1, 2, 3)",
        "mtag('sale', {}, () => 1, {})",
        "mtag(Symbol())",
        "mtag('sale', null, (a => (a.self = a))({}), ['1'])",
        "mtag('sale', null, Object.create(null), [null, undefined, {}])",
        "mtag('click', 'no function')",
        "mtag('consent')",
        "Attrace.init()",
        "Attrace.action('nonsense', null, null, null)",
        "mtag.q.push([])",
        "new mtag('sale')",
    ],
)
def test_a_wrong_call_throws_nothing_and_does_not_stop_the_next(
    page: Page, box: FaultBox, shop: Shop, call: str
) -> None:
    sale = "try { mtag('sale', null, {orderId: 'right'}, ['1.00']) } catch (e) { window.thrown = e }"
    wrong = f"try {{ {call} }} catch (e) {{ if (!/constructor/.test(e)) window.thrown = '' + e }}"
    consent = "mtag('consent', true)"
    page.goto(
        shop.page("/", f'<script src="{box.url}/libs/mtag.js"></script><script>{wrong};{consent};{sale}</script>')
    )
    box.wait_order("right")
    assert page.evaluate("window.thrown") is None
