"""Clicks on the network: one root a period, a gap-free sequence, and a proof that anybody can check against the contract's log."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import ClicksAnchored, decode_logs
from chalicelib.adapters.stores.transactions import TransactionStore
from chalicelib.domain import merkle
from chalicelib.domain.click import Click
from chalicelib.domain.errors import NotFound
from chalicelib.domain.transaction import Transaction
from chalicelib.services import claim
from chalicelib.services.anchor import anchor, leaf, proof
from chalicelib.services.erase import TO_FORGET, erase_conversion, forget_clicks
from ops.local import rpc
from ops.verify_click import CLICK_CHECKS, verify_click
from tests.rig.ground import DAY_MS, Ground

HOUR_MS = 3_600_000


def click(ground: Ground, number: int) -> Click:
    now = ground.box.now()
    made = Click(
        click_id=f"more-{ground.prefix}-{number}",
        publisher_id="p0",
        agreement_id=ground.agreements[0],
        clicked_at=now,
        attributable_until=now + 30 * DAY_MS,
        sub_id="newsletter",
        salt=f"{number:064x}",
        private_salt="04" * 32,
    )
    ground.box.clicks.create(made, keep_until=made.attributable_until)
    return made


def anchored(ground: Ground) -> list[ClicksAnchored]:
    asked = {"address": ground.contract, "topics": ["0x" + topic("ClicksAnchored").hex()], "fromBlock": "0x0"}
    return [e for e in decode_logs(rpc.call(ground.node_url, "eth_getLogs", asked)) if isinstance(e, ClicksAnchored)]


def holds(shown: dict[str, Any], event: ClicksAnchored) -> bool:
    """What a publisher computes from the proof and the contract's log alone."""
    return shown["sequence"] == event.first + shown["index"] and merkle.verify(
        event.root,
        leaf_of(shown),
        shown["index"],
        event.count,
        [bytes.fromhex(sibling) for sibling in shown["proof"]],
    )


def leaf_of(shown: dict[str, Any]) -> bytes:
    import hashlib

    from chalicelib.domain.commitment import canonical

    return hashlib.sha256(bytes.fromhex(shown["salt"]) + canonical(shown["payload"])).digest()


def test_each_click_is_proved_by_its_anchor_and_the_sequence_has_no_gap(ground: Ground) -> None:
    first = [click(ground, number) for number in range(5)]
    assert proof(ground.box, first[0].click_id)["state"] == "pending"
    assert anchor(ground.box) == 0, "the period is not over"
    ground.pass_time(HOUR_MS)
    assert anchor(ground.box) == 5 + 2, "the ground's own two as well"
    second = [click(ground, number) for number in range(5, 8)]
    ground.settle()
    ground.pass_time(HOUR_MS)
    assert anchor(ground.box) == 3
    ground.settle()
    events = anchored(ground)
    assert [(event.first, event.count) for event in events] == [(1, 7), (8, 3)]
    sequences = []
    for made in [*first, *second]:
        shown = proof(ground.box, made.click_id)
        event = events[made in second]
        assert shown["final"] and shown["transaction"] == event.where.transaction
        assert holds(shown, event)
        assert [check.name for check in verify_click(shown, ground.node_url) if check.ok] == list(CLICK_CHECKS)
        sequences.append(shown["sequence"])
        assert not holds({**shown, "payload": {**shown["payload"], "publisherId": "p1"}}, event)
        assert not holds({**shown, "index": shown["index"] ^ 1}, event)
    assert len(set(sequences)) == 8
    assert "newsletter" not in str([proof(ground.box, made.click_id) for made in first])
    with pytest.raises(NotFound):
        proof(ground.box, "no-such-click")


def test_a_signer_that_wakes_up_late_claims_no_click_for_an_anchor_that_never_came_to_be(ground: Ground) -> None:
    ground.pass_time(2 * HOUR_MS)
    assert anchor(ground.box) == 2
    rpc.call(ground.node_url, "anvil_dropAllTransactions")
    dead = ground.box.transactions.get(ground.key.address, 0)
    assert dead is not None
    claim.give_back(ground.box, dead, "as if it had failed")
    claim.finish(ground.box, replace(dead, claimed=False))
    assert len(ground.box.clicks.unanchored(ground.box.now(), 10)) == 2
    assert anchor(ground.box) == 2
    claim.give_back(ground.box, dead, "once more, after a crash in between")
    assert not ground.box.clicks.unanchored(ground.box.now(), 10), "the next anchor has them"


def test_a_leaf_commits_to_the_sub_id_without_showing_it(ground: Ground) -> None:
    made = click(ground, 1)
    assert leaf(made) != leaf(replace(made, sub_id="another"))


def test_a_click_whose_order_is_erased_before_it_is_anchored_is_forgotten_with_its_anchor(ground: Ground) -> None:
    named = click(ground, 1)
    ground.clicks = [named.click_id]
    (sale,) = ground.sell()
    ground.settle()
    assert erase_conversion(ground.box, sale).clicks == 0
    anchor(ground.box)
    waiting = ground.box.clicks.get(named.click_id)
    assert waiting is not None and waiting.salt, "its anchor needs it"
    ground.pass_time(HOUR_MS)
    anchor(ground.box)
    ground.settle()
    anchor(ground.box)
    forgotten = ground.box.clicks.get(named.click_id)
    assert forgotten is not None
    assert (forgotten.sub_id, forgotten.salt, forgotten.private_salt) == (None, "", "")
    assert ground.box.state.read(TO_FORGET, list[str]) == []


def test_a_click_whose_anchor_becomes_final_while_it_is_looked_at_is_not_passed_over(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = click(ground, 1)
    ground.clicks = [named.click_id]
    (sale,) = ground.sell()
    ground.settle()
    erase_conversion(ground.box, sale)
    ground.pass_time(HOUR_MS)
    anchor(ground.box)
    read = TransactionStore.get
    seen = list[int]()

    def and_then_it_is_final(store: TransactionStore, signer: str, nonce: int) -> Transaction | None:
        found = read(store, signer, nonce)
        if not seen:
            seen.append(nonce)
            ground.settle()
        return found

    monkeypatch.setattr(TransactionStore, "get", and_then_it_is_final)
    forget_clicks(ground.box)
    monkeypatch.undo()
    assert seen, "its anchor was looked at"
    forget_clicks(ground.box)
    forgotten = ground.box.clicks.get(named.click_id)
    assert forgotten is not None and not forgotten.salt
