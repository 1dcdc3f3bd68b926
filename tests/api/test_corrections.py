"""Corrections end at the lock, less the decision margin; an erased order keeps its figures and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.errors import Conflict
from chalicelib.domain.outbox import next_operation
from chalicelib.domain.report import ServerBody
from chalicelib.domain.rows import ValidationRow
from chalicelib.services import batch, present, track, validate
from tests.api.conftest import Desk, ShiftedBox
from tests.shopper import final_receipt

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def final(desk: Desk) -> Any:
    sold = desk.sell(desk.order_id("final"), clickId=desk.click(), metadata={"note": "a-private-note"}).json
    final_receipt(desk.box, sold["conversionId"])
    return desk.held(sold["conversionId"])


def at(desk: Desk, moment: str, shift: int) -> ShiftedBox:
    from datetime import datetime

    box = ShiftedBox(desk.inside.settings)
    box.ahead = int(datetime.fromisoformat(moment).timestamp() * 1000) + shift - desk.inside.now()
    return box


def test_until_an_hour_before_the_lock_a_decision_is_taken_and_from_then_on_refused(desk: Desk, final: Any) -> None:
    approve = validate.Correction(status="approved")
    before = at(desk, final["lockAt"], -HOUR_MS - 60_000)
    held, changed = validate.correct(before, final["conversionId"], approve, "test")
    assert changed and held.decision == "approved"
    late = at(desk, final["lockAt"], -HOUR_MS + 1000)
    for correction in (validate.Correction(status="rejected", reason="fraud"), validate.Correction(amount="1.00")):
        with pytest.raises(Conflict) as refused:
            validate.correct(late, final["conversionId"], correction, "test")
        assert refused.value.code == "locked"
    assert validate.correct(late, final["conversionId"], approve, "test")[1] is False, "what is so already is no change"
    body = ServerBody(action="sale", order_id=final["orderId"], values=["1.00"])
    with pytest.raises(Conflict):
        track.conversion(late, body, "server")


def test_every_answer_says_the_status_that_the_moment_gives(desk: Desk) -> None:
    """The stored decision is open all the while; silence and the lock make more of it."""
    order_id, click_id = desk.order_id("status"), desk.click()
    sold = desk.sell(order_id, clickId=click_id).json["conversionId"]
    final_receipt(desk.box, sold)
    lock_at = desk.held(sold)["lockAt"]
    report = ServerBody(action="sale", order_id=order_id, values=["100.00"], click_id=click_id)
    as_it_is = ValidationRow(conversion_id=sold, status="open")
    for shift, status in ((-DAY_MS, "approved"), (DAY_MS, "sale")):
        then = at(desk, lock_at, shift)
        held = then.conversions.get(sold)
        assert held is not None and held.decision == "open"
        assert present.conversions(then, [held])[0]["status"] == status
        (row,) = batch.conversions(then, [report])
        assert (row["code"], row["status"]) == (200, status)
        (row,) = batch.validations(then, [as_it_is], "test")
        assert (row["code"], row["status"]) == (200, status)


def test_a_decision_made_again_changes_nothing_and_leaves_no_second_line(desk: Desk) -> None:
    sold = desk.sell(desk.order_id()).json["conversionId"]
    path = f"/v1/conversions/{sold}"
    first = desk.ask("PATCH", path, {"status": "rejected", "reason": "returned"}, key="server").json
    again = desk.ask("PATCH", path, {"status": "rejected", "reason": "returned"}, key="server").json
    opened = desk.ask("PATCH", path, {"status": "open"}, key="server").json
    assert first["history"] == again["history"]
    assert [line["event"] for line in opened["history"]][-2:] == ["rejected", "re-opened"]


@pytest.mark.parametrize(
    ("correction", "code"),
    [
        ({}, "nothing_to_change"),
        ({"status": "sale"}, "status_invalid"),
        ({"status": "rejected"}, "reason_invalid"),
        ({"status": "rejected", "reason": "because"}, "reason_invalid"),
        ({"reason": "fraud"}, "nothing_to_change"),
        ({"amount": "1.00", "reason": "fraud"}, "reason_without_status"),
        ({"amount": "-1.00"}, "amount_invalid"),
    ],
)
def test_a_correction_that_says_nothing_clear_is_refused(desk: Desk, final: Any, correction: Any, code: str) -> None:
    answer = desk.ask("PATCH", f"/v1/conversions/{final['conversionId']}", correction, key="server")
    assert (answer.status, answer.json["code"]) == (422, code)


def test_an_erased_order_loses_what_leads_to_a_person_and_keeps_its_figures(desk: Desk) -> None:
    order_id, click_id = desk.order_id("erase"), desk.click()
    sold = desk.sell(order_id, "12.34", clickId=click_id, metadata={"note": "erase-me"}).json["conversionId"]
    early = desk.ask("POST", "/v1/erasures", {"orderId": order_id}, key="admin")
    assert early.status == 409 or desk.held(sold)["network"]["state"] == "confirmed"
    final_receipt(desk.box, sold)
    before = desk.ask("GET", "/v1/stats", key="readonly").json["totals"]
    done = desk.ask("POST", "/v1/erasures", {"orderId": order_id}, key="admin")
    assert (done.status, done.json["conversions"]) == (200, [sold])
    after = desk.ask("GET", "/v1/stats", key="readonly").json["totals"]
    assert (after["amount"], after["conversions"]) == (before["amount"], before["conversions"])
    kept = desk.inside.conversions.get(sold)
    assert kept is not None and kept.amount == 1234
    for secret in (order_id, "erase-me", click_id):
        assert secret not in repr(kept)
    assert (kept.salt, kept.private_salt) == ("", "")
    receipt = desk.ask("GET", f"/v1/receipts/{sold}")
    assert (receipt.status, receipt.json["reason"]) == (202, "erased")
    replay = desk.sell(order_id, "12.34", metadata={"note": "erase-me"})
    assert (replay.status, replay.json["duplicate"]) == (200, True)
    assert "erase-me" not in repr(desk.inside.conversions.get(sold))
    assert desk.sell(order_id, "99.00").json["code"] == "erased"
    assert desk.beacon(order_id, "12.34").json["code"] == "erased"


def test_what_is_on_its_way_is_not_erased_yet(desk: Desk) -> None:
    from chalicelib.domain.report import Body
    from chalicelib.services import erase

    body = Body(action="sale", values=["5.00"], metadata={"orderId": desk.order_id()}, click_id=desk.click())
    held = track.conversion(desk.inside, body, "tag").conversion
    found = desk.inside.conversions.get(held.conversion_id)
    assert found is not None
    if not found.entries:
        with pytest.raises(Conflict) as refused:
            erase.erase_conversion(desk.inside, held.conversion_id)
        assert refused.value.code == "in_flight"


def test_an_order_erased_while_it_was_held_stays_off_the_network_and_may_be_rejected(desk: Desk) -> None:
    from chalicelib.domain.report import Body
    from chalicelib.services import erase

    inside = type(desk.inside)(desk.inside.settings)
    inside.config = replace(inside.config, tracking=replace(inside.config.tracking, hold_unverified=True))
    body = Body(action="sale", values=["5.00"], metadata={"orderId": desk.order_id()}, click_id=desk.click())
    sold = track.conversion(inside, body, "tag").conversion.conversion_id
    erase.erase_conversion(inside, sold)
    with pytest.raises(Conflict) as refused:
        validate.correct(inside, sold, validate.Correction(status="approved"), "test")
    assert refused.value.code == "erased"
    rejected, _ = validate.correct(desk.inside, sold, validate.Correction(status="rejected", reason="other"), "test")
    assert next_operation(rejected, hold_unverified=False) is None
    assert present.conversions(desk.inside, [rejected])[0]["network"]["state"] == "none"


def test_an_erased_order_that_nobody_earned_may_be_approved_still_for_it_was_never_to_go_to_the_network(
    desk: Desk,
) -> None:
    from chalicelib.services import erase

    order_id = desk.order_id()
    sold = desk.sell(order_id, "5.00").json["conversionId"]
    erase.erase_conversion(desk.inside, sold)
    approved, changed = validate.correct(desk.inside, sold, validate.Correction(status="approved"), "test")
    assert (approved.decision, changed) == ("approved", True)


@pytest.mark.parametrize(
    ("body", "status"), [({}, 422), ({"orderId": "a", "conversionId": "b"}, 422), ({"orderId": "no-such"}, 404)]
)
def test_an_erasure_names_one_thing_that_is_there(desk: Desk, body: Any, status: int) -> None:
    assert desk.ask("POST", "/v1/erasures", body, key="admin").status == status
