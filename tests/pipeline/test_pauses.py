"""Out of funds, and a key that was revoked: the signer stops cleanly, says so, and resumes by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.transaction import Cargo, Transaction
from chalicelib.services import claim, send
from chalicelib.services.confirm import confirm
from chalicelib.services.health import health
from chalicelib.services.network_report import REPORT, Report
from chalicelib.services.record import record
from ops.local import rpc
from tests.rig.ground import ETHER, Clocked, Ground
from tests.rig.process import run


def shown(ground: Ground) -> str | None:
    """What /v1/status says."""
    confirm(ground.box)
    report = ground.box.state.read(REPORT, Report)
    assert report is not None
    network = health(ground.box)[1]["network"]
    assert network["paused"] == report.paused
    return report.paused


def test_an_empty_account_stops_the_signer_until_it_has_funds(ground: Ground) -> None:
    ground.sell(25)
    rpc.call(ground.node_url, "anvil_setBalance", ground.key.address, hex(1))
    ground.turn()
    assert shown(ground) == "out_of_funds"
    assert ground.turn() == 0
    assert len(ground.box.transactions.open(ground.key.address)) <= 1, "it did not go on into the wall"
    rpc.call(ground.node_url, "anvil_setBalance", ground.key.address, hex(ETHER))
    ground.settle()
    assert shown(ground) is None
    ground.assert_recorded_once()


def test_a_revoked_key_stops_the_signer_until_it_is_authorised_again(ground: Ground) -> None:
    ground.sell(5)
    ground.revoke()
    assert ground.turn() == 0
    assert shown(ground) == "key_revoked"
    assert ground.nonces_spent() == 0
    assert not any(conversion.set_aside for conversion in ground.conversions())
    ground.authorise()
    ground.settle()
    assert shown(ground) is None
    ground.assert_recorded_once()


def test_a_key_revoked_while_its_batches_are_in_flight_sends_them_again_once_it_may(ground: Ground) -> None:
    ground.sell(15)
    assert ground.turn() == 2
    ground.overtake(ground.revoke)
    ground.mine(4)
    for _ in range(3):
        ground.box.offset += 31_000
        confirm(ground.box)
        ground.turn()
    assert shown(ground) == "key_revoked"
    ground.authorise()
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 4


def test_what_an_earlier_key_sent_is_followed_to_its_end_and_what_it_did_not_goes_with_the_new_one(
    ground: Ground,
) -> None:
    """The key is replaced with one batch sent and one reserved and never signed."""
    earlier = ground.key
    ground.sell(20)
    ground.box.offset += 2_000
    assert run(ground, reserve_two, crash_at="") == 0
    assert [(t.nonce, len(t.attempts)) for t in ground.box.transactions.open(earlier.address)] == [(0, 1), (1, 0)]
    ground.replace_key()
    ground.outlive_lease()
    ground.settle()
    assert not ground.box.transactions.open(earlier.address)
    ground.assert_recorded_once()
    assert {c.entries[0].signer for c in ground.conversions()} == {earlier.address, ground.key.address}


def reserved(ground: Ground) -> tuple[Box, Transaction, Cargo]:
    """Three sales in a batch that a process has reserved, and no more: with its key, which is about to be replaced."""
    ground.sell(3)
    lane, turn, (work, gas) = ground.cut_and_freeze()
    assert lane.lanes is not None
    late = Transaction(signer=lane.signer.address, nonce=0, kind=work.kind, gas=gas)
    cargo = work.cargo(lane.signer.address, 0)
    lane.transactions.reserve(late, cargo, turn.holder, lane.lanes)
    return lane, late, cargo


def test_a_process_that_wakes_up_late_does_not_sign_what_is_given_back_in_that_moment(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the earlier key still, and a batch that it reserved, claimed and did not sign before its lease ended."""
    lane, late, cargo = reserved(ground)
    late = claim.finish(lane, late, cargo)
    ground.replace_key()
    ground.outlive_lease()
    give_back = claim.give_back

    def and_then_it_wakes_up(*given: Any) -> None:
        give_back(*given)
        with pytest.raises(Stale):
            send.first(lane, late)

    monkeypatch.setattr(claim, "give_back", and_then_it_wakes_up)
    confirm(ground.box)
    monkeypatch.undo()
    ground.sell(1)
    ground.settle()
    ground.assert_recorded_once()


def test_what_nobody_signed_is_given_back_to_the_end_where_a_crash_came_in_between(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other process signs it meanwhile, though it has the key."""
    reserved(ground)
    earlier = ground.key
    ground.replace_key()
    ground.outlive_lease()

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claim, "give_back", crash)
    with pytest.raises(KeyboardInterrupt):
        confirm(ground.box)
    monkeypatch.undo()
    ground.outlive_lease()
    ground.use_keys([earlier])
    ground.settle()
    ground.assert_recorded_once()
    left = ground.box.transactions.get(earlier.address, 0)
    assert left is not None
    assert (left.state, all(attempt.noop for attempt in left.attempts)) == ("replaced", True)


def test_what_a_revoked_key_sent_is_sent_on_so_that_another_may_take_it_over(grounds: Callable[..., Ground]) -> None:
    """Nodes dropped it. While it may still come, its sales are in no other transaction; and a rotation waits for it."""
    ground = grounds(keys=2)
    ground.sell(8)
    ground.turn()
    revoked = ground.keys[0]
    rpc.call(ground.node_url, "anvil_dropAllTransactions")
    ground.revoke(revoked)
    ground.settle()
    ground.assert_recorded_once()
    assert {c.entries[0].signer for c in ground.conversions()} == {ground.keys[1].address}


def reserve_two(box: Clocked) -> None:
    """Ends where a crash between claiming and signing the second batch would have ended it."""
    from chalicelib.services import send

    signed = send.first
    sent: list[int] = []

    def first_alone(*call: Any) -> Transaction:
        if sent:
            os._exit(0)
        sent.append(1)
        return signed(*call)

    send.first = first_alone  # type: ignore[assignment]
    record(box)
