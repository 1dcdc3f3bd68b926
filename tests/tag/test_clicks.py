"""Where the tag finds a click, how long it keeps it, and which one wins."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.tag.conftest import Call, Noise
from tests.tag.sites import FaultBox, Shop

KEPT = "document.cookie.match(/mtag=([^;]*)/)?.[1]"


def sold_with(box: FaultBox, call: Call) -> str | None:
    """The click a sale made now carries."""
    call("sale", {"orderId": str(time.monotonic_ns())}, ["1.00"])
    found: str | None = box.conversions[-1].get("clickId")
    return found


@pytest.mark.parametrize(
    "address", ["?clickId=c1", "?a=b&clickId=c1&c=d", "?x=1#clickId=c1", "#/route?clickId=c1&y=2", "?clickId=c1#part"]
)
def test_a_click_is_picked_up_wherever_the_address_has_it(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call, address: str
) -> None:
    page.goto(shop.page("/", snippet) + address)
    page.wait_for_function(KEPT)
    page.goto(shop.page("/thanks", snippet))
    assert sold_with(box, call) == "c1"


def test_the_cookie_is_first_party_secure_and_lax_for_the_attribution_window(
    page: Page, context: BrowserContext, shop: Shop, snippet: str
) -> None:
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function(KEPT)
    [cookie] = context.cookies()
    assert (cookie["name"], cookie["value"], cookie["domain"], cookie["path"]) == ("mtag", "c1", "localhost", "/")
    assert (cookie["secure"], cookie["sameSite"], cookie["httpOnly"]) == (True, "Lax", False)
    assert abs(cookie["expires"] - time.time() - 30 * 86_400) < 60


def test_the_cookie_is_domain_wide_by_option(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str
) -> None:
    box.config["cookieDomain"] = "shop.localhost"
    url = shop.page("/", snippet).replace("localhost", "www.shop.localhost")
    page.goto(url + "?clickId=c1")
    page.wait_for_function(KEPT)
    assert context.cookies()[0]["domain"] == ".shop.localhost"
    page.goto(url.replace("www.", "pay."))
    assert page.evaluate(KEPT) == "c1"


@pytest.fixture
def two_cookies(context: BrowserContext, box: FaultBox, shop: Shop, snippet: str) -> str:
    """The address at which a visitor's click was kept for one host before the merchant made the cookie domain-wide."""
    url = shop.page("/", snippet).replace("localhost", "www.shop.localhost")
    context.add_cookies([{"name": "mtag", "value": "old1", "url": url, "secure": True, "sameSite": "Lax"}])
    box.config["cookieDomain"] = "shop.localhost"
    return url


def test_a_newer_click_replaces_the_cookie_of_before_it_was_domain_wide(
    page: Page, context: BrowserContext, box: FaultBox, two_cookies: str, call: Call
) -> None:
    page.goto(two_cookies + "?clickId=new2")
    page.wait_for_function("document.cookie == 'mtag=new2'")
    assert [cookie["domain"] for cookie in context.cookies()] == [".shop.localhost"]
    assert sold_with(box, call) == "new2"


def test_a_no_removes_the_cookie_of_before_it_was_domain_wide(
    page: Page, context: BrowserContext, two_cookies: str
) -> None:
    context.add_cookies(
        [{"name": "mtag", "value": "new2", "domain": ".shop.localhost", "path": "/", "secure": True, "sameSite": "Lax"}]
    )
    page.goto(two_cookies)
    page.wait_for_function("window.mtag?.log?.length")  # the config has come
    assert page.evaluate("document.cookie").count("mtag=") == 2
    page.evaluate("mtag('consent', 'denied')")
    assert context.cookies() == []


@pytest.mark.parametrize("other", ["x-mtag=wrong", "x=1 mtag=wrong", "mtag-x=wrong"])
def test_a_cookie_of_a_like_name_is_not_the_tags(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call, other: str
) -> None:
    page.goto(shop.page("/", f"<script>document.cookie = '{other};path=/'</script>" + snippet))
    assert call("click") == [False, {"clickId": None}]
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function("document.cookie.includes('mtag=c1')")
    assert sold_with(box, call) == "c1"


def test_a_cookie_that_the_box_set_is_left_as_it_is(
    page: Page, context: BrowserContext, shop: Shop, snippet: str, call: Call, box: FaultBox
) -> None:
    """Written anew by a script it would end after seven days in Safari. Ninety days here, so that a rewriting would show."""
    until = int(time.time()) + 90 * 86_400
    held = {"name": "mtag", "value": "c1", "url": shop.url, "expires": until, "secure": True, "sameSite": "Lax"}
    context.add_cookies([held])  # type: ignore[list-item]
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function("localStorage['mtag.click']?.includes('c1')")
    assert context.cookies()[0]["expires"] == until
    page.goto(shop.page("/", snippet) + "?clickId=c2")
    page.wait_for_function("document.cookie.includes('mtag=c2')")
    assert sold_with(box, call) == "c2", "a later click is another cookie"


def test_local_storage_stands_behind_the_cookie(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function(KEPT)
    context.clear_cookies()
    page.goto(shop.page("/thanks", snippet))
    assert sold_with(box, call) == "c1"


def test_local_storage_keeps_a_click_no_longer_than_the_window(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function(KEPT)
    context.clear_cookies()
    page.evaluate("localStorage['mtag.click'] = (Date.now() - 1000) + localStorage['mtag.click'].slice(13)")
    page.goto(shop.page("/thanks", snippet))
    assert sold_with(box, call) is None


def test_the_last_click_wins_and_a_step_back_in_history_is_not_a_click(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    url = shop.page("/", snippet)
    page.goto(url + "?clickId=c1")
    page.wait_for_function(f"{KEPT} == 'c1'")
    page.goto(url + "?clickId=c2")
    page.wait_for_function(f"{KEPT} == 'c2'")
    page.go_back()
    page.wait_for_function("window.mtag && mtag.log")
    assert sold_with(box, call) == "c2"


def test_names_from_the_config_count_as_well(page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call) -> None:
    box.config["clickParameters"] = ["clickId", "awc"]
    page.goto(shop.page("/", snippet) + "?awc=c9")
    page.wait_for_function(KEPT)
    assert sold_with(box, call) == "c9"


def test_a_route_change_of_a_single_page_app_is_a_landing_too(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    page.goto(shop.page("/", snippet))
    page.wait_for_function("window.mtag && mtag.log")
    page.evaluate("history.pushState(null, '', '/product?clickId=spa')")
    page.wait_for_function(f"{KEPT} == 'spa'")
    page.evaluate("history.replaceState(null, '', '/thanks')")
    assert sold_with(box, call) == "spa"


def test_a_router_that_clears_the_address_before_the_tag_loads_loses_no_click(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    """The stub remembers the address at which it ran."""
    box.delay = {"libs": 0.3}
    page.goto(shop.page("/", snippet + "<script>history.replaceState(null, '', '/clean')</script>") + "?clickId=c1")
    page.wait_for_function(KEPT)
    assert sold_with(box, call) == "c1"


def test_mtag_click_looks_again_and_says_what_there_is(page: Page, shop: Shop, snippet: str, call: Call) -> None:
    page.goto(shop.page("/", snippet))
    assert call("click") == [False, {"clickId": None}]
    page.evaluate("history.replaceState(null, '', '/?clickId=c1')")
    assert call("click") == [True, {"clickId": "c1"}]


def test_a_direct_link_asks_the_box_for_a_click_once(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    url = shop.page("/", snippet)
    page.goto(url + "?via=partner&subId=mail")
    page.wait_for_function(KEPT)
    [asked] = box.of("/v1/beacon/click")
    assert asked.json == {"via": "partner", "url": f"{url}?via=partner&subId=mail", "subId": "mail"}
    assert sold_with(box, call).startswith("via-")  # type: ignore[union-attr]
    page.reload()
    page.wait_for_timeout(300)
    assert len(box.of("/v1/beacon/click")) == 1
    page.goto(url + "?via=other")
    box.wait(2, "/v1/beacon/click")


def test_a_sale_made_while_the_click_is_asked_for_waits_for_it(
    page: Page, box: FaultBox, shop: Shop, snippet: str
) -> None:
    box.delay = {"config": 0.2, "beacon": 0.2}
    page.goto(shop.page("/", snippet + "<script>mtag('lead')</script>") + "?via=partner")
    box.wait(1)
    assert box.conversions[0]["clickId"].startswith("via-")


@pytest.mark.parametrize(
    "change",
    [
        "history.replaceState(null, '', '/clean')",
        "dispatchEvent(new PopStateEvent('popstate'))",
        "Attrace.init({verbose: true})",
        "Attrace.init(1, 2)",
    ],
)
def test_a_route_change_does_not_send_a_waiting_sale_without_its_click(
    page: Page, box: FaultBox, shop: Shop, snippet: str, change: str
) -> None:
    box.hold("beacon")
    page.goto(shop.page("/", snippet + "<script>mtag('lead')</script>") + "?via=partner")
    box.wait(1, "/v1/beacon/click")
    page.evaluate(change)
    box.let_go()
    assert box.wait(1)[0].json.get("clickId", "").startswith("via-")


def test_a_page_left_while_the_click_is_asked_for_sends_the_sale_without_it(
    page: Page, box: FaultBox, shop: Shop, snippet: str
) -> None:
    """Sent without its click is better than not sent."""
    box.hold("beacon")
    page.goto(shop.page("/", snippet + "<script>mtag('lead')</script>") + "?via=partner")
    box.wait(1, "/v1/beacon/click")
    page.goto(shop.page("/next", "<p>next"))
    assert "clickId" not in box.wait(1)[0].json


def test_two_tabs_share_the_newest_click(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str, call: Call, noise: Noise
) -> None:
    url = shop.page("/", snippet)
    page.goto(url + "?clickId=old")
    page.wait_for_function(KEPT)
    other = context.new_page()
    noise.watch(other)
    other.goto(url + "?clickId=new")
    other.wait_for_function(f"{KEPT} == 'new'")
    assert sold_with(box, call) == "new"


def test_hostile_addresses_do_nothing(page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call) -> None:
    page.goto(
        shop.page("/", snippet) + "?clickId=%3Cscript%3E%0d%0aSet-Cookie:x=1&a=%&__proto__=x&constructor=y&=&clickId"
    )
    page.wait_for_function(KEPT)
    assert sold_with(box, call) == "%3Cscript%3E%0d%0aSet-Cookie:x=1"
