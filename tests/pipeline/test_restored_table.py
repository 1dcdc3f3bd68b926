"""The table comes back from a backup that is older than the chain: what the network holds is adopted, not recorded again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import boto3
import pytest

from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.network import Network
from chalicelib.adapters.stores.transactions import TransactionStore
from chalicelib.domain.transaction import Cargo
from chalicelib.services import reclaim
from chalicelib.services.anchor import anchor, proof
from chalicelib.services.confirm import confirm
from chalicelib.services.validate import Correction, correct
from tests.rig.ground import Ground

HOUR_MS = 3_600_000


def backup(ground: Ground) -> dict[str, list[Any]]:
    client = boto3.client("dynamodb", endpoint_url=ground.dynamodb_url)
    pages = client.get_paginator("list_tables").paginate()  # other tests' tables stand there too, 100 on a page
    names = [name for page in pages for name in page["TableNames"] if name.startswith(ground.prefix + "-")]
    return {name: client.scan(TableName=name)["Items"] for name in names}


def restore(ground: Ground, kept: dict[str, list[Any]]) -> None:
    client = boto3.client("dynamodb", endpoint_url=ground.dynamodb_url)
    for name, items in kept.items():
        keys = [key["AttributeName"] for key in client.describe_table(TableName=name)["Table"]["KeySchema"]]
        for item in client.scan(TableName=name)["Items"]:
            client.delete_item(TableName=name, Key={key: item[key] for key in keys})
        for item in items:
            client.put_item(TableName=name, Item=item)


@pytest.fixture
def looked_from(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The blocks from which recordings were looked for in the logs."""
    asked: list[int] = []
    read = Network.logs

    def noted(network: Network, contract: str, topics: Sequence[str | None], since: int, until: int) -> Any:
        if topics[0] == "0x" + topic("Recorded").hex():
            asked.append(since)
        return read(network, contract, topics, since, until)

    monkeypatch.setattr(Network, "logs", noted)
    return asked


def test_what_was_recorded_after_the_backup_is_adopted(grounds: Callable[..., Ground], looked_from: list[int]) -> None:
    ground = grounds(batch_size=4)
    ground.sell(4)
    ground.settle()
    ground.sell(10)
    kept = backup(ground)
    ground.settle()
    restore(ground, kept)
    ground.box = ground.new_box(ground.box.offset)
    ground.sell(3)
    ground.settle()
    ground.assert_recorded_once()
    assert looked_from


def restored(ground: Ground) -> None:
    """Everything comes back as it was before the last sales were recorded."""
    ground.sell(4)
    ground.settle()
    ground.sell(10)
    kept = backup(ground)
    ground.settle()
    restore(ground, kept)
    ground.box = ground.new_box(ground.box.offset)


def test_a_new_key_adopts_what_an_earlier_one_recorded(grounds: Callable[..., Ground]) -> None:
    """Its own nonces tell it nothing, and with one more sale no batch is like one that was."""
    ground = grounds(batch_size=4)
    restored(ground)
    ground.sell(1)
    ground.replace_key()
    ground.settle()
    ground.assert_recorded_once()


def test_several_keys_adopt_what_each_recorded(grounds: Callable[..., Ground]) -> None:
    ground = grounds(batch_size=4, keys=2)
    restored(ground)
    ground.sell(3)
    ground.settle()
    ground.assert_recorded_once()


def test_nothing_is_recorded_before_what_is_unknown_is_final(grounds: Callable[..., Ground]) -> None:
    ground = grounds(batch_size=4)
    ground.sell(6)
    kept = backup(ground)
    ground.turn()
    ground.mine()
    restore(ground, kept)
    ground.box = ground.new_box(ground.box.offset)
    ground.sell(1)
    ground.replace_key()
    recorded = len(ground.on_chain())
    assert ground.turn() == 0
    assert len(ground.on_chain()) == recorded == 6
    ground.settle()
    ground.assert_recorded_once()


def test_a_box_that_knows_all_looks_for_no_recordings(grounds: Callable[..., Ground], looked_from: list[int]) -> None:
    ground = grounds(batch_size=2, keys=2)
    for _ in range(3):
        ground.sell(6)
        ground.turn()
        ground.mine()
        confirm(ground.box)
    ground.settle()
    ground.replace_key()
    ground.sell(3)
    ground.settle()
    ground.assert_recorded_once()
    assert not looked_from


def test_a_batch_the_contract_holds_already_is_adopted_too(ground: Ground) -> None:
    """Nothing came in since: it would be recorded just as it was."""
    ground.sell(6)
    kept = backup(ground)
    ground.settle()
    restore(ground, {name: items for name, items in kept.items() if name.endswith("-conversions")})
    confirm(ground.box)
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 1


@pytest.mark.parametrize("is_rotated", [False, True], ids=["same-key", "new-key"])
def test_conversions_restored_alone_are_claimed_by_the_transactions_that_carry_them(
    grounds: Callable[..., Ground], is_rotated: bool
) -> None:
    """The counters are right, the transactions are all known, and with one more sale no batch is like one that was."""
    ground = grounds(batch_size=4)
    ground.sell(4)
    ground.settle()
    sales = ground.sell(10)
    kept = backup(ground)
    ground.settle()
    correct(ground.box, sales[0], Correction(status="rejected", reason="returned"), "server")
    ground.settle()
    restore(ground, {name: items for name, items in kept.items() if name.endswith("-conversions")})
    if is_rotated:
        ground.replace_key()
    ground.sell(1)
    ground.settle()
    ground.assert_recorded_once()


def test_claims_are_found_missing_below_one_that_came_to_nothing(grounds: Callable[..., Ground]) -> None:
    ground = grounds(batch_size=4)
    ground.sell(6)
    kept = backup(ground)
    ground.settle()
    ground.sell(4)
    ground.proxy.fault("unanswered", times=1)
    ground.turn()
    ground.spend_nonce_outside()
    ground.mine(3)
    for _ in range(3):
        ground.box.offset += 61_000
        confirm(ground.box)
    restore(ground, {name: items for name, items in kept.items() if name.endswith("-conversions")})
    ground.sold = dict(list(ground.sold.items())[:6])
    ground.sell(1)
    ground.settle()
    found = ground.conversions()
    assert len({entry.commitment for entry in ground.on_chain()}) == len(ground.on_chain())
    assert all(len(c.entries) == 1 for c in found)


def test_clicks_that_the_network_holds_already_keep_no_others_from_their_anchor(ground: Ground) -> None:
    kept = backup(ground)
    ground.pass_time(HOUR_MS + 1_000)
    assert anchor(ground.box) == 2
    ground.settle()
    restore(ground, kept)
    ground.box = ground.new_box(ground.box.offset)
    ground.settle()
    assert anchor(ground.box) == 1
    ground.settle()
    later = ground.click(0)
    ground.pass_time(HOUR_MS + 1_000)
    assert anchor(ground.box) == 2
    ground.settle()
    assert proof(ground.box, later)["final"]


def test_what_carries_no_sale_is_not_read_again_at_every_turn(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that only anchors clicks would read a month of anchors, and the clicks in them, each minute."""
    read: list[int] = []
    cargo = TransactionStore.cargo

    def noted(store: TransactionStore, signer: str, nonce: int) -> Cargo:
        read.append(nonce)
        return cargo(store, signer, nonce)

    monkeypatch.setattr(TransactionStore, "cargo", noted)
    for _ in range(3):
        ground.click(0)
        ground.pass_time(HOUR_MS + 1_000)
        anchor(ground.box)
        ground.settle()
    reclaim.forgotten(ground.box)
    read.clear()
    reclaim.forgotten(ground.box)
    assert read == []
