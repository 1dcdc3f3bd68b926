"""The table comes back from a backup that is older than the chain: what the network holds is adopted, not recorded again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3

from chalicelib.services.confirm import confirm
from tests.rig.ground import Ground


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
