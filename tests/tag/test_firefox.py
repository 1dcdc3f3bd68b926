"""The tag's promises in a real Firefox. Each has its full tests in Chromium; here it is what browsers could do differently. In every test
the page may neither throw nor write to the console."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.tag.firefox import Firefox, Tab
from tests.tag.sites import BREAKAGE, STUB, FaultBox, Shop

SALE = "<script>mtag('sale', (ok, result) => { window.got = [ok, result] }, {orderId: 1}, ['1.00'])</script>"
ORDER = {"orderId": "A-1"}
COOKIE = "document.cookie.match(/mtag=([^;]*)/)?.[1]"
WAITING = "Object.keys(localStorage).some(key => key.startsWith('mtag.p.'))"
STORED = (
    "[...Object.keys(localStorage), ...Object.keys(sessionStorage), ...document.cookie.split('; ').filter(Boolean)]"
)


@pytest.fixture(scope="module")
def firefox(firefox_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with Firefox(firefox_path, tmp_path_factory.mktemp("firefox")).connected() as started:
        yield started


@pytest.fixture(scope="module")
def one_tab(firefox: Firefox) -> Tab:
    return firefox.tab()


@pytest.fixture
def tab(one_tab: Tab) -> Iterator[Tab]:
    """The same for all, because a new one starts a process. Storage and cache are an origin's own and each test has new origins; the
    cookies of one host are shared by its ports."""
    one_tab.clear_cookies()
    one_tab.noise.clear()
    yield one_tab
    one_tab.leave()
    assert one_tab.noise == []


def quiet(tab: Tab, box: FaultBox) -> None:
    """Nothing stored, nothing sent, after time enough for both."""
    time.sleep(0.4)
    assert tab.evaluate(STORED) == []
    assert box.of("/v1/beacon") == []


def test_a_sale_goes_cross_origin_as_plain_text_without_a_preflight(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    tab.open(shop.page("/", snippet) + "?clickId=c1")
    ok, result = tab.call("sale", {**ORDER, "voucher": "SAVE10"}, ["12.50", "3"])
    assert (ok, result["attributed"]) == (True, True)
    assert box.of("", "OPTIONS") == []
    [sent] = box.of("/v1/beacon/conversion")
    assert (sent.method, sent.headers["content-type"]) == ("POST", "text/plain;charset=UTF-8")
    assert "cookie" not in sent.headers
    assert {name: sent.json[name] for name in ("values", "metadata", "voucher", "clickId")} == {
        "values": ["12.50", "3"],
        "metadata": ORDER,
        "voucher": "SAVE10",
        "clickId": "c1",
    }


def test_calls_made_before_load_are_kept_in_order(tab: Tab, box: FaultBox, shop: Shop) -> None:
    calls = "".join(f"mtag('sale', null, {{orderId: {n}}}, ['1.00']);" for n in range(1, 6))
    # As the page sends them: on the way one request may overtake another.
    note = "what && sent.push(JSON.parse(what.body).metadata.orderId)"
    watch = f"var sent = [], real = fetch; fetch = (url, what) => ({note}, real(url, what))"
    script = f"<script async src='{box.url}/libs/mtag.js'></script>"
    tab.open(shop.page("/", f"<script>{watch}</script><script>{STUB};const old = mtag;{calls}</script>{script}"))
    box.wait(5)
    tab.evaluate("old('sale', null, {orderId: 6}, ['6.00'])")  # a page that kept the stub itself
    box.wait(6)
    assert tab.evaluate("sent") == [1, 2, 3, 4, 5, 6]


def test_a_box_that_is_down_harms_nothing_and_gets_the_sale_on_the_next_page(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    url = shop.page("/", snippet)
    tab.open(url)
    box.reset = {"beacon"}
    assert tab.call("sale", ORDER, ["1.00"]) == [False, {"code": "unanswered"}]
    assert tab.evaluate(WAITING)
    box.reset = set()
    tab.open(url)
    box.wait(1)
    tab.wait_until(f"!{WAITING}")
    assert box.known == {"A-1": "c0"}


def test_a_box_that_serves_no_tag_leaves_the_page_alone(tab: Tab, box: FaultBox, shop: Shop, snippet: str) -> None:
    box.reset = {"libs", "config", "beacon"}
    tab.open(shop.page("/", snippet + SALE + "<h1>thanks</h1>"))
    assert tab.evaluate("document.querySelector('h1').textContent") == "thanks"


def test_navigation_right_after_the_call_loses_no_sale(tab: Tab, box: FaultBox, shop: Shop, snippet: str) -> None:
    """On a visitor's first page, before the config has come."""
    box.delay = {"config": 0.2}
    next_page = shop.page("/next", "<p>next</p>")
    thanks = shop.page(
        "/thanks",
        snippet + "<script>mtag('sale', null, {orderId: location.search.slice(1)}, ['1.00'])</script>"
        "<script>(function go() { window.mtag && mtag.log ? location.href = '/next' + location.search : setTimeout(go) })()</script>",
    )
    for order in range(20):
        tab.go(f"{thanks}?{order}")
        tab.wait_for_address(f"{next_page}?{order}")
    box.wait_events(20)
    assert len(box.known) == 20


def test_a_page_left_before_the_answer_sends_it_by_beacon_as_well(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    box.hold("beacon")
    tab.open(shop.page("/", snippet))
    tab.evaluate("mtag('sale', null, {orderId: 1}, ['1.00'])")
    tab.open(shop.page("/next", "<p>next</p>"))
    box.wait(2, method="POST")
    assert len(box.events) == 1


def test_a_tab_closed_right_after_the_call_loses_no_sale(
    firefox: Firefox, box: FaultBox, shop: Shop, snippet: str
) -> None:
    box.delay = {"config": 0.2}
    url = shop.page("/thanks", snippet)
    for order in range(3):
        tab = firefox.tab()
        tab.open(url)
        tab.evaluate(f"mtag('sale', null, {{orderId: 'A-{order}'}}, ['1.00'])")
        tab.close()
    box.wait_events(3)
    assert len(box.known) == 3


@pytest.mark.parametrize("address", ["?a=b&clickId=c1&c=d", "?x=1#clickId=c1", "#/route?clickId=c1&y=2"])
def test_a_click_is_picked_up_from_query_and_fragment(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str, address: str
) -> None:
    tab.open(shop.page("/", snippet) + address)
    tab.wait_until(COOKIE)
    tab.open(shop.page("/thanks", snippet))
    tab.call("sale", ORDER, ["1.00"])
    assert box.conversions[0]["clickId"] == "c1"


def test_a_route_change_of_a_single_page_app_is_a_landing_too(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    tab.open(shop.page("/", snippet))
    tab.evaluate("history.pushState(null, '', '/product?clickId=spa')")
    tab.wait_until(f"{COOKIE} == 'spa'")
    tab.evaluate("history.replaceState(null, '', '/thanks')")
    tab.call("sale", ORDER, ["1.00"])
    assert box.conversions[0]["clickId"] == "spa"


def test_without_the_navigation_api_of_newer_browsers_a_call_finds_the_routes_click(
    firefox: Firefox, tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    with firefox.preferring({"dom.navigation.webidl.enabled": False}):
        tab.open(shop.page("/", snippet))
        assert tab.evaluate("typeof navigation") == "undefined"
        tab.evaluate("history.pushState(null, '', '/product?clickId=spa')")
        tab.call("sale", ORDER, ["1.00"])
    assert box.conversions[0]["clickId"] == "spa"


def test_where_consent_is_required_nothing_happens_before_it_and_everything_after(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    box.config["consent"] = "required"
    tab.open(shop.page("/", snippet + SALE) + "?clickId=c1")
    quiet(tab, box)
    tab.evaluate("mtag('consent', 'granted')")
    assert box.wait(1)[0].json["clickId"] == "c1"
    tab.wait_until(f"{COOKIE} == 'c1'")


def test_leaving_without_the_required_consent_sends_nothing(tab: Tab, box: FaultBox, shop: Shop, snippet: str) -> None:
    box.config["consent"] = "required"
    tab.open(shop.page("/", snippet + SALE) + "?clickId=c1")
    tab.open(shop.page("/next", "<p>"))
    quiet(tab, box)


def test_the_visitors_own_privacy_signal_is_a_no_where_silence_would_be_a_yes(
    firefox: Firefox, tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    """Global Privacy Control as Firefox has it, switched on."""
    with firefox.preferring({"privacy.globalprivacycontrol.enabled": True}):
        tab.open(shop.page("/", snippet + SALE) + "?clickId=c1")
        tab.wait_until("window.got")
        assert tab.evaluate("[navigator.globalPrivacyControl, got]") == [True, [False, {"code": "no_consent"}]]
        quiet(tab, box)
        tab.evaluate("mtag('consent', true)")  # to this shop, which counts more
        assert tab.call("sale", ORDER, ["1.00"])[0] is True


@pytest.mark.parametrize(
    ("preference", "value", "storage"),
    [
        ("network.cookie.cookieBehavior", 2, "SecurityError"),  # every cookie refused, and storage with them
        ("dom.storage.enabled", False, "null"),
        ("dom.storage.default_quota", 0, "QuotaExceededError"),
    ],
)
def test_blocked_storage_costs_the_memory_but_not_the_sale(
    firefox: Firefox,
    tab: Tab,
    box: FaultBox,
    shop: Shop,
    snippet: str,
    preference: str,
    value: bool | int,
    storage: str,
) -> None:
    """By Firefox's own switches, nothing overridden."""
    store = "(() => { try { return localStorage && (localStorage.x = 'yes') } catch (error) { return error.name } })()"
    with firefox.preferring({preference: value}):
        tab.open(shop.page("/", snippet + SALE) + "?clickId=c1")
        assert str(tab.evaluate(f"'' + {store}")) == storage
        tab.wait_until("window.got")
        assert tab.evaluate("got[0]") is True
    assert box.conversions[0]["clickId"] == "c1"


def test_a_sandboxed_frame_without_an_origin_sells_too(tab: Tab, box: FaultBox, shop: Shop, snippet: str) -> None:
    shop.page("/frame", snippet + SALE)
    tab.open(shop.page("/", '<iframe sandbox="allow-scripts" src="/frame?clickId=c1"></iframe>'))
    assert box.wait(1)[0].json["clickId"] == "c1"


def nonced(box: FaultBox) -> str:
    sale = SALE.replace("<script>", "<script nonce=n0>")
    return f'<script nonce=n0>{STUB}</script><script nonce=n0 async src="{box.url}/libs/mtag.js"></script>{sale}'


def test_a_strict_policy_with_the_documented_lines_lets_tag_and_panel_work(tab: Tab, box: FaultBox, shop: Shop) -> None:
    policy = f"default-src 'none'; script-src 'nonce-n0'; connect-src {box.url}; img-src {box.url}"
    tab.open(shop.page("/", nonced(box), {"Content-Security-Policy": policy}) + "?mtag_debug=1")
    assert box.wait(1)[0].method == "POST"
    shown = "document.querySelector('mtag-panel')?.shadowRoot.textContent"
    tab.wait_until(f"{shown}?.includes('The sale is counted')")


def test_where_connections_are_forbidden_an_image_carries_the_sale(tab: Tab, box: FaultBox, shop: Shop) -> None:
    policy = f"default-src 'none'; script-src 'nonce-n0'; img-src {box.url}"
    tab.open(shop.page("/", nonced(box), {"Content-Security-Policy": policy}))
    [sent] = box.wait(1)
    assert (sent.method, sent.json["metadata"]) == ("GET", {"orderId": 1})
    # That a policy forbids something is Firefox's word, not the tag's.
    tab.wait_until("got")
    assert [line for line in tab.noise if "(connect-src)" not in line] == []
    tab.noise.clear()


def kept_whole(firefox: Firefox, box: FaultBox, page: str, act: Callable[[Tab], None]) -> Tab:
    """A tab that went elsewhere and is back on the page as it was. Whether Firefox keeps a page is its own affair, and on a busy machine
    now and then it does not: then a new visitor tries."""
    for _ in range(5):
        box.seen.clear()
        tab = firefox.tab()
        tab.open(page)
        tab.wait_until(COOKIE)
        tab.evaluate("void addEventListener('pageshow', event => { window.restored = event.persisted })")
        act(tab)
        tab.back()
        tab.wait_for_address(page)
        tab.wait_until("document.readyState == 'complete'")
        if tab.evaluate("window.restored === true"):
            return tab
        tab.close()
    raise AssertionError("Firefox kept the page not once")


def test_a_page_back_from_the_back_forward_cache_sells_with_the_newest_click_and_once(
    firefox: Firefox, box: FaultBox, shop: Shop, snippet: str
) -> None:
    def sell_and_click_again(tab: Tab) -> None:
        tab.call("sale", {"orderId": "first"}, ["1.00"])
        tab.open(shop.page("/next", snippet) + "?clickId=c2")
        tab.wait_until(f"{COOKIE} == 'c2'")

    tab = kept_whole(firefox, box, shop.page("/", snippet) + "?clickId=c1", sell_and_click_again)
    tab.call("sale", {"orderId": "second"}, ["1.00"])
    assert [(one["metadata"]["orderId"], one["clickId"]) for one in box.conversions] == [
        ("first", "c1"),
        ("second", "c2"),
    ]
    assert tab.noise == []
    tab.close()


def test_a_consent_withdrawn_while_the_page_was_away_binds_the_restored_page(
    firefox: Firefox, box: FaultBox, shop: Shop, snippet: str
) -> None:
    def withdraw(tab: Tab) -> None:
        tab.open(shop.page("/privacy", snippet))
        tab.evaluate("mtag('consent', 'denied')")

    tab = kept_whole(firefox, box, shop.page("/", snippet) + "?clickId=c1", withdraw)
    assert tab.call("sale", ORDER, ["1.00"]) == [False, {"code": "no_consent"}]
    assert box.of("/v1/beacon") == []
    assert tab.evaluate(STORED) == ["mtag.consent"]
    assert tab.noise == []
    tab.close()


def test_a_reloaded_thank_you_page_without_an_order_id_is_one_sale(
    tab: Tab, box: FaultBox, shop: Shop, snippet: str
) -> None:
    tab.open(shop.page("/thanks", snippet + "<script>mtag('sale', null, null, ['9.99'])</script>"))
    box.wait(1)
    tab.wait_until(f"!{WAITING}")
    tab.reload()
    box.wait(2)
    assert len(box.events) == 1


@pytest.mark.parametrize("breakage", BREAKAGE)
def test_a_sale_leaves_a_page_that_broke_its_own_built_ins(tab: Tab, box: FaultBox, shop: Shop, breakage: str) -> None:
    body = f'<script>{BREAKAGE[breakage]}</script><script src="{box.url}/libs/mtag.js"></script>{SALE}'
    tab.open(shop.page("/", body) + "?clickId=c1")
    sent = box.wait(1)[0].json
    assert (sent["values"], sent["metadata"]["orderId"], sent["clickId"]) == (["1.00"], 1, "c1")
