"""A receipt says what the network holds, not what the box is about to tell it."""

import json
from typing import Any

from chalicelib.domain.network_status import STATUSES
from chalicelib.domain.payload import rfc3339
from chalicelib.services.receipts import receipt
from chalicelib.services.validate import Correction, correct
from ops.audit import audit_publisher
from ops.chain_reader import Chain
from ops.kept_answers import read_saved
from ops.verify import verify_receipt
from tests.rig.ground import Ground


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
