"""Who gets in, as what, and that nothing stays behind."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ops.local.running import RunningBox
from tests.dashboard.conftest import Visit, log_in, row
from tests.dashboard.orders import conversion, order


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "Paste a key of this box."),
        ("letmein", "A key is box_ and 32 letters and digits."),
        ("box_" + "x" * 31 + "é", "A key is box_ and 32 letters and digits."),
        ("box_" + "0" * 32, "This key is not one of this box, or it was revoked."),
    ],
)
def test_a_wrong_key_is_told_in_a_sentence(box: RunningBox, visit: Visit, given: str, sentence: str) -> None:
    page = visit(box, key=None)
    log_in(page, given)
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.get_by_label("API key")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_lives_as_long_as_its_tab_and_not_past_the_log_out(box: RunningBox, visit: Visit) -> None:
    page = visit(box)
    expect(page.get_by_role("heading", name="Demo Shop")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Demo Shop")).to_be_visible()
    assert page.evaluate("localStorage.length + document.cookie.length") == 0

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert page.locator("tr[data-id]").count() == 0
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_key_that_stops_working_leads_back_to_the_login(box: RunningBox, visit: Visit) -> None:
    page = visit(box)
    expect(page.get_by_role("heading", name="Demo Shop")).to_be_visible()
    page.evaluate("sessionStorage.setItem('merchant-box-key', 'box_' + '0'.repeat(32))")
    expect(page.get_by_role("alert")).to_contain_text("no longer works")


def test_a_key_that_only_reads_sees_no_buttons_to_decide_with(box: RunningBox, visit: Visit) -> None:
    made = order(box)
    page = visit(box, key="readonly", at=f"#conversion={made['conversionId']}")
    expect(page.locator("#detail h2")).to_have_text(made["orderId"])
    expect(page.locator("#detail")).to_contain_text("This key reads only")
    assert page.locator("[data-action]").count() == 0


def test_a_decision_that_the_key_may_not_take_is_refused_in_words_and_taken_back(box: RunningBox, visit: Visit) -> None:
    made = order(box)
    page = visit(box, at=f"#conversion={made['conversionId']}")
    page.locator("[data-action=approve]").click()
    page.evaluate("key => sessionStorage.setItem('merchant-box-key', key)", box.keys["readonly"])
    page.locator(".ask [type=submit]").click()
    expect(page.locator(".ask .fault")).to_contain_text("(scope_missing)")
    expect(page.locator("#detail .badge")).to_have_text("Open")
    assert conversion(box, made["conversionId"])["status"] == "open"


def test_a_publisher_sees_its_own_conversions_without_order_ids_and_decides_nothing(
    box: RunningBox, visit: Visit
) -> None:
    mine = order(box, metadata={"customer": "Ada"})
    nobodys = order(box, clickId=None)
    page = visit(box, key="publisher")
    row(page, mine["conversionId"]).click()
    expect(page.locator("#detail")).to_contain_text("€10.00")
    expect(page.locator("#detail dd code").first).to_be_visible()
    everything = page.locator("body").inner_text() + page.locator("#list").inner_html()
    assert mine["orderId"] not in everything
    assert "Ada" not in everything
    assert row(page, nobodys["conversionId"]).count() == 0
    assert page.locator("[data-action]").count() == 0
    expect(page.get_by_label("Publisher", exact=True)).to_be_hidden()
