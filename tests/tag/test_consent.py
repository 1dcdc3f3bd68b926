"""Nothing is stored and nothing is sent before it may be."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.tag.conftest import Call
from tests.tag.sites import FaultBox, Shop

STORED = (
    "[...Object.keys(localStorage), ...Object.keys(sessionStorage), ...document.cookie.split('; ').filter(Boolean)]"
)
SALE = "<script>mtag('sale', (ok, result) => { window.got = [ok, result] }, {orderId: 1}, ['1.00'])</script>"


def quiet(page: Page, box: FaultBox) -> None:
    """Nothing stored, nothing sent, after time enough for both."""
    page.wait_for_timeout(400)
    assert page.evaluate(STORED) == []
    assert box.of("/v1/beacon") == []


@pytest.fixture
def required(box: FaultBox) -> FaultBox:
    box.config["consent"] = "required"
    return box


@pytest.mark.parametrize("announce", [True, False])
def test_where_consent_is_required_nothing_happens_without_it_not_even_on_leaving(
    page: Page, required: FaultBox, shop: Shop, snippet: str, announce: bool
) -> None:
    required.announce = announce
    required.delay = {"config": 0 if announce else 0.3}
    page.goto(shop.page("/", snippet + SALE) + "?clickId=c1")
    quiet(page, required)
    page.goto(shop.page("/next", "<p>"))
    quiet(page, required)


def test_a_sale_and_the_landing_click_wait_for_consent_and_then_count(
    page: Page, required: FaultBox, shop: Shop, snippet: str
) -> None:
    page.goto(shop.page("/", snippet + SALE) + "?clickId=c1")
    quiet(page, required)
    page.evaluate("history.replaceState(null, '', '/clean')")
    page.evaluate("mtag('consent', 'granted')")
    required.wait(1)
    assert required.conversions[0]["clickId"] == "c1"
    page.wait_for_function("document.cookie.includes('mtag=c1')")
    page.goto(shop.page("/thanks", snippet + "<script>mtag('sale', null, {orderId: 2}, ['1.00'])</script>"))
    required.wait(2)  # a yes is remembered


def test_a_refusal_drops_what_waited_and_says_so(page: Page, required: FaultBox, shop: Shop, snippet: str) -> None:
    page.goto(shop.page("/", snippet + SALE) + "?clickId=c1")
    page.wait_for_function("window.mtag && mtag.log")
    page.evaluate("mtag('consent', false)")
    assert page.evaluate("window.got") == [False, {"code": "no_consent"}]
    quiet(page, required)


@pytest.mark.parametrize("mode", ["granted", "required"])
def test_withdrawal_removes_everything_and_stops_the_tag(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call, mode: str
) -> None:
    box.config["consent"] = mode
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.evaluate("mtag('consent', true)")
    page.wait_for_function("document.cookie.includes('mtag=c1')")
    # Refused for now rather than dropped: of a dropped one an image is on its way as well, which may arrive at any later moment.
    box.answers = [(503, {})] * 9
    assert call("sale", {"orderId": "kept"}, ["1.00"]) == [False, {"code": "unanswered"}]
    page.evaluate("mtag('consent', 'denied')")
    box.seen.clear()
    # Where silence means yes, the no itself has to be kept.
    assert page.evaluate(STORED) == (["mtag.consent"] if mode == "granted" else [])
    assert call("sale", {"orderId": 2}, ["1.00"]) == [False, {"code": "no_consent"}]
    page.goto(shop.page("/thanks", snippet + SALE))
    page.wait_for_timeout(400)
    assert box.of("/v1/beacon") == []


@pytest.mark.parametrize("mode", ["granted", "required"])
def test_withdrawal_in_one_tab_binds_the_others(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str, mode: str
) -> None:
    box.config["consent"] = mode
    url = shop.page("/", snippet)
    page.goto(url + "?clickId=c1")
    if mode == "required":
        page.evaluate("mtag('consent', 'granted')")
    page.wait_for_function("document.cookie.includes('mtag=c1')")
    other = context.new_page()
    other.goto(url)
    other.wait_for_function("window.mtag && mtag.log")
    before = page.evaluate("localStorage['mtag.consent'] ?? null")
    other.evaluate("mtag('consent', 'denied')")
    # The browser brings it to the other tab's process in its own time.
    page.wait_for_function("before => (localStorage['mtag.consent'] ?? null) != before", arg=before)
    page.evaluate("mtag('sale', null, {orderId: 1}, ['1.00'])")
    page.wait_for_timeout(400)
    assert box.of("/v1/beacon") == []
    # A no that is kept is kept by whichever tab looks at it.
    assert page.evaluate(STORED) == (["mtag.consent"] if mode == "granted" else [])


def know_no_mode(page: Page, context: BrowserContext, box: FaultBox) -> None:
    """As with a pinned tag, which carries no consent mode beside it, while the config is slow to come."""
    box.announce = False
    box.hold("config")
    cdp = context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})


@pytest.mark.parametrize("said", ["before", "on that page"])
def test_a_no_is_not_lost_with_a_page_that_is_left_before_the_config_comes(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str, said: str
) -> None:
    """A pinned tag carries no consent mode beside it."""
    url = shop.page("/", snippet)
    page.goto(url)
    page.evaluate(f"mtag('consent', {str(said != 'before').lower()})")
    page.wait_for_function("localStorage['mtag.consent']")
    know_no_mode(page, context, box)
    page.goto(url)
    page.wait_for_function("window.mtag && mtag.log")
    if said != "before":
        page.evaluate("mtag('consent', 'denied')")
    box.announce = True
    page.goto(shop.page("/thanks", snippet + SALE))
    box.let_go()
    page.wait_for_function("window.got")
    assert page.evaluate("window.got") == [False, {"code": "no_consent"}]
    assert box.of("/v1/beacon") == []


def test_global_privacy_control_is_a_no_where_silence_would_be_a_yes(
    page: Page, box: FaultBox, shop: Shop, snippet: str
) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page.goto(shop.page("/", snippet + SALE) + "?clickId=c1")
    page.wait_for_function("window.got")
    assert page.evaluate("window.got") == [False, {"code": "no_consent"}]
    quiet(page, box)


def test_a_visitors_own_yes_to_this_shop_counts_more_than_the_general_signal(
    page: Page, shop: Shop, snippet: str, call: Call
) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page.goto(shop.page("/", snippet))
    page.evaluate("mtag('consent', true)")
    assert call("sale", {"orderId": 1}, ["1.00"])[0] is True


def test_where_consent_is_off_the_tag_asks_nobody(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    box.config["consent"] = "off"
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page.goto(shop.page("/", snippet))
    assert call("sale", {"orderId": 1}, ["1.00"])[0] is True


def test_where_consent_is_off_a_no_is_remembered_all_the_same(
    page: Page, box: FaultBox, shop: Shop, snippet: str, call: Call
) -> None:
    """Silence means yes there too."""
    box.config["consent"] = "off"
    url = shop.page("/", snippet)
    page.goto(url)
    page.evaluate("mtag('consent', 'denied')")
    page.goto(url)
    assert call("sale", {"orderId": 1}, ["1.00"]) == [False, {"code": "no_consent"}]
    assert page.evaluate(STORED) == ["mtag.consent"]


def cmp(*events: dict[str, Any]) -> str:
    """A consent manager that speaks IAB TCF v2.2; `decide` is what its dialogue does later."""
    return (
        (
            "<script>window.__tcfapi = (command, version, callback) => { window.decide = data => callback(data, true); "
            f"for (const data of {list(events)}) callback(data, true) }}</script>"
        )
        .replace("True", "true")
        .replace("False", "false")
        .replace("None", "null")
    )


def consents(status: str, *purposes: int, applies: bool = True) -> dict[str, Any]:
    return {"eventStatus": status, "gdprApplies": applies, "purpose": {"consents": {str(p): True for p in purposes}}}


@pytest.mark.parametrize(
    ("said", "sold"),
    [
        (consents("tcloaded", 1, 7), True),
        (consents("useractioncomplete", 1, 2, 7), True),
        (consents("tcloaded", applies=False), True),
        (consents("tcloaded", 1), False),
        (consents("tcloaded", 7), False),
        (consents("useractioncomplete"), False),
    ],
)
@pytest.mark.parametrize("mode", ["granted", "required"])
def test_the_iab_consent_string_is_read(
    page: Page, box: FaultBox, shop: Shop, snippet: str, mode: str, said: dict[str, Any], sold: bool
) -> None:
    box.config["consent"] = mode
    page.goto(shop.page("/", cmp(said) + snippet + SALE) + "?clickId=c1")
    page.wait_for_function("window.got")
    assert page.evaluate("window.got")[0] is sold
    if not sold:
        quiet(page, box)


def test_while_the_iab_dialogue_shows_a_required_consent_is_not_given(
    page: Page, required: FaultBox, shop: Shop, snippet: str
) -> None:
    page.goto(shop.page("/", cmp(consents("cmpuishown", 1, 7)) + snippet + SALE) + "?clickId=c1")
    quiet(page, required)
    page.evaluate("data => decide(data)", consents("useractioncomplete", 1, 7))
    required.wait(1)
    assert required.conversions[0]["clickId"] == "c1"


@pytest.mark.parametrize("announce", [True, False])
def test_while_the_iab_dialogue_shows_silence_is_not_a_yes(
    page: Page, box: FaultBox, shop: Shop, snippet: str, announce: bool
) -> None:
    """Whoever asks has not been answered."""
    box.announce = announce
    page.goto(shop.page("/", cmp(consents("cmpuishown")) + snippet + SALE) + "?clickId=c1")
    quiet(page, box)
    page.evaluate("data => decide(data)", consents("useractioncomplete", 1, 7))
    assert box.wait(1)[0].json["clickId"] == "c1"


def test_while_the_iab_dialogue_shows_a_kept_click_is_no_permission_either(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str
) -> None:
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function("document.cookie.includes('mtag=c1')")
    know_no_mode(page, context, box)
    page.goto(shop.page("/thanks", cmp(consents("cmpuishown")) + snippet + SALE))
    page.wait_for_function("window.mtag && mtag.log")
    box.let_go()
    page.wait_for_function("mtag.log.length")
    assert box.of("/v1/beacon") == []


NEVER_ANSWERS = {
    "its script is blocked": "window.__tcfapi = function () { (__tcfapi.a = __tcfapi.a || []).push(arguments) }",
    "it throws": "window.__tcfapi = () => { throw Error('broken') }",
    "it is no function": "window.__tcfapi = {}",
    "its dialogue stays open": "window.__tcfapi = (_, __, back) => back({eventStatus: 'cmpuishown', gdprApplies: true}, true)",
}


@pytest.mark.parametrize("manager", NEVER_ANSWERS)
@pytest.mark.parametrize("mode", ["granted", "required"])
def test_when_the_page_is_left_without_a_consent_managers_word_the_mode_decides(
    page: Page, box: FaultBox, shop: Shop, snippet: str, manager: str, mode: str
) -> None:
    """Content blockers take a manager's script away and leave its stub: no sale may be lost by that where silence is a yes."""
    box.config["consent"] = mode
    stub = f"<script>{NEVER_ANSWERS[manager]}</script>"
    page.goto(shop.page("/", stub + snippet + SALE) + "?clickId=c1")
    quiet(page, box)
    page.goto(shop.page("/next", "<p>next</p>"))
    if mode == "granted":
        assert box.wait(1)[0].json["clickId"] == "c1"
    else:
        quiet(page, box)


def test_a_no_in_the_iab_dialogue_refuses_what_waited(page: Page, box: FaultBox, shop: Shop, snippet: str) -> None:
    page.goto(shop.page("/", cmp(consents("cmpuishown")) + snippet + SALE) + "?clickId=c1")
    page.wait_for_function("!!window.decide")
    page.evaluate("data => decide(data)", consents("useractioncomplete", 1))
    assert page.evaluate("window.got") == [False, {"code": "no_consent"}]
    quiet(page, box)


LATER = "<script>window.__tcfapi = (command, version, callback) => setTimeout(() => callback(%s), 50)</script>"
AT_ONCE = "<script>window.__tcfapi = (command, version, callback) => callback(%s)</script>"


@pytest.mark.parametrize("when", [LATER, AT_ONCE], ids=["later", "at once"])
@pytest.mark.parametrize("mode", ["granted", "required"])
def test_where_the_consent_manager_does_not_speak_tcf_the_mode_decides(
    page: Page, box: FaultBox, shop: Shop, snippet: str, mode: str, when: str
) -> None:
    box.config["consent"] = mode
    page.goto(shop.page("/", when % "null, false" + snippet + SALE) + "?clickId=c1")
    if mode == "required":
        quiet(page, box)
    else:
        assert box.wait(1)[0].json["clickId"] == "c1"


@pytest.mark.parametrize("when", [LATER, AT_ONCE], ids=["later", "at once"])
@pytest.mark.parametrize("purpose", ["undefined", "{}"])
def test_where_consent_is_needed_and_none_is_named_it_is_a_no(
    page: Page, box: FaultBox, shop: Shop, snippet: str, when: str, purpose: str
) -> None:
    said = f"{{eventStatus: 'tcloaded', gdprApplies: true, purpose: {purpose}}}, true"
    page.goto(shop.page("/", when % said + snippet + SALE) + "?clickId=c1")
    page.wait_for_function("window.got")
    assert page.evaluate("window.got") == [False, {"code": "no_consent"}]
    quiet(page, box)


@pytest.mark.parametrize("yes", ["true", "1", "'1'", "'true'", "'granted'", "'Granted'", "'GIVEN'", "'yes'"])
def test_a_yes_may_be_written_in_several_ways(
    page: Page, required: FaultBox, shop: Shop, snippet: str, yes: str
) -> None:
    page.goto(shop.page("/", snippet + SALE + f"<script>mtag('consent', {yes})</script>"))
    required.wait(1)


@pytest.mark.parametrize("no", ["false", "0", "''", "null", "'Denied'", "'no'", ""])
def test_everything_else_is_a_no(page: Page, shop: Shop, snippet: str, no: str) -> None:
    page.goto(shop.page("/", f"{snippet}<script>mtag('consent', {no})</script>{SALE}".replace(", )", ")")))
    page.wait_for_function("window.got")
    assert page.evaluate("window.got") == [False, {"code": "no_consent"}]


def test_a_kept_click_proves_permission_before_the_config_comes(
    page: Page, context: BrowserContext, box: FaultBox, shop: Shop, snippet: str
) -> None:
    """A pinned tag carries no consent mode beside it, and the config may be slow: the sale goes at once all the same."""
    page.goto(shop.page("/", snippet) + "?clickId=c1")
    page.wait_for_function("document.cookie.includes('mtag=c1')")
    know_no_mode(page, context, box)
    page.goto(shop.page("/thanks", snippet + SALE))
    assert box.wait(1)[0].json["clickId"] == "c1"
