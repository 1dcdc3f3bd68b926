"""A box's signing keys in KMS: the first is its stack's, further ones and those of a rotation are made here and found by their alias."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import client
from ops.aws.names import Names

NEXT = "-next"
"""Ends the names of the key that a rotation is about to bring."""


def behind(alias: str) -> str | None:
    """The ARN of the key behind the alias."""
    kms = client("kms")
    try:
        return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    except kms.exceptions.NotFoundException:
        return None


def kms_key(names: Names, alias: str) -> str:
    """The ARN of the key behind the alias, made if there is none; it gets the policy of the stack's key."""
    if (known := behind(alias)) is not None:
        return known
    kms = client("kms")
    first = kms.describe_key(KeyId=names.key_alias())["KeyMetadata"]["Arn"]
    made = kms.create_key(
        KeySpec="ECC_SECG_P256K1",
        KeyUsage="SIGN_VERIFY",
        Policy=kms.get_key_policy(KeyId=first, PolicyName="default")["Policy"],
        Description=f"Operational key of the merchant box {names.merchant}",
        Tags=[{"TagKey": "merchant-box", "TagValue": names.merchant}],
    )["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=alias, TargetKeyId=made)
    return str(made)


def kms_address(key: str) -> str:
    from eth_keys.datatypes import PublicKey

    der: Any = client("kms").get_public_key(KeyId=key)["PublicKey"]
    return str(PublicKey(der[-64:]).to_checksum_address())


def retire_keys(names: Names) -> int:
    """Have KMS delete, after its shortest waiting time, every key of the box that the stack does not know. How many."""
    kms = client("kms")
    aliases = [one["AliasName"] for page in kms.get_paginator("list_aliases").paginate() for one in page["Aliases"]]
    for alias in aliases:
        if _is_ours(names, alias):
            kms.delete_alias(AliasName=alias)
    ours = {"TagKey": "merchant-box", "TagValue": names.merchant}
    retired = 0
    for key in (one["KeyId"] for page in kms.get_paginator("list_keys").paginate() for one in page["Keys"]):
        if _in_use(key) and ours in _tags(key):
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
            retired += 1
    return retired


def _in_use(key: str) -> bool:
    """False of a key that nobody here may look at: its policy is somebody else's, ours lets the account do so."""
    kms = client("kms")
    try:
        about = kms.describe_key(KeyId=key)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return False
        raise
    return about["KeyManager"] == "CUSTOMER" and about["KeyState"] in ("Enabled", "Disabled")


def _tags(key: str) -> list[dict[str, str]]:
    """None of a key that may be looked at and no more."""
    try:
        return list(client("kms").list_resource_tags(KeyId=key)["Tags"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return []
        raise


def _is_ours(names: Names, alias: str) -> bool:
    """Not the first's, which goes with its stack - and not that of a merchant whose name begins with this one's."""
    further = alias.removesuffix(NEXT).removeprefix(names.key_alias())
    return alias != names.key_alias() and (not further or (further.startswith("-") and further[1:].isdigit()))
