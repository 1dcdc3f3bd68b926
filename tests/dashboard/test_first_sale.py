"""A box nobody used yet: the snippet, the first sale by itself, and a signer that runs out of funds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from ops.local import rpc
from ops.local.running import RunningBox
from tests.dashboard.conftest import WAIT_MS, Visit, row
from tests.dashboard.orders import order
from tests.shopper import final_receipt

PAUSE_MS = 45_000


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    running = RunningBox(tmp_path_factory.mktemp("unused"), "--port", "0", "--prefix", "/api")
    yield running
    running.stop()


def test_an_unused_box_says_what_to_paste_and_shows_the_first_sale_by_itself(unused: RunningBox, visit: Visit) -> None:
    page = visit(unused)
    snippet = page.locator("[data-snippet=snippet]")
    expect(snippet).to_contain_text(f'<script async src="{unused.url}/libs/mtag.js"></script>')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy snippet").click()
    expect(page.locator("#said")).to_have_text("snippet copied")
    assert page.evaluate("navigator.clipboard.readText()") == snippet.inner_text()

    made = order(unused)
    expect(row(page, made["conversionId"])).to_contain_text("€10.00", timeout=WAIT_MS)
    expect(snippet).to_have_count(0)


def test_a_signer_without_funds_is_told_with_the_remedy_until_it_has_some(unused: RunningBox, visit: Visit) -> None:
    page = visit(unused)
    expect(page.locator("#health")).to_have_attribute("data-level", "ok", timeout=WAIT_MS)
    signer = page.evaluate("fetch('v1/config').then(answer => answer.json()).then(config => config.signer)")
    before = rpc.call(unused.line["rpc"], "eth_getBalance", signer, "latest")
    rpc.call(unused.line["rpc"], "anvil_setBalance", signer, "0x0")
    made = order(unused)
    banner = page.locator("#banner")
    expect(banner).to_contain_text("out of funds", timeout=PAUSE_MS)
    expect(banner).to_contain_text("signing resumes by itself")
    expect(banner.locator("code")).to_have_text(signer)
    expect(row(page, made["conversionId"]).locator(".c-network")).to_have_text("Waiting", timeout=WAIT_MS)

    rpc.call(unused.line["rpc"], "anvil_setBalance", signer, before)
    expect(banner).to_be_hidden(timeout=PAUSE_MS)
    final_receipt(unused, made["conversionId"])
    expect(row(page, made["conversionId"]).locator(".c-network")).to_have_text("Confirmed", timeout=WAIT_MS)
