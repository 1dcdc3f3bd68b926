"""`box doctor` finds what is wrong with a merchant's page, says what to mend, and sells nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops.doctor import answer_finding, order_id_finding, policy_lines
from tests.tag.sites import FaultBox, Shop

ROOT = Path(__file__).parents[2]


def doctor(*arguments: str) -> tuple[int, str]:
    """Exit code and what it said. A process of its own, for it starts a browser of its own."""
    command = [sys.executable, "-m", "ops.cli", "doctor", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def healthy(box: FaultBox, shop: Shop) -> FaultBox:
    box.config["origins"] = [shop.url]
    return box


def test_a_healthy_page_passes_with_a_test_click_and_a_test_sale(healthy: FaultBox, shop: Shop, snippet: str) -> None:
    url = shop.page("/thanks", snippet + "<script>mtag('sale', null, {orderId: 'real-order'}, ['100.00'])</script>")
    code, said = doctor(url, "--publisher", "partner")
    assert (code, "MEND" in said) == (0, False), said
    assert "A click through the publisher's link arrived on the page and was kept." in said
    assert "A test sale arrived and was attributed." in said
    assert all(one.get("isTest") for one in healthy.conversions)


@pytest.mark.usefixtures("healthy")
def test_a_program_is_told_the_same_in_json(shop: Shop, snippet: str) -> None:
    code, said = doctor(shop.page("/", snippet), "--json")
    told = json.loads(said)
    assert (code, told["healthy"]) == (0, True)
    assert {"good": True, "text": "The tag runs."} in told["findings"]


def test_a_page_without_the_snippet_is_told_to_paste_it(shop: Shop) -> None:
    code, said = doctor(shop.page("/", "<p>nothing"))
    assert code == 1
    assert "MEND The snippet is not on the page." in said


def test_policy_origin_and_order_id_are_each_named(healthy: FaultBox, shop: Shop) -> None:
    healthy.config["origins"] = ["https://elsewhere.example"]
    body = (
        f'<script src="{healthy.url}/libs/mtag.js"></script>'
        "<script>mtag('sale', null, {colour: 'red'}, ['1.00'])</script>"
    )
    _, said = doctor(shop.page("/origin", body))
    assert f"MEND {shop.url} is not in site.origins" in said
    assert "MEND The page's sale has no order id: its metadata has colour." in said
    code, said = doctor(
        shop.page(
            "/policy",
            body,
            {"Content-Security-Policy": f"script-src {healthy.url} 'unsafe-inline'; connect-src 'self'"},
        )
    )
    assert code == 1
    assert f"Add {healthy.url} to connect-src." in said


def test_a_page_whose_own_sale_the_box_refuses_is_not_healthy(healthy: FaultBox, shop: Shop, snippet: str) -> None:
    url = shop.page("/comma", snippet + "<script>mtag('sale', null, {orderId: 'o'}, ['12,50'])</script>")
    code, said = doctor(url)
    assert code == 1
    assert "MEND The box refuses the page's own sale for good: amount_invalid - " in said
    assert all(one.get("isTest") for one in healthy.conversions)


@pytest.mark.parametrize(
    ("status", "good"), [(202, True), (200, True), (409, True), (422, False), (400, False), (503, False), (403, None)]
)
def test_an_answer_to_the_pages_own_sale_is_told_unless_another_finding_does(status: int, good: bool | None) -> None:
    found = answer_finding(status, {"code": "amount_invalid"} if status == 422 else {})
    assert (found and found[0]) is good


def test_a_click_that_the_tag_has_kept_counts_though_the_page_tidies_its_address(
    healthy: FaultBox, shop: Shop, snippet: str
) -> None:
    tidy = "<script>addEventListener('load', () => history.replaceState(null, '', location.pathname))</script>"
    code, said = doctor(shop.page("/tidy", snippet + tidy), "--publisher", "partner")
    assert (code, "MEND" in said) == (0, False), said
    healthy.config["clickParameters"] = ["cid"]  # the fault box's links say clickId
    code, said = doctor(shop.page("/other-name", snippet), "--publisher", "partner")
    assert code == 1 and "without a click" in said
    assert "ok   A test sale arrived" in said, "what else can be looked at is"


def test_a_sandboxed_page_is_named_by_the_origin_that_browsers_send_for_it(
    healthy: FaultBox, shop: Shop, snippet: str
) -> None:
    url = shop.page("/sandboxed", snippet, {"Content-Security-Policy": "sandbox allow-scripts"})
    assert "MEND null is not in site.origins" in doctor(url)[1]
    healthy.config["origins"] = ["null"]
    assert "ok   null is one of the merchant's origins." in doctor(url)[1]


@pytest.mark.long
def test_a_policy_that_forbids_the_script_is_named(healthy: FaultBox, shop: Shop) -> None:
    body = f'<script src="{healthy.url}/libs/mtag.js"></script>'
    _, said = doctor(shop.page("/script", body, {"Content-Security-Policy": "script-src 'unsafe-inline'"}))
    assert f"Add {healthy.url} to script-src." in said
    assert "MEND The script is on the page but does not run" in said


def test_only_the_box_itself_is_named_for_the_policy() -> None:
    violations = [["script-src-elem", "https://box.example/libs/mtag.js"], ["img-src", "https://ads.example/x"]]
    assert policy_lines(violations, "https://box.example/api") == [
        "The page's Content-Security-Policy forbids the tag something. Add https://box.example to script-src."
    ]


@pytest.mark.parametrize(
    ("metadata", "good"),
    [({"orderId": "1"}, True), ({"reference": "x"}, True), ({"orderId": ""}, False), ({}, False), (None, False)],
)
def test_an_order_id_counts_under_any_name_of_the_config(metadata: dict[str, str] | None, good: bool) -> None:
    found, text = order_id_finding([{"action": "sale", "metadata": metadata}], ["orderId", "reference"])
    assert found is good
    assert text
