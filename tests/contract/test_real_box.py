"""What a running box shows, checked without asking it: its receipts and its whole ledger."""

import json
import time
from typing import Any

from ops.asking import ask
from ops.audit import audit_publisher
from ops.chain_reader import Chain
from ops.kept_answers import read_saved
from ops.local.running import RunningBox
from ops.verify import verify_receipt
from tests.shopper import as_merchant, buy, final_receipt, follow_link


def test_receipts_of_a_running_box_hold_before_and_after_a_partial_refund(box: RunningBox) -> None:
    rpc = box.line["rpc"]
    answer = buy(box, follow_link(box), "checked-1", "79.99")
    assert answer.status == 202
    conversion_id = answer.json["conversionId"]
    receipt = final_receipt(box, conversion_id)
    checks = verify_receipt(receipt, rpc, box.line["contract"])
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 10

    as_merchant(box, "PATCH", f"/v1/conversions/{conversion_id}", {"amount": "20.00"})
    amended = _until(
        lambda: final_receipt(box, conversion_id),
        lambda r: bool(verify_receipt(r, rpc)[-1].ok) and r["amount"] == "20.00",
    )
    assert amended["commission"] == "2.00"
    old = {check.name: check for check in verify_receipt(receipt, rpc)}
    assert old["status"].ok  # it was true when it was given out, and is told apart
    assert "older" in old["amendments"].detail


def test_the_ledger_of_a_running_box_passes_the_audit_with_its_kept_answers(box: RunningBox) -> None:
    answers = [buy(box, follow_link(box), f"audited-{i}", f"{10 + i}.50").json for i in range(3)]
    receipts = [final_receipt(box, answer["conversionId"]) for answer in answers]
    chain = Chain(box.line["rpc"], box.line["contract"])
    kept = "\n".join(json.dumps(answer) for answer in answers)

    report = audit_publisher(chain, receipts[0]["publisher"], saved=read_saved(kept, box.url))

    assert report.findings == []
    assert report.walked["saved"] == 3
    assert sum(total.conversions for total in report.totals) >= 3
    # What nobody waited for: a sale on its way, a test order, a click, each as the box answered it a moment ago.
    fresh = buy(box, follow_link(box), "audited-at-once").json
    test_order = ask(
        "POST", f"{box.url}/v1/beacon/conversion", {**_TEST_ORDER, "clickId": follow_link(box)}, **_from(box)
    )
    click = ask("POST", f"{box.url}/v1/beacon/click", {"via": box.line["publisherId"]}, **_from(box))
    assert (test_order.status, click.status) == (202, 202)
    at_once = read_saved(json.dumps([fresh, test_order.json, click.json]), box.url)
    report = audit_publisher(Chain(chain.url, chain.contract), receipts[0]["publisher"], saved=at_once)
    assert report.findings == []
    assert [note for note in report.notes if click.json["clickId"] in note]
    gone = read_saved(json.dumps({"conversionId": "never-recorded", "attributed": True}), box.url)
    assert [f.kind for f in audit_publisher(chain, receipts[0]["publisher"], saved=gone).findings] == ["missing"]


_TEST_ORDER = {
    "action": "sale",
    "values": ["5.00"],
    "metadata": {"orderId": "a-test"},
    "eventId": "a-test",
    "isTest": True,
}


def _from(box: RunningBox) -> dict[str, str]:
    return {"Content_Type": "text/plain;charset=UTF-8", "Origin": box.line["shop"]}


def _until(look: Any, holds: Any, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        assert time.monotonic() < deadline, f"not in time: {str(seen)[:500]}"
        time.sleep(0.3)
