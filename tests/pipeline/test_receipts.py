"""A receipt says what the network holds, not what the box is about to tell it."""

import csv
import io
import json
from typing import Any

import pytest

from chalicelib.domain.agreement import Rule
from chalicelib.domain.network_status import STATUSES
from chalicelib.domain.payload import rfc3339
from chalicelib.domain.report import Body
from chalicelib.services import export, notify, postbacks, present, track, vouchers
from chalicelib.services.receipts import receipt
from chalicelib.services.report import read_filter
from chalicelib.services.validate import Correction, correct
from ops.audit import audit_publisher
from ops.chain_reader import Chain
from ops.kept_answers import read_saved
from ops.verify import verify_receipt
from tests.rig.ground import DAY_MS, Ground

HOUR_MS = 3_600_000


def shown(ground: Ground, conversion_id: str) -> dict[str, Any]:
    status, body = receipt(ground.box, conversion_id)
    assert status == 200
    return body


def on_chain(ground: Ground, proof: dict[str, Any]) -> tuple[str, str]:
    """(status, decision) by the contract's own view."""
    view = ground._views.status(ground.owner.address, bytes.fromhex(proof["batch"][2:]), proof["sequence"])
    assert view.status in STATUSES
    return view.status, view.decision


def audited(ground: Ground, *rows: dict[str, Any]) -> list[str]:
    """What an audit by the first publisher finds, who kept these answers and what the box showed beside them."""
    chain = Chain(ground.node_url, ground.contract)
    report = audit_publisher(chain, ground.partners[0].address, saved=read_saved(json.dumps(rows)))
    return [finding.kind for finding in report.findings]


def kept(ground: Ground, conversion_id: str) -> dict[str, Any]:
    return {
        "answer": {"conversionId": conversion_id, "attributed": True},
        "savedAt": rfc3339(ground.box.now()),
        "receipt": receipt(ground.box, conversion_id)[1],
    }


def test_an_honest_box_is_not_accused_by_what_it_once_showed(ground: Ground) -> None:
    (sale,) = ground.sell(publisher=0, amount=10_000)
    rows = [kept(ground, sale)]
    assert rows[0]["receipt"]["state"] == "pending"
    assert audited(ground, *rows) == []
    ground.settle()
    rows.append(kept(ground, sale))
    correct(ground.box, sale, Correction(amount="40.00"), "test")
    ground.settle()
    rows.append(kept(ground, sale))
    assert [row["receipt"].get("amount") for row in rows] == [None, "100.00", "40.00"]
    assert audited(ground, *rows) == []


def test_a_receipt_holds_from_the_second_of_its_due_date_though_no_block_has_come(ground: Ground) -> None:
    (sale,) = ground.sell(publisher=0)
    ground.settle()
    (entry,) = ground.box.conversions.get(sale).entries  # type: ignore[union-attr]
    due = ground._views.status(ground.owner.address, bytes.fromhex(entry.batch), 1).due
    ground.pass_time(due * 1000 - ground.box.now() - 30_000)
    ground.box.offset += 40_000
    proof = shown(ground, sale)
    assert proof["status"] == "approved" and ground.chain_now() < due
    assert verify_receipt(proof, ground.node_url)[-1].ok


def test_a_decision_shows_in_the_receipt_once_it_is_on_the_network_and_not_before(ground: Ground) -> None:
    (sale,) = ground.sell(publisher=0)
    ground.settle()
    correct(ground.box, sale, Correction(status="rejected", reason="returned"), "test")
    assert (shown(ground, sale)["status"], on_chain(ground, shown(ground, sale))[0]) == ("open", "open")
    ground.turn()
    assert shown(ground, sale)["status"] == "open", "sent, not mined"
    ground.settle()
    assert (shown(ground, sale)["status"], on_chain(ground, shown(ground, sale))[0]) == ("rejected", "rejected")


def test_an_amended_amount_shows_in_the_receipt_once_it_is_on_the_network_and_not_before(ground: Ground) -> None:
    (sale,) = ground.sell(publisher=0, amount=10_000)
    ground.settle()
    correct(ground.box, sale, Correction(amount="40.00"), "test")
    ground.turn()
    assert (shown(ground, sale)["amount"], shown(ground, sale)["commission"]) == ("100.00", "10.00")
    ground.settle()
    assert (shown(ground, sale)["amount"], shown(ground, sale)["commission"]) == ("40.00", "4.00")


def by_browser(ground: Ground, order_id: str, click_id: str | None = None) -> str:
    body = Body(action="sale", values=["10.00"], metadata={"orderId": order_id}, event_id=order_id, click_id=click_id)
    return track.beacon_conversion(ground.box, body).conversion.conversion_id


def by_server(ground: Ground, order_id: str, **fields: Any) -> str | None:
    """Whose the order is then."""
    body = Body(action="sale", values=["10.00"], order_id=order_id, **fields)
    return track.conversion(ground.box, body, "server").conversion.attribution.publisher_id


def test_a_click_that_came_after_the_order_earns_nothing_of_it_however_late_the_server_names_it(ground: Ground) -> None:
    sale = by_browser(ground, "late-click")
    ground.pass_time(HOUR_MS)
    later = ground.click(0)
    ground.pass_time(HOUR_MS)
    assert by_server(ground, "late-click", click_id=later) is None
    mine = by_browser(ground, "mine", later)
    ground.pass_time(HOUR_MS)
    assert by_server(ground, "mine", click_id=ground.click(1)) == "p0"
    ground.settle()
    assert receipt(ground.box, sale)[0] == 202
    assert verify_receipt(shown(ground, mine), ground.node_url)[-1].ok


def test_a_click_that_reached_the_box_a_little_after_its_order_earns_and_its_receipt_holds(ground: Ground) -> None:
    sale = by_browser(ground, "just-before")
    ground.pass_time(60_000)
    assert by_server(ground, "just-before", click_id=ground.click(1)) == "p1"
    ground.settle()
    proof = shown(ground, sale)
    assert proof["payload"]["clickedAt"] > proof["payload"]["createdAt"]
    assert verify_receipt(proof, ground.node_url)[-1].ok


def test_a_servers_report_that_comes_after_the_window_still_names_the_click_of_an_order_within_it(
    ground: Ground,
) -> None:
    click_id = ground.click(0, attributable_days=1)
    sale = by_browser(ground, "nightly")
    ground.pass_time(2 * DAY_MS)
    assert by_server(ground, "nightly", click_id=click_id) == "p0"
    ground.settle()
    assert verify_receipt(shown(ground, sale), ground.node_url)[-1].ok


def test_a_voucher_that_the_server_names_late_earns_by_the_terms_of_the_order_s_own_day(ground: Ground) -> None:
    vouchers.assign(ground.box, "CODE", "p0")
    sale = by_browser(ground, "voucher")
    ground.pass_time(HOUR_MS)
    ground.agree(0, rules=(Rule("sale", rate=50_000),), groups=("default",))
    ground.pass_time(HOUR_MS)
    assert by_server(ground, "voucher", voucher="CODE") == "p0"
    ground.settle()
    assert shown(ground, sale)["agreementId"] == ground.agreements[0]
    assert verify_receipt(shown(ground, sale), ground.node_url)[-1].ok


def test_what_the_lock_rejects_because_nobody_verified_it_says_so_wherever_it_is_shown(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(notify._known, "any", True)
    ground.agreements[0] = ground.agree(0, silence="verified")
    made = postbacks.create(ground.box, "p0", postbacks.Wish(url="https://publisher.example/"))
    sale = by_browser(ground, "unverified", ground.click(0))
    ground.settle()
    for days, status, reason in ((0, "open", None), (31, "rejected", "unverified")):
        ground.pass_time(days * DAY_MS)
        held = ground.box.conversions.get(sale)
        assert held is not None
        (shown_now,) = present.conversions(ground.box, [held], private=False)
        assert (shown_now["status"], shown_now["reason"]) == (status, reason)
        begins = rfc3339(held.created_at)[:10]  # type: ignore[index]
        text, _ = export.page(ground.box, read_filter(ground.box, {"from": begins}, "p0"), private=False)
        assert [row["reason"] for row in csv.DictReader(io.StringIO(text))] == [reason or ""]
        notify.look(ground.box, [sale])
        notify.tell(ground.box)
    told, _ = postbacks.deliveries(ground.box, "p0", made.postback_id, 10, None)
    reasons = {one.event: (one.data["status"], one.data["reason"]) for one in told}
    assert reasons == {"recorded": ("open", None), "locked": ("rejected", "unverified")}
