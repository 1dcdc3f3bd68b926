"""The table comes back from a backup that is older than the chain: what the network holds is adopted, not recorded again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3

from chalicelib.services.confirm import confirm
from tests.rig.ground import Ground


def backup(ground: Ground) -> dict[str, list[Any]]:
    client = boto3.client("dynamodb", endpoint_url=ground.dynamodb_url)
    names = [name for name in client.list_tables()["TableNames"] if name.startswith(ground.prefix + "-")]
    return {name: client.scan(TableName=name)["Items"] for name in names}


def restore(ground: Ground, kept: dict[str, list[Any]]) -> None:
    client = boto3.client("dynamodb", endpoint_url=ground.dynamodb_url)
    for name, items in kept.items():
        keys = [key["AttributeName"] for key in client.describe_table(TableName=name)["Table"]["KeySchema"]]
        for item in client.scan(TableName=name)["Items"]:
            client.delete_item(TableName=name, Key={key: item[key] for key in keys})
        for item in items:
            client.put_item(TableName=name, Item=item)


def test_what_was_recorded_after_the_backup_is_adopted(grounds: Callable[..., Ground]) -> None:
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


def test_a_box_that_knows_all_reads_no_logs(grounds: Callable[..., Ground]) -> None:
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
    assert not ground.proxy.seen["eth_getLogs"]


def test_a_batch_the_contract_holds_already_is_adopted_too(ground: Ground) -> None:
    """The counter is right, the members are not: the contract's own guard is what tells."""
    ground.sell(6)
    kept = backup(ground)
    ground.settle()
    restore(ground, {name: items for name, items in kept.items() if name.endswith("-conversions")})
    confirm(ground.box)
    ground.settle()
    ground.assert_recorded_once()
    assert ground.nonces_spent() == 1
