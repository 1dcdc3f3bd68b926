"""Replacing a box's operational key without a gap: both keys are authorised for a while, and no transaction is left behind.

    prepare   the next key exists beside the one in use           nothing else changes
    -         the merchant's account authorises it, somebody funds it
    finish    signing stops, what the old key sent becomes final, the box is given the next key, signing goes on
    -         the old key is revoked

Conversions are accepted all the while; they wait in the outbox for the seconds or minutes in which nothing is signed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.services.turn import Turn
from ops.aws import releases, secrets
from ops.aws.clients import client
from ops.aws.names import Names
from ops.aws.policies import ACCESS
from ops.aws.provision import config_of, kms_address
from ops.boxes.opened import open_box
from ops.boxes.output import Failed, WrongInput, console
from ops.boxes.project import Project
from ops.boxes.stages import SIGNER_AT_ONCE, environment, read_stage, write_stage

NEXT = "-next"
DRAIN_SECONDS = 900.0
FOLLOWER = "confirm_on_schedule"
"""It goes on while the others stand still: it sees the old key's transactions through."""
STREAM = "sign_on_change"


def prepare(project: Project, merchant: str) -> dict[str, Any]:
    """Makes the next key, or finds the one made before. Raises WrongInput for a signer that cannot be rotated here."""
    names, kind = Names(merchant), config_of(project, merchant).signer.kind
    if kind == "keystore":
        address = _next_keystore(names)
    elif kind == "kms":
        address = kms_address(_next_kms_key(names))
    else:
        raise WrongInput(f"the {kind} signer keeps its key in a file on one machine: there is nothing to rotate on AWS")
    told = [
        f"box signer authorise {merchant} --address {address} --keystore MERCHANT.json",
        f"box signer fund {merchant} --address {address} --keystore ANY.json",
        f"box signer rotate {merchant} --finish",
    ]
    return {"merchant": merchant, "address": address, "next": told}


def _next_keystore(names: Names) -> str:
    kept = secrets.read(names, secrets.KEYSTORE + NEXT)
    if kept is not None:
        return secrets.keystore_address(kept)
    made, password, address = secrets.new_keystore()
    secrets.put(names, secrets.PASSWORD + NEXT, password)
    secrets.put(names, secrets.KEYSTORE + NEXT, made)
    return address


def _next_kms_key(names: Names) -> str:
    """The key's ARN. It has the policy of the key in use."""
    kms, alias = client("kms"), names.key_alias + NEXT
    try:
        return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    except kms.exceptions.NotFoundException:
        pass
    policy = kms.get_key_policy(
        KeyId=kms.describe_key(KeyId=names.key_alias)["KeyMetadata"]["Arn"], PolicyName="default"
    )["Policy"]
    made = kms.create_key(
        KeySpec="ECC_SECG_P256K1",
        KeyUsage="SIGN_VERIFY",
        Policy=policy,
        Description=f"Next operational key of the merchant box {names.merchant}",
        Tags=[{"TagKey": "merchant-box", "TagValue": names.merchant}],
    )["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=alias, TargetKeyId=made)
    return str(made)


def finish(project: Project, merchant: str) -> dict[str, Any]:
    """Raises Failed while the next key may not act or cannot pay, or when the old one's transactions do not become final in time."""
    from ops.boxes.agreement import _views

    names, config = Names(merchant), config_of(project, merchant)
    box = open_box(project, merchant)
    old = str(box.settings.signer_address)
    address = prepare(project, merchant)["address"]
    if _views(box).key_expiry(config.merchant.account, address) <= time.time():
        raise Failed(f"{address} is not authorised yet: box signer authorise {merchant} --address {address} …")
    if box.network.balance(address) == 0:
        raise Failed(f"{address} has no funds yet: box signer fund {merchant} --address {address} …")
    stopped = _stop_signing(names)
    turn = Turn(box, old)
    try:
        _drain(box, old, turn)
        _switch(project, names, config.signer.kind)
    finally:
        turn.let_go()
        _go_on(stopped)
    return {
        "merchant": merchant,
        "address": address,
        "before": old,
        "next": [f"box signer revoke {merchant} --address {old} --keystore MERCHANT.json"],
    }


def _stop_signing(names: Names) -> dict[str, int | None]:
    """Every function that may use the key stands still, but the follower. What each may do at once otherwise, by its name."""
    functions, before = client("lambda"), {}
    for name, access in ACCESS.items():
        if access.signs and name != FOLLOWER:
            function = names.function(name)
            found = functions.get_function_concurrency(FunctionName=function)
            at_once = found.get("ReservedConcurrentExecutions")
            # Still 0 after a rotation that was killed: then what the stage gives it, or it would stand still for good.
            before[function] = at_once or (SIGNER_AT_ONCE if name == STREAM else None)
            functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    return before


def _go_on(before: dict[str, int | None]) -> None:
    for function, at_once in before.items():
        if at_once is None:
            client("lambda").delete_function_concurrency(FunctionName=function)
        else:
            client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=at_once)


def _drain(box: Box, address: str, turn: Turn) -> None:
    """Until all that the key sent is final. The turn is ours then: a function that began before the others were stopped sends no more."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        left = len(box.transactions.open(address))
        if not left and turn.take():
            left = len(box.transactions.open(address))
            if not left:
                return
            turn.let_go()  # the follower needs it
        if time.monotonic() > deadline:
            raise Failed(
                f"{left} transactions of {address} are not final after {DRAIN_SECONDS:.0f} s; it stays in use. Try again later"
            )
        console.print(f"{left} transactions of the old key are not final yet")
        time.sleep(3.0)


def _switch(project: Project, names: Names, kind: str) -> None:
    """The secrets or the alias, then the stage, then each function's environment: a function that starts meanwhile finds either key
    whole, and the follower of the wrong one finds nothing to do."""
    stage = read_stage(project, names.merchant, kind)
    assert stage is not None, "an operated box has a stage"
    if kind == "keystore":
        moved = {name: secrets.read(names, name + NEXT) for name in (secrets.PASSWORD, secrets.KEYSTORE)}
        for name, value in moved.items():
            assert value is not None, "prepared above"
            secrets.put(names, name, value)
        address = secrets.keystore_address(str(moved[secrets.KEYSTORE]))
        stage = replace(stage, signer_address=address)
    else:
        arn = _next_kms_key(names)
        client("kms").update_alias(AliasName=names.key_alias, TargetKeyId=arn)
        stage = replace(stage, key_arn=arn, signer_address=kms_address(arn))
    write_stage(project, stage)
    functions = client("lambda")
    for name in ACCESS:
        found = functions.get_function_configuration(FunctionName=names.function(name))["Environment"]["Variables"]
        variables = {**found, **environment(stage)}
        functions.update_function_configuration(FunctionName=names.function(name), Environment={"Variables": variables})
        functions.get_waiter("function_updated_v2").wait(FunctionName=names.function(name))
        _allow_key(project, names, name)
    last = releases.last(project, names.merchant)
    if last is not None:  # a roll-back must not bring the old key back
        releases.keep(project, replace(last, environment={**last.environment, **environment(stage)}))
    # At last, so that a rotation which broke off is finished by doing it again.
    if kind == "keystore":
        client("ssm").delete_parameters(Names=[f"{names.parameters}/{name}{NEXT}" for name in moved])
    else:
        client("kms").delete_alias(AliasName=names.key_alias + NEXT)


def retire_keys(names: Names) -> int:
    """Have KMS delete, after its shortest waiting time, every key that a rotation made and the stack does not know. How many."""
    kms = client("kms")
    aliases = [one["AliasName"] for page in kms.get_paginator("list_aliases").paginate() for one in page["Aliases"]]
    if names.key_alias + NEXT in aliases:
        kms.delete_alias(AliasName=names.key_alias + NEXT)
    ours = {"TagKey": "merchant-box", "TagValue": names.merchant}
    retired = 0
    for key in (one["KeyId"] for page in kms.get_paginator("list_keys").paginate() for one in page["Keys"]):
        about = kms.describe_key(KeyId=key)["KeyMetadata"]
        # Of a key that AWS or somebody else keeps, the tags may not be ours to read.
        if about["KeyManager"] != "CUSTOMER" or about["KeyState"] not in ("Enabled", "Disabled"):
            continue
        if ours in kms.list_resource_tags(KeyId=key)["Tags"]:
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
            retired += 1
    return retired


def _allow_key(project: Project, names: Names, name: str) -> None:
    """The role's policy names the key by its ARN, so it has to change with it."""
    iam, role = client("iam"), names.role(name)
    text = (project.policies(names.merchant) / f"{name}.json").read_text()
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text)
