"""The ordinary way of a conversion to finality, in the states of the field's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as evolve

import pytest
from botocore.session import Session
from msgspec.structs import replace

from chalicelib.adapters import tables
from chalicelib.domain.errors import NotFound
from chalicelib.domain.report import Body
from chalicelib.services import notify, postbacks, present, report, track
from chalicelib.services.compare import differences
from chalicelib.services.confirm import confirm
from chalicelib.services.health import health
from chalicelib.services.lifecycle import standing
from chalicelib.services.postbacks import Wish
from chalicelib.services.validate import Correction, correct
from tests.rig.ground import DAY_MS, Ground

HOUR_MS = 3_600_000


def test_sales_are_recorded_once_in_batches_and_become_final(ground: Ground) -> None:
    ground.sell(25)
    assert ground.turn() == 3
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 3


def test_all_tables_and_reservations_share_one_client(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a tenth of a second of a processor to make: in a cold start, and at each batch."""
    made = []

    def counted(session: Session, *args: object, **options: object) -> object:
        made.append(args)
        return create(session, *args, **options)

    create = Session.create_client
    monkeypatch.setattr(Session, "create_client", counted)
    tables._bound.clear()
    ground.box = ground.new_box()
    ground.sell(25)
    ground.settle()
    ground.assert_recorded_once()
    assert len(made) == 1


def test_the_states_of_a_transaction_stand_in_its_history_with_their_times(ground: Ground) -> None:
    (sale,) = ground.sell()
    ground.turn()
    ground.mine()
    confirm(ground.box)
    ground.mine(3)
    confirm(ground.box)
    held = ground.box.conversions.get(sale)
    assert held is not None
    transaction = ground.box.transactions.get(held.entries[0].signer, held.entries[0].nonce)
    assert transaction is not None
    assert [change.state for change in transaction.changes] == ["pending", "sent", "mined", "confirmed"]
    times = [change.at for change in transaction.changes]
    assert times == sorted(times)


def test_a_commission_that_the_contract_computes_otherwise_is_said_aloud(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    """The box is told other terms than those that were signed."""
    signed = ground.box.agreements.get(ground.agreements[0])
    assert signed is not None
    rule, *others = signed.terms.rules
    ground.box.agreements.put(replace(signed, terms=evolve(signed.terms, rules=(evolve(rule, rate=110_000), *others))))
    wrong, _ = ground.sell(2)
    ground.settle()
    (found,) = differences(ground.box)
    assert (found.conversion_id, found.expected, found.on_chain) == (wrong, 1_100, 1_000)
    assert wrong in caplog.text
    ground.box.offset += 10_000
    confirm(ground.box)
    healthy, shown = health(ground.box)
    assert healthy
    assert (shown["status"], shown["network"]["commissionDifferences"]) == ("degraded", 1)


def test_an_approved_sale_is_decided_and_a_verified_report_amends_what_the_browser_said(ground: Ground) -> None:
    body = Body(action="sale", values=["50.00"], metadata={"orderId": "B-1"}, event_id="e", click_id=ground.clicks[0])
    first = track.beacon_conversion(ground.box, body).conversion.conversion_id
    ground.sold[first] = 5_000
    ground.settle()
    assert ground.sell(1, publisher=0, amount=7_500) == [first], "the same order"
    correct(ground.box, first, Correction(status="approved"), "server")
    ground.settle()
    held = ground.box.conversions.get(first)
    assert held is not None
    (entry,) = held.entries
    assert (entry.lines[0].amount, entry.verified, entry.decision) == (7_500, True, "approved")
    kinds = [t.kind for n in range(3) if (t := ground.box.transactions.get(ground.key.address, n)) is not None]
    assert kinds == ["record", "amend", "decide"]
    view = ground._views.status(ground.owner.address, bytes.fromhex(entry.batch), 1)
    assert view.decision == "approved"


def test_a_decision_whose_lock_is_near_waits_for_no_batch(grounds: Callable[..., Ground]) -> None:
    """It was answered 200 until an hour before the lock; a batch may take a day, and then the network refuses it."""
    ground = grounds(batchSeconds=86_400)
    (sale,) = ground.sell()
    ground.pass_time(DAY_MS)
    ground.settle()
    ground.pass_time(30 * DAY_MS - 5 * HOUR_MS)
    assert correct(ground.box, sale, Correction(status="rejected", reason="fraud"), "server")[1]
    assert ground.turn() == 0, "three hours are left to gather others"
    ground.pass_time(3 * HOUR_MS)
    assert ground.turn() == 1
    ground.settle()
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert (held.decision, held.entries[0].decision) == ("rejected", "rejected")


def test_an_order_on_its_way_to_another_publisher_keeps_the_dates_of_the_agreement_it_is_recorded_under(
    ground: Ground,
) -> None:
    """The other's are shorter and would lie in the past: the order read as final, and a rejection was refused."""
    ground.agreements[1] = ground.agree(1, validation_days=5, lock_days=10)
    of_the_other = ground.click(1)
    reported = Body(action="sale", values=["100.00"], order_id="X-1", click_id=ground.clicks[0])
    sale = track.conversion(ground.box, reported, "tag").conversion.conversion_id
    ground.settle()
    ground.pass_time(12 * DAY_MS)
    moved = track.conversion(ground.box, replace(reported, click_id=of_the_other), "server").conversion
    assert standing(ground.box, moved).status == "open"
    correct(ground.box, sale, Correction(status="rejected", reason="fraud"), "server")
    ground.settle()
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert [(e.publisher_id, e.decision) for e in held.entries] == [("p0", "rejected"), ("p1", "rejected")]


def test_a_verified_report_for_another_publisher_supersedes_in_one_step(ground: Ground) -> None:
    body = Body(action="sale", values=["50.00"], metadata={"orderId": "B-1"}, event_id="e", click_id=ground.clicks[0])
    first = track.beacon_conversion(ground.box, body).conversion.conversion_id
    ground.settle()
    assert ground.sell(1, publisher=1, amount=5_000) == [first]
    ground.settle()
    held = ground.box.conversions.get(first)
    assert held is not None
    assert [(entry.publisher_id, entry.decision, entry.reason) for entry in held.entries] == [
        ("p0", "rejected", "superseded"),
        ("p1", "open", None),
    ]
    assert len(ground.on_chain()) == 2
    assert ground.nonces_spent() == 2


def test_after_a_supersession_both_publishers_are_told_the_one_that_it_is_rejected_the_other_that_it_is_recorded(
    ground: Ground,
) -> None:
    """What the messages say is read from the box's delivery list; tests/api/test_postbacks.py sends them."""
    ground.pass_time(2_000)
    made = {
        name: postbacks.create(ground.box, name, Wish(url="https://publisher.example/told")) for name in ("p0", "p1")
    }
    body = Body(action="sale", values=["50.00"], metadata={"orderId": "B-1"}, event_id="e", click_id=ground.clicks[0])
    first = track.beacon_conversion(ground.box, body).conversion.conversion_id

    def told() -> dict[str, list[tuple[str, str | None, str]]]:
        ground.settle()
        ground.box.offset += 20_000
        notify.look(ground.box, [first])
        notify.tell(ground.box)
        notify.tell(ground.box)
        return {
            name: sorted(
                (one.event, one.data["reason"], one.data["commission"])
                for one in ground.box.deliveries.newest(postback.postback_id, 10)
            )
            for name, postback in made.items()
        }

    assert told() == {"p0": [("recorded", None, "5.00")], "p1": []}
    assert ground.sell(1, publisher=1, amount=5_000) == [first]
    after = told()
    assert after["p0"] == [("recorded", None, "5.00"), ("rejected", "superseded", "5.00")]
    assert after["p1"] == [("recorded", None, "5.35")]
    shown = [one.data for one in ground.box.deliveries.newest(made["p1"].postback_id, 10)]
    assert [one["sequence"] for one in shown] == [2], "its own place on the network"
    assert told() == after, "nothing is told twice"


def moved_to_another_publisher(ground: Ground) -> str:
    """A browser's order of p0's click, recorded, that the server then gave to p1's; its id."""
    ground.clicks = [ground.click(0, "sub-of-p0"), ground.click(1, "sub-of-p1")]
    body = Body(action="sale", values=["50.00"], metadata={"orderId": "B-1"}, event_id="e", click_id=ground.clicks[0])
    first = track.beacon_conversion(ground.box, body).conversion.conversion_id
    ground.settle()
    assert ground.sell(1, publisher=1, amount=8_000) == [first]
    return first


def test_a_message_names_the_sub_id_of_its_own_entrys_click(ground: Ground) -> None:
    made = {
        name: postbacks.create(ground.box, name, Wish(url="https://publisher.example/told")) for name in ("p0", "p1")
    }
    ground.pass_time(2_000)
    first = moved_to_another_publisher(ground)
    ground.settle()
    notify.look(ground.box, [first])
    notify.tell(ground.box)
    said = {
        name: {
            (one.event, one.data["clickId"], one.data["subId"])
            for one in ground.box.deliveries.newest(its.postback_id, 10)
        }
        for name, its in made.items()
    }
    mine, others = ground.clicks
    assert said == {
        "p0": {("recorded", mine, "sub-of-p0"), ("rejected", mine, "sub-of-p0")},
        "p1": {("recorded", others, "sub-of-p1")},
    }


def test_whose_entry_was_superseded_reads_that_entry_and_nothing_of_whoever_has_the_order_now(ground: Ground) -> None:
    first = moved_to_another_publisher(ground)
    waiting = present.conversions(ground.box, [report.one(ground.box, first, "p0")], private=False)[0]
    assert (waiting["status"], waiting["amount"]) == ("open", "50.00"), "as the network holds it still"
    ground.settle()
    correct(ground.box, first, Correction(status="approved"), "key")
    ground.settle()
    (shown,) = present.conversions(ground.box, [report.one(ground.box, first, "p0")], private=False)
    told = {
        name: shown[name] for name in ("status", "reason", "amount", "commission", "publisherId", "clickId", "subId")
    }
    assert told == {
        "status": "rejected",
        "reason": "superseded",
        "amount": "50.00",
        "commission": "5.00",
        "publisherId": "p0",
        "clickId": ground.clicks[0],
        "subId": "sub-of-p0",
    }
    assert (shown["network"]["sequence"], shown["network"]["state"], shown["verified"]) == (1, "confirmed", False)
    assert shown["attribution"]["clickedAt"] is not None
    for secret in ("p1", "80.00", ground.clicks[1], "sub-of-p1", "approved"):
        assert secret not in repr(shown)
    (now,) = present.conversions(ground.box, [report.one(ground.box, first, "p1")], private=False)
    assert (now["status"], now["amount"], now["subId"]) == ("approved", "80.00", "sub-of-p1")
    with pytest.raises(NotFound):
        report.one(ground.box, first, "somebody else")
