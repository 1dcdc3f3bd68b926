"""The chain changes its mind before finality: nothing is shown as final early, and everything is recorded once in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.adapters.network import Network
from chalicelib.services.confirm import confirm
from chalicelib.services.receipts import receipt
from chalicelib.services.validate import Correction, correct
from ops.local import rpc
from tests.rig.ground import Ground
from tests.rig.proxy import Kind, Proxy


def reorganise(ground: Ground, depth: int, *, keep: bool) -> None:
    """Other blocks in place of the last ones: with the box's transactions in them again, or without. anvil forgets those left out."""
    raws = [
        transaction.attempts[-1].raw
        for transaction in ground.box.transactions.open(ground.key.address)
        if transaction.mined is not None
    ]
    rpc.call(ground.node_url, "anvil_reorg", depth, [[raw, 0] for raw in raws] if keep else [])


def mined_but_not_final(ground: Ground) -> list[str]:
    sales = ground.sell(4)
    ground.turn()
    ground.mine()
    confirm(ground.box)
    status, shown = receipt(ground.box, sales[0])
    assert (status, shown["final"]) == (200, False)
    return sales


@pytest.mark.parametrize("comes_back", [True, False], ids=["comes-back", "is-left-out"])
def test_a_reorganised_batch_is_never_final_early_and_recorded_once(ground: Ground, comes_back: bool) -> None:
    sales = mined_but_not_final(ground)
    before = receipt(ground.box, sales[0])[1]["blockHash"]
    reorganise(ground, 1, keep=comes_back)
    confirm(ground.box)
    status, shown = receipt(ground.box, sales[0])
    assert not shown.get("final", False)
    assert shown.get("blockHash") != before
    rounds = ground.settle()
    print(f"\nreorganised, {'with' if comes_back else 'without'} the transaction: final after {rounds} rounds")
    ground.assert_recorded_once()
    status, shown = receipt(ground.box, sales[0])
    assert (status, shown["final"]) == (200, True)
    assert shown["blockHash"] != before
    assert ground.nonces_spent() == 1


def test_reorganised_again_and_again_it_is_still_recorded_once(ground: Ground) -> None:
    mined_but_not_final(ground)
    for turn in range(4):
        reorganise(ground, 1, keep=turn % 2 == 0)
        confirm(ground.box)
        ground.mine()
        confirm(ground.box)
        ground.sell(1)
        ground.turn()
    ground.settle()
    ground.assert_recorded_once()


@pytest.mark.parametrize("kind", ["refused", "null"])
def test_a_node_that_knows_no_final_block_for_once_makes_nothing_final_early(
    grounds: Callable[..., Ground], kind: Kind
) -> None:
    """As one that was just started anew. Counting blocks instead would call final what a reorganisation still takes away."""
    ground = grounds(confirmations=1)
    (sale,) = ground.sell(1)
    ground.turn()
    ground.mine(2)
    ground.proxy.fault(kind, "eth_getBlockByNumber", times=2, say="finalized block not found", about="finalized")
    confirm(ground.box)
    assert not ground.proxy.left, "the fault was met"
    assert not receipt(ground.box, sale)[1].get("final", False)
    reorganise(ground, 2, keep=False)
    ground.settle()
    ground.assert_recorded_once()
    assert receipt(ground.box, sale)[1]["final"]


def test_a_node_without_a_finalized_tag_is_passed_over_once_another_showed_one(ground: Ground) -> None:
    ground.sell(1)
    ground.turn()
    ground.mine(4)
    old = Proxy(ground.node_url)
    old.fault("refused", "eth_getBlockByNumber", times=1_000, say="invalid block tag", about="finalized")
    try:
        ground.box.network = Network([old.url, ground.proxy.url], 31337)
        ground.settle()
    finally:
        old.stop()
    ground.assert_recorded_once()


def test_a_network_that_never_showed_a_final_block_is_counted_on(ground: Ground) -> None:
    ground.proxy.fault("null", "eth_getBlockByNumber", times=10_000, about="finalized")
    sales = ground.sell(4)
    ground.settle()
    ground.assert_recorded_once()
    assert receipt(ground.box, sales[0])[1]["final"]


def test_no_decision_is_built_on_what_may_still_be_taken_back(ground: Ground) -> None:
    """The decision waits until its conversion is final, so a reorganisation cannot leave it without one."""
    sales = mined_but_not_final(ground)
    correct(ground.box, sales[0], Correction(status="rejected", reason="returned"), "server")
    ground.box.offset += 2_000
    assert ground.turn() == 0
    reorganise(ground, 1, keep=False)
    ground.settle()
    held = ground.box.conversions.get(sales[0])
    assert held is not None
    assert (held.entries[0].decision, held.entries[0].last_change) == ("rejected", (ground.key.address, 1))
    ground.assert_recorded_once()
