"""A page that the browser kept whole, memory and timers, while the visitor was elsewhere, and gives back on the step back. Playwright
switches that off in the browser it starts, so this one is started without the switch; Firefox's is in test_firefox.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import CHROMIUM_OPTIONS
from tests.tag.conftest import Call
from tests.tag.sites import FaultBox, Shop

KEPT = "document.cookie.match(/mtag=([^;]*)/)?.[1]"
WAITING = "Object.keys(localStorage).some(key => key.startsWith('mtag.p.'))"
REASONS = "performance.getEntriesByType('navigation')[0].notRestoredReasons"


@pytest.fixture(scope="module")
def browser(chromium: Browser, chromium_path: str) -> Iterator[Browser]:
    started = chromium.browser_type.launch(
        executable_path=chromium_path,
        args=CHROMIUM_OPTIONS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield started
    started.close()


ASKED = """performance.getEntriesByType('resource').filter(
    one => one.name.includes('/v1/beacon') && one.startTime > window.shown).length"""


def leave(page: Page, url: str) -> None:
    page.evaluate(
        "addEventListener('pageshow', event => { window.restored = event.persisted; window.shown = performance.now() })"
    )
    page.goto(url)


def come_back(page: Page) -> None:
    """The step back, and the proof that it was a restore: what stood in the page's memory still does."""
    page.go_back(wait_until="commit")
    page.wait_for_function("window.restored || window.restored === undefined && performance.timing.loadEventEnd")
    assert page.evaluate(f"[window.restored, {REASONS}]") == [True, None]


def test_a_restored_page_sells_with_the_newest_click_and_once(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function(KEPT)
    call("sale", {"orderId": "first"}, ["1.00"])
    leave(page, shop.page("/next", snippet) + "?clickId=c2")
    page.wait_for_function(f"{KEPT} == 'c2'")
    come_back(page)
    call("sale", {"orderId": "second"}, ["1.00"])
    page.wait_for_timeout(300)  # for what should not come
    assert [(one["metadata"]["orderId"], one["clickId"]) for one in box.conversions] == [
        ("first", "c1"),
        ("second", "c2"),
    ]
    assert page.evaluate(KEPT) == "c2"


def test_the_click_of_a_page_left_before_the_config_came_is_not_lost(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    box.delay = {"config": 1}
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function("window.mtag && mtag.log")
    page.goto(shop.page("/next", "<p>next</p>"))
    page.go_back(wait_until="commit")
    page.wait_for_function("window.mtag && mtag.log")
    call("sale", {"orderId": 1}, ["1.00"])
    assert box.conversions[0]["clickId"] == "c1"


def test_what_was_answered_while_the_page_was_away_is_not_sent_again_after_the_restore(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    page.goto(shop.page("/", snippet))
    box.answers = [(503, {})]
    assert call("sale", {"orderId": 1}, ["1.00"])[0] is False
    leave(page, shop.page("/next", snippet))
    page.wait_for_function(f"!{WAITING}")
    come_back(page)
    page.wait_for_timeout(2_500)  # the restored page's own timer, two seconds long, has run
    assert page.evaluate(ASKED) == 0  # by the page itself: the beacon of its leaving may arrive at the box at any time
    assert len(box.known) == 1


def test_what_was_not_answered_before_goes_after_the_restore(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    page.goto(shop.page("/", snippet))
    box.reset = {"beacon"}
    assert call("sale", {"orderId": 1}, ["1.00"])[0] is False
    leave(page, shop.page("/next", "<p>next</p>"))
    box.reset = set()
    come_back(page)
    page.wait_for_function(f"!{WAITING}")
    assert page.evaluate(ASKED) > 0
    assert box.known == {"1": "c0"}
    assert len(box.events) == 1


def test_a_sale_on_its_way_when_the_page_is_left_counts_once(
    page: Page, box: FaultBox, shop: Shop, snippet: str
) -> None:
    box.hold("beacon")
    page.goto(shop.page("/", snippet))
    page.wait_for_function("window.mtag && mtag.log")
    page.evaluate("mtag('sale', null, {orderId: 1}, ['1.00'])")
    leave(page, shop.page("/next", "<p>next</p>"))
    come_back(page)
    box.let_go()
    page.wait_for_function(f"!{WAITING}")
    box.wait(2, method="POST")  # the call, and the beacon at leaving, whose answer nobody reads
    page.wait_for_timeout(300)  # for what should not come
    assert len(box.of("/v1/beacon/conversion", "POST")) == 2
    assert len(box.events) == 1


@pytest.mark.parametrize("mode", ["granted", "required"])
def test_a_consent_withdrawn_while_the_page_was_away_binds_the_restored_page(
    page: Page, box: FaultBox, shop: Shop, snippet: str, mode: str
) -> None:
    box.config["consent"] = mode
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    if mode == "required":
        page.evaluate("mtag('consent', 'granted')")
    page.wait_for_function(KEPT)
    leave(page, shop.page("/privacy", snippet))
    page.wait_for_function("window.mtag && mtag.log")
    page.evaluate("mtag('consent', 'denied')")
    come_back(page)
    page.evaluate("mtag('sale', null, {orderId: 1}, ['1.00'])")
    page.wait_for_timeout(300)
    assert box.of("/v1/beacon") == []
    assert page.evaluate(f"[{KEPT}, {WAITING}]") == [None, False]
