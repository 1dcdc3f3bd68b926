"""A sale that was answered 202 is on the network exactly once, whatever is killed right after the answer."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from chalicelib.services.turn import LEASE_MS
from ops.local import rpc
from ops.local.provision import Accounts, Network
from ops.local.running import RunningBox
from tests.shopper import as_merchant, buy, final_receipt, follow_link

LEASE_SECONDS = LEASE_MS / 1000
"""A signer that was killed at work holds its lease for so long; nobody signs beside it until then."""


def recorded(box: RunningBox) -> int:
    """How many conversions the contract holds of this merchant, asked of the node itself."""
    owner = Accounts.kept_in(box.data / "keys").owner.address
    conversions, _ = Network(box.line["rpc"], box.line["chainId"], box.line["contract"]).views().counts(owner)
    return conversions


def owner_nonce(box: RunningBox) -> int:
    owner = Accounts.kept_in(box.data / "keys").owner.address
    return int(rpc.call(box.line["rpc"], "eth_getTransactionCount", owner, "latest"), 16)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("killed", ["the box", "the box and every part of it"])
def test_a_sale_answered_202_is_on_chain_once_after_kill_9(tmp_path: Path, killed: str) -> None:
    box = RunningBox(tmp_path, "--port", "0")
    answer = buy(box, follow_link(box), "B-killed")
    assert answer.status == 202
    parts = box.kill() if killed == "the box" else box.kill_with_children()

    box = RunningBox(tmp_path, "--port", "0")
    try:
        assert all(map(ended, parts)), "a part outlived the box"
        receipt = final_receipt(box, answer.json["conversionId"], LEASE_SECONDS + 60)
        assert receipt["commission"] == "10.00"
        assert recorded(box) == 1
        again = buy(box, None, "B-killed")
        assert (again.status, again.json["duplicate"]) == (200, True)
        time.sleep(3)
        assert recorded(box) == 1
    finally:
        assert box.stop() == 0


def test_ending_and_starting_again_keeps_everything_and_sends_nothing(tmp_path: Path) -> None:
    box = RunningBox(tmp_path, "--port", "0")
    conversion = buy(box, follow_link(box), "B-kept").json["conversionId"]
    first = final_receipt(box, conversion)
    sent = owner_nonce(box)
    assert box.stop() == 0
    again = RunningBox(tmp_path, "--port", "0")
    try:
        assert (again.keys, again.line["contract"]) == (box.keys, box.line["contract"])
        second = final_receipt(again, conversion)
        assert (second["transaction"], second["blockHash"]) == (first["transaction"], first["blockHash"])
        assert recorded(again) == 1
        assert owner_nonce(again) == sent, "the second start registered or authorised something again"
        assert as_merchant(again, "GET", f"/v1/conversions/{conversion}")["orderId"] == "B-kept"
    finally:
        again.stop()


@pytest.mark.long
def test_no_sale_is_lost_or_doubled_over_many_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(7)
    conversions = []
    for number in range(25):
        box = RunningBox(tmp_path, "--port", "0")
        click = follow_link(box)
        for each in range(chance.randint(1, 4)):
            answer = buy(box, click, f"B-{number}-{each}")
            assert answer.status == 202
            conversions.append(answer.json["conversionId"])
            time.sleep(chance.random() * 1.5)
        # The network outlives the box, as a real one would: it is asked to end cleanly when the box dies.
        box.kill()
    box = RunningBox(tmp_path, "--port", "0")
    try:
        receipts = [final_receipt(box, conversion, LEASE_SECONDS + 60) for conversion in conversions]
        sequences = {receipt["sequence"] for receipt in receipts}
        assert len(sequences) == len(conversions) == recorded(box)
    finally:
        box.stop()
