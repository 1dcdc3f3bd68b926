"""Two signers at once on one key: contiguous nonces, no gap, nothing recorded twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from chalicelib.services import turn
from chalicelib.services.confirm import confirm
from chalicelib.services.record import record
from tests.rig.ground import Clocked, Ground
from tests.rig.process import ended, start


def test_two_signers_share_a_key_for_200_batches_without_a_gap_or_a_double(grounds: Callable[..., Ground]) -> None:
    signers_at_once(grounds(batch_size=2), signers=2, batches=200, seconds=240)


def test_signers_whose_leases_run_out_while_they_work_do_no_harm(
    grounds: Callable[..., Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes takes the key over in the middle of another's work: only the conditions on the writes are left."""
    monkeypatch.setattr(turn, "LEASE_MS", 20)
    signers_at_once(grounds(batch_size=2), signers=3, batches=20, seconds=20)


def signers_at_once(ground: Ground, signers: int, batches: int, seconds: float) -> None:
    """`seconds`: many times what they need. On a busy machine too it is they that finish, not the settling afterwards."""
    ground.sell(2 * batches)
    ground.box.offset += 2_000
    stop = time.monotonic() + seconds

    def live(box: Clocked) -> None:
        while box.conversions.outbox(limit=1) and time.monotonic() < stop:
            record(box)
            confirm(box)

    begun = time.monotonic()
    pids = [start(ground, live) for _ in range(signers)]
    with ground.mining():
        assert [ended(pid) for pid in pids] == [0] * signers
    print(f"\n{signers} signers x {batches} batches: {time.monotonic() - begun:.1f} s")
    ground.settle()
    ground.assert_recorded_once()
    kept = [ground.box.transactions.get(ground.key.address, nonce) for nonce in range(ground.nonces_spent())]
    assert len(kept) >= batches
    assert all(found is not None and found.state == "confirmed" for found in kept)


def test_a_signer_that_wakes_up_after_its_lease_does_no_harm(ground: Ground) -> None:
    """It had cut its batch before it froze; another one took over, sent the batch, and it came to nothing and was given back."""
    from chalicelib.adapters.stores.item import LostLease
    from chalicelib.services import claim
    from chalicelib.services.record import carry

    ground.sell(4)
    lane, sleeper, call = ground.cut_and_freeze()
    ground.outlive_lease()
    ground.settle()
    with pytest.raises(LostLease):
        sleeper.prolong()  # although nobody holds the key any more
    with pytest.raises(LostLease):
        carry(lane, sleeper.holder, *call)
    ground.assert_recorded_once()

    transaction = ground.box.transactions.get(ground.key.address, 0)
    assert transaction is not None
    claim.give_back(ground.box, transaction, "as if it had failed")
    from msgspec.structs import replace

    claim.finish(ground.box, replace(transaction, claimed=False))
    assert all(not conversion.entries for conversion in ground.conversions())
