"""A receipt says what the network holds, not what the box is about to tell it."""

from typing import Any

from chalicelib.domain.network_status import STATUSES
from chalicelib.services.receipts import receipt
from chalicelib.services.validate import Correction, correct
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
