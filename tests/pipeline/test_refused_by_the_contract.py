"""What the contract refuses is set aside with the reason, and everything beside it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from chalicelib.adapters.contract import StatusView
from chalicelib.adapters.network import Network, Reverted
from chalicelib.domain.errors import Conflict
from chalicelib.domain.report import Body, Item
from chalicelib.services import aside, notify, postbacks, track
from chalicelib.services.anchor import anchor
from chalicelib.services.confirm import confirm
from chalicelib.services.erase import erase_conversion
from chalicelib.services.lifecycle import standing
from chalicelib.services.network_report import REPORT, Report
from chalicelib.services.receipts import receipt
from chalicelib.services.record import carry, record
from chalicelib.services.validate import Correction, correct
from ops.verify import verify_receipt
from tests.rig.ground import CHAIN_ID, DAY_MS, Ground

MINUTE_MS = 60_000


def reasons(ground: Ground) -> dict[str, str]:
    return {c.conversion_id: c.set_aside for c in ground.conversions() if c.set_aside is not None}


def in_yen(ground: Ground) -> None:
    """From now on; its agreements stay in euros."""
    file = Path(ground.environment["CONFIG_FILE"])
    file.write_text(json.dumps({**json.loads(file.read_text()), "currency": "JPY"}))
    ground.box = ground.new_box(ground.box.offset)


def decision_on_chain(ground: Ground, sale: str) -> str:
    """The last explicit one."""
    return chain_status(ground, sale).decision


def chain_status(ground: Ground, sale: str) -> StatusView:
    """Of the last entry."""
    held = ground.box.conversions.get(sale)
    assert held is not None
    found = held.entries[-1]
    carrier = ground.box.transactions.get(found.signer, found.nonce)
    assert carrier is not None and carrier.mined is not None and carrier.mined.first_sequence is not None
    sequence = carrier.mined.first_sequence + found.index
    return ground._views.status(ground.owner.address, bytes.fromhex(found.batch), sequence)


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


def test_an_order_in_another_currency_than_its_agreement_is_never_recorded_as_if_it_were_in_that(
    ground: Ground,
) -> None:
    """The config's currency was changed, and the agreements are in the one before still: 100 yen would stand there as one euro."""
    before = Body(action="sale", values=["100.00"], order_id="before", click_id=ground.clicks[0])
    amended = track.conversion(ground.box, before, "tag").conversion.conversion_id
    ground.settle()
    in_yen(ground)
    body = Body(action="sale", values=["100"], order_id="after", click_id=ground.clicks[0])
    sale = track.conversion(ground.box, body, "server").conversion.conversion_id
    track.conversion(ground.box, replace(before, values=["100"]), "server")
    ground.settle()
    held = ground.box.conversions.many([sale, amended])
    said = "AnotherCurrency: the order is in JPY, its agreement in EUR"
    assert (held[sale].set_aside, standing(ground.box, held[sale]).commission) == (said, 0)
    assert (held[amended].currency, held[amended].amount, held[amended].history[-1].detail) == ("EUR", 10_000, said)
    assert [entry.amount for entry in ground.on_chain()] == [10_000]


def test_what_is_recorded_is_told_in_its_own_currency_though_a_later_report_is_in_another(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config's currency was changed, and the server names the order again, in yen and with another publisher's click."""
    monkeypatch.setitem(notify._known, "any", True)
    made = postbacks.create(ground.box, "p0", postbacks.Wish(url="https://publisher.example/"))
    body = Body(action="sale", values=["100.00"], order_id="before", click_id=ground.clicks[0])
    sale = track.conversion(ground.box, body, "tag").conversion.conversion_id
    ground.settle()
    in_yen(ground)
    track.conversion(ground.box, replace(body, values=["100"], click_id=ground.clicks[1]), "server")
    shown = receipt(ground.box, sale)[1]
    assert (shown["currency"], shown["amount"], shown["commission"]) == ("EUR", "100.00", "10.00")
    assert verify_receipt(shown, ground.node_url)[-1].ok
    ground.settle()
    notify.look(ground.box, [sale])
    notify.tell(ground.box)
    told, _ = postbacks.deliveries(ground.box, "p0", made.postback_id, 10, None)
    assert "rejected" in {one.data["status"] for one in told}
    assert {(one.data["amount"], one.data["currency"]) for one in told} == {("100.00", "EUR")}


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


def test_a_node_that_lags_does_not_take_a_decision_back(ground: Ground) -> None:
    with ground.lagging_node() as network:
        (sale,) = ground.sell(1)
        ground.settle()
        correct(ground.box, sale, Correction(status="rejected", reason="fraud"), "server")
        ground.box.network = network
        ground.proxy.fault("429", "eth_estimateGas", times=2)
        ground.turn()
        assert not ground.proxy.left
        held = ground.box.conversions.get(sale)
        assert held is not None
        assert (held.decision, held.reason, held.history[-1].event) == ("rejected", "fraud", "rejected")
        ground.settle()
    assert decision_on_chain(ground, sale) == "rejected"


def test_a_node_that_lags_sets_nothing_aside_after_an_outage(ground: Ground) -> None:
    """It does not know the agreement, and the sale has waited for long."""
    with ground.lagging_node() as network:
        ground.agreements[1] = ground.agree(1)
        ground.clicks[1] = ground.click(1)
        ground.settle(rounds=1)
        ground.proxy.down = True
        ground.sell(1, publisher=1)
        ground.box.offset += 11 * MINUTE_MS
        ground.turn()
        ground.proxy.heal()
        ground.box.network = network
        ground.proxy.fault("429", "eth_estimateGas", times=2)
        ground.turn()
        assert not ground.proxy.left
        assert reasons(ground) == {}
        ground.settle()
    ground.assert_recorded_once()


def test_an_agreement_that_no_node_knows_is_waited_for_from_its_first_refusal_on(ground: Ground) -> None:
    agreement, ground.agreements[0] = ground.agreements[0], "0x" + "77" * 32
    known = ground.box.agreements.get(agreement)
    assert known is not None
    ground.box.agreements.put(replace(known, agreement_id=ground.agreements[0]))
    ground.clicks[0] = ground.click(0)
    (good,) = ground.sell(1, publisher=1)
    (bad,) = ground.sell(1, publisher=0)
    ground.box.offset += 11 * MINUTE_MS
    for _ in range(9):
        ground.turn()
        ground.mine(3)
        confirm(ground.box)
        assert reasons(ground) == {}
        ground.box.offset += MINUTE_MS
    ground.box.offset += MINUTE_MS
    ground.turn()
    assert reasons(ground) == {bad: "UnknownAgreement"}
    held = ground.box.conversions.get(bad)
    assert held is not None
    assert [(line.event, line.detail) for line in held.history[1:]] == [
        ("waits", "UnknownAgreement"),
        ("set aside", "UnknownAgreement"),
    ]
    recorded = ground.box.conversions.get(good)
    assert recorded is not None and recorded.entries


def test_a_revert_without_a_reason_sets_nothing_aside(ground: Ground) -> None:
    """And what it was given for waits: it is not offered again in the same turn, as it was or in other company."""
    ground.sell(3)
    ground.proxy.fault("refused", "eth_estimateGas", times=3, say="execution reverted")
    ground.turn()
    assert not ground.proxy.left
    assert reasons(ground) == {}
    assert sorted(len(c.entries) for c in ground.conversions()) == [0, 1, 1]
    ground.settle()
    ground.assert_recorded_once()


def test_where_one_node_refuses_without_a_reason_another_is_asked(ground: Ground) -> None:
    ground.box.network = Network([ground.proxy.url, ground.node_url], CHAIN_ID)
    ground.sell(3)
    ground.proxy.fault("refused", "eth_estimateGas", times=1, say="execution reverted")
    assert ground.turn() == 1
    assert not ground.proxy.left
    assert [len(c.entries) for c in ground.conversions()] == [1, 1, 1]


def test_what_is_set_aside_after_its_batch_was_cut_is_recorded_and_no_longer_aside(ground: Ground) -> None:
    """Another process thought so meanwhile; the transaction carries it all the same."""
    (sale,) = ground.sell(1)
    lane, turn, call = ground.cut_and_freeze()
    held = ground.box.conversions.get(sale)
    assert held is not None
    aside.refuse(ground.box, "record", held, "AgreementClosed")
    assert reasons(ground) == {sale: "AgreementClosed"}
    carry(lane, turn.holder, *call)
    turn.let_go()
    assert reasons(ground) == {}
    ground.settle()
    ground.assert_recorded_once()


def test_what_was_set_aside_is_tried_again_when_the_operator_says_so(ground: Ground) -> None:
    (sale,) = ground.sell(1)
    held = ground.box.conversions.get(sale)
    assert held is not None
    aside.refuse(ground.box, "record", held, "execution reverted")
    ground.settle(rounds=2)
    assert ground.on_chain() == []
    assert aside.try_again(ground.box, sale) == "execution reverted"
    ground.settle()
    ground.assert_recorded_once()
    tried = ground.box.conversions.get(sale)
    assert tried is not None
    assert (tried.history[-1].event, tried.history[-1].by) == ("tried again", "operator")
    with pytest.raises(Conflict, match="was not set aside"):
        aside.try_again(ground.box, sale)


def test_what_was_set_aside_and_erased_is_not_tried_again(ground: Ground) -> None:
    (sale,) = ground.sell(1)
    held = ground.box.conversions.get(sale)
    assert held is not None
    aside.refuse(ground.box, "record", held, "execution reverted")
    erase_conversion(ground.box, sale)
    with pytest.raises(Conflict, match="was erased"):
        aside.try_again(ground.box, sale)


def test_a_revert_without_a_reason_is_given_the_one_that_the_contract_s_views_know(ground: Ground) -> None:
    ground.sell(2, publisher=0)
    (bad,) = ground.sell(1, publisher=1)
    ground.end(1)
    ground.proxy.fault("dataless", "eth_estimateGas", times=20)
    ground.settle()
    assert reasons(ground) == {bad: "AgreementClosed"}
    ground.assert_recorded_once(but=1)


def superseded_for_a_closed_agreement(ground: Ground) -> str:
    """A browser's sale is recorded for p0; the server names a click of p1, whose agreement is over on the chain by then."""
    ground.agreements[1] = ground.agree(1, window_days=1)
    ground.clicks[1] = ground.click(1)
    reported = Body(action="sale", values=["100.00"], order_id="X-1", click_id=ground.clicks[0])
    sale = track.conversion(ground.box, reported, "tag").conversion.conversion_id
    ground.settle()
    ground.end(1, after_days=5)
    received = track.conversion(ground.box, replace(reported, click_id=ground.clicks[1]), "server")
    assert received.conversion.conversion_id == sale
    ground.settle()
    return sale


def test_a_refused_supersede_sets_the_new_recording_aside_and_rejects_the_old(ground: Ground) -> None:
    sale = superseded_for_a_closed_agreement(ground)
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert (held.attribution.publisher_id, held.set_aside) == ("p1", "AgreementClosed")
    assert [(e.publisher_id, e.decision, e.reason) for e in held.entries] == [("p0", "rejected", "other")]
    assert decision_on_chain(ground, sale) == "rejected"
    where = standing(ground.box, held)
    assert (where.status, where.network, where.lock_at) == ("open", "setAside", None)
    assert receipt(ground.box, sale)[1]["reason"] == "AgreementClosed"


def test_a_merchant_s_rejection_reaches_the_entry_of_one_set_aside(ground: Ground) -> None:
    sale = superseded_for_a_closed_agreement(ground)
    correct(ground.box, sale, Correction(status="rejected", reason="fraud"), "server")
    ground.settle()
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert (held.decision, held.set_aside) == ("rejected", "AgreementClosed")
    assert [(e.decision, e.reason) for e in held.entries] == [("rejected", "fraud")]
    ground.pass_time(26 * DAY_MS)
    assert chain_status(ground, sale).status == "rejected"


def test_a_supersede_that_comes_after_the_lock_is_taken_back_whole(ground: Ground) -> None:
    """The old entry is final: so the box says what the network says."""
    reported = Body(action="sale", values=["100.00"], order_id="X-1", click_id=ground.clicks[0])
    sale = track.conversion(ground.box, reported, "tag").conversion.conversion_id
    ground.settle()
    ground.pass_time(31 * DAY_MS)
    ground.box.offset -= 2 * DAY_MS  # the box's clock is behind: it still takes what the network locks
    track.conversion(ground.box, replace(reported, click_id=ground.clicks[1]), "server")
    ground.box.offset += 2 * DAY_MS
    ground.settle()
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert (held.attribution.publisher_id, held.attribution.click_id) == ("p0", ground.clicks[0])
    assert (held.set_aside, held.history[-1].event, held.history[-1].detail) == (None, "change refused", "Locked")
    assert standing(ground.box, held).status == chain_status(ground, sale).status == "sale"


def test_a_refused_split_of_a_recorded_sale_leaves_it_as_recorded(ground: Ground) -> None:
    """It is the same publisher's still, so nothing is taken from them."""
    ground.agreements[1] = ground.agree(1, window_days=1)
    ground.clicks[1] = ground.click(1)
    reported = Body(action="sale", values=["100.00"], order_id="X-1", click_id=ground.clicks[1])
    sale = track.conversion(ground.box, reported, "tag").conversion.conversion_id
    ground.settle()
    ground.end(1, after_days=5)
    items = [Item(unit_price="60.00", group="books"), Item(unit_price="40.00")]
    track.conversion(ground.box, replace(reported, click_id=None, items=items), "server")
    ground.settle()
    held = ground.box.conversions.get(sale)
    assert held is not None
    assert (held.set_aside, held.history[-1].event) == (None, "change refused")
    assert [(line.group, line.amount) for line in held.lines] == [("default", 10_000)]
    assert [entry.decision for entry in held.entries] == ["open"]


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


def test_what_waits_for_a_refusal_to_pass_hurries_no_other(
    grounds: Callable[..., Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the oldest of its queue, for a day; each sale beside it would be a batch of its own."""
    ground = grounds(batch_size=10, batchSeconds=60)
    estimate = Network.estimate_gas

    def unreasonable(node: Network, to: str, data: bytes, sender: str) -> int:
        if ground.agreements[1][2:] in data.hex():
            raise Reverted(b"", "execution reverted")
        return estimate(node, to, data, sender)

    monkeypatch.setattr(Network, "estimate_gas", unreasonable)
    (waiting,) = ground.sell(1, publisher=1)
    ground.pass_time(61_000)
    assert record(ground.box) == 0
    held = ground.box.conversions.get(waiting)
    assert held is not None and held.refused is not None
    for _ in range(3):
        ground.sell(1, publisher=0)
        assert record(ground.box) == 0
    ground.pass_time(61_000)
    assert record(ground.box) == 1


def test_after_a_refused_correction_a_verified_report_counts(ground: Ground) -> None:
    body = Body(action="sale", values=["100.00"], order_id="T-1", click_id=ground.clicks[0])
    sold = track.conversion(ground.box, body, "tag").conversion.conversion_id
    ground.settle()
    correct(ground.box, sold, Correction(amount="50.00"), "merchant")
    corrected = ground.box.conversions.get(sold)
    assert corrected is not None
    aside.refuse(ground.box, "amend", corrected, "Locked")
    told = Body(action="sale", values=["120.00"], order_id="T-1")
    assert track.conversion(ground.box, told, "server").conversion.amount == 12_000


def test_what_was_seen_final_of_another_contract_holds_no_refusal_up(ground: Ground) -> None:
    """The tables of a box that moved to another chain, where blocks are counted from the beginning."""
    ground.pass_time(11_000)
    confirm(ground.box)
    seen = ground.box.state.read(REPORT, Report)
    assert seen is not None
    ground.box.state.write(REPORT, replace(seen, final=50_000, head=50_002, contract="0x" + "11" * 20))
    (sold,) = ground.sell(1, publisher=1)
    ground.end(1)
    ground.settle()
    assert reasons(ground) == {sold: "AgreementClosed"}
