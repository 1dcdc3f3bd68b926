"""Out of funds, and a key that was revoked: the signer stops cleanly, says so, and resumes by itself."""

from __future__ import annotations

import os
from typing import Any

from chalicelib.domain.transaction import Transaction
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
