"""The ordinary way of a conversion to finality, in the states of the field's words."""

from __future__ import annotations

from chalicelib.services.confirm import confirm
from tests.rig.ground import Ground


def test_sales_are_recorded_once_in_batches_and_become_final(ground: Ground) -> None:
    ground.sell(25)
    assert ground.turn() == 3
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 3


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
