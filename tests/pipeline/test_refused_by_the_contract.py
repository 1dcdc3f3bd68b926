"""What the contract refuses is set aside with the reason, and everything beside it goes on."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.domain.report import Item
from chalicelib.services.anchor import anchor
from chalicelib.services.confirm import confirm
from chalicelib.services.validate import Correction, correct
from tests.rig.ground import DAY_MS, Ground


def reasons(ground: Ground) -> dict[str, str]:
    return {c.conversion_id: c.set_aside for c in ground.conversions() if c.set_aside is not None}


def test_an_agreement_that_ended_meanwhile_costs_its_own_conversion_alone(ground: Ground) -> None:
    """Refused at the estimate: nothing is spent on it."""
    ground.sell(8, publisher=0)
    (bad,) = ground.sell(1, publisher=1)
    ground.end(1)
    ground.settle()
    assert reasons(ground) == {bad: "AgreementClosed"}
    ground.assert_recorded_once(but=1)
    assert ground.nonces_spent() == 1
    held = ground.box.conversions.get(bad)
    assert held is not None
    assert (held.history[-1].event, held.history[-1].detail) == ("set aside", "AgreementClosed")


def test_a_batch_that_reverts_on_chain_goes_again_without_the_bad_one(ground: Ground) -> None:
    """The estimate was good; the agreement closed before the block."""
    ground.sell(8, publisher=0)
    (bad,) = ground.sell(1, publisher=1)
    ground.turn()
    ground.overtake(lambda: ground.end(1))
    rounds = ground.settle()
    print(f"\nreverted on chain: the rest final after {rounds} rounds")
    assert reasons(ground) == {bad: "AgreementClosed"}
    ground.assert_recorded_once(but=1)
    first = ground.box.transactions.get(ground.key.address, 0)
    assert first is not None
    assert [change.state for change in first.changes] == ["pending", "sent", "mined", "failed"]


def test_agreements_with_other_days_go_into_batches_of_their_own(ground: Ground) -> None:
    ground.agreements[1] = ground.agree(1, validation_days=7)
    ground.clicks[1] = ground.click(1)
    ground.sell(10)
    assert ground.turn() == 2
    ground.settle()
    ground.assert_recorded_once()


def test_scattered_decisions_fit_their_calls_and_a_late_one_is_taken_back_alone(grounds: Callable[..., Ground]) -> None:
    ground = grounds(batch_size=1)
    early = ground.sell(1)[0]
    ground.settle()
    ground.pass_time(20 * DAY_MS)
    sales = ground.sell(3)
    ground.settle()
    ground.box.offset -= 2 * DAY_MS  # the box's clock is behind: it still takes what the network locks
    for sale in [early, *sales]:
        correct(ground.box, sale, Correction(status="rejected", reason="returned"), "server")
    ground.box.offset += 2 * DAY_MS
    ground.pass_time(11 * DAY_MS)
    ground.settle()
    decided = {c.conversion_id: c.entries[0].decision for c in ground.conversions()}
    assert decided == {early: "open", **dict.fromkeys(sales, "rejected")}
    held = ground.box.conversions.get(early)
    assert held is not None
    assert (held.decision, held.history[-1].event, held.history[-1].detail) == ("open", "change refused", "Locked")


def test_an_order_in_several_commission_groups_and_its_refund_are_recorded_and_amended(ground: Ground) -> None:
    (sale,) = ground.sell(
        1,
        items=[Item(unit_price="60.00", group="books"), Item(unit_price="40.00")],
    )
    ground.settle()
    assert [entry.amount for entry in ground.on_chain()] == [4_000, 6_000]
    correct(ground.box, sale, Correction(lines={"books": "10.00"}), "server")
    ground.settle()
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert [(line.group, line.amount) for line in held.entries[0].lines] == [("default", 4_000), ("books", 1_000)]
    totals = ground._views.totals(ground.owner.address, bytes.fromhex(ground.agreements[0][2:]))
    assert (totals.amount, totals.commission) == (5_000, 400 + 20)


def test_clicks_whose_anchor_fails_are_anchored_again(ground: Ground) -> None:
    ground.pass_time(2 * 3_600_000)
    assert anchor(ground.box) == 2
    ground.overtake(ground.revoke)
    ground.mine(4)
    confirm(ground.box)
    failed = ground.box.transactions.get(ground.key.address, 0)
    assert failed is not None
    assert failed.state == "failed"
    ground.authorise()
    assert anchor(ground.box) == 2
    ground.settle()
    assert ground._views.counts(ground.owner.address) == (0, 2)
